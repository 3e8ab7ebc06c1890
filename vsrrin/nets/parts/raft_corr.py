"""Correlation of each pixel with a window around its supposed target, on four levels, for RAFT.

Paper: Teed, Deng: "RAFT: recurrent all-pairs field transforms for optical flow", ECCV 2020, section 3.2.

Two ways to the same values up to rounding: `AllPairs` computes the correlation of all pairs of pixels once,
`OnDemand` only what the windows of a block of pixels touch, on every look. The volume of all pairs grows with the
square of the picture (4.2 GB and a third more at 1080p), the other does not. Everything here is float32.

Windows are read at whole pixels and interpolated afterwards: all offsets are whole, so all samples of a window share
one fraction. Published weights know the window transposed: its first axis moves x.
"""

import math
from collections.abc import Iterator
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .tracing import is_traced
from .warp import pixel_grid

_LEVELS = 4
# Pixels on the side of a block of `OnDemand`; larger ones multiply more, smaller ones call more.
_BLOCK = 16


class Correlation(Protocol):
    """Look-up of correlation."""

    def __call__(self, flow: Tensor) -> Tensor:
        """Return the correlation around the target of each pixel.

        Args:
            flow: (N, 2, H, W) float32, (dx, dy) in pixels of the features.

        Returns:
            (N, 4 * (2 * radius + 1) ** 2, H, W) float32; channels by level, then x, then y.
        """


def correlation(features0: Tensor, features1: Tensor, *, radius: int, limit: int) -> Correlation:
    """Return the correlation of two feature maps, in the way that suits their size.

    Args:
        features0: (N, C, H, W) float32, of the picture whose pixels move.
        features1: Likewise, of the picture they move to. H and W at least 16.
        radius: Of the window, in pixels of each level.
        limit: Bytes that the volume of all pairs of one sample may take.
    """
    height, width = features0.shape[-2:]
    # The steps of the other way depend on the size of the pictures, and a graph has a fixed number of them.
    made = AllPairs if is_traced() or volume_bytes(height, width) <= limit else OnDemand
    return made(features0, features1, radius)


def volume_bytes(height: int, width: int) -> int:
    """Return the bytes of the volume of all pairs, with its levels, for features of that size."""
    return sum(4 * height * width * (height >> level) * (width >> level) for level in range(_LEVELS))


class AllPairs:
    """Correlation of all pairs of pixels, computed once."""

    def __init__(self, features0: Tensor, features1: Tensor, radius: int) -> None:
        self.radius = radius
        queries = _scaled(features0).flatten(2).transpose(1, 2)
        # Pooling features is pooling their correlation.
        self.volumes = [
            (torch.matmul(queries, level.flatten(2)).flatten(0, 1), (level.shape[2], level.shape[3]))
            for level in _levels(features1)
        ]

    def __call__(self, flow: Tensor) -> Tensor:
        """See `Correlation`."""
        found = []
        for (volume, size), (base, fraction) in zip(self.volumes, _positions(flow), strict=True):
            found.append(_window(volume, size, base.flatten(0, 2), fraction.flatten(0, 2), self.radius))
        count, _, height, width = flow.shape
        return torch.cat(found, 1).view(count, height, width, -1).permute(0, 3, 1, 2)


class OnDemand:
    """Correlation of blocks of pixels with the box that their windows touch, computed on every look."""

    def __init__(self, features0: Tensor, features1: Tensor, radius: int) -> None:
        self.radius = radius
        self.queries = _scaled(features0).permute(0, 2, 3, 1).contiguous()
        self.levels = [level.permute(0, 2, 3, 1).contiguous() for level in _levels(features1)]

    def __call__(self, flow: Tensor) -> Tensor:
        """See `Correlation`."""
        count, _, height, width = flow.shape
        blocks = list(_blocks(height, width))
        found = []
        for level, (base, fraction) in zip(self.levels, _positions(flow), strict=True):
            boxes = _boxes(base, (level.shape[1], level.shape[2]), self.radius)
            for n in range(count):
                for (rows, columns), (left, top, right, bottom) in zip(blocks, boxes[n], strict=True):
                    box = level[n, top : bottom + 1, left : right + 1]
                    size = (box.shape[0], box.shape[1])
                    volume = self.queries[n, rows, columns].flatten(0, 1) @ box.flatten(0, 1).t()
                    origin = torch.tensor((left, top), device=base.device)
                    at = base[n, rows, columns].flatten(0, 1) - origin
                    found.append(_window(volume, size, at, fraction[n, rows, columns].flatten(0, 1), self.radius))
        return _joined(found, blocks, (count, height, width))


