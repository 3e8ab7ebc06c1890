"""Files of checkpoints, read as plain tensors and written.

The way in: bytes, checked against the side-car's sha256 -> tensors -> canonical state dict (trainers' wrapping and old
key names removed once, here). A side-car is a JSON file of the same stem beside the weights. The network is recognised
in :mod:`vsrrin.checkpoint.loader`.
"""

import hashlib
import io
import json
import math
import os
import pickle
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vsrrin.errors import CheckpointError
from vsrrin.files import publish, unfinished
from vsrrin.nets.registry import first_few

from .ranges import ranges_path

SUFFIXES = (".safetensors", ".pth", ".pt", ".tar")
# Where trainers put the state dict: RRIN's fork, CAIN, and the usual others.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "params", "weights")
# Prefixes that DataParallel and torch.compile put before every key.
_PREFIXES = ("module.", "_orig_mod.")
# Upstream RRIN renamed the part for two weeks, and the fork branched off in between.
_ALIASES = {"Flow.": "Flow_L."}
SIDECAR_WRITTEN = ("architecture", "arithmetic", "sha256")
"""Facts that `checkpoint.save` writes into a side-car by itself."""
SIDECAR_GIVEN = ("training_data", "metrics", "licence", "source", "created_with")
"""Facts that the caller of `checkpoint.save` has to give."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckpointFile:
    """Contents of one file."""

    path: Path
    container: str
    """``safetensors``, ``torch (zip)`` or ``torch (old format)``."""
    sha256: str
    state: dict[str, Tensor]
    """Canonical: bare, floats in float32, old key names replaced."""
    wrapping: tuple[str, ...]
    """Wrappings that were removed or replaced on the way to ``state``, in words, outermost first."""
    dtypes: Mapping[str, int]
    """The types the tensors are stored in, and how many are of each."""
    header: Mapping[str, str]
    """The metadata in the file itself."""
    sidecar: Mapping[str, Any]

    @property
    def fits_sidecar(self) -> bool:
        """Whether the side-car names the sha256 of the file, if it names one."""
        return bool(self.sidecar.get("sha256", self.sha256) == self.sha256)


def read_file(path: Path, *, bundled: bool = False, verify: bool = True) -> CheckpointFile:
    """Read one file and its side-car.

    Args:
        path: The file.
        bundled: Whether it comes with vsrrin, and so must have a complete side-car.
        verify: Whether a file that is not the one its side-car describes is refused.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It cannot be read, is damaged, disagrees with its side-car, or holds no state dict.
    """
    data = _read(path)
    digest = hashlib.sha256(data).hexdigest()
    sidecar = read_sidecar(path, complete=bundled)
    if verify and sidecar.get("sha256", digest) != digest:
        raise CheckpointError(
            f"load: {path} is not the file that its side-car {path.with_suffix('.json').name} describes: sha256 is "
            f"{digest}, the side-car says {sidecar['sha256']}. Get the file again, or remove an outdated side-car."
        )
    content, header, container = _parse(path, data)
    stored, wrapping = _unwrap(content, path)
    dtypes = Counter(str(value.dtype).removeprefix("torch.") for value in stored.values())
    state = {key: value.float() if value.is_floating_point() else value for key, value in stored.items()}
    check_finite(state, f"load: {path}")
    return CheckpointFile(
        path=path,
        container=container,
        sha256=digest,
        state=state,
        wrapping=wrapping,
        dtypes=dict(dtypes),
        header=header,
        sidecar=sidecar,
    )


def files_in(path: Path) -> list[Path]:
    """Return the file itself, or the checkpoints directly in a folder, by their suffixes and in order of their names.

    Raises:
        CheckpointError: The folder cannot be read.
    """
    if not os.path.isdir(path):
        return [path]
    try:
        found = sorted(path.iterdir())
    except OSError as error:
        raise CheckpointError(f"load: the folder {path} cannot be read: {error.strerror}.") from error
    return [file for file in found if file.name.endswith(SUFFIXES) and file.name[0] != "." and file.is_file()]


def versions(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, time of change and size of every file that ``path`` stands for, and of those beside them.

    Raises:
        CheckpointError: The folder cannot be read.
    """
    files = files_in(path)
    beside = [*(file.with_suffix(".json") for file in files), ranges_path(path)]
    stated = [(file.name, file.stat()) for file in (*files, *beside) if os.path.isfile(file)]
    return tuple((name, facts.st_mtime_ns, facts.st_size) for name, facts in stated)


