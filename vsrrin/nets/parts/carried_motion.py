"""Fast motion carried along itself to a time between two frames.

At a place in between, motion is read where it comes from, and for that one has to know it already. What moves by more
than it is wide is nowhere near its place in between: all that is read there is the ground's motion.
"""

import torch
from torch import Tensor

from . import fused
from .tracing import is_traced
from .warp import pixel_grid

_FASTER = 5.0
"""Pixels of half size by which motion must be faster than what is read where it leads to, for it to be carried there;
both beside the motion of most of the picture."""
_STEPS = 16.0
"""Steps of speed a pixel, of pixels of half size: of motions that lead to one place the one with most is carried."""
_APART = 1.0
"""Pixels that motion and the way back may be apart."""
_SPARSE = 4
"""Distance of the places, pixels of half size, whose motion tells that of the picture."""


def carried(flow: Tensor, back: Tensor, way: Tensor, read: Tensor) -> Tensor:
    """Return motion at a time between two frames, what is fast carried to its place.

    Args:
        flow: From one frame to the other, (N, 2, H, W) in pixels of that size.
        back: From the other to the one, likewise.
        way: Share of the way that has been gone, (N, 1, 1, 1).
        read: Motion at that time as it was read otherwise, like ``flow``; may be overwritten.

    Returns:
        ``read``, but where something leads to that is faster and that ``back`` confirms: its flow.
    """
    height, width = flow.shape[2:]
    whole = of_the_whole(flow)
    if (quick := fused.carried(flow, back, way, read, whole, (_FASTER, _STEPS, _APART))) is not None:
        return quick
    x, y = pixel_grid(height, width, flow.device)
    count = height * width

    def places(share: Tensor) -> Tensor:
        """Places in rows of pixels, (N, H W), where flow leads to; behind the last one for those outside."""
        # Halves go up, all of them: to the even one, every second column would be left out.
        column, row = (x + share * flow[:, 0] + 0.5).floor(), (y + share * flow[:, 1] + 0.5).floor()
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        column, row = (torch.where(inside, part, torch.zeros_like(part)).long() for part in (column, row))
        return torch.where(inside, row * width + column, torch.full_like(row, count)).flatten(1)

    at = places(torch.ones_like(way[:, 0]))
    error = _lengths(flow + _picked(back, at.clamp(max=count - 1)))
    confirmed = (at < count) & (error <= _APART).flatten(1)
    # What is not is thrown behind the last place. The fastest wins, and of two as fast the later one.
    to = torch.where(confirmed, places(way[:, 0]), torch.full_like(at, count))
    speed = (_lengths(flow - whole) * _STEPS).round().flatten(1).long()
    ranks = speed * count + torch.arange(count, device=flow.device)
    first = ranks.new_full((flow.shape[0], count + 1), -1).scatter_reduce(1, to, ranks, "amax")[:, :-1]
    fastest = torch.div(first, count, rounding_mode="floor")
    source = first - fastest * count
    faster = fastest.view(-1, 1, height, width) > (_lengths(read - whole) + _FASTER) * _STEPS
    return torch.where(faster, _picked(flow, source), read)


def of_the_whole(flow: Tensor) -> Tensor:
    """Return the motion of most of the picture, (N, C, 1, 1): the lower medians of channels (N, C, H, W)."""
    values = flow[:, :, ::_SPARSE, ::_SPARSE].flatten(2)
    if is_traced():  # exporters know no median
        middle = (values.shape[2] - 1) // 2
        return values.sort(2).values[:, :, middle : middle + 1, None]
    return values.median(2).values[:, :, None, None]


def _lengths(flow: Tensor) -> Tensor:
    return flow.square().sum(1, keepdim=True).sqrt()


def _picked(flow: Tensor, at: Tensor) -> Tensor:
    """Return (N, 2, H, W) whose pixels are those at places (N, H W) of another."""
    return flow.flatten(2).gather(2, at[:, None].expand(-1, 2, -1)).view_as(flow)
