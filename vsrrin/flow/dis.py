"""DIS optical flow of a frame pair, both directions.

Kroeger, Timofte, Dai, Van Gool: "Fast Optical Flow using Dense Inverse Search", ECCV 2016. It is that of
:mod:`vsrrin.flow.pyramid_search` where Numba is installed, and OpenCV's elsewhere, in more than twice the time. It runs
on the CPU outside the GIL, in whichever thread asks for a pair. It can be found where the network runs instead, see
:mod:`vsrrin.flow.device_flow`.
"""

import math
from dataclasses import dataclass
from queue import Empty, LifoQueue
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vsrrin.errors import ArgumentError
from vsrrin.nets.parts.fused import kernels
from vsrrin.nets.parts.opencv_layout import interleaved

from .block_matching import Flow, Grey, coarse_motion
from .whole_objects import with_whole_objects

type Brightness = NDArray[np.float32]
"""(H, W), nominally [0, 1]."""
Preset = Literal["fast", "fine"]


@dataclass(frozen=True)
class DisSettings:
    """Settings of DIS. Those of OpenCV that are not named are those of its preset "ultrafast"."""

    finest_scale: int
    """Pyramid level on which it ends, a quarter of the frame's size for 1; the flow is enlarged from there to half of
    the frame's size, of which its pictures are. Ending on the frame's own size gains nothing in the new frames."""
    patch_stride: int
    """Pixels from patch to patch on a level, 8 px wide each; OpenCV's alone."""
    refinement: int
    """Iterations of variational refinement on each level; OpenCV's alone."""


PRESETS: dict[Preset, DisSettings] = {
    "fast": DisSettings(finest_scale=1, patch_stride=3, refinement=0),
    "fine": DisSettings(finest_scale=0, patch_stride=4, refinement=1),
}
"""The best of 14 settings on training videos (docs/training_notes.md). On pictures of the full size, on the validation
set, bicubic and without a network, "fine" was as good as OpenCV's preset "medium" (30.27 dB against 30.28) in half of
its time, "fast" (30.18 dB) took half of that again; on half the size "fast" has 30.20 dB."""

OVERBRIGHT = 1.5
"""Brightness that superwhite does not reach, but HDR does."""
KNEE = 10.0
"""How soon the logarithm for HDR sets in, relative to white."""

UPWARDS = 1 / 64
"""Grey levels added before rounding: more than rounding errors, less than the twelfth that means are apart."""

SMALLEST = 16
"""Pixels a side that DIS needs for its 8 px patches at its finest scale."""


class DisFlow:
    """DIS optical flow of frame pairs; thread safe.

    OpenCV's objects keep buffers, so each serves one call at a time. They are pooled by frame size: one that has seen
    another size before gives other flow than a fresh one (seen with OpenCV 5.0). DIS starts from coarse motion,
    see :mod:`vsrrin.flow.block_matching`.

    Args:
        preset: "fine", or "fast" in a third to a half of the time.
    """

    def __init__(self, preset: Preset = "fine") -> None:
        self.preset = preset
        self._idle: dict[tuple[int, ...], LifoQueue[cv2.DISOpticalFlow]] = {}

    def __call__(self, brightness0: Brightness, brightness1: Brightness) -> tuple[Flow, Flow]:
        """Return the flow of a pair.

        Args:
            brightness0: That of frame 0, (H, W), reduced as by :func:`brightness` as a rule.
            brightness1: That of frame 1, likewise.

        Returns:
            Flow 0->1 and 1->0, each (H, W, 2), pixels of that size.
        """
        grey0, grey1 = greys(brightness0, brightness1)
        forth, back = coarse_motion(grey0, grey1) or (None, None)
        height, width = grey0.shape
        bottom, right = max(SMALLEST - height, 0), max(SMALLEST - width, 0)
        first, second = grey0, grey1
        if bottom or right:
            first, second = (np.pad(g, ((0, bottom), (0, right)), mode="edge") for g in (grey0, grey1))
        if (search := kernels("vsrrin.flow.pyramid_search")) is not None:
            found = search.flows(first, second, (forth, back), PRESETS[self.preset].finest_scale)
        else:
            # One after the other: OpenCV spreads each over all cores (both at once measured no faster).
            found = self._calculate(first, second, forth), self._calculate(second, first, back)
        forth, back = (flow[:height, :width] for flow in found)
        return with_whole_objects(grey0, grey1, forth, back)

    def _calculate(self, grey0: Grey, grey1: Grey, start: Flow | None) -> Flow:
        idle = self._idle.setdefault(grey0.shape, LifoQueue())
        try:
            dis = idle.get_nowait()
        except Empty:
            dis = _dis(PRESETS[self.preset])
        try:
            flow: Flow = dis.calc(grey0, grey1, start)  # type: ignore[arg-type, assignment]
        finally:
            idle.put(dis)
        return flow


