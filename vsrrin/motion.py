"""DIS optical flow of a frame pair, both directions.

Kroeger, Timofte, Dai, Van Gool: "Fast Optical Flow using Dense Inverse Search", ECCV 2016; OpenCV's implementation. It
runs on CPU threads outside the GIL, so it is done for the next pair while the device synthesises this one.
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
type Flow = NDArray[np.float32]
"""(H, W, 2), (dx, dy) in pixels."""
Preset = Literal["ultrafast", "fast", "medium"]

PRESETS: dict[Preset, int] = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}

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

    def __call__(self, grey0: Grey, grey1: Grey) -> Tensor:
        """Flow of a pair, both directions.

        Args:
            grey0: Frame 0, (H, W), 8 bit; see :func:`grey`.
            grey1: Frame 1, likewise.

        Returns:
            (1, 4, H, W) float32, pixels, (dx, dy) of 0->1 then of 1->0.
        """
        # One after the other: OpenCV spreads each over all cores (both at once measured no faster).
        forth, back = self.one_way(grey0, grey1), self.one_way(grey1, grey0)
        return torch.from_numpy(np.concatenate((forth, back), axis=-1)).permute(2, 0, 1)[None].contiguous()

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


def grey(image: Tensor) -> Grey:
    """What flow is estimated on: (1, 3, H, W) in [0, 1] to the mean of its channels, (H, W), 8 bit."""
    # Rounded: truncation would flip a level wherever float arithmetic ends just below a whole number.
    mean = image[0].float().mean(0).mul_(255).round_().clamp_(0, 255)
    result: Grey = mean.byte().contiguous().numpy()
    return result