def read_sidecar(path: Path, *, complete: bool) -> dict[str, Any]:
    """Return the side-car of a weights file; empty if there is none.

    Raises:
        CheckpointError: It is damaged; or it is missing or lacks something, and must be ``complete``.
    """
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        if complete:
            raise CheckpointError(f"load: bundled {path.name} lacks its side-car {sidecar.name}. Install vsrrin again.")
        return {}
    try:
        content = json.loads(sidecar.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"load: the side-car {sidecar} cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"load: the side-car {sidecar} must hold a JSON object, got {type(content).__name__}.")
    absent = [key for key in (*SIDECAR_WRITTEN, *SIDECAR_GIVEN) if key not in content]
    if complete and absent:
        raise CheckpointError(f"load: the side-car {sidecar} lacks {', '.join(absent)}. Install vsrrin again.")
    return content


def check_finite(state: Mapping[str, Tensor], where: str) -> None:
    """Refuse weights that are not numbers.

    Raises:
        CheckpointError: One is not finite; the text begins with ``where``.
    """
    bad = [key for key, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if bad:
        raise CheckpointError(f"{where}: weights with values that are not finite: {first_few(bad)}.")


def serialise(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file with its metadata in order; the library writes them in any."""
    data = safetensors.torch.save(dict(state), metadata=dict(metadata))
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    # The data must begin at a multiple of 8 bytes; the format allows spaces after the header.
    text = text.ljust(8 * math.ceil(len(text) / 8))
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def write_weights(path: Path, data: bytes, sidecar: bytes) -> None:
    """Replace weights and their side-car; whatever ends it, the side-car is that of the weights, or there is none.

    Raises:
        OSError: They cannot be written.
    """
    beside = path.with_suffix(".json")
    with unfinished(path) as weights, unfinished(beside) as facts:
        weights.write_bytes(data)
        facts.write_bytes(sidecar)
        publish({weights: path, facts: beside})


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(f"load: {path} cannot be read: {reason}.") from error
    if not data:
        raise CheckpointError(f"load: {path} is empty. Get the file again.")
    return data


def _parse(path: Path, data: bytes) -> tuple[object, Mapping[str, str], str]:
    """Return the contents of a file, its metadata and its format, by its bytes, not by its name."""
    if not _looks_like_safetensors(data) and (data[:2] == b"PK" or data[0] == 0x80):
        return _parse_pickle(path, data), {}, "torch (zip)" if data[:2] == b"PK" else "torch (old format)"
    try:
        tensors = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise CheckpointError(
            f"load: {path} is damaged or not a checkpoint ({error}). Expected a safetensors file or one written by "
            "torch.save; get the file again."
        ) from error
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return tensors, header.get("__metadata__") or {}, "safetensors"


def _looks_like_safetensors(data: bytes) -> bool:
    """Return whether the header begins where safetensors has it, after a length that may begin with any byte."""
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8


def _parse_pickle(path: Path, data: bytes) -> object:
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises nearly any type for a damaged file
        forbidden = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if forbidden:
            raise CheckpointError(
                f"load: {path} holds a Python object beside tensors, {forbidden[1]}, which vsrrin does not run. Only "
                "if you trust the file, load it in torch and save its state dict alone."
            ) from error
        raise CheckpointError(
            f"load: {path} is damaged or not a checkpoint ({_first_line(error)}). Expected a safetensors file or one "
            "written by torch.save; get the file again."
        ) from error


def _first_line(error: Exception) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text.split('. ')[0][:200]}"


def _unwrap(content: object, path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the state dict of a file under canonical keys, and what was removed to get there."""
    inner, removed = content, []
    for _ in range(3):
        wrapper = next((key for key in _WRAPPERS if isinstance(inner, Mapping) and _is_dict(inner.get(key))), None)
        if wrapper is None:
            break
        beside = [key for key in cast(Mapping[str, object], inner) if key != wrapper]
        removed.append(f"in a dict under {wrapper!r}" + (f", beside {', '.join(map(str, beside))}" if beside else ""))
        inner = cast(Mapping[str, object], inner)[wrapper]
    if not _is_dict(inner) or not all(isinstance(value, Tensor) for value in cast(dict[str, object], inner).values()):
        raise CheckpointError(
            f"load: {path} is not a checkpoint: expected a dict of named tensors, bare or under one of "
            f"{', '.join(_WRAPPERS)}; got {_describe(inner)}."
        )
    state = dict(cast(dict[str, Tensor], inner))
    while prefix := next((p for p in _PREFIXES if all(key.startswith(p) for key in state)), None):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
        removed.append(f"{prefix!r} before every key")
    for old, new in _ALIASES.items():
        if any(key.startswith(old) for key in state) and not any(key.startswith(new) for key in state):
            state = {new + key.removeprefix(old) if key.startswith(old) else key: v for key, v in state.items()}
            removed.append(f"keys {old}* for {new}*")
    return state, tuple(removed)


def _is_dict(value: object) -> bool:
    return isinstance(value, Mapping) and len(value) > 0 and all(isinstance(key, str) for key in value)


def _describe(value: object) -> str:
    if isinstance(value, Mapping):
        others = [str(key) for key, item in value.items() if not isinstance(item, Tensor)]
        return f"a dict of {len(value)} entries, {first_few(others)} of them no tensors" if value else "an empty dict"
    return f"a {type(value).__name__}"
