"""Coarse motion by exhaustive block matching on strongly reduced pictures, from which DIS optical flow starts.

DIS looks for motion from its coarsest level on by gradient descent, and does not find what moved by more than a few
pixels of that level, or a small thing that moves otherwise than its surroundings. Block matching does: every shift is
tried.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from numpy.typing import NDArray
from torch import Tensor

type Grey = NDArray[np.uint8]
"""(H, W), 8 bit."""
type Flow = NDArray[np.float32]
"""(H, W, 2), (dx, dy) in pixels."""

_REDUCTION = 4
"""Pixels a side of a reduced pixel, of pictures of half the frames' size; doubled until the longer side has at most
`_LONGEST`."""
_LONGEST = 128
_BLOCK, _STEP = 8, 4
"""Side and distance of blocks, reduced pixels."""
_REACH = 16
"""Largest shift along each axis, reduced pixels."""
_SHORTEST = 16
"""Reduced pixels a side below which there are too few blocks to match."""
_LENGTH_COST = 2.0
"""Squared grey levels by which a shift must be better for each reduced pixel that it is longer."""
_MEDIAN = 5
"""Side of the median filter over blocks, which takes out lone mismatches."""
_SHIFTS = 2 * _REACH + 1
"""Shifts that are tried along each axis."""
_ALONG = torch.arange(-_REACH, _REACH + 1, dtype=torch.float32)
_PENALTY = _LENGTH_COST * _BLOCK * _BLOCK * torch.hypot(_ALONG[:, None], _ALONG)


def coarse_motion(grey0: Grey, grey1: Grey) -> tuple[Flow, Flow] | None:
    """Return the coarse motion of a pair, both directions.

    Args:
        grey0: Frame 0, reduced to (H, W): to half its size as a rule.
        grey1: Frame 1, likewise.

    Returns:
        Flow 0->1 and 1->0, each (H, W, 2), contiguous; ``None`` for frames too small for it.
    """
    height, width = grey0.shape
    reduction = _REDUCTION
    while max(height, width) / reduction > _LONGEST:
        reduction *= 2
    size = round(width / reduction), round(height / reduction)
    if min(size) < _SHORTEST:
        return None
    small0, small1 = (
        np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32) for grey in (grey0, grey1)
    )
    forth, back = _match(small0, small1), _match(small1, small0)
    return _enlarged(forth, height, width, size), _enlarged(back, height, width, size)


def _match(block_of: NDArray[np.float32], within: NDArray[np.float32]) -> Flow:
    """Shift of each block of one picture to where it lies in the other, reduced pixels, on the grid of blocks.

    The sums of squared differences come from correlations, as |a - b|^2 = |a|^2 - 2ab + |b|^2: those of cells, of which
    a block has two by two, in one convolution with a channel for each cell. Sums of 8-bit values squared are exact in
    float32, in any order.
    """
    rows, columns = ((side - _BLOCK) // _STEP + 1 for side in block_of.shape)
    picture = torch.from_numpy(block_of)[: (rows + 1) * _STEP, : (columns + 1) * _STEP]
    cells = picture.unfold(0, _STEP, _STEP).unfold(1, _STEP, _STEP).reshape(-1, 1, _STEP, _STEP)
    area = F.pad(torch.from_numpy(within)[None, None], (_REACH,) * 4, mode="replicate")
    around = _windows(area, _STEP + 2 * _REACH, rows + 1, columns + 1)
    product = F.conv2d(around[None], cells, groups=len(cells)).view(rows + 1, columns + 1, _SHIFTS, _SHIFTS)
    product = product[:-1] + product[1:]
    product = product[:, :-1] + product[:, 1:]
    energy = _windows(_sums(area[0, 0]), _SHIFTS, rows, columns)
    cost = torch.sub(energy.view_as(product), product, alpha=2).add_(_PENALTY)
    best = cost.view(rows * columns, -1).numpy().argmin(1)  # many times faster than PyTorch's
    shifts = (best % _SHIFTS, best // _SHIFTS)
    channels = (cv2.medianBlur((axis.reshape(rows, columns) - _REACH).astype(np.float32), _MEDIAN) for axis in shifts)
    return np.stack([np.asarray(channel, np.float32) for channel in channels], axis=-1)


def _sums(area: Tensor) -> Tensor:
    """Sums of squares over the block that begins at each pixel, (1, 1, H - 7, W - 7)."""
    size = (_BLOCK, _BLOCK)
    squares = cv2.boxFilter(area.square().numpy(), -1, size, anchor=(0, 0), normalize=False)
    return torch.from_numpy(np.asarray(squares)[None, None, : 1 - _BLOCK, : 1 - _BLOCK])


def _windows(picture: Tensor, side: int, rows: int, columns: int) -> Tensor:
    """The squares of that side around blocks or cells, (count, side, side), of a picture (1, 1, H, W)."""
    squares = picture[0, 0].unfold(0, side, _STEP).unfold(1, side, _STEP)
    return squares[:rows, :columns].reshape(-1, side, side)


def _enlarged(shift: Flow, height: int, width: int, size: tuple[int, int]) -> Flow:
    """Shifts of blocks as flow of the whole frame, bilinear between the blocks' centres."""
    scale = size[0] / width, size[1] / height
    # Frame pixel to place on the grid of blocks, each of which counts at its centre.
    steps = [s / _STEP for s in scale]
    starts = [((s - 1) / 2 - (_BLOCK - 1) / 2) / _STEP for s in scale]
    place = np.array(((steps[0], 0, starts[0]), (0, steps[1], starts[1])), np.float64)
    flow = cv2.warpAffine(
        np.divide(shift, np.array(scale, np.float32), dtype=np.float32),
        place,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(flow, np.float32)
