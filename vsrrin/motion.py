"""DIS optical flow of a frame pair, both directions.

Kroeger, Timofte, Dai, Van Gool: "Fast Optical Flow using Dense Inverse Search", ECCV 2016; OpenCV's implementation. It
runs on the CPU outside the GIL, in whichever thread asks for a pair: VapourSynth asks for several frames at once, so
the flow of the next pairs is found while a device other than the CPU synthesises this one.
"""

from queue import Empty, LifoQueue
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

type Grey = NDArray[np.uint8]
"""(H, W), 8 bit."""
type Brightness = NDArray[np.float32]
"""(H, W), nominally [0, 1]."""
type Flow = NDArray[np.float32]
"""(H, W, 2), (dx, dy) in pixels."""
Preset = Literal["ultrafast", "fast", "medium"]

PRESETS: dict[Preset, int] = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}

_OVERBRIGHT = 1.5
"""Brightness that superwhite does not reach, but HDR does."""
_KNEE = 10.0
"""How soon the logarithm for HDR sets in, relative to white."""

_SMALLEST = 16
"""Pixels a side that DIS needs for its 8 px patches at its finest scale."""


class DisFlow:
    """Computes DIS flow; thread safe.

    OpenCV's objects keep buffers, so each serves one call at a time. They are pooled by frame size: one that has seen
    another size before gives other flow than a fresh one (seen with OpenCV 5.0, "fast").

    Args:
        preset: OpenCV's preset; "fast" takes a fifth of the time of "medium".
        scale: Size of the picture on which flow is estimated, relative to the frame, in (0, 1].
    """

    def __init__(self, preset: Preset = "medium", scale: float = 1.0) -> None:
        self.preset = preset
        self.scale = scale
        self._idle: dict[tuple[int, ...], LifoQueue[cv2.DISOpticalFlow]] = {}

    def __call__(self, brightness0: Brightness, brightness1: Brightness) -> Tensor:
        """Flow of a pair, both directions.

        Args:
            brightness0: That of frame 0, (H, W); see :func:`brightness`.
            brightness1: That of frame 1, likewise.

        Returns:
            (1, 4, H, W) float32, pixels, (dx, dy) of 0->1 then of 1->0.
        """
        grey0, grey1 = greys(brightness0, brightness1)
        # One after the other: OpenCV spreads each over all cores (both at once measured no faster).
        flow = torch.empty(1, 4, *grey0.shape)
        flow[0, :2] = torch.from_numpy(self.one_way(grey0, grey1)).permute(2, 0, 1)
        flow[0, 2:] = torch.from_numpy(self.one_way(grey1, grey0)).permute(2, 0, 1)
        return flow

    def one_way(self, grey0: Grey, grey1: Grey) -> Flow:
        """Flow from ``grey0`` (H, W) to ``grey1`` (H, W): (H, W, 2), pixels."""
        height, width = grey0.shape
        if self.scale < 1:
            small = (max(round(width * self.scale), 1), max(round(height * self.scale), 1))
            flow = self._calculate(_shrink(grey0, small), _shrink(grey1, small))
            per_axis = np.array([width / small[0], height / small[1]], np.float32)
            return np.asarray(cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR), np.float32) * per_axis
        return self._calculate(grey0, grey1)

    def _calculate(self, grey0: Grey, grey1: Grey) -> Flow:
        height, width = grey0.shape
        bottom, right = max(_SMALLEST - height, 0), max(_SMALLEST - width, 0)
        if bottom or right:
            grey0, grey1 = (np.pad(g, ((0, bottom), (0, right)), mode="edge") for g in (grey0, grey1))
        idle = self._idle.setdefault(grey0.shape, LifoQueue())
        try:
            dis = idle.get_nowait()
        except Empty:
            dis = cv2.DISOpticalFlow.create(PRESETS[self.preset])
        try:
            flow: Flow = dis.calc(grey0, grey1, None)  # type: ignore[call-overload]
        finally:
            idle.put(dis)
        return flow[:height, :width]


def _shrink(image: Grey, size: tuple[int, int]) -> Grey:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def brightness(image: Tensor) -> Brightness:
    """What flow is estimated on: the mean of the channels of (1, 3, H, W), nominally [0, 1], on the CPU."""
    result: Brightness = image[0].float().mean(0).contiguous().numpy()
    return result


def greys(brightness0: Brightness, brightness1: Brightness) -> tuple[Grey, Grey]:
    """Both frames of a pair in 8 bit, by one map for both.

    [0, 1] becomes 0 to 255. Frames that exceed it (linear HDR) are compressed by a logarithm up to their maximum, and
    frames that use less than a sixteenth of it are stretched, or 8 bit would leave nothing to match.
    """
    both = [np.nan_to_num(b, nan=0.0, posinf=0.0, neginf=0.0) for b in (brightness0, brightness1)]
    peak = max(float(b.max()) for b in both)
    if peak > _OVERBRIGHT:
        scale = 255 / np.log1p(_KNEE * peak)
        both = [np.log1p(_KNEE * np.maximum(b, 0)) * scale for b in both]
    else:
        scale = 255 / peak if 0 < peak < 1 / 16 else 255
        both = [b * np.float32(scale) for b in both]
    # Rounded: truncation would flip a level wherever float arithmetic ends just below a whole number.
    grey0, grey1 = (np.clip(np.rint(b), 0, 255).astype(np.uint8) for b in both)
    return grey0, grey1
