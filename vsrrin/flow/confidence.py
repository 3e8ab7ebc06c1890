"""How far a new frame can be trusted, place by place: what its motion leaves unexplained.

Where motion is right, both frames moved to the time of the new frame are alike, the new frame is like them, and the
flow there and back ends where it began. Fast motion and strong texture make any mistake of it count for more. Five
such measures, as logarithms of their means over a window, go into a logistic regression, which was fitted to new frames
of training videos whose true frames are known (``scripts.models.confidence_weights``). So its result is a probability:
that 20 x 20 pixels show what is truly there, or within 4 pixels of it, with a mean error of at most 8 of 255 levels. So
what is only a little out of place is no mistake, as it is hardly seen.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from numpy.typing import NDArray
from torch import Tensor

from vsrrin.nets.parts.opencv_layout import as_planes, interleaved
from vsrrin.nets.parts.warp import backward_warp, project_flow

type Map = NDArray[np.float32]
"""(H, W)."""

REDUCTION = 4
"""Pixels of the frame a side of a pixel here."""
WINDOW = 5
"""Reduced pixels a side of the window that measures and errors are means of: 20 pixels of the frame."""
GOOD_ERROR = 8 / 255
"""Mean absolute error, of reduced samples in [0, 1], up to which a place of a new frame is good."""
TOLERANCE = 1
"""Reduced pixels, along each axis, by which it may be out of place."""

MEASURES = {"warped": 2e-3, "new": 1e-3, "miss": 0.05, "detail": 2e-3, "speed": 0.1}
"""What is added to each before the logarithm, so that nothing is minus infinity: about what noise makes of it."""
WEIGHTS = (-1.224, -0.252, -0.271, -0.351, -0.229, -1.174)
"""Of the logarithms of `MEASURES`, then of that of 4 t (1 - t)."""
BIAS = -5.011


@dataclass(frozen=True)
class ReducedPair:
    """Frame pair and its motion, reduced by `reduced`, on the CPU.

    Attributes:
        img0: Frame 0, (1, 3, h, w) float32, nominally [0, 1].
        img1: Frame 1, likewise.
        flow: (1, 4, h, w), (dx, dy) in pixels of that size, 0 -> 1 then 1 -> 0.
    """

    img0: Tensor
    img1: Tensor
    flow: Tensor


def reduced(image: Tensor, factor: int = REDUCTION) -> Tensor:
    """Return means of squares of pixels, (N, C, H, W) to (N, C, ceil(H / factor), ceil(W / factor)), on the CPU."""
    return F.avg_pool2d(image, factor, ceil_mode=True).cpu()


def confidence(pair: ReducedPair, new: Tensor, t: float) -> Map:
    """Return the probability of each place of a new frame that it is good.

    Args:
        pair: The frames that it is made of.
        new: The new frame, `reduced` likewise.
        t: Its time, in (0, 1).

    Returns:
        (h, w), [0, 1].
    """
    found = measures(pair, new, t)
    weights = torch.tensor(WEIGHTS[:-1]).view(1, -1, 1, 1)
    constant = BIAS + WEIGHTS[-1] * math.log(max(4 * t * (1 - t), 1e-6))
    trusted = torch.sigmoid((found * weights).sum(1)[0] + constant)
    return torch.nan_to_num(trusted, nan=0.0).numpy()  # what is no number in the new frame is not good


def measures(pair: ReducedPair, new: Tensor, t: float) -> Tensor:
    """Return the logarithms of `MEASURES`, (1, 5, h, w); see `confidence`.

    They are of the difference between both frames moved to t, of the new frame from their blend, of pixels by which
    flow misses on the way there and back, of the new frame's gradient, and of the length of motion in pixels.
    """
    forth, back = pair.flow[:, :2], pair.flow[:, 2:]
    to_0, to_1 = project_flow(forth, back, torch.full((1, 1, 1, 1), t))
    moved0 = backward_warp(torch.cat((pair.img0, missed(forth, back)), 1), to_0)
    moved1 = backward_warp(torch.cat((pair.img1, missed(back, forth)), 1), to_1)
    picture0, picture1 = moved0[:, :3], moved1[:, :3]
    across = F.pad((new[..., 1:] - new[..., :-1]).abs(), (0, 1))
    down = F.pad((new[..., 1:, :] - new[..., :-1, :]).abs(), (0, 0, 0, 1))
    found = (
        (picture0 - picture1).abs().mean(1, keepdim=True),
        (new - torch.lerp(picture0, picture1, t)).abs().mean(1, keepdim=True),
        (moved0[:, 3:] + moved1[:, 3:]) / 2,
        (across + down).mean(1, keepdim=True),
        _length(to_1 - to_0),
    )
    return torch.cat([torch.log(window_mean(x) + least) for x, least in zip(found, MEASURES.values(), strict=True)], 1)


def enlarged(values: Map, height: int, width: int) -> Map:
    """Return a map of a reduced picture as one of the frame, (height, width), linear between the places."""
    rows, columns = (side * REDUCTION for side in values.shape)
    whole = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole[:height, :width], np.float32)


def missed(forth: Tensor, back: Tensor) -> Tensor:
    """Return how far from its start a point ends that goes there and back, (N, 1, H, W) in pixels."""
    return _length(forth + backward_warp(back, forth))


def window_mean(values: Tensor) -> Tensor:
    """Return means over the `WINDOW` around each place, (1, 1, h, w); the border is repeated."""
    mean = cv2.blur(interleaved(values[0]), (WINDOW, WINDOW), borderType=cv2.BORDER_REPLICATE)
    return as_planes(np.asarray(mean, np.float32))


def _length(flow: Tensor) -> Tensor:
    return flow.square().sum(1, keepdim=True).sqrt()
