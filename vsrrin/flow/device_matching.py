"""Coarse motion by exhaustive block matching, as batched tensor operations.

The first of the two searches of :mod:`vsrrin.flow.block_matching`, on any device. The second one, for small things, is
not made here.
"""

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

from .block_matching import BLOCK, MEDIAN, PENALTY, REACH, SHIFTS, STEP, reduced_size
from .resampling import area_reduced, sampled, whole_levels


def coarse_flow(first: Tensor, second: Tensor) -> Tensor | None:
    """Return the coarse motion of pictures on any device: the first search of `coarse_motion`, one direction.

    Args:
        first: (N, H, W) float32, whole grey levels, 0 to 255.
        second: Likewise.

    Returns:
        Flow from the first to the second, (N, 2, H, W), (dx, dy) in pixels; ``None`` for pictures too small for it.
    """
    height, width = first.shape[-2:]
    size = reduced_size(height, width)
    if size is None:
        return None
    by_two = (height, width) == (2 * size[0], 2 * size[1])
    shifts = _match(*(whole_levels(area_reduced(x, *size), by_two) for x in (first, second)))
    places = []
    for length, small in zip((height, width), size, strict=True):
        step, start = _placed(small / length)
        places.append(torch.arange(length, device=first.device) * step + start)
    flow = sampled(shifts, *places)
    return torch.stack((flow[:, 0] * (width / size[1]), flow[:, 1] * (height / size[0])), 1)


def _match(block_of: Tensor, within: Tensor) -> Tensor:
    """Shift of each block of pictures to where it lies in others, reduced pixels, on the grid of blocks.

    Pictures are (N, h, w), shifts (N, 2, rows, columns).

    The sums of squared differences come from correlations, as |a - b|^2 = |a|^2 - 2ab + |b|^2: those of cells, of which
    a block has two by two, in one convolution with a channel for each cell. Sums of 8-bit values squared are exact in
    float32, in any order (and factors of 8 bit in TF32, which CUDA devices may take for convolutions).
    """
    count = len(block_of)
    rows, columns = ((side - BLOCK) // STEP + 1 for side in block_of.shape[-2:])
    picture = block_of[:, : (rows + 1) * STEP, : (columns + 1) * STEP]
    cells = picture.unfold(1, STEP, STEP).unfold(2, STEP, STEP).reshape(-1, 1, STEP, STEP)
    area = F.pad(within[:, None], (REACH,) * 4, mode="replicate")[:, 0]
    around = _windows(area, STEP + 2 * REACH, rows + 1, columns + 1)
    product = F.conv2d(around[None], cells, groups=len(cells)).view(count, rows + 1, columns + 1, SHIFTS, SHIFTS)
    product = product[:, :-1] + product[:, 1:]
    product = product[:, :, :-1] + product[:, :, 1:]
    energy = _windows(_sums(area), SHIFTS, rows, columns)
    cost = torch.sub(energy.view_as(product), product, alpha=2).add_(PENALTY.to(product.device))
    best = _first_least(cost.view(count * rows * columns, -1)).view(count, rows, columns)
    return _median(torch.stack((best % SHIFTS, best // SHIFTS), 1).float() - REACH)


def _first_least(cost: Tensor) -> Tensor:
    """Place of the least of each row."""
    if cost.device.type == "cpu":
        return torch.from_numpy(cost.numpy().argmin(1))  # many times faster than PyTorch's
    return cost.argmin(1)


def _median(shifts: Tensor) -> Tensor:
    """Median of (N, C, rows, columns) around each block; the border is repeated."""
    around = F.pad(shifts, (MEDIAN // 2,) * 4, mode="replicate")
    return around.unfold(2, MEDIAN, 1).unfold(3, MEDIAN, 1).flatten(4).sort().values[..., MEDIAN**2 // 2]


def _sums(area: Tensor) -> Tensor:
    """Sums of squares over the block that begins at each pixel, (N, H, W) to (N, H - 7, W - 7)."""
    return F.avg_pool2d(area.square()[:, None], BLOCK, stride=1)[:, 0] * BLOCK**2


def _windows(pictures: Tensor, side: int, rows: int, columns: int) -> Tensor:
    """The squares of that side around blocks or cells of pictures (N, H, W), (all, side, side)."""
    squares = pictures.unfold(1, side, STEP).unfold(2, side, STEP)
    return squares[:, :rows, :columns].reshape(-1, side, side)


def _placed(scale: float) -> tuple[float, float]:
    """Step and start, in blocks, of a frame's pixels on the grid of blocks, each of which counts at its centre."""
    return scale / STEP, ((scale - 1) / 2 - (BLOCK - 1) / 2) / STEP