def _scaled(features: Tensor) -> Tensor:
    return features / math.sqrt(features.shape[1])


def _levels(features: Tensor) -> Iterator[Tensor]:
    """The features, and three times what average pooling leaves; a last odd row or column is dropped."""
    yield features
    for _ in range(_LEVELS - 1):
        features = F.avg_pool2d(features, 2)
        yield features


def _positions(flow: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """For each level the whole pixel and the fraction, both (N, H, W, 2), int64 and float32, x then y."""
    x, y = pixel_grid(flow.shape[2], flow.shape[3], flow.device)
    at = torch.stack((flow[:, 0] + x, flow[:, 1] + y), -1)
    for level in range(_LEVELS):
        position = at / 2**level
        whole = position.floor()
        # Far outside is outside as well; without a limit an absurd flow would overflow the integers.
        yield whole.clamp(-(2.0**20), 2.0**20).long(), position - whole


def _window(volume: Tensor, size: tuple[int, int], base: Tensor, fraction: Tensor, radius: int) -> Tensor:
    """Windows around one position per row of a volume, zero outside.

    Args:
        volume: (Q, H * W).
        size: (H, W).
        base: (Q, 2) int64, the whole part of the position, x then y.
        fraction: (Q, 2), the rest.
        radius: Of the window.

    Returns:
        (Q, (2 * radius + 1) ** 2), x before y.
    """
    height, width = size
    reach = torch.arange(-radius, radius + 2, device=base.device)
    x, y = base[:, 0:1] + reach, base[:, 1:2] + reach
    inside_x, inside_y = (x >= 0) & (x < width), (y >= 0) & (y < height)
    index = x.clamp(0, width - 1)[:, :, None] + (y.clamp(0, height - 1) * width)[:, None, :]
    values = volume.gather(1, index.flatten(1)).view(index.shape)
    fraction_x, fraction_y = fraction[:, 0:1], fraction[:, 1:2]
    before, after = inside_x[:, :-1] * (1 - fraction_x), inside_x[:, 1:] * fraction_x
    values = values[:, :-1] * before[:, :, None] + values[:, 1:] * after[:, :, None]
    before, after = inside_y[:, :-1] * (1 - fraction_y), inside_y[:, 1:] * fraction_y
    return (values[:, :, :-1] * before[:, None] + values[:, :, 1:] * after[:, None]).flatten(1)


def _blocks(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, height, _BLOCK):
        for left in range(0, width, _BLOCK):
            yield slice(top, min(top + _BLOCK, height)), slice(left, min(left + _BLOCK, width))


def _boxes(base: Tensor, size: tuple[int, int], radius: int) -> list[list[list[int]]]:
    """(left, top, right, bottom), all inside the picture, of what the windows of each block touch, by sample."""
    # Whole numbers below 2**24 pass through float32 unharmed, and pooling wants floats.
    at = base.permute(0, 3, 1, 2).float()
    high = F.max_pool2d(at, _BLOCK, ceil_mode=True) + (radius + 1)
    low = -F.max_pool2d(-at, _BLOCK, ceil_mode=True) - radius
    boxes = torch.cat((low, high), 1).flatten(2).transpose(1, 2)
    last = torch.tensor((size[1] - 1, size[0] - 1) * 2, device=base.device)
    inside: list[list[list[int]]] = torch.minimum(boxes.clamp_min(0).long(), last).tolist()
    return inside


def _joined(found: list[Tensor], blocks: list[tuple[slice, slice]], size: tuple[int, int, int]) -> Tensor:
    """Put blocks (Q, C), by level, sample and block, together as (N, levels * C, H, W)."""
    count, height, width = size
    channels = found[0].shape[1]
    result = found[0].new_empty(count, height, width, _LEVELS * channels)
    parts = iter(found)
    for level in range(_LEVELS):
        for n in range(count):
            for rows, columns in blocks:
                part = next(parts)
                target = result[n, rows, columns, level * channels : (level + 1) * channels]
                target.copy_(part.view(target.shape))
    return result.permute(0, 3, 1, 2)
