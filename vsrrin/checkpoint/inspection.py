"""What there is: the networks vsrrin knows, the weights that come with it, and what a given checkpoint is and why."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vsrrin.errors import CheckpointError
from vsrrin.nets import NETS, NetSpec
from vsrrin.nets.registry import compared, differences

from . import loader
from .files import CheckpointFile, read_sidecar

_FACTORS_OF_THE_MIDDLE = (2, 4, 8)


@dataclass(frozen=True)
class BundledWeights:
    """Weights that come with vsrrin, as their side-car describes them."""

    name: str
    trained: bool
    training_data: str
    licence: str
    arithmetic: str
    sha256: str


@dataclass(frozen=True)
class Entry:
    """One network of the catalogue."""

    name: str
    paper: str
    upstream: str
    parameters: int
    """Of the usual sizes."""
    size_multiple: int
    arbitrary_t: bool
    factors: tuple[int, ...] | None
    """Factors it can do; None means any."""
    arithmetics: tuple[str, ...]
    code_licence: str
    weights_licence: str
    weights_from: str
    parts: tuple[str, ...]
    """The files of published weights, where there are several."""
    bundled: tuple[BundledWeights, ...]


@dataclass(frozen=True, eq=False)
class Inspection:
    """What a checkpoint is, and why."""

    path: Path
    files: tuple[CheckpointFile, ...]
    found: loader.Assembly | None
    """None if it is no known network."""
    problems: tuple[str, ...]
    """Why it does not load as it is; empty if it does."""
    state: Mapping[str, Tensor]
    """All tensors: those of the network, or those of the files if it is none."""
    sizes: str = ""
    """How the shapes compare with those of the usual net."""
    reasons: tuple[tuple[str, str], ...] = ()
    """(file name, the keys it was recognised by)."""
    others: tuple[tuple[str, str], ...] = ()
    """(network, why it is not that one)."""


def networks() -> list[Entry]:
    """Every network vsrrin knows, in the order they are asked whether weights are theirs.

    Raises:
        CheckpointError: A side-car of bundled weights is damaged.
    """
    weights: dict[str, list[BundledWeights]] = {}
    for name, path in loader.bundled().items():
        sidecar = read_sidecar(path, complete=True)
        weights.setdefault(sidecar["architecture"], []).append(_bundled(name, sidecar))
    return [_entry(spec, tuple(weights.get(spec.name, ()))) for spec in NETS]


def locate(text: str) -> str | Path:
    """What an argument of the command line means: a bundled name, else the file or folder of that name."""
    return Path(text) if text not in loader.bundled() and os.path.exists(text) else text


def inspect(model: str | os.PathLike[str]) -> Inspection:
    """Say what a checkpoint is.

    Args:
        model: As for :func:`vsrrin.checkpoint.loader.load`.

    Raises:
        VsrrinError: There is no such checkpoint, or it cannot be read.
    """
    path, is_bundled = loader.locate(model)
    files = loader.read_files(path, bundled=is_bundled, verify=False)
    problems = [
        f"load: {file.path} is not the file that its side-car describes: sha256 is {file.sha256}, the side-car says "
        f"{file.sidecar['sha256']}."
        for file in files
        if not file.fits_sidecar
    ]
    found = None
    try:
        found = loader.assemble(path, files)
        loader.build(found)
    except CheckpointError as error:
        problems.append(str(error))
    if found is not None:
        state: Mapping[str, Tensor] = found.state
    elif len(files) == 1:
        state = files[0].state
    else:
        state = {f"{file.path.name}: {key}": value for file in files for key, value in file.state.items()}
    others = tuple(
        (spec.name, compared(spec, state))
        for spec in NETS
        if (found is None or spec is not found.spec) and (found is not None or len(files) == 1)
    )
    if found is None:
        return Inspection(path, files, None, tuple(problems), state, others=others)
    return Inspection(path, files, found, tuple(problems), state, _sizes(found), _reasons(found), others)


def parameters(spec: NetSpec) -> int:
    """The number of parameters of a network of the usual sizes."""
    with torch.device("meta"):
        return sum(value.numel() for value in spec.default().parameters())


def _bundled(name: str, sidecar: Mapping[str, Any]) -> BundledWeights:
    data = str(sidecar["training_data"])
    return BundledWeights(
        name=name,
        trained=not data.lower().startswith("none"),
        training_data=data,
        licence=str(sidecar["licence"]),
        arithmetic=str(sidecar["arithmetic"]),
        sha256=str(sidecar["sha256"]),
    )


def _entry(spec: NetSpec, weights: tuple[BundledWeights, ...]) -> Entry:
    return Entry(
        name=spec.name,
        paper=spec.paper,
        upstream=spec.upstream,
        parameters=parameters(spec),
        size_multiple=spec.size_multiple,
        arbitrary_t=spec.arbitrary_t,
        factors=None if spec.arbitrary_t else _FACTORS_OF_THE_MIDDLE,
        arithmetics=spec.arithmetics,
        code_licence=spec.code_licence,
        weights_licence=spec.weights_licence,
        weights_from=spec.weights_from,
        parts=tuple(part.published_as for part in spec.parts),
        bundled=weights,
    )


def _sizes(found: loader.Assembly) -> str:
    if not any(differences(found.spec, found.state)):
        return f"the usual ones of {found.spec.name}"
    return f"not the usual ones of {found.spec.name}: {compared(found.spec, found.state)}"


def _reasons(found: loader.Assembly) -> tuple[tuple[str, str], ...]:
    if not found.parts:
        return ((found.files[0].path.name, found.spec.keys.report(found.state)),)
    return tuple(
        (file.path.name, f"{part.name}, by {part.keys.report(file.state) if part.keys else 'its keys as a whole'}")
        for part, file in found.parts
    )
