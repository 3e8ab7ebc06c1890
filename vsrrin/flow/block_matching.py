"""Coarse motion by exhaustive block matching on strongly reduced pictures, from which DIS optical flow starts.

DIS looks for motion from its coarsest level on by gradient descent, and does not find what moved by more than a few
pixels of that level, or a small thing that moves otherwise than its surroundings. Block matching does: every shift is
tried, once on strongly reduced pictures, and on pictures twice as fine again for the blocks that this explains worst:
those of small things.
"""

from dataclasses import dataclass
from types import ModuleType

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from vsrrin.nets.parts.fused import kernels

type Grey = NDArray[np.uint8]
"""(H, W), 8 bit."""
type Flow = NDArray[np.float32]
"""(H, W, 2), (dx, dy) in pixels."""

_REDUCTION = 4
"""Pixels a side of a reduced pixel, of pictures of half the frames' size; doubled until the longer side has at most
`_LONGEST`."""
_LONGEST = 128
BLOCK, STEP = 8, 4
"""Side and distance of blocks, reduced pixels."""
REACH = 16
"""Largest shift along each axis, reduced pixels."""
_SHORTEST = 16
"""Reduced pixels a side below which there are too few blocks to match."""
_LENGTH_COST = 2.0
"""Squared grey levels by which a shift must be better for each reduced pixel that it is longer."""
MEDIAN = 5
"""Side of the median filter over blocks, which takes out lone mismatches."""
SHIFTS = 2 * REACH + 1
"""Shifts that are tried along each axis."""
_ALONG = torch.arange(-REACH, REACH + 1, dtype=torch.float32)
PENALTY = _LENGTH_COST * BLOCK * BLOCK * torch.hypot(_ALONG[:, None], _ALONG)

_SHARE = 8
"""At most one in so many blocks of the pictures twice as fine is searched again, so that the time is bounded."""
_MISSED = 30.0
"""Mean squared difference, grey levels, that the coarse shift must leave for a block to be searched again."""
_GAIN = 8.0
"""Mean squared difference, grey levels, by which half of what the coarse shift leaves must be beaten."""
_FINE_REACH = 16
"""Largest shift along each axis in the second search, pixels of the pictures twice as fine."""
_FARTHEST = 32
"""Pixels from the coarse shift from which on it costs no more to differ from it."""
_APART = 2
"""Pixels that the two directions of a block may differ."""
_KERNEL = "vsrrin.flow.matching_kernel"
_SPARE = 7
"""Shifts along a row that the kernel tries beyond those that count."""
_PENALTY, _FREE = (
    np.pad(np.asarray(shifts, np.float32), ((0, 0), (0, _SPARE)), constant_values=np.inf)
    for shifts in (PENALTY, np.zeros((2 * _FINE_REACH + 1,) * 2))
)
"""Penalties of shifts for the kernel, in the first search and in the second, which has none."""
_MARGIN = 2 * REACH + 1
"""Pixels by which the finer pictures are widened: a coarse shift, and one more."""


def coarse_motion(grey0: Grey, grey1: Grey) -> tuple[Flow, Flow] | None:
    """Return the coarse motion of a pair, both directions.

    Args:
        grey0: Frame 0, reduced to (H, W): to half its size as a rule.
        grey1: Frame 1, likewise.

    Returns:
        Flow 0->1 and 1->0, each (H, W, 2), contiguous; ``None`` for frames too small for it.
    """
    height, width = grey0.shape
    reduced = reduced_size(height, width)
    if reduced is None:
        return None
    size = reduced[::-1]
    small0, small1 = (_reduced(grey, size) for grey in (grey0, grey1))
    fine = 2 * size[0], 2 * size[1]
    fine0, fine1 = (_reduced(grey, fine) for grey in (grey0, grey1))
    forth = _searched_again(fine0, fine1, _match(small0, small1))
    back = _searched_again(fine1, fine0, _match(small1, small0))
    return _enlarged(_agreed(forth, back), height, width, fine), _enlarged(_agreed(back, forth), height, width, fine)


def reduced_size(height: int, width: int) -> tuple[int, int] | None:
    """Return (height, width) of the strongly reduced pictures; ``None`` for pictures too small to be matched."""
    reduction = _REDUCTION
    while max(height, width) / reduction > _LONGEST:
        reduction *= 2
    size = round(height / reduction), round(width / reduction)
    return None if min(size) < _SHORTEST else size


