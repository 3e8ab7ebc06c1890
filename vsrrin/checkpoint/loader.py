"""Loading of checkpoints: a file, a folder of published parts or a bundled name to a network, and back.

The way in: files -> canonical state dicts (:mod:`vsrrin.checkpoint.files`), joined if there are several
(:mod:`vsrrin.checkpoint.parts`) -> `nets.identify` -> build -> strict load. A side-car is a JSON file of the same stem
beside the weights; bundled weights must have a complete one.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from vsrrin.errors import ArgumentError, CheckpointError, UnknownNetError
from vsrrin.files import explained
from vsrrin.nets import NETS, NetSpec, identify
from vsrrin.nets.parts.convolution_stacks import hidden_convolutions, named_stacks, set_ranges
from vsrrin.nets.registry import compared, first_few
from vsrrin.nets.spec import Part

from .files import (
    SIDECAR_GIVEN,
    SIDECAR_WRITTEN,
    SUFFIXES,
    CheckpointFile,
    check_finite,
    files_in,
    read_file,
    serialise,
    versions,
    write_weights,
)
from .names import alternatives, bundled, locate
from .parts import as_part, join
from .ranges import read_ranges

__all__ = [
    "SIDECAR_GIVEN",
    "SIDECAR_WRITTEN",
    "Assembly",
    "Model",
    "assemble",
    "build",
    "bundled",
    "load",
    "locate",
    "read",
    "read_files",
    "save",
    "versions",
]


@dataclass(frozen=True, kw_only=True)
class Model:
    """Network with its weights, ready to use: evaluation mode, no gradients, float32."""

    net: nn.Module
    """The network."""
    spec: NetSpec
    """Its description."""
    arithmetic: str
    """The convention that it was built for, one of ``spec.arithmetics``."""
    name: str
    """Bundled name, or name of the file or folder."""
    path: Path
    """The file or folder that it was loaded from."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The side-car's contents, if there is one, and the ``sha256`` of the file; for a folder ``parts`` (name of each to
    its file and sha256), and ``left_out`` if the network does not use all of them. ``ranges`` says what is wrong with
    the ranges for 8 bit beside it, if anything is."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Assembly:
    """Contents of files, put together and recognised; the network is not built yet."""

    path: Path
    spec: NetSpec
    state: Mapping[str, Tensor]
    arithmetic: str
    arithmetic_from: str
    """Reason why it is this one, in words."""
    files: tuple[CheckpointFile, ...]
    parts: tuple[tuple[Part, CheckpointFile], ...] = ()
    """Empty for a single file."""


def load(model: str | os.PathLike[str], *, arithmetic: str | None = None) -> Model:
    """Load a bundled checkpoint by name, or any by path.

    Args:
        model: A bundled name, or a path: anything with a path separator or one of the suffixes .safetensors, .pth,
            .pt, .tar is a path, so a file never hides a name. A folder holds the published parts of one network; they
            are told apart by their keys, and files with other suffixes in it are left alone.
        arithmetic: The convention the weights were trained with, for a network that has several. Not given, it is
            taken from the metadata of the file, else from its side-car, else it is that of published checkpoints.

    Raises:
        ArgumentError: ``model`` is of another type, or the network has no such arithmetic.
        UnknownNetError: No bundled weights have that name, or the weights are of no known network.
        CheckpointError: A file is missing, damaged, disagrees with its side-car, or does not fit the network; or a
            folder does not hold all parts of one.
    """
    path, is_bundled = locate(model)
    found = assemble(path, read_files(path, bundled=is_bundled), arithmetic)
    net = build(found)
    name = path.stem if is_bundled else path.name or path.resolve().name
    metadata = MappingProxyType({**_metadata(found), **_take_ranges(net, path, _metadata(found))})
    return Model(net=net, spec=found.spec, arithmetic=found.arithmetic, name=name, path=path, metadata=metadata)


def read(path: Path) -> dict[str, Tensor]:
    """Return the canonical state dict of a file, of whatever network.

    Raises:
        CheckpointError: The file is missing, damaged, or holds no state dict.
    """
    (file,) = read_files(path, verify=False)
    return file.state


