"""List of networks and bundled weights, and inspection of checkpoints."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True, kw_only=True)
class BundledWeights:
    """Weights that come with vsrrin, as their side-car describes them."""

    name: str
    trained: bool
    training_data: str
    licence: str
    arithmetic: str
    sha256: str


@dataclass(frozen=True)
class ListedNet:
    """Network with the weights of it that come with vsrrin."""

    spec: NetSpec
    bundled: tuple[BundledWeights, ...]

    @property
    def parameters(self) -> int:
        """Number of parameters of the usual sizes."""
        with torch.device("meta"):
            return sum(value.numel() for value in self.spec.default().parameters())

    @property
    def factors(self) -> tuple[int, ...] | None:
        """Factors by which it can multiply a frame rate; None for any."""
        return None if self.spec.arbitrary_t else _FACTORS_OF_THE_MIDDLE

    def facts(self) -> dict[str, Any]:
        """Return all facts by name, as JSON takes them."""
        spec = self.spec
        return {
            "name": spec.name,
            "paper": spec.paper,
            "upstream": spec.upstream,
            "parameters": self.parameters,
            "size_multiple": spec.size_multiple,
            "arbitrary_t": spec.arbitrary_t,
            "factors": self.factors,
            "arithmetics": spec.arithmetics,
            "code_licence": spec.code_licence,
            "weights_licence": spec.weights_licence,
            "weights_from": spec.weights_from,
            "parts": tuple(part.published_as for part in spec.parts),
            "bundled": [asdict(weights) for weights in self.bundled],
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Inspection:
    """Nature of a checkpoint, and the reasons for it."""

    path: Path
    files: tuple[CheckpointFile, ...]
    found: loader.Assembly | None
    """None if it is no known network."""
    problems: tuple[str, ...]
    """Messages that keep it from loading as it is; empty if it loads."""
    state: Mapping[str, Tensor]
    """All tensors: those of the network, or those of the files if it is none."""
    sizes: str
    """Comparison of the shapes with those of the usual net, in words."""
    reasons: tuple[tuple[str, str], ...]
    """(file name, the keys it was recognised by); empty if it is no known network, as is ``sizes``."""
    others: tuple[tuple[str, str], ...]
    """(network, differences from it) for all other networks."""


def networks() -> list[ListedNet]:
    """Return every network vsrrin knows, in order of detection.

    Raises:
        CheckpointError: A side-car of bundled weights is damaged.
    """
    weights: dict[str, list[BundledWeights]] = {}
    for name, path in loader.bundled().items():
        sidecar = read_sidecar(path, complete=True)
        weights.setdefault(sidecar["architecture"], []).append(_bundled(name, sidecar))
    return [ListedNet(spec, tuple(weights.get(spec.name, ()))) for spec in NETS]


def locate(text: str) -> str | Path:
    """Return a bundled name as it is, else the path of the file or folder of that name, if there is one."""
    return Path(text) if text not in loader.bundled() and os.path.exists(text) else text


def inspect(model: str | os.PathLike[str]) -> Inspection:
    """Inspect a checkpoint.

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
    return Inspection(
        path=path,
        files=files,
        found=found,
        problems=tuple(problems),
        state=state,
        sizes=_sizes(found) if found is not None else "",
        reasons=_reasons(found) if found is not None else (),
        others=others,
    )


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
