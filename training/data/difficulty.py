"""Difficulty of frames and windows, measured by the error of plain interpolation."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vsrrin.flow.dis import Brightness

from .pair_flow import PairFlow, brightness

type Triple = tuple[Brightness, Brightness, Brightness]
"""Brightness at the times 0, t and 1, (H, W)."""
_FLASH = 0.03
"""Largest distance (of white) of the middle frame's mean from those of the two others."""
_LIGHT = 0.2
"""Largest difference of the means of the two frames."""
_LOST = 0.08
"""Mean error of plain interpolation (of white) from which on nothing can be learned: all moves too far, or the frames
do not belong together."""
_FAST = 20.0
"""Mean length of flow, pixels of half the size, from which on nothing can be learned either."""
_HARD = 0.03
"""Mean error from which on a window is as good as a harder one; about 26 dB."""


def half_brightness(frames: NDArray[np.uint8]) -> Triple:
    """Return the brightness of (3, H, W, 3) frames at half their size, rounded up."""
    first, middle, last = map(brightness, frames)
    return first, middle, last


def plain_error(bright: Triple, flow: NDArray[np.float32], t: float) -> NDArray[np.float32]:
    """Return the error of plain interpolation: linear projection of flow and a blend of two warps.

    Args:
        bright: Brightness of the three frames, (H, W) each.
        flow: (H, W, 4), pixels of that size, 0->1 then 1->0.
        t: Time of the middle frame.

    Returns:
        (H, W) absolute error.
    """
    height, width = bright[0].shape
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    # The projection of vsrrin.nets.parts.warp.project_flow.
    shares = ((-(1 - t) * t, t * t), ((1 - t) * (1 - t), -t * (1 - t)))
    warped = []
    for image, (forth, back) in zip((bright[0], bright[2]), shares, strict=True):
        u = flow[..., 0] * np.float32(forth) + flow[..., 2] * np.float32(back)
        v = flow[..., 1] * np.float32(forth) + flow[..., 3] * np.float32(back)
        warped.append(cv2.remap(image, x + u, y + v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    made = cv2.addWeighted(warped[0], 1 - t, warped[1], t, 0)
    return np.asarray(cv2.absdiff(made, bright[1]), np.float32)


def changes_light(bright: Triple) -> bool:
    """Return whether the frames differ in brightness as by a flash or a cut, which flow cannot explain."""
    first, middle, last = (float(each.mean()) for each in bright)
    low, high = min(first, last), max(first, last)
    return high - low > _LIGHT or not low - _FLASH <= middle <= high + _FLASH


def difficulty(frames: NDArray[np.uint8], t: float, flow: PairFlow) -> float:
    """Return a cheap measure of how much there is to learn from frames.

    Args:
        frames: (3, H, W, 3), RGB, at the times 0, t and 1.
        t: Time of the middle frame.
        flow: Estimator of flow; a fast one will do.

    Returns:
        `worth` of the frames, found at half size; 0 where light changes.
    """
    bright = half_brightness(frames)
    if changes_light(bright):
        return 0.0
    found = flow.at_own_size(bright[0], bright[2])
    error, motion = plain_error(bright, found, t), lengths(found)
    return float(worth(error.mean(keepdims=True), motion.mean(keepdims=True)).item())


def lengths(flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far points move, (H, W): the mean of both directions of (H, W, 4) flow."""
    there, back = (np.hypot(flow[..., at], flow[..., at + 1]) for at in (0, 2))
    return np.asarray((there + back) / 2, np.float32)


def worth(error: NDArray[np.floating], motion: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return how much there is to learn from windows.

    Args:
        error: Mean error of plain interpolation, 1 from black to white.
        motion: Mean length of flow, pixels of half the size.

    Returns:
        The error, up to that of a hard window; 0 where error or motion are so large that nothing can be learned.
    """
    return np.where((error < _LOST) & (motion < _FAST), np.minimum(error, _HARD), 0)