def read_files(path: Path, *, bundled: bool = False, verify: bool = True) -> tuple[CheckpointFile, ...]:
    """Read the file, or the files of the folder; see :func:`vsrrin.checkpoint.files.read_file`.

    Raises:
        CheckpointError: There is none, or one cannot be read, is damaged, or disagrees with its side-car.
    """
    try:
        files = tuple(read_file(file, bundled=bundled, verify=verify) for file in files_in(path))
    except FileNotFoundError:
        raise CheckpointError(f"load: there is no file {path}. {alternatives(path)}") from None
    if not files:
        raise CheckpointError(
            f"load: the folder {path} holds no checkpoint (no file ends with {', '.join(SUFFIXES)}). Give a file, or "
            "the folder with the parts of a network."
        )
    return files


def assemble(path: Path, files: Sequence[CheckpointFile], arithmetic: str | None = None) -> Assembly:
    """Recognise what :func:`read_files` read.

    Args:
        path: What the files were read from.
        files: The files.
        arithmetic: As for :func:`load`.

    Raises:
        ArgumentError: The network has no such arithmetic.
        UnknownNetError: The weights are of no known network.
        CheckpointError: What is said about a file disagrees with what it holds, or parts are missing or too many.
    """
    if os.path.isdir(path):
        joined = join(path, files)
        spec, state, parts = joined.spec, joined.state, joined.parts
    else:
        state, parts = files[0].state, ()
        try:
            spec = identify(state)
        except UnknownNetError as error:
            part = as_part(state)
            if part is not None:
                raise CheckpointError(f"load: {path}: {part}") from None
            raise UnknownNetError(f"load: {path}: {error}") from None
    for file in files:
        _check_stated_net(file, spec)
    chosen, origin = _choose_arithmetic(spec, arithmetic, files, parts)
    return Assembly(
        path=path,
        spec=spec,
        state=state,
        arithmetic=chosen,
        arithmetic_from=origin,
        files=tuple(files),
        parts=parts,
    )


def build(found: Assembly) -> nn.Module:
    """Return the network with its weights: evaluation mode, no gradients, float32.

    Raises:
        CheckpointError: Keys are missing or left over, or a shape or type differs.
    """
    try:
        with torch.device("meta"):  # weights that are about to be replaced need no values
            net = found.spec.build(found.state, found.arithmetic)
    except Exception as error:  # sizes are read from shapes, and those of a spoiled file can be anything
        raise CheckpointError(
            f"load: {found.path} does not fit {found.spec.name} of any size; compared with the usual one: "
            f"{compared(found.spec, found.state)}."
        ) from error
    _load_strictly(net, found.state, found.spec, found.path)
    return net.requires_grad_(False).eval()


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

    Each file appears whole or not at all. What is killed between the two leaves weights without a side-car, which load;
    never a side-car of other weights.

    Args:
        net: The network.
        spec: Its description.
        path: Where to, ending with ``.safetensors``.
        arithmetic: The convention the weights were trained with.
        sidecar: At least ``training_data``, ``metrics``, ``licence``, ``source`` and ``created_with``.
        dtype: Type to store floats in; None keeps theirs.

    Raises:
        ArgumentError: The suffix, the arithmetic or the side-car is not as above.
        CheckpointError: A weight is not finite, or overflows ``dtype``; or the files cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ArgumentError(f"save: path must end with .safetensors, got {str(path)!r}.")
    weights, text = serialised(net, spec, arithmetic=arithmetic, sidecar=sidecar, dtype=dtype)
    if not path.parent.is_dir():
        raise ArgumentError(f"save: there is no folder {path.parent}.")
    with explained(path, CheckpointError):
        write_weights(path, weights, text)


