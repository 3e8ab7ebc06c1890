"""Prepared source frames and frame pairs, cached by the engine."""

from dataclasses import dataclass, field
from itertools import count

from torch import Tensor

from vsrrin.flow.confidence import ReducedPair
from vsrrin.flow.dis import Brightness

from .plan import Plan
from .transfer import DONE, Mark


@dataclass(frozen=True, kw_only=True)
class SourceFrame:
    """Source frame prepared for the pairs it belongs to, once on each device.

    Attributes:
        image: Padded, on the device, (1, 3, H, W) float32, finite.
        size: (height, width) before padding.
        low: Least value of the image.
        high: Greatest value of the image.
        brightness: Pictures to estimate optical flow on, without padding and at the scale of the plan; ``None`` where
            flow is found on the device, or by the network.
        there: Mark to wait for before the image is used.
    """

    image: Tensor
    size: tuple[int, int]
    low: float
    high: float
    brightness: Brightness | None
    there: Mark = DONE

    @property
    def bytes(self) -> int:
        """Bytes of its tensors."""
        return self.image.nbytes + (0 if self.brightness is None else self.brightness.nbytes)


@dataclass(kw_only=True)
class Pair:
    """Prepared frame pair: all that its time steps share.

    Attributes:
        img0: Frame 0, padded, on the device, times the gain, (1, 3, H, W) float32.
        img1: Frame 1, likewise.
        plan: The plan that ``estimates`` were made with.
        flow: Flow from outside the network, padded, on the device, (1, 4, H/2, W/2) in pixels of that size; ``None``
            for other networks.
        estimates: Result of the network's ``estimate`` for each tile.
        gain: Factor that brings frames of another range than video's to the one that networks know.
        low: Least value of a new frame, before the gain.
        high: Greatest value of a new frame.
        serial: Number of the pair, unique in the process.
        reduced: Frames and motion, reduced, once confidence has been asked for.
    """

    img0: Tensor
    img1: Tensor
    plan: Plan
    flow: Tensor | None = None
    estimates: list[Tensor] = field(default_factory=list)
    gain: float = 1.0
    low: float = 0.0
    high: float = 1.0
    serial: int = field(default_factory=count().__next__)
    reduced: ReducedPair | None = None

    @property
    def bytes(self) -> int:
        """Bytes of all its tensors."""
        flow = [] if self.flow is None else [self.flow]
        return sum(x.nbytes for x in (self.img0, self.img1, *flow, *self.estimates))
