"""Ranges of what convolutions are given, measured on frame pairs, for arithmetic in 8 bit.

Every hidden convolution has 256 levels for its input, between the least and the largest value that it was given, and
255 for the weights of each output channel (Jacob et al., CVPR 2018). Output layers, warps and flow stay float32.
"""

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from vsrrin.checkpoint.loader import Model
from vsrrin.errors import ArgumentError
from vsrrin.nets.parts.convolution_stacks import HiddenConvolutions, named_stacks
from vsrrin.nets.parts.tracing import tracing

from .backends.torch_backend import TorchBackend
from .interpolator import Interpolator
from .options import Options


def measured_ranges(model: Model, pairs: Iterable[tuple[Tensor, Tensor]]) -> dict[str, list[tuple[float, float]]]:
    """Return the ranges of all stacks of a network, as :mod:`vsrrin.checkpoint.ranges` keeps them.

    Args:
        model: The network.
        pairs: Frame pairs, each frame (1, 3, H, W) float32 RGB in [0, 1].

    Raises:
        ArgumentError: There is no pair, or the network has no convolutions that run in 8 bit.
    """
    net = copy.deepcopy(model.net)
    ranges: dict[str, list[tuple[float, float]]] = {}
    for name, (module, method, _) in named_stacks(net).items():
        ranges[name] = []
        setattr(module, method, _watched(module, getattr(module, method), ranges[name]))
    if not ranges:
        raise ArgumentError(f"{model.name} ({model.spec.name}) has no convolutions that run in 8 bit")
    cpu = torch.device("cpu")
    backend = TorchBackend(net, model.spec, cpu, torch.float32)
    engine = Interpolator(model, Options(device="cpu"), cache_bytes=0, backend=backend)
    for img0, img1 in pairs:
        engine.interpolate(img0, img1, [0.5])
    if not all(ranges.values()):
        raise ArgumentError("there is no frame pair to measure ranges on")
    return ranges


def _watched(
    module: nn.Module, run: Callable[[Tensor], Tensor], ranges: list[tuple[float, float]]
) -> Callable[[Tensor], Tensor]:
    """Return a stack that widens the ranges to what its convolutions are given."""

    def watched(x: Tensor) -> Tensor:
        seen: list[tuple[float, float]] = []
        with tracing(), HiddenConvolutions(module, lambda given, *_: seen.append(_ends(given))):
            result = run(x)
        before = ranges or seen
        ranges[:] = [(min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(before, seen, strict=True)]
        return result

    return watched


def _ends(x: Tensor) -> tuple[float, float]:
    low, high = torch.aminmax(x)
    return float(low), float(high)
