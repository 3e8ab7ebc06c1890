"""Pass over memory, compiled by Numba, that carries fast motion to its place; see :mod:`vsrrin.nets.parts.kernels`."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from .kernels import compiled, load


def _store_code(_: Any, address: Any, value: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        builder.store(given[1], builder.inttoptr(given[0], ir.FloatType().as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.float32), write


_HALF = np.float32(0.5)
_store: Callable[[Any, np.float32], None] = cast(Any, intrinsic(_store_code))


@compiled("(int64[:,::1], float32[::1], int64, int64)")
def carry(table: NDArray[np.int64], numbers: NDArray[np.float32], height: int, width: int) -> None:
    """Carry fast motion to its place between two frames.

    Args:
        table: Planes of the flow (2), of the flow back (2) and of the motion that is overwritten (2).
        numbers: Share of the way that has been gone; motion of most of the picture (2); by how many pixels a motion
            must be faster, beside that; steps of speed a pixel; by how many pixels both ways may be apart.
        height: Pixels.
        width: Pixels.
    """
    way, whole_x, whole_y = numbers[0], numbers[1], numbers[2]
    faster, steps, apart = numbers[3], numbers[4], numbers[5]
    step_x, step_y, least = table[0, 2], table[1, 2], faster * faster
    rows = np.zeros(height, np.bool_)
    for y in range(height):
        at_x, at_y = table[0, 0] + y * table[0, 1], table[1, 0] + y * table[1, 1]
        most = np.float32(0)
        for x in range(width):
            across, down = load(at_x + x * step_x) - whole_x, load(at_y + x * step_y) - whole_y
            most = max(most, across * across + down * down)
        rows[y] = most > least
    if not rows.any():  # as it is most often
        return
    fastest, source = np.full(height * width, np.float32(-1)), np.empty(height * width, np.int64)
    for y in range(height):
        if not rows[y]:
            continue
        at_x, at_y = table[0, 0] + y * table[0, 1], table[1, 0] + y * table[1, 1]
        for x in range(width):
            across, down = load(at_x + x * step_x), load(at_y + x * step_y)
            square = (across - whole_x) * (across - whole_x) + (down - whole_y) * (down - whole_y)
            if not square > least:
                continue
            column, row = np.floor(np.float32(x) + across + _HALF), np.floor(np.float32(y) + down + _HALF)
            if not (column >= 0 and column < width and row >= 0 and row < height):
                continue
            i, j = np.int64(row), np.int64(column)
            error_x = across + load(table[2, 0] + i * table[2, 1] + j * table[2, 2])
            error_y = down + load(table[3, 0] + i * table[3, 1] + j * table[3, 2])
            if not np.sqrt(error_x * error_x + error_y * error_y) <= apart:
                continue
            # Between two places of the picture.
            i = np.int64(np.floor(np.float32(y) + way * down + _HALF))
            j = np.int64(np.floor(np.float32(x) + way * across + _HALF))
            speed = np.rint(np.sqrt(square) * steps)
            if speed >= fastest[i * width + j]:
                fastest[i * width + j], source[i * width + j] = speed, y * width + x
    for y in range(height):
        for x in range(width):
            speed = fastest[y * width + x]
            if speed < 0:
                continue
            first = table[4, 0] + y * table[4, 1] + x * table[4, 2]
            second = table[5, 0] + y * table[5, 1] + x * table[5, 2]
            across, down = load(first) - whole_x, load(second) - whole_y
            if speed > (np.sqrt(across * across + down * down) + faster) * steps:
                i, j = divmod(source[y * width + x], width)
                _store(first, load(table[0, 0] + i * table[0, 1] + j * table[0, 2]))
                _store(second, load(table[1, 0] + i * table[1, 1] + j * table[1, 2]))
