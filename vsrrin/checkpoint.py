"""Checkpoints: from a file or a bundled name to a network ready to use, and back.

The way in: bytes, checked against the side-car's sha256 -> tensors -> canonical state dict (trainers' wrapping and
old key names removed once, here) -> `nets.identify` -> build -> strict load. A side-car is a JSON file of the same
stem beside the weights; bundled weights must have a complete one.
"""

import difflib
import hashlib
import io
import json
import math
import os
import pickle
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from vsrrin.errors import ArgumentError, CheckpointError, UnknownNetError
from vsrrin.nets import NETS, NetSpec, identify
from vsrrin.nets.registry import by_name, first_few

_WEIGHTS = Path(__file__).parent / "weights"
_SUFFIXES = (".safetensors", ".pth", ".pt", ".tar")
# Where trainers put the state dict: RRIN's fork, CAIN, and the usual others.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "params", "weights")
# Prefixes that DataParallel and torch.compile put before every key.
_PREFIXES = ("module.", "_orig_mod.")
# Upstream RRIN renamed the part for two weeks, and the fork branched off in between.
_ALIASES = {"Flow.": "Flow_L."}
SIDECAR_WRITTEN = ("architecture", "arithmetic", "sha256")
"""What `save` writes into a side-car by itself."""
SIDECAR_GIVEN = ("training_data", "metrics", "licence", "source", "created_with")
"""What the caller of `save` has to say."""


@dataclass(frozen=True)
class Model:
    """A network with its weights: evaluation mode, no gradients, float32, prepared."""

    net: nn.Module
    spec: NetSpec
    arithmetic: str
    name: str
    """Bundled name or file name."""
    path: Path
    metadata: Mapping[str, Any]
    """The side-car's contents, if there is one, and the ``sha256`` of the file."""


def bundled() -> dict[str, Path]:
    """The names of the weights that come with vsrrin, and their files."""
    return {path.stem: path for path in sorted(_WEIGHTS.glob("*.safetensors"))}


def load(model: str | os.PathLike[str], *, arithmetic: str | None = None) -> Model:
    """Load a bundled checkpoint by name, or any by path.

    Args:
        model: A bundled name, or a path: anything with a path separator or one of the suffixes .safetensors, .pth,
            .pt, .tar is a path, so a file never hides a name.
        arithmetic: The convention the weights were trained with, for a network that has several. Not given, it is
            taken from the metadata of the file, else from its side-car, else it is the network's first, that of
            published checkpoints.

    Raises:
        ArgumentError: ``model`` is of another type, or the network has no such arithmetic.
        UnknownNetError: No bundled weights have that name, or the weights are of no known network.
        CheckpointError: The file is missing, damaged, disagrees with its side-car, or does not fit the network.
    """
    path, is_bundled = locate(model)
    data = _read(path)
    digest = hashlib.sha256(data).hexdigest()
    sidecar = _read_sidecar(path, complete=is_bundled)
    if sidecar and sidecar.get("sha256", digest) != digest:
        raise CheckpointError(
            f"load: {path} is not the file that its side-car {path.with_suffix('.json').name} describes: sha256 is "
            f"{digest}, the side-car says {sidecar['sha256']}. Get the file again, or remove an outdated side-car."
        )
    tensors, header = _parse(path, data)
    state = canonical(tensors, path)
    try:
        spec = identify(state)
    except UnknownNetError as error:
        raise UnknownNetError(f"load: {path}: {error}") from None
    arithmetic = _choose_arithmetic(path, spec, arithmetic, header, sidecar)
    with torch.device("meta"):  # weights that are about to be replaced need no values
        net = spec.build(state, arithmetic)
    _load_strictly(net, state, spec, path)
    net.requires_grad_(False).eval()
    prepare = getattr(net, "prepare", None)
    if prepare is not None:
        prepare()
    metadata = MappingProxyType({**sidecar, "sha256": digest})
    return Model(net, spec, arithmetic, path.stem if is_bundled else path.name, path, metadata)


