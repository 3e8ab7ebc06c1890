"""Networks run as others run them, as methods of the benchmark.

RIFE (:mod:`training.measure.peers`) goes through VapourSynth as its plugin vs-rife does it: the clip becomes 32-bit
RGB, each new frame is the network's, and becomes 8-bit 4:2:0 again; the conversions are VapourSynth's resizer. Nothing
is done twice, source frames pass by untouched, and one frame at a time is in the network, since two only hinder each
other: at least as fast as the plugin. Backends and precisions:

- ``torch``, ``fp32`` or ``bf16`` (autocast);
- ``openvino``, ``fp32`` or ``bf16``: the whole network converted. Coordinates become bf16 too, which costs accuracy.
  Conversion fixes the choice that RIFE 4.0 makes for large motion (to begin once more, coarser) to "no";
- ``openvino``, ``mixed``: the convolutions of every block in OpenVINO in bf16, all else in PyTorch in float32. No
  package does it, but it is what vsrrin does with its own networks.

"NAME-eager" is a network of vsrrin with random weights, as its publication runs it.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from threading import Lock
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
import vapoursynth as vs
from torch import Tensor, nn

from scripts.benchmarks.clips import Source, load_clip
from scripts.models.random_weights import random_model
from training.errors import TrainingError
from training.measure import peers
from vsrrin.nets.registry import by_name

from .filters import FilterMethod, Graph
from .method import EAGER, Options, UnavailableError
from .openvino_model import Compiled

type Network = Callable[[Tensor, Tensor, float], Tensor]
"""Function of two frames, (1, 3, H, W) float32 RGB in [0, 1], and t that returns the frame at t, likewise."""

_CPU = torch.device("cpu")
_EAGER_MULTIPLE = 32


def make(name: str, options: Options) -> FilterMethod:
    """Make the method of a peer or of "NAME-eager".

    Raises:
        UnavailableError: Its package or OpenVINO is not installed, or there is no such variant.
    """
    try:
        if name.endswith(EAGER):
            network = counted = eager(name.removesuffix(EAGER))
        else:
            network = peer(name, options.get("backend", "torch"), options.get("precision", "fp32"))
            counted = peers.load(name, _CPU)
    except TrainingError as error:
        raise UnavailableError(str(error)) from None
    return FilterMethod(
        through_filter(network),
        counted_graph=through_filter(counted),
        network_seconds=lambda source, frames: bare_seconds(network, source, frames),
        scored=not name.endswith(EAGER),
    )


def through_filter(network: Network) -> Graph:
    """Return a network as a filter."""
    lock = Lock()

    def graph(clip: vs.VideoNode, factor: int) -> vs.VideoNode:
        matrix = {} if clip.format.color_family == vs.RGB else {"matrix": vs.MATRIX_BT709}
        rgb = clip.resize.Bicubic(format=vs.RGBS)
        later = rgb[1:] + rgb[-1]

        def at(t: float) -> vs.VideoNode:
            def render(n: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
                img0, img1 = map(to_tensor, f)
                with lock:
                    image = network(img0, img1, t)
                frame = f[0].copy()
                for plane, values in enumerate(image[0].numpy()):
                    np.copyto(np.asarray(frame[plane]), values)
                return frame

            return rgb.std.ModifyFrame([rgb, later], render).resize.Bicubic(format=clip.format.id, **matrix)

        return vs.core.std.Interleave([clip, *(at(step / factor) for step in range(1, factor))])

    return graph


def to_tensor(frame: vs.VideoFrame) -> Tensor:
    """Return an RGBS frame as a tensor, (1, 3, H, W)."""
    return torch.from_numpy(np.stack([np.asarray(frame[plane]) for plane in range(3)]))[None]


def bare_seconds(network: Network, source: Source, frames: int) -> float:
    """Return the seconds per new frame of the network on tensors that are there."""
    clip = load_clip(source)[:frames].resize.Bicubic(format=vs.RGBS)
    images = [to_tensor(frame) for frame in clip.frames(close=True)]
    begin = time.perf_counter()
    for img0, img1 in pairwise(images):
        network(img0, img1, 0.5)
    return (time.perf_counter() - begin) / (frames - 1)


# --- networks ------------------------------------------------------------------------------------------------------


def eager(name: str) -> Network:
    """Return a network of vsrrin as published: float32, plain, nothing kept from one t to the next."""
    net = random_model(by_name(name)).net

    def run(img0: Tensor, img1: Tensor, t: float) -> Tensor:
        height, width = img0.shape[-2:]
        border = (0, -width % _EAGER_MULTIPLE, 0, -height % _EAGER_MULTIPLE)
        padded = (F.pad(image, border, "replicate") for image in (img0, img1))
        with torch.inference_mode():
            image: Tensor = net(*padded, torch.full((1, 1, 1, 1), t))
        return image[..., :height, :width]

    return run


def peer(name: str, backend: str, precision: str) -> Network:
    """Return a peer in one of its variants.

    Raises:
        TrainingError: Its package is not installed.
        UnavailableError: OpenVINO is not installed, or there is no such variant.
    """
    if backend == "torch" and precision in ("fp32", "bf16"):
        network = peers.load(name, _CPU)
        return network if precision == "fp32" else _within(torch.autocast("cpu", torch.bfloat16), network)
    if backend != "openvino" or precision not in ("fp32", "bf16", "mixed"):
        raise UnavailableError(f"{name} has no variant {backend}, {precision}")
    try:
        import vsrrin.engine.backends.openvino_package  # noqa: F401
    except ImportError:
        raise UnavailableError("OpenVINO is not installed; install it with: pip install openvino") from None
    net = peers.load_network(name, peers.PEERS[name], _CPU)
    scales = list(peers.PEERS[name].scales)
    if precision == "mixed":
        for block in (module for module in net.modules() if hasattr(module, "convblock")):
            compile_block(block, adds_input=name == "rife-4.0")
        return _framed(lambda both, t: net(both, t, list(scales))[2][-1])
    whole = Compiled(_Flat(net, scales), precision)
    return _framed(lambda both, t: whole(both, torch.full((1, 1, 1, 1), t)))


def _within(context: AbstractContextManager[Any], network: Network) -> Network:
    def run(img0: Tensor, img1: Tensor, t: float) -> Tensor:
        with context:
            return network(img0, img1, t).float()

    return run


def _framed(network: Callable[[Tensor, float], Tensor]) -> Network:
    """Pad and crop as `training.measure.peers.load` does."""

    def run(img0: Tensor, img1: Tensor, t: float) -> Tensor:
        both = torch.cat((peers.pad(img0), peers.pad(img1)), 1)
        with torch.inference_mode():
            return peers.crop(network(both, t), *img0.shape[-2:]).clone()

    return run


class _Flat(nn.Module):
    """Peer that returns nothing but the picture."""

    def __init__(self, net: nn.Module, scales: list[float]) -> None:
        super().__init__()
        self.net, self.scales = net, scales

    def forward(self, both: Tensor, t: Tensor) -> Tensor:
        """Return the picture, (1, 3, H, W), of both frames, (1, 6, H, W), and t, (1, 1, 1, 1)."""
        image: Tensor = self.net(both, t, list(self.scales))[2][-1]
        return image


class _Stack(nn.Module):
    """Convolutions of one of RIFE's blocks."""

    def __init__(self, block: nn.Module, adds_input: bool) -> None:
        super().__init__()
        self.conv0, self.convblock, self.lastconv = map(block.get_submodule, ("conv0", "convblock", "lastconv"))
        self.adds_input = adds_input

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output before enlargement, of its input at its scale."""
        first = self.conv0(x)
        x = self.convblock(first)
        result: Tensor = self.lastconv(x + first if self.adds_input else x)
        return result


class _Nothing(nn.Module):
    """Stand-in for a block whose result is added to its input."""

    def forward(self, x: Tensor) -> float:
        """Return zero."""
        return 0.0


def compile_block(block: nn.Module, *, adds_input: bool) -> None:
    """Put all convolutions of a block into one compiled model in its first place, and nothing into the others."""
    block.conv0 = Compiled(_Stack(block, adds_input), "bf16")
    block.convblock = _Nothing() if adds_input else nn.Identity()
    block.lastconv = nn.Identity()