def serialised(
    net: nn.Module, spec: NetSpec, *, arithmetic: str, sidecar: Mapping[str, Any], dtype: torch.dtype | None = None
) -> tuple[bytes, bytes]:
    """Return the contents of the two files that :func:`save` writes: weights and side-car.

    Args:
        net: As for :func:`save`.
        spec: Likewise.
        arithmetic: Likewise.
        sidecar: Likewise.
        dtype: Likewise.

    Raises:
        ArgumentError: The arithmetic or the side-car is not as it must be.
        CheckpointError: A weight is not finite, or overflows ``dtype``.
    """
    _check_arithmetic("save", spec, arithmetic)
    absent = [key for key in SIDECAR_GIVEN if key not in sidecar]
    if absent:
        raise ArgumentError(f"save: sidecar lacks {', '.join(absent)}; it needs {', '.join(SIDECAR_GIVEN)}.")
    # Cloned, since the format refuses two keys that share their memory, as some networks' have it.
    state = {key: value.detach().cpu().contiguous().clone() for key, value in net.state_dict().items()}
    if dtype is not None:
        state = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
    check_finite(state, f"save: the weights of {spec.name}")
    data = serialise(state, {"vsrrin.net": spec.name, "vsrrin.arithmetic": arithmetic})
    facts = {"architecture": spec.name, "arithmetic": arithmetic, "sha256": hashlib.sha256(data).hexdigest()}
    text = json.dumps({**sidecar, **facts}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return data, text.encode()


def _metadata(found: Assembly) -> dict[str, Any]:
    if not found.parts:
        (file,) = found.files
        return {**file.sidecar, "sha256": file.sha256}
    parts = {part.name: {"file": file.path.name, "sha256": file.sha256} for part, file in found.parts}
    left_out = [part.left_out for part, _ in found.parts if part.left_out]
    return {"parts": parts, "left_out": "; ".join(left_out)} if left_out else {"parts": parts}


def _take_ranges(net: nn.Module, path: Path, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Mark the net with the ranges beside its checkpoint; return what is wrong with them, if anything is.

    They are a help to speed that nobody may have asked for, so their faults are no reason not to load.
    """
    try:
        ranges = read_ranges(
            path, metadata, lambda: {name: len(hidden_convolutions(*each)) for name, each in named_stacks(net).items()}
        )
    except CheckpointError as error:
        return {"ranges": str(error)}
    if ranges is not None:
        set_ranges(net, ranges)
    return {}


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


def _check_stated_net(file: CheckpointFile, spec: NetSpec) -> None:
    """Check that the network is the one that a file names; a part may be a whole network of its own."""
    in_file, beside = file.header.get("vsrrin.net"), file.sidecar.get("architecture")
    possible = [spec.name, *(other.name for other in NETS if other.detect(file.state)), None]
    if in_file not in possible or beside not in possible:
        raise CheckpointError(
            f"load: {file.path} holds weights of {spec.name}, but its metadata says {in_file or spec.name} and its "
            f"side-car {beside or spec.name}."
        )


def _stated_arithmetic(file: CheckpointFile) -> tuple[str, str] | None:
    """Return the arithmetic that the file or its side-car names, and where."""
    in_file, beside = file.header.get("vsrrin.arithmetic"), file.sidecar.get("arithmetic")
    if in_file is not None and beside is not None and in_file != beside:
        raise CheckpointError(
            f"load: the metadata of {file.path} says arithmetic {in_file!r}, its side-car {beside!r}. Correct the "
            "side-car."
        )
    if in_file is not None:
        return in_file, f"the metadata of {file.path.name}"
    return (str(beside), f"the side-car of {file.path.name}") if beside is not None else None


def _choose_arithmetic(
    spec: NetSpec,
    wanted: str | None,
    files: Sequence[CheckpointFile],
    parts: Sequence[tuple[Part, CheckpointFile]],
) -> tuple[str, str]:
    """Return the arithmetic, once everything that is said about the files agrees, and why it is this one."""
    stated = [(file, *said) for file in files if (said := _stated_arithmetic(file)) is not None]
    if wanted is not None:
        _check_arithmetic("load", spec, wanted)
        return wanted, "as asked for"
    if len({arithmetic for _, arithmetic, _ in stated}) > 1:
        raise CheckpointError(
            f"load: the parts of {spec.name} were made for different arithmetics: "
            f"{', '.join(f'{file.path.name} {arithmetic!r}' for file, arithmetic, _ in stated)}. Name one with the "
            "argument arithmetic."
        )
    usual = [(part.arithmetic, f"files published as {part.name} have it") for part, _ in parts if part.arithmetic]
    default = (spec.arithmetics[0], f"no file says, and it is the usual one of {spec.name}")
    arithmetic, origin = (stated[0][1:] if stated else None) or (usual[0] if usual else default)
    if arithmetic not in spec.arithmetics:
        raise CheckpointError(
            f"load: {(stated[0][0] if stated else files[0]).path} was made for arithmetic {arithmetic!r}, which this "
            f"version does not know for {spec.name}; it knows {', '.join(spec.arithmetics)}. Update vsrrin, or name "
            "one with the argument arithmetic."
        )
    return arithmetic, origin