def _dis(settings: DisSettings) -> cv2.DISOpticalFlow:
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    dis.setFinestScale(settings.finest_scale)
    dis.setPatchStride(settings.patch_stride)
    dis.setVariationalRefinementIterations(settings.refinement)
    return dis


def working_size(height: int, width: int, scale: float) -> tuple[int, int]:
    """Return (height, width) of the picture that DIS is given: half the frame's size times ``scale``, in (0, 1].

    On pictures of the frame's own size it would stop at the same level, and make a pyramid, a start and a result of
    four times the size on the way to the half in which networks take flow.
    """
    # Rounded up, so that it is the size in which networks take flow, whatever the frame's.
    return max(math.ceil(height * scale / 2), 1), max(math.ceil(width * scale / 2), 1)


def brightness(image: Tensor, scale: float = 1.0) -> Brightness:
    """Return the picture on which flow is found: the mean of the channels, reduced.

    Args:
        image: (1, 3, H, W) float32, nominally [0, 1], on the CPU.
        scale: Size of the picture for motion relative to the frame, in (0, 1].

    Returns:
        An array of `working_size`.
    """
    total = cv2.transform(interleaved(image[0]), np.full((1, 3), 1 / 3, np.float32))
    return reduced(np.asarray(total, np.float32), scale)


def reduced(total: Brightness, scale: float = 1.0) -> Brightness:
    """Return brightness (H, W) of a whole frame at `working_size`."""
    height, width = total.shape
    if scale == 1 and (height % 2 or width % 2):
        # Networks take flow in blocks of two by two pixels: the last one of an odd side is made whole.
        total = np.pad(total, ((0, height % 2), (0, width % 2)), mode="edge")
    height, width = working_size(height, width, scale)
    return np.asarray(cv2.resize(total, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def half_flow(flows: tuple[Flow, Flow], height: int, width: int, out: Tensor) -> None:
    """Write the flow of a pair as networks take it: at half the frame's size, both directions in one tensor.

    Args:
        flows: Flow 0->1 and 1->0 as :class:`DisFlow` returns them, for brightness of any scale.
        height: The frame's height, pixels.
        width: The frame's width, pixels.
        out: Is filled, (1, 4, H', W') float32 on the CPU: (dx, dy) in pixels of half the frame's size, 0->1 then 1->0.
            Where it is larger than half the frame, its border is repeated.
    """
    rows, columns = -(-height // 2), -(-width // 2)
    for direction, flow in enumerate(flows):
        h, w = flow.shape[:2]
        if (h, w) != (rows, columns):
            flow = np.asarray(cv2.resize(flow, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)
        factors = (1.0, 1.0) if (h, w) == (rows, columns) else (width / 2 / w, height / 2 / h)
        for axis, factor in enumerate(factors):
            target = out[0, 2 * direction + axis].numpy()
            np.multiply(flow[..., axis], np.float32(factor), out=target[:rows, :columns])
            target[:rows, columns:] = target[:rows, columns - 1 : columns]
            target[rows:] = target[rows - 1]


def greys(brightness0: Brightness, brightness1: Brightness) -> tuple[Grey, Grey]:
    """Return both frames of a pair in 8 bit, by one map for both.

    [0, 1] becomes 0 to 255. Frames that exceed it (linear HDR) are compressed by a logarithm up to their maximum, and
    frames that use less than a sixteenth of it are stretched, or 8 bit would leave nothing to match.
    """
    both = [brightness0, brightness1]
    if not all(math.isfinite(float(b.sum())) for b in both):
        both = [np.nan_to_num(b, nan=0.0, posinf=0.0, neginf=0.0) for b in both]
    peak = max(float(b.max()) for b in both)
    if peak > OVERBRIGHT:
        scale = 255 / np.log1p(KNEE * peak)
        both = [np.log1p(KNEE * np.maximum(b, 0)) * np.float32(scale) for b in both]
    else:
        scale = 255 / peak if 0 < peak < 1 / 16 else 255
        both = [b * np.float32(scale) for b in both]  # new arrays: the given ones serve other pairs too
    # Rounded: truncation would flip a level wherever float arithmetic ends just below a whole number. Of 8-bit video
    # every twelfth mean of four pixels lies halfway between two levels, where it would decide too: these go up.
    for b in both:
        b += np.float32(UPWARDS)
        np.clip(np.rint(b, out=b), 0, 255, out=b)
    grey0, grey1 = (b.astype(np.uint8) for b in both)
    return grey0, grey1


def check_preset(preset: str) -> Preset:
    """Return a name of `PRESETS` as such.

    Raises:
        ArgumentError: Another name.
    """
    for known in PRESETS:
        if preset == known:
            return known
    raise ArgumentError(f"preset must be one of {', '.join(PRESETS)}, not {preset!r}")
