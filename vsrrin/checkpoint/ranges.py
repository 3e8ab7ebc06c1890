"""Ranges for arithmetic in 8 bit: a small JSON file beside a checkpoint, which the weights it was measured with own.

``film.safetensors`` has ``film.int8.json``, a folder ``parts`` has ``parts.int8.json``.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vsrrin.errors import CheckpointError
from vsrrin.files import write

type Ranges = Mapping[str, Sequence[tuple[float, float]]]
"""Least and largest value that each hidden convolution of a stack is given, by the name of the stack."""

_END = ".int8.json"


def ranges_path(checkpoint: Path) -> Path:
    """Return the path of the ranges of a checkpoint, a file or a folder."""
    if checkpoint.is_dir():
        checkpoint = checkpoint.resolve()  # "." has no name
        return checkpoint.with_name(checkpoint.name + _END)
    return checkpoint.with_name(checkpoint.stem + _END)


def fingerprint(metadata: Mapping[str, Any]) -> str:
    """Return what tells a checkpoint's weights from all others, from :attr:`vsrrin.Model.metadata`."""
    if "parts" in metadata:
        return "+".join(sorted(part["sha256"] for part in metadata["parts"].values()))
    return str(metadata["sha256"])


def read_ranges(
    checkpoint: Path, metadata: Mapping[str, Any], counts: Callable[[], Mapping[str, int]]
) -> Ranges | None:
    """Return the ranges of a checkpoint, ``None`` if there are none.

    Args:
        checkpoint: The file or folder.
        metadata: As `fingerprint` takes it.
        counts: Returns the number of hidden convolutions of each stack of the network.

    Raises:
        CheckpointError: The file is damaged, or of other weights.
    """
    path = ranges_path(checkpoint)
    advice = f"measure them again: vsrrin models quantize {checkpoint}"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        raise CheckpointError(f"load: {path} cannot be read ({error}); {advice}") from None
    try:
        content = json.loads(text)
        owner = content["sha256"]
        ranges = {name: [(float(low), float(high)) for low, high in pairs] for name, pairs in content["ranges"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"load: {path} holds no ranges; {advice}") from None
    if owner != fingerprint(metadata):
        raise CheckpointError(f"load: {path} is of other weights than those of {checkpoint}; {advice}")
    ordered = all(-math.inf < low <= high < math.inf for pairs in ranges.values() for low, high in pairs)
    if not ordered or {name: len(pairs) for name, pairs in ranges.items()} != counts():
        raise CheckpointError(f"load: {path} does not fit the convolutions of {checkpoint}; {advice}")
    return ranges


def save_ranges(checkpoint: Path, metadata: Mapping[str, Any], ranges: Ranges, facts: Mapping[str, str]) -> Path:
    """Write the ranges of a checkpoint beside it, and return where.

    Args:
        checkpoint: The file or folder.
        metadata: As `fingerprint` takes it.
        ranges: The ranges.
        facts: What they were measured on, and what is lost.

    Raises:
        CheckpointError: The file cannot be written.
    """
    path = ranges_path(checkpoint)
    # Four digits: a step of the range's 255 is far coarser.
    rounded = {name: [[float(f"{end:.4g}") for end in pair] for pair in pairs] for name, pairs in ranges.items()}
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(pairs)}" for name, pairs in rounded.items())
    head = "".join(f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)},\n" for k, v in sorted(facts.items()))
    text = f'{{\n{head}  "ranges": {{\n{lines}\n  }},\n  "sha256": {json.dumps(fingerprint(metadata))}\n}}\n'
    write(path, text.encode(), CheckpointError)
    return path
