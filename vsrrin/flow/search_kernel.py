"""Dense inverse search on one level of a pyramid, compiled by Numba; see :mod:`vsrrin.flow.inverse_search`.

Patches are visited one after the other, there and back, as OpenCV does it, and each sees what those before it have
found. Nothing is contracted, so that flow has the same bits on every processor.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from vsrrin.nets.parts.kernels import compiled, inlined
from vsrrin.nets.parts.lanes import REAL, WHOLE, in_all, lanes, loaded, picked, store

from .inverse_search import LEAST_DETERMINANT, SIDE

type _Plane = NDArray[np.float32]

MARGIN = SIDE + 2
"""Pixels repeated around the other picture, which patches may leave all but a pixel."""
_STEPS = 4
"""Of gradient descent, at most, each time a patch is visited."""
_LEAST, _ONE, _NO_FIT = np.float32(LEAST_DETERMINANT), np.float32(1), np.float32(np.inf)
_AREA = _FARTHEST = np.float32(SIDE * SIDE)
"""Pixels of a patch; and the square of how far it may move."""
_BEFORE = np.float32(1 - SIDE)
"""Where patches begin that a single pixel of the picture is left of."""
_BYTES = 4
"""Of a value."""


def _row(builder: Any, address: Any) -> Any:
    return loaded(builder, address, SIDE)


def _sum(builder: Any, rows: list[Any]) -> Any:
    """Return the sum of all values of rows, added by halves."""
    while len(rows) > 1:
        half = len(rows) // 2
        rows = [builder.fadd(a, b) for a, b in zip(rows[:half], rows[half:], strict=True)]
    (values,), count = rows, SIDE
    while count > 1:
        count //= 2
        first, last = (picked(builder, values, values, range(at, at + count)) for at in (0, count))
        values = builder.fadd(first, last)
    return builder.extract_element(values, WHOLE(0))


def _differences(builder: Any, given: Any) -> Iterator[tuple[Any, Any]]:
    """Yield, for each row of a patch, what the other picture, bilinear, has more, and how far in memory the row is."""
    there, width, x, y, here, line = given
    x, y, above = in_all(builder, x, SIDE), in_all(builder, y, SIDE), None
    for number in range(SIDE + 1):
        down = builder.mul(width, ir.IntType(64)(number))
        left = builder.add(there, down)
        first, second = _row(builder, left), _row(builder, builder.add(left, ir.IntType(64)(_BYTES)))
        row = builder.fadd(first, builder.fmul(builder.fsub(second, first), x))
        if above is not None:
            at = builder.mul(line, ir.IntType(64)(number - 1))
            value = builder.fadd(above, builder.fmul(builder.fsub(row, above), y))
            yield builder.fsub(value, _row(builder, builder.add(here, at))), at
        above = row


_PLACE = (types.int64, types.int64, types.float32, types.float32, types.int64, types.int64)


def _many(kind: Any, count: int) -> Any:
    return types.UniTuple(kind, count)  # type: ignore[no-untyped-call]


def _fit_code(_: Any, there: Any, width: Any, x: Any, y: Any, here: Any, line: Any, across: Any, down: Any) -> Any:
    result = _many(types.float32, 4)

    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        rows = []
        for difference, at in _differences(builder, given[:6]):
            slopes = (_row(builder, builder.add(plane, at)) for plane in given[6:])
            rows.append((difference, *(builder.fmul(difference, each) for each in (difference, *slopes))))
        return context.make_tuple(builder, result, [_sum(builder, [*values]) for values in zip(*rows, strict=True)])

    return result(*_PLACE, types.int64, types.int64), write


def _moments_code(_: Any, across: Any, down: Any, line: Any) -> Any:
    result = _many(types.float32, 5)

    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        across, down, line = given
        rows = []
        for number in range(SIDE):
            at = builder.mul(line, ir.IntType(64)(number))
            x, y = (_row(builder, builder.add(plane, at)) for plane in (across, down))
            rows.append((x, y, *(builder.fmul(a, b) for a, b in ((x, x), (x, y), (y, y)))))
        return context.make_tuple(builder, result, [_sum(builder, [*values]) for values in zip(*rows, strict=True)])

    return result(types.int64, types.int64, types.int64), write


def _lay_code(_: Any, there: Any, width: Any, x: Any, y: Any, here: Any, line: Any, to: Any, u: Any, v: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        to, u, v = given[6:]
        one, planes = lanes(REAL, [1] * SIDE), [builder.extract_value(to, k) for k in range(3)]
        u, v = in_all(builder, u, SIDE), in_all(builder, v, SIDE)
        for difference, at in _differences(builder, given[:6]):
            size = one
            for value in (difference, builder.fneg(difference)):
                size = builder.select(builder.fcmp_ordered(">", value, size), value, size)
            share = builder.fdiv(one, size)
            for plane, value in zip(planes, (share, builder.fmul(share, u), builder.fmul(share, v)), strict=True):
                address = builder.add(plane, at)
                total = builder.fadd(_row(builder, address), value)
                store(builder, total, address)
        return context.get_dummy_value()

    return types.void(*_PLACE, _many(types.int64, 3), types.float32, types.float32), write


_fit: Callable[..., tuple[np.float32, np.float32, np.float32, np.float32]] = cast(Any, intrinsic(_fit_code))
"""Return the sums of the difference d, d * d, and d times both slopes over a patch: ``(address in the other picture,
bytes to its next row, parts of a pixel to the right and down, address in the own picture, bytes to the next row of it,
addresses of both slopes)``."""
_moments: Callable[..., tuple[np.float32, np.float32, np.float32, np.float32, np.float32]] = cast(
    Any, intrinsic(_moments_code)
)
"""Return the sums of the slopes x, y, x * x, x * y and y * y over a patch: ``(their addresses, bytes to the next
row)``."""
_lay: Callable[..., None] = cast(Any, intrinsic(_lay_code))
"""Add to the sums of weights and of weighted motion under a patch: ``(the first six as for _fit, addresses of the three
sums, motion)``."""


@inlined
def _there(other: int, wide: Any, x: Any, y: Any, last_x: Any, last_y: Any) -> tuple[Any, Any, Any]:
    """Return the address of the pixel at or before a place in the other picture, and what is left of a pixel."""
    x, y = x if x > _BEFORE else _BEFORE, y if y > _BEFORE else _BEFORE
    x, y = x if x < last_x else last_x, y if y < last_y else last_y
    row, column = np.int64(np.floor(y)), np.int64(np.floor(x))
    address = other + (row + MARGIN) * wide + _BYTES * (column + MARGIN)
    return address, x - np.float32(column), y - np.float32(row)


@compiled("(float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1], float32[:,:,:,::1], int64)", contract=False)
def search(
    here: _Plane, across: _Plane, down: _Plane, around: _Plane, guesses: NDArray[np.float32], stride: int
) -> None:
    """Find the motion of all patches.

    Args:
        here: The picture that patches are of, (H, W), 0 to 255.
        across: Its slope to the right, (H, W).
        down: Its slope downwards.
        around: The other picture, with a border of `MARGIN` pixels.
        guesses: Motion to begin with, (guesses, rows, columns, 2), (dx, dy) in pixels. The first is overwritten.
        stride: Pixels from patch to patch.
    """
    count, rows, columns = guesses.shape[0], guesses.shape[1], guesses.shape[2]
    motion, fits, moves = guesses[0], np.empty((rows, columns), np.float32), np.empty((rows, columns), np.bool_)
    ways = np.empty((rows, columns, 5), np.float32)
    line, wide = np.int64(_BYTES * here.shape[1]), np.int64(_BYTES * around.shape[1])
    own, own_x, own_y, other = here.ctypes.data, across.ctypes.data, down.ctypes.data, around.ctypes.data
    last_x, last_y = np.float32(here.shape[1] - 1), np.float32(here.shape[0] - 1)
    for turn in range(2):
        back, given = (-1, count) if turn == 0 else (1, 0)
        for number in range(rows * columns):
            patch = number if turn == 0 else rows * columns - 1 - number
            row, column = patch // columns, patch % columns
            top, left, way = row * stride, column * stride, ways[row, column]
            at = top * line + _BYTES * left
            if turn == 0:
                x, y, xx, xy, yy = _moments(own_x + at, own_y + at, line)
                determinant = xx * yy - xy * xy
                if abs(determinant) < _LEAST:
                    determinant = _LEAST
                way[0], way[1], way[2] = yy / determinant, -xy / determinant, xx / determinant
                way[3], way[4] = x / _AREA, y / _AREA
                fits[row, column], moves[row, column] = _NO_FIT, True
            u, v, best = motion[row, column, 0], motion[row, column, 1], fits[row, column]
            # What it was given, then what the patches above (below) and to the left (right) have found.
            for guess in range(given + 2):
                if guess < given:
                    x, y = guesses[guess, row, column, 0], guesses[guess, row, column, 1]
                else:
                    i, j = (row + back, column) if guess == given else (row, column + back)
                    if i < 0 or j < 0 or i >= rows or j >= columns:
                        continue
                    x, y = motion[i, j, 0], motion[i, j, 1]
                if x == u and y == v and best != _NO_FIT:
                    continue
                there, part_x, part_y = _there(other, wide, left + x, top + y, last_x, last_y)
                total, square, _, _ = _fit(there, wide, part_x, part_y, own + at, line, own_x + at, own_y + at)
                fit = square - total * total / _AREA
                if fit < best:
                    u, v, best, moves[row, column] = x, y, fit, True
            # One that had stopped, and has learned nothing new, has nothing to do.
            if moves[row, column]:
                motion_x, motion_y, before, moves[row, column] = u, v, _NO_FIT, False
                x, y = u, v
                for step in range(_STEPS + 1):
                    there, part_x, part_y = _there(other, wide, left + x, top + y, last_x, last_y)
                    total, square, to_x, to_y = _fit(
                        there, wide, part_x, part_y, own + at, line, own_x + at, own_y + at
                    )
                    fit = square - total * total / _AREA
                    if not fit < before:
                        break
                    motion_x, motion_y, before = x, y, fit
                    moves[row, column] = step == _STEPS
                    to_x, to_y = to_x - way[3] * total, to_y - way[4] * total
                    x, y = x - (way[0] * to_x + way[1] * to_y), y - (way[1] * to_x + way[2] * to_y)
                    if not (x - u) * (x - u) + (y - v) * (y - v) <= _FARTHEST:
                        motion_x, motion_y, before = u, v, best
                        break
                u, v, best = motion_x, motion_y, before
            motion[row, column, 0], motion[row, column, 1], fits[row, column] = u, v, best


@compiled("(float32[:,::1], float32[:,::1], float32[:,:,::1], float32[:,:,::1], int64)", contract=False)
def lay(here: _Plane, around: _Plane, motion: NDArray[np.float32], flow: NDArray[np.float32], stride: int) -> None:
    """Write the flow of all pixels: the mean of the patches on each, weighted by how well each fits there.

    Args:
        here: As for `search`.
        around: Likewise.
        motion: Of patches, (rows, columns, 2).
        flow: Is filled, (H, W, 2).
        stride: As for `search`.
    """
    height, width = here.shape
    rows, columns = motion.shape[0], motion.shape[1]
    totals = np.zeros((3, height, width), np.float32)
    line, wide = np.int64(_BYTES * width), np.int64(_BYTES * around.shape[1])
    own, other, sums = here.ctypes.data, around.ctypes.data, totals.ctypes.data
    last_x, last_y = np.float32(width - 1), np.float32(height - 1)
    for row in range(rows):
        for column in range(columns):
            u, v, top, left = motion[row, column, 0], motion[row, column, 1], row * stride, column * stride
            there, x, y = _there(other, wide, left + u, top + v, last_x, last_y)
            at = top * line + _BYTES * left
            to = sums + at, sums + height * line + at, sums + 2 * height * line + at
            _lay(there, wide, x, y, own + at, line, to, u, v)
    # At the right and at the bottom there may be fewer pixels than to the next patch.
    covered_x, covered_y = (columns - 1) * stride + SIDE, (rows - 1) * stride + SIDE
    for i in range(height):
        below = min(i, covered_y - 1)
        for j in range(covered_x):
            share = _ONE / totals[0, below, j]
            flow[i, j, 0], flow[i, j, 1] = totals[1, below, j] * share, totals[2, below, j] * share
        for j in range(covered_x, width):
            flow[i, j] = flow[i, covered_x - 1]
