"""Reduction and enlargement of pictures as OpenCV does them, on any device."""

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor


def area_reduced(x: Tensor, height: int, width: int) -> Tensor:
    """Return means over the area of each new pixel: OpenCV's ``INTER_AREA``.

    Args:
        x: (..., H, W).
        height: The new one, at most H.
        width: Likewise.

    Returns:
        (..., height, width), not rounded.
    """
    return _reduced_along(_reduced_along(x, -2, height), -1, width)


def _reduced_along(x: Tensor, dim: int, count: int) -> Tensor:
    length = x.shape[dim]
    if length == count:
        return x
    # Made on the device, in whole numbers: ends of areas are exact in units of a `count`-th of a pixel.
    new = torch.arange(count, device=x.device)
    begin, first = new * length, new * length // count
    taps = length // count if length % count == 0 else -(-length // count) + 1
    shape = (-1, 1) if dim == -2 else (-1,)
    total = torch.zeros((), device=x.device)
    for place in (first + tap for tap in range(taps)):
        inside = torch.minimum(begin + length, (place + 1) * count) - torch.maximum(begin, place * count)
        share = inside.clamp_min(0).to(x.dtype) / length
        total = total + x.index_select(dim, place.clamp_max(length - 1)) * share.view(shape)
    return total


def whole_levels(x: Tensor, by_two: bool) -> Tensor:
    """Return means of whole grey levels rounded as OpenCV rounds them: halves go up if ``by_two``, else to even."""
    return (x + 0.5).floor() if by_two else x.round()


def resized(x: Tensor, height: int, width: int) -> Tensor:
    """Return (N, C, H, W) at another size, bilinear: OpenCV's ``INTER_LINEAR``."""
    if x.shape[-2:] == (height, width):
        return x
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)


def sampled(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return (..., H, W) at all pairs of fractional rows and columns, bilinear; the border is repeated."""
    return _sampled_along(_sampled_along(x, -1, columns), -2, rows[:, None])


def _sampled_along(x: Tensor, dim: int, places: Tensor) -> Tensor:
    last = x.shape[dim] - 1
    places = places.clamp(0, last)
    before = places.floor()
    index = before.flatten().long()
    return torch.lerp(x.index_select(dim, index), x.index_select(dim, (index + 1).clamp_max(last)), places - before)
