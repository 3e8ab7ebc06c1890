"""DIS flow of 8-bit frames, as the engine computes it."""

from typing import Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vsrrin.flow.dis import Brightness, DisFlow, Preset, half_flow, reduced

type Picture = NDArray[np.uint8]
"""(H, W, 3), RGB."""


class PairFlow:
    """DIS flow of frame pairs; can be pickled.

    Args:
        preset: Preset, as in :class:`vsrrin.flow.dis.DisFlow`.
        scale: Size of the pictures it is found on, relative to the frames, in (0, 1].
    """

    def __init__(self, preset: Preset = "fine", scale: float = 1.0) -> None:
        self.preset: Preset = preset
        self.scale = scale
        self._dis = DisFlow(preset)

    def __reduce__(self) -> tuple[type[Self], tuple[Preset, float]]:
        return type(self), (self.preset, self.scale)  # OpenCV's objects cannot be copied

    def __call__(self, first: Picture, second: Picture) -> NDArray[np.float32]:
        """Return the flow of two frames of one size.

        Returns:
            (H', W', 4) float32, H' and W' half the size rounded up: (dx, dy) in pixels of half the size, of
            first->second, then of second->first.
        """
        height, width = first.shape[:2]
        out = torch.empty(1, 4, -(-height // 2), -(-width // 2))
        half_flow(self._dis(brightness(first, self.scale), brightness(second, self.scale)), height, width, out)
        return np.ascontiguousarray(out[0].numpy().transpose(1, 2, 0))

    def at_own_size(self, first: Brightness, second: Brightness) -> NDArray[np.float32]:
        """Return the flow of two pictures in the size and pixels of the pictures."""
        return np.concatenate(self._dis(first, second), axis=-1)


def brightness(picture: Picture, scale: float = 1.0) -> Brightness:
    """Return the brightness that flow is estimated on, float32 in [0, 1], of an 8-bit picture."""
    red, green, blue = cv2.split(picture)
    total = np.add(red, green, dtype=np.uint16)
    total += blue
    return reduced(np.asarray(total.astype(np.float32) * np.float32(1 / (3 * 255)), np.float32), scale)