def _match(block_of: NDArray[np.float32], within: NDArray[np.float32]) -> Flow:
    """Shift of each block of one picture to where it lies in the other, reduced pixels, on the grid of blocks.

    The sums of squared differences come from correlations, as |a - b|^2 = |a|^2 - 2ab + |b|^2. Sums of 8-bit values
    squared are exact in float32, in any order.
    """
    rows, columns = ((side - BLOCK) // STEP + 1 for side in block_of.shape)
    if (kernel := kernels(_KERNEL)) is not None:
        blocks = sliding_window_view(block_of, (BLOCK, BLOCK))[::STEP, ::STEP][:rows, :columns].reshape(
            -1, BLOCK, BLOCK
        )
        row, column = np.divmod(np.arange(rows * columns), columns)
        best, _ = _by_kernel(kernel, blocks, _widened(within, REACH), row * STEP, column * STEP, _PENALTY)
    else:
        best = _by_convolution(torch.from_numpy(block_of), torch.from_numpy(within), rows, columns)
    shifts = (best % SHIFTS, best // SHIFTS)
    channels = (cv2.medianBlur((axis.reshape(rows, columns) - REACH).astype(np.float32), MEDIAN) for axis in shifts)
    return np.stack([np.asarray(channel, np.float32) for channel in channels], axis=-1)


def _by_convolution(block_of: Tensor, within: Tensor, rows: int, columns: int) -> NDArray[np.intp]:
    """Number of each block's best shift; correlations of cells, of which a block has two by two, in one convolution."""
    picture = block_of[: (rows + 1) * STEP, : (columns + 1) * STEP]
    cells = picture.unfold(0, STEP, STEP).unfold(1, STEP, STEP).reshape(-1, 1, STEP, STEP)
    area = F.pad(within[None, None], (REACH,) * 4, mode="replicate")
    around = _windows(area, STEP + 2 * REACH, rows + 1, columns + 1)
    product = F.conv2d(around[None], cells, groups=len(cells)).view(rows + 1, columns + 1, SHIFTS, SHIFTS)
    product = product[:-1] + product[1:]
    product = product[:, :-1] + product[:, 1:]
    energy = _windows(_sums(area[0, 0]), SHIFTS, rows, columns)
    cost = torch.sub(energy.view_as(product), product, alpha=2).add_(PENALTY)
    return cost.view(rows * columns, -1).numpy().argmin(1)  # many times faster than PyTorch's


def _by_kernel(
    kernel: ModuleType,
    blocks: NDArray[np.float32],
    area: NDArray[np.float32],
    tops: NDArray[np.intp],
    lefts: NDArray[np.intp],
    penalty: NDArray[np.float32],
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Number of each block's best shift among those that count, and its cost.

    Args:
        kernel: The module that finds it.
        blocks: (blocks, 8, 8), whole grey levels.
        area: The other picture, `_widened`.
        tops: Row of it where each block lies after the first shift.
        lefts: Column likewise.
        penalty: `_PENALTY` or `_FREE`.
    """
    best, least = np.empty(len(blocks), np.int64), np.empty(len(blocks), np.float32)
    energy = _sums(torch.from_numpy(area))[0, 0].numpy()
    kernel.match(np.ascontiguousarray(blocks), area, energy, tops, lefts, penalty, best, least)
    down, across = np.divmod(best, penalty.shape[1])
    return down * (penalty.shape[1] - _SPARE) + across, least


def _widened(picture: NDArray[np.float32], margin: int) -> NDArray[np.float32]:
    """Picture with its border repeated, and with columns more that only shifts that do not count lead to."""
    wide = cv2.copyMakeBorder(picture, margin, margin, margin, margin + _SPARE, cv2.BORDER_REPLICATE)
    return np.asarray(wide, np.float32)


@dataclass(frozen=True)
class _Again:
    """Shifts of blocks of pictures twice as fine, in their pixels.

    Those of the coarse search, and in their place what was found again for the blocks of these numbers.
    """

    coarse: Flow
    blocks: NDArray[np.intp]
    found: Flow

    def all(self) -> Flow:
        """Return the shifts of all blocks, (rows, columns, 2)."""
        shift = self.coarse.copy()
        shift.reshape(-1, 2)[self.blocks] = self.found
        return shift


def _searched_again(block_of: NDArray[np.float32], within: NDArray[np.float32], coarse: Flow) -> _Again:
    """Search pictures twice as fine for blocks that the coarse shift explains badly.

    What is small is found there. Other blocks keep their shift: small blocks are more often mistaken for others.
    """
    rows, columns = ((side - BLOCK) // STEP + 1 for side in block_of.shape)
    # Block j lies halfway from coarse block (j - 1) / 2.
    place = np.array(((0.5, 0, -0.5), (0, 0.5, -0.5)))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    enlarged = cv2.warpAffine(coarse * 2, place, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    start = np.asarray(enlarged, np.float32)
    whole = np.rint(start).astype(np.intp)
    area = _widened(within, _MARGIN)
    tops = np.arange(rows)[:, None] * STEP + _MARGIN + whole[..., 1]
    lefts = np.arange(columns) * STEP + _MARGIN + whole[..., 0]
    own = sliding_window_view(block_of, (BLOCK, BLOCK))[::STEP, ::STEP][:rows, :columns]
    missed = _squared(own - sliding_window_view(area, (BLOCK, BLOCK))[tops, lefts]).ravel()
    worst = np.argsort(-missed, kind="stable")[: rows * columns // _SHARE]
    worst = np.sort(worst[missed[worst] > _MISSED * BLOCK * BLOCK])
    row, column = np.divmod(worst, columns)
    if not len(worst):
        return _Again(start, worst, np.zeros((0, 2), np.float32))
    blocks = np.ascontiguousarray(own[row, column])
    near = sliding_window_view(area, (BLOCK + 2,) * 2)[tops[row, column] - 1, lefts[row, column] - 1]
    known = np.minimum.reduce(
        [_squared(blocks - near[:, y : y + BLOCK, x : x + BLOCK]) for y in range(3) for x in range(3)]
    )
    found, least = _least(blocks, area, row, column)
    apart = np.hypot(*(found - whole[row, column]).T)
    better = least + (_GAIN + _LENGTH_COST * np.minimum(apart, _FARTHEST)) * BLOCK * BLOCK < known / 2
    return _Again(start, worst[better], found[better])


def _least(
    blocks: NDArray[np.float32], area: NDArray[np.float32], row: NDArray[np.intp], column: NDArray[np.intp]
) -> tuple[Flow, NDArray[np.float32]]:
    """Shift of least squared difference of some blocks, and that difference."""
    edge, shifts = _MARGIN - _FINE_REACH, 2 * _FINE_REACH + 1
    if (kernel := kernels(_KERNEL)) is not None:
        best, least = _by_kernel(kernel, blocks, area, row * STEP + edge, column * STEP + edge, _FREE)
    else:
        around = torch.from_numpy(area)[edge:-edge, edge : -edge - _SPARE].contiguous()
        side, at = BLOCK + 2 * _FINE_REACH, (torch.from_numpy(row), torch.from_numpy(column))
        windows = around.unfold(0, side, STEP).unfold(1, side, STEP)[at]
        product = F.conv2d(windows[None], torch.from_numpy(blocks)[:, None], groups=len(blocks))[0]
        energy = _sums(around)[0, 0].unfold(0, shifts, STEP).unfold(1, shifts, STEP)[at]
        cost = torch.sub(energy, product, alpha=2).view(len(blocks), -1).numpy()
        best = cost.argmin(1)
        least = cost[np.arange(len(best)), best]
    found = np.stack((best % shifts, best // shifts), axis=-1) - _FINE_REACH
    return found.astype(np.float32), least + _squared(blocks)


def _agreed(here: _Again, there: _Again) -> Flow:
    """Shifts of one direction; what was found again counts where the other direction leads back."""
    shift, back = here.coarse.copy(), there.all()
    rows, columns = shift.shape[:2]
    row, column = np.divmod(here.blocks, columns)
    x, y = column + here.found[:, 0] / STEP, row + here.found[:, 1] / STEP
    met = np.zeros(len(here.blocks), bool)
    for down in (np.floor(y), np.ceil(y)):
        for across in (np.floor(x), np.ceil(x)):
            at = np.clip(down, 0, rows - 1).astype(np.intp), np.clip(across, 0, columns - 1).astype(np.intp)
            met |= np.abs(back[at] + here.found).max(-1) <= _APART
    shift[row[met], column[met]] = here.found[met]
    return shift


def _squared(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of squares over blocks."""
    sums = np.einsum("...ij,...ij->...", difference, difference)
    return np.asarray(sums, np.float32)


def _reduced(grey: Grey, size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)


def _sums(area: Tensor) -> Tensor:
    """Sums of squares over the block that begins at each pixel, (1, 1, H - 7, W - 7)."""
    size = (BLOCK, BLOCK)
    squares = cv2.boxFilter(area.square().numpy(), -1, size, anchor=(0, 0), normalize=False)
    return torch.from_numpy(np.asarray(squares)[None, None, : 1 - BLOCK, : 1 - BLOCK])


def _windows(picture: Tensor, side: int, rows: int, columns: int) -> Tensor:
    """The squares of that side around blocks or cells, (count, side, side), of a picture (1, 1, H, W)."""
    squares = picture[0, 0].unfold(0, side, STEP).unfold(1, side, STEP)
    return squares[:rows, :columns].reshape(-1, side, side)


def _enlarged(shift: Flow, height: int, width: int, size: tuple[int, int]) -> Flow:
    """Shifts of blocks as flow of the whole frame, bilinear between the blocks' centres."""
    scale = size[0] / width, size[1] / height
    # Frame pixel to place on the grid of blocks, each of which counts at its centre.
    steps = [s / STEP for s in scale]
    starts = [((s - 1) / 2 - (BLOCK - 1) / 2) / STEP for s in scale]
    place = np.array(((steps[0], 0, starts[0]), (0, steps[1], starts[1])), np.float64)
    flow = cv2.warpAffine(
        np.divide(shift, np.array(scale, np.float32), dtype=np.float32),
        place,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(flow, np.float32)
