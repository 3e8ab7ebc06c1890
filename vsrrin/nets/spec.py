"""Descriptions of networks: everything that the rest of vsrrin needs to know about one, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .keys import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of several files in which a network's weights are published."""

    name: str
    """Short, for messages and metadata, e.g. ``BMNet``."""
    published_as: str
    """Name and origin of the file where it is published, for messages."""
    keys: Keys | None = None
    """Keys and shapes by which a file is known to be this part; None where only ``rename`` can tell."""
    rename: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor] | None]
    """The file's state dict to what it gives to the network's, under the network's keys; None: not this part."""
    left_out: str = ""
    """Weights of such a file that the network does not use, in words."""
    arithmetic: str | None = None
    """The convention such files were trained with, where it is not the network's first."""

    def take(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Return what a file gives to the network's state dict, under the network's keys; None if it is another."""
        return self.rename(state) if self.keys is None or self.keys.match(state) else None


@dataclass(frozen=True, slots=True)
class BlendMask:
    """Layer of a network that weighs the frames against each other, for previews."""

    layer: str
    """Name of the module."""
    weights: Callable[[Any], Tensor]
    """Result of that module to the weights of frame 0 and frame 1 apart from t, (N, 2, H, W) in [0, 1], of the frames'
    size or half of it. The share of frame 1 is t w1 / ((1 - t) w0 + t w1)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetSpec:
    """Description of one network, beside its code and listed in ``registry.NETS``."""

    name: str
    """Name in file metadata and in messages, e.g. ``rrin``."""
    paper: str
    upstream: str
    """Address and commit of the published implementation, or what takes its place."""
    code_licence: str
    weights_licence: str
    weights_from: str
    """A sentence that says where a checkpoint may come from; error texts end with it."""
    size_multiple: int
    """Height and width of the images must be multiples of this."""
    arbitrary_t: bool
    """Whether the result depends on t; if not, only t = 1/2 means anything."""
    supports_half: bool
    external_flow: bool
    """Whether ``estimate`` wants the flow of the pair as an argument: (N, 4, H/2, W/2) float32, (dx, dy) in pixels of
    that size, 0 -> 1 then 1 -> 0."""
    estimates_flow: bool
    """Whether ``estimate`` returns the flow of the pair, (N, 4, H, W) in pixels of its arguments, 0 -> 1 then 1 -> 0,
    so that it can be estimated on smaller pictures and enlarged."""
    bytes_per_pixel: int
    """Peak working memory of ``estimate`` and ``synthesize`` per input pixel in float32, measured on a CPU."""
    arithmetics: tuple[str, ...]
    """Accepted arithmetic conventions; the first is that of a checkpoint that does not say."""
    keys: Keys
    """Keys and shapes by which a canonical state dict is known to be of this network."""
    build: Callable[[Mapping[str, Tensor], str], nn.Module]
    """(canonical state dict, arithmetic) to a net of the sizes found in the shapes; the weights are not loaded."""
    default: Callable[[], nn.Module]
    """A net with the usual sizes and fresh weights, e.g. to compare the keys of an unknown file with."""
    flow_preset: str = "fine"
    """Settings of DIS that find the flow for ``external_flow``, a name of :data:`vsrrin.flow.dis.PRESETS`: weights have
    learned to live with the errors of one of them."""
    compiled_steps: bool = False
    """Whether Numba, where it is installed, computes steps of it on CPUs, see :mod:`vsrrin.nets.parts.fused`."""
    shares: bool = False
    """Whether the network has a ``share``, which finds once a pair what ``synthesize`` finds at each t otherwise."""
    parts: tuple[Part, ...] = ()
    """The files its weights are put together from, where they are published in several."""
    mask: BlendMask | None = None
    """Where the network weighs the frames, if it does."""
    one_pair_in_graphs: bool = False
    """Whether a graph of the network, such as an ONNX file, can only hold for one pair at a time."""
    splats: bool = False
    """Whether frame 0 is splatted along the flow from t to frame 0, which has to point the other way for it."""
    trainable: bool = True
    """Whether the network has weights to learn."""
    unused: tuple[str, ...] = ()
    """Beginnings of the names of published weights that the network does not use; they get no gradient."""
    flow_unet: str | None = None
    """Attribute of the network that is the :class:`~vsrrin.nets.parts.unet.UNet` finding the flow of the pair, where
    there is one; training can give it a start and teach each of its levels."""
    scales_with_width: bool = False
    """Whether every hidden layer has channels in proportion to the setting ``width``, so that training can make
    narrow weights wide."""
    unclamped: Callable[[Any, Tensor, Tensor, Tensor, Tensor], Tensor] | None = None
    """(net, img0, img1, estimate, t) to the frame before it is clamped to [0, 1], where training needs it: fresh
    weights may leave that range everywhere, and a clamp has no gradient there. None: train ``synthesize``."""

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        """Return whether a canonical state dict is of this network, by its keys and shapes."""
        return self.keys.match(state)
