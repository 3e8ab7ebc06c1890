"""Windows of frames with their motion, and augmentations that make many samples of one window.

Every change is made to the frames and to the flow alike: the flow of a changed window is the changed flow. The changes
return views where they can; memory is put in order once, in `to_sample`.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from training.errors import TrainingError

from .batch import Sample

_TOLERANCE = 0.25
"""Pixels of half the size by which flow there and back may miss at rest; the least that DIS can tell."""
_RELATIVE_TOLERANCE = 0.05
"""Further tolerance for every pixel of the flow's length."""
_FAR = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Window of two frames and the true frame between them; H and W are even."""

    frames: NDArray[np.uint8]
    """(3, H, W, 3), RGB, at the times 0, t and 1."""
    t: float
    flow: NDArray[np.float32]
    """(H/2, W/2, 4): DIS flow, (dx, dy) in pixels of half the size, 0->1 then 1->0."""
    truth: NDArray[np.float32]
    """(H, W, 4): flow to learn, (dx, dy) in pixels, 0->1 then 1->0."""
    trust: NDArray[np.uint8]
    """(H, W, 2): 1 where ``truth`` counts, else 0; for 0->1 and for 1->0."""

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.frames.shape[1])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.frames.shape[2])


def pseudo_label(flow: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return estimated flow as something to learn, trusted where flow there and back agree.

    The test is that of Sundaram, Brox, Keutzer, "Dense point trajectories by GPU-accelerated large displacement
    optical flow", ECCV 2010, eq. 5, with lengths in place of their squares.

    Args:
        flow: (h, w, 4) float32, pixels of that size, 0->1 then 1->0.

    Returns:
        Flow of twice the size in its pixels, (2h, 2w, 4), and where it can be trusted, (2h, 2w, 2), 1 or 0. A point
        that leaves the window cannot be.
    """
    height, width = flow.shape[:2]
    size = (2 * width, 2 * height)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    agree = np.empty((height, width, 2), np.uint8)
    for at, (there, back) in enumerate(((flow[..., :2], flow[..., 2:]), (flow[..., 2:], flow[..., :2]))):
        u, v = there[..., 0], there[..., 1]
        found = cv2.remap(
            np.ascontiguousarray(back),
            x + u,
            y + v,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=[_FAR] * 4,
        )
        missed = np.hypot(u + found[..., 0], v + found[..., 1])
        np.less(missed, _TOLERANCE + _RELATIVE_TOLERANCE * np.hypot(u, v), out=agree[..., at].view(np.bool_))
    label = cv2.resize(flow, size, interpolation=cv2.INTER_LINEAR)
    label *= 2
    trust = cv2.resize(agree, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(label, np.float32), np.asarray(trust, np.uint8)


def cropped(window: Window, top: int, left: int, height: int, width: int) -> Window:
    """Return the part of a window that begins at (top, left).

    Raises:
        TrainingError: It is not inside the window, or a number is odd: flow has half the size.
    """
    inside = 0 <= top <= window.height - height and 0 <= left <= window.width - width
    if not inside or min(height, width) < 2 or (top | left | height | width) % 2:
        raise TrainingError(
            f"cropped: {width}x{height} pixels from ({left}, {top}) on cannot be cut from a window of "
            f"{window.width}x{window.height}; give even numbers, inside the window"
        )
    rows, columns = slice(top, top + height), slice(left, left + width)
    return Window(
        frames=window.frames[:, rows, columns],
        t=window.t,
        flow=window.flow[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2],
        truth=window.truth[rows, columns],
        trust=window.trust[rows, columns],
    )


def flipped_x(window: Window) -> Window:
    """Return the window with left and right exchanged."""
    sign = np.array([-1, 1, -1, 1], np.float32)
    return replace(
        window,
        frames=window.frames[:, :, ::-1],
        flow=window.flow[:, ::-1] * sign,
        truth=window.truth[:, ::-1] * sign,
        trust=window.trust[:, ::-1],
    )


def flipped_y(window: Window) -> Window:
    """Return the window with top and bottom exchanged."""
    sign = np.array([1, -1, 1, -1], np.float32)
    return replace(
        window,
        frames=window.frames[:, ::-1],
        flow=window.flow[::-1] * sign,
        truth=window.truth[::-1] * sign,
        trust=window.trust[::-1],
    )


def transposed(window: Window) -> Window:
    """Return the window with rows and columns exchanged."""
    order = [1, 0, 3, 2]
    return replace(
        window,
        frames=window.frames.transpose(0, 2, 1, 3),
        flow=window.flow.transpose(1, 0, 2)[..., order],
        truth=window.truth.transpose(1, 0, 2)[..., order],
        trust=window.trust.transpose(1, 0, 2),
    )


def reversed_in_time(window: Window) -> Window:
    """Return the window with its last frame first: t becomes 1 - t, and both flows change places."""
    order = [2, 3, 0, 1]
    return Window(
        frames=window.frames[::-1],
        t=1 - window.t,
        flow=window.flow[..., order],
        truth=window.truth[..., order],
        trust=window.trust[..., ::-1],
    )


def with_channels(window: Window, order: tuple[int, int, int]) -> Window:
    """Return the window with its channels reordered; DIS flow stays, since it sees only their mean."""
    return replace(window, frames=window.frames[..., list(order)])


def augmented(window: Window, side: int, rng: np.random.Generator) -> Window:
    """Return a random square of a window, randomly flipped, transposed, reversed and recoloured.

    Args:
        window: At least ``side`` pixels high and wide.
        side: Side of the result, even.
        rng: Source of random numbers; always asked for the same count.
    """
    places = rng.random(2)
    coins = rng.random(4) < 0.5
    channels = rng.permutation(3)
    top = 2 * int(places[0] * ((window.height - side) // 2 + 1))
    left = 2 * int(places[1] * ((window.width - side) // 2 + 1))
    window = cropped(window, top, left, side, side)
    for chosen, change in zip(coins, (flipped_x, flipped_y, transposed, reversed_in_time), strict=True):
        if chosen:
            window = change(window)
    return with_channels(window, (int(channels[0]), int(channels[1]), int(channels[2])))


def to_sample(window: Window) -> Sample:
    """Convert a window to tensors."""
    frames = torch.from_numpy(np.ascontiguousarray(window.frames.transpose(0, 3, 1, 2))).float().mul_(1 / 255)
    img0, target, img1 = frames.unbind()
    return Sample(
        img0=img0,
        img1=img1,
        target=target,
        t=window.t,
        flow=_planes(window.flow),
        truth=_planes(window.truth),
        trust=_planes(window.trust).float(),
    )


def _planes(field: NDArray[np.float32] | NDArray[np.uint8]) -> torch.Tensor:
    """Convert (H, W, C) to (C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(field.transpose(2, 0, 1)))