def save(
    net: nn.Module,
    spec: NetSpec,
    path: str | os.PathLike[str],
    *,
    arithmetic: str,
    sidecar: Mapping[str, Any],
    dtype: torch.dtype | None = None,
) -> None:
    """Write a network's weights and their side-car; equal weights give equal bytes.

    Both files appear whole or not at all.

    Args:
        net: The network.
        spec: Its description.
        path: Where to, ending with ``.safetensors``.
        arithmetic: The convention the weights were trained with.
        sidecar: At least ``training_data``, ``metrics``, ``licence``, ``source`` and ``created_with``.
        dtype: Type to store floats in; None keeps theirs.

    Raises:
        ArgumentError: The suffix, the arithmetic or the side-car is not as above.
        CheckpointError: A weight is not finite, or overflows ``dtype``.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ArgumentError(f"save: path must end with .safetensors, got {str(path)!r}.")
    _check_arithmetic("save", spec, arithmetic)
    absent = [key for key in SIDECAR_GIVEN if key not in sidecar]
    if absent:
        raise ArgumentError(f"save: sidecar lacks {', '.join(absent)}; it needs {', '.join(SIDECAR_GIVEN)}.")
    state = {key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()}
    if dtype is not None:
        state = {key: value.to(dtype) for key, value in state.items()}
    _check_finite(state, f"save: {path}")
    if not path.parent.is_dir():
        raise ArgumentError(f"save: there is no folder {path.parent}.")
    data = _serialise(state, {"vsrrin.net": spec.name, "vsrrin.arithmetic": arithmetic})
    facts = {"architecture": spec.name, "arithmetic": arithmetic, "sha256": hashlib.sha256(data).hexdigest()}
    text = json.dumps({**sidecar, **facts}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    _write(path, data)
    _write(path.with_suffix(".json"), text.encode())


def canonical(content: object, path: Path) -> dict[str, Tensor]:
    """The bare state dict in float32, out of what a file holds: unwrapped, prefixes removed, old names replaced.

    Raises:
        CheckpointError: There is no state dict in it, or a weight is not finite.
    """
    inner = content
    for _ in range(3):
        wrapper = next((key for key in _WRAPPERS if isinstance(inner, Mapping) and _is_dict(inner.get(key))), None)
        if wrapper is None:
            break
        inner = cast(Mapping[str, object], inner)[wrapper]
    if not _is_dict(inner) or not all(isinstance(value, Tensor) for value in cast(dict[str, object], inner).values()):
        raise CheckpointError(
            f"load: {path} is not a checkpoint: expected a dict of named tensors, bare or under one of "
            f"{', '.join(_WRAPPERS)}; got {_describe(inner)}."
        )
    state = dict(cast(dict[str, Tensor], inner))
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    for old, new in _ALIASES.items():
        if not any(key.startswith(new) for key in state):
            state = {new + key.removeprefix(old) if key.startswith(old) else key: v for key, v in state.items()}
    state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    _check_finite(state, f"load: {path}")
    return state


def read(path: Path) -> dict[str, Tensor]:
    """The canonical state dict of a file, without asking which network it is of.

    Raises:
        CheckpointError: The file is missing, damaged, or holds no state dict.
    """
    return canonical(_parse(path, _read(path))[0], path)


def locate(model: str | os.PathLike[str]) -> tuple[Path, bool]:
    """The file of a model, by the rule of :func:`load`, and whether it is a bundled one; it need not exist.

    Raises:
        ArgumentError: ``model`` is of another type.
        UnknownNetError: No bundled weights have that name.
    """
    if not isinstance(model, str | os.PathLike):
        raise ArgumentError(f"load: model must be a name or a path, got {type(model).__name__}.")
    if not isinstance(model, str):
        return Path(model), False
    separators = [separator for separator in (os.sep, os.altsep) if separator]
    if model.endswith(_SUFFIXES) or any(separator in model for separator in separators):
        return Path(model), False
    names = bundled()
    if model in names:
        return names[model], True
    available = f"Bundled: {', '.join(names) or 'none'}."
    if any(model == spec.name for spec in NETS):
        raise UnknownNetError(
            f"load: no weights of {model} come with vsrrin. {by_name(model).weights_from} {available}"
        )
    close = difflib.get_close_matches(model, [*names, *(spec.name for spec in NETS)], 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UnknownNetError(
        f"load: no model is called {model!r}.{hint} {available} A file needs a path with one of the suffixes "
        f"{', '.join(_SUFFIXES)}."
    )


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise CheckpointError(f"load: {path} is a directory; give the checkpoint file in it.")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"load: there is no file {path}. {_alternatives(path)}") from None
    except OSError as error:
        raise CheckpointError(f"load: {path} cannot be read: {error.strerror}.") from error
    if not data:
        raise CheckpointError(f"load: {path} is empty. Get the file again.")
    return data


def _alternatives(path: Path) -> str:
    """What else there is: bundled names, and files beside it with a similar name."""
    names = bundled()
    beside = [p.name for p in path.parent.iterdir() if p.suffix in _SUFFIXES] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, 3)
    hint = f"In the same folder: {', '.join(close)}. " if close else ""
    return f"{hint}Bundled names: {', '.join(names) or 'none'}."


def _parse(path: Path, data: bytes) -> tuple[object, Mapping[str, str]]:
    """The contents of a file and the metadata in it, by what it is, not by what it is called."""
    if data[:2] == b"PK" or data[0] == 0x80:
        return _parse_pickle(path, data), {}
    try:
        tensors = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise CheckpointError(
            f"load: {path} is damaged or not a checkpoint ({error}). Expected a safetensors file or one written by "
            "torch.save; get the file again."
        ) from error
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return tensors, header.get("__metadata__") or {}


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


def _is_dict(value: object) -> bool:
    return isinstance(value, Mapping) and len(value) > 0 and all(isinstance(key, str) for key in value)


def _describe(value: object) -> str:
    if isinstance(value, Mapping):
        others = [str(key) for key, item in value.items() if not isinstance(item, Tensor)]
        return f"a dict of {len(value)} entries, {first_few(others)} of them no tensors" if value else "an empty dict"
    return f"a {type(value).__name__}"


def _check_finite(state: Mapping[str, Tensor], where: str) -> None:
    bad = [key for key, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if bad:
        raise CheckpointError(f"{where}: weights with values that are not finite: {first_few(bad)}.")


def _load_strictly(net: nn.Module, state: Mapping[str, Tensor], spec: NetSpec, path: Path) -> None:
    expected = net.state_dict()
    missing = [key for key in expected if key not in state]
    left_over = [key for key in state if key not in expected]
    differing = [
        f"{key}: {_kind(state[key])}, not {_kind(value)}"
        for key, value in expected.items()
        if key in state and _kind(state[key]) != _kind(value)
    ]
    if missing or left_over or differing:
        raise CheckpointError(
            f"load: {path} does not fit {spec.name}: keys missing: {first_few(missing)}; left over: "
            f"{first_few(left_over)}; of another shape or type: {first_few(differing)}."
        )
    net.to_empty(device="cpu").load_state_dict(state, strict=True)


def _kind(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def _check_arithmetic(where: str, spec: NetSpec, arithmetic: object) -> None:
    if arithmetic not in spec.arithmetics:
        raise ArgumentError(
            f"{where}: {spec.name} has no arithmetic {arithmetic!r}; it has {', '.join(spec.arithmetics)}."
        )


def _choose_arithmetic(
    path: Path, spec: NetSpec, wanted: str | None, header: Mapping[str, str], sidecar: Mapping[str, Any]
) -> str:
    """The arithmetic, once everything that is said about the file agrees with what it holds."""
    net, stated = header.get("vsrrin.net", spec.name), sidecar.get("architecture", spec.name)
    if net != spec.name or stated != spec.name:
        raise CheckpointError(
            f"load: {path} holds weights of {spec.name}, but its metadata says {net} and its side-car {stated}."
        )
    in_file, beside = header.get("vsrrin.arithmetic"), sidecar.get("arithmetic")
    if in_file is not None and beside is not None and in_file != beside:
        raise CheckpointError(
            f"load: the metadata of {path} says arithmetic {in_file!r}, its side-car {beside!r}. Correct the side-car."
        )
    if wanted is not None:
        _check_arithmetic("load", spec, wanted)
        return wanted
    found = in_file or beside or spec.arithmetics[0]
    if found not in spec.arithmetics:
        raise CheckpointError(
            f"load: {path} was made for arithmetic {found!r}, which this version does not know for {spec.name}; it "
            f"knows {', '.join(spec.arithmetics)}. Update vsrrin, or name one with the argument arithmetic."
        )
    return str(found)


def _read_sidecar(path: Path, *, complete: bool) -> dict[str, Any]:
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


def _serialise(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file with its metadata in order; the library writes them in any."""
    data = safetensors.torch.save(dict(state), metadata=dict(metadata))
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    # The data must begin at a multiple of 8 bytes; the format allows spaces after the header.
    text = text.ljust(8 * math.ceil(len(text) / 8))
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _write(path: Path, data: bytes) -> None:
    """Replace a file in one step, so that nobody ever sees half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
