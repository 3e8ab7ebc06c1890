"""Dense inverse search on one level of a pyramid, as batched tensor operations.

Kroeger, Timofte, Dai, Van Gool: "Fast Optical Flow using Dense Inverse Search", ECCV 2016. Patches of 8 x 8 pixels of
one picture look for their place in the other by gradient descent on the squared difference (the inverse compositional
method: gradients and Hessian are those of the patch that does not move), and take over the motion of a neighbour where
it fits better. Flow of a pixel is the mean of the patches on it, weighted by how well each fits there.

What the paper leaves open is as OpenCV 5.0 behaves, found by comparison: gradients are Sobel's, eight times too steep,
so that a step goes an eighth of its way; means of patches do not count, but in the Hessian they do; a patch that has
moved by more than its own side goes back to where it began. OpenCV visits the patches one after the other, there and
back, and each sees what those before it have found. Here all move at once, in rounds, so that motion spreads by one
patch a round: flow differs where several motions fit about equally well.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

SIDE = 8
"""Pixels a side of a patch."""

_ROUNDS, _STEPS = 6, 4
"""Rounds of so many steps of gradient descent each. Between them patches take over motion from their neighbours."""
_AT_ONCE = 2**16
"""Patches that are looked up at once, which bounds memory."""
LEAST_DETERMINANT = 1e-3
_MARGIN = SIDE + 2
"""Pixels repeated around the other picture, which patches may leave all but a pixel."""


class Patches:
    """All patches of pictures, and the pictures in which they are looked for.

    Motion of patches is (patches, 2), (dx, dy) in pixels.

    Args:
        first: (N, H, W) float32, 0 to 255, at least `SIDE` pixels a side.
        second: Likewise.
        stride: Pixels from patch to patch, at most `SIDE`.
    """

    def __init__(self, first: Tensor, second: Tensor, stride: int) -> None:
        count, self._height, self._width = first.shape
        self._stride = stride
        self._grid = count, 1 + (self._height - SIDE) // stride, 1 + (self._width - SIDE) // stride
        self._patch, slope_x, slope_y = (
            x.unfold(1, SIDE, stride).unfold(2, SIDE, stride).reshape(-1, SIDE, SIDE) for x in (first, *_slopes(first))
        )
        self._ways = _ways(slope_x, slope_y)
        around = F.pad(second[:, None], (_MARGIN,) * 4, mode="replicate")[:, 0]
        rows, row = around.shape[1:]
        # The 9 x 9 pixels that begin at each pixel: a view, of which patches are copied with one index each.
        begins = around.numel() - SIDE * (row + 1)
        self._windows = around.as_strided((begins, SIDE + 1, SIDE + 1), (1, row, 1))
        picture, y, x = (
            place.flatten()
            for place in torch.meshgrid(*(torch.arange(n, device=first.device) for n in self._grid), indexing="ij")
        )
        self._begin = (picture * rows + _MARGIN) * row + _MARGIN
        self._place = torch.stack((x, y), 1) * float(stride)
        # linspace makes pairs on the device; torch.tensor would copy them there and wait.
        self._furthest = torch.linspace(self._width - 1, self._height - 1, 2, device=first.device)
        self._strides = torch.linspace(1, row, 2, device=first.device).long()
        self._parts = [slice(begin, begin + _AT_ONCE) for begin in range(0, len(picture), _AT_ONCE)]

    def at_centres(self, flow: Tensor) -> Tensor:
        """Return flow of pixels, (N, 2, H, W), at the patches' centres."""
        _, rows, columns = self._grid
        there = flow[:, :, SIDE // 2 :: self._stride, SIDE // 2 :: self._stride][:, :, :rows, :columns]
        return there.permute(0, 2, 3, 1).reshape(-1, 2)

    def found(self, motion: Tensor) -> Tensor:
        """Return the motion that patches find from a first guess."""
        for number in range(_ROUNDS):
            if number:
                motion = self.best(self._with_neighbours(motion))
            motion = torch.cat([self._descended(motion[part], part) for part in self._parts])
        return motion

    def best(self, motions: Tensor) -> Tensor:
        """Return for each patch the one of several motions, (several, patches, 2), that fits it best."""
        costs = [_cost(self._difference(motions[:, part], part)) for part in self._parts]
        least = torch.cat(costs, 1).argmin(0)
        return motions.gather(0, least.view(1, -1, 1).expand(-1, -1, 2))[0]

    def _with_neighbours(self, motion: Tensor) -> Tensor:
        """Each patch's motion, then that of the four around it; (5, patches, 2)."""
        around = F.pad(motion.view(*self._grid, 2).permute(3, 0, 1, 2), (1, 1, 1, 1), mode="replicate")
        middle, before, after = slice(1, -1), slice(-2), slice(2, None)
        places = (middle, middle), (middle, before), (middle, after), (before, middle), (after, middle)
        return torch.stack([around[:, :, y, x] for y, x in places]).flatten(2).transpose(1, 2)

    def _descended(self, start: Tensor, part: slice) -> Tensor:
        """Motion after steps of gradient descent; each patch stops once it fits no better than a step before."""
        motion, least, ways = start, torch.full_like(start[:, 0], torch.inf), self._ways[part]
        moves = least > 0
        for _ in range(_STEPS):
            difference = self._difference(motion, part)
            step = (difference[:, None] * ways).sum((2, 3))
            motion = torch.where(moves[:, None], motion - step, motion)
            cost = _cost(difference)
            moves, least = moves & (cost < least), cost
        near = (motion - start).square().sum(1, keepdim=True) <= SIDE**2
        return torch.where(near, motion, start)

    def _difference(self, motion: Tensor, part: slice) -> Tensor:
        """What the other picture, bilinear, has more than patches (..., patches, 2) at the place they have moved to."""
        place = torch.minimum((self._place[part] + motion).clamp_min(1 - SIDE), self._furthest)
        corner = place.floor()
        window = self._windows[self._begin[part] + (corner.long() * self._strides).sum(-1)]
        x, y = (place - corner)[..., None, None].unbind(-3)
        window = torch.lerp(window[..., :-1], window[..., 1:], x)
        return torch.lerp(window[..., :-1, :], window[..., 1:, :], y) - self._patch[part]

    def flow(self, motion: Tensor) -> Tensor:
        """Return the flow of all pixels, (N, 2, H, W): the mean of the patches on each."""
        weights = torch.cat([1 / self._difference(motion[part], part).abs().clamp_min(1) for part in self._parts])
        totals = [self._laid(values) for values in (weights, *(weights * axis.view(-1, 1, 1) for axis in motion.T))]
        mean = torch.stack(totals[1:], 1) / totals[0][:, None]
        # At the right and at the bottom there may be fewer pixels than to the next patch.
        return F.pad(mean, (0, self._width - mean.shape[-1], 0, self._height - mean.shape[-2]), mode="replicate")

    def _laid(self, values: Tensor) -> Tensor:
        """Sums of what patches (patches, 8, 8) have on the pixels under them, (N, h, w)."""
        count, rows, columns = self._grid
        stride, overlap = self._stride, -(-SIDE // self._stride)
        # Each patch covers so many squares of the side of the stride, and each square is of one patch for each of them.
        values = F.pad(values, (0, overlap * stride - SIDE) * 2).view(count, rows, columns, overlap, stride, -1, stride)
        total = values.new_zeros(count, rows + overlap - 1, stride, columns + overlap - 1, stride)
        for down in range(overlap):
            for right in range(overlap):
                square = values[:, :, :, down, :, right].transpose(2, 3)
                total[:, down : down + rows, :, right : right + columns] += square
        covered = (rows - 1) * stride + SIDE, (columns - 1) * stride + SIDE
        return total.reshape(count, total.shape[1] * stride, -1)[:, : covered[0], : covered[1]]


def pyramid_scales(height: int, width: int, finest: int) -> range:
    """Return the levels of the pyramid of a picture, from the finest, 0 for its own size, to the coarsest one."""
    long, short = max(height, width), min(height, width)
    coarsest = min(int(math.log2(long / (4 * SIDE)) + 0.5), int(math.log2(short / SIDE)))
    return range(min(finest, coarsest), coarsest + 1)


def _slopes(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's gradients along x and y, not normalised."""
    around = F.pad(pictures[:, None], (1, 1, 1, 1), mode="reflect")[:, 0]
    across, down = around[:, :, 2:] - around[:, :, :-2], around[:, 2:] - around[:, :-2]
    return (
        across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:],
        down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:],
    )


def _ways(slope_x: Tensor, slope_y: Tensor) -> Tensor:
    """How far a step goes for each grey level that a pixel of a patch differs by, (patches, 2, 8, 8): (dx, dy)."""
    slopes = torch.stack((slope_x, slope_y), 1)
    xx, yy = slopes.square().sum((2, 3)).unbind(1)
    xy = (slope_x * slope_y).sum((1, 2))
    determinant = xx * yy - xy * xy
    determinant = torch.where(determinant.abs() < LEAST_DETERMINANT, LEAST_DETERMINANT, determinant)
    inverse = torch.stack((yy, -xy, -xy, xx), 1).view(-1, 2, 2, 1, 1) / determinant.view(-1, 1, 1, 1, 1)
    # Less their means, so that those of patches do not count.
    return (inverse * (slopes - slopes.mean((2, 3), keepdim=True))[:, None]).sum(2)


def _cost(difference: Tensor) -> Tensor:
    """Mean square of the difference, (..., 8, 8), around its mean."""
    return difference.square().mean((-2, -1)) - difference.mean((-2, -1)).square()  # `var` takes ten times as long
