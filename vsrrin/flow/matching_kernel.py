"""Exhaustive matching of blocks, compiled by Numba; see :mod:`vsrrin.flow.block_matching`."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from vsrrin.nets.parts.kernels import compiled
from vsrrin.nets.parts.lanes import REAL, WHOLE, in_all, lanes, loaded, picked, store

BLOCK = 8
"""Pixels a side of a block."""
ROWS, AT_ONCE = 3, 40
"""Shifts that are tried at once."""
_LANES = 8
_BYTES = 4
"""Of a value."""


def _costs_code(_: Any, block: Any, area: Any, width: Any, energy: Any, line: Any, penalty: Any, to: Any) -> Any:
    parts, contract = range(0, AT_ONCE, _LANES), ("contract",)  # sums of 8-bit values squared are exact in any case

    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        def at(address: Any, pixels: int, row: int = 0, width: Any = None) -> Any:
            address = builder.add(address, ir.IntType(64)(_BYTES * pixels))
            return address if width is None else builder.add(address, builder.mul(width, ir.IntType(64)(row)))

        block, area, width, energy, line, penalty, to = given
        products = [[lanes(REAL, [0] * _LANES) for _ in parts] for _ in range(ROWS)]
        # A pixel of the other picture is read once for all rows of shifts.
        for y in range(BLOCK + ROWS - 1):
            for x in range(BLOCK):
                there = [loaded(builder, at(area, x + part, y, width), _LANES) for part in parts]
                for row in range(max(y - BLOCK + 1, 0), min(y + 1, ROWS)):
                    value = loaded(builder, at(block, BLOCK * (y - row) + x), 1)
                    pixel = in_all(builder, builder.extract_element(value, WHOLE(0)), _LANES)
                    for part, other in enumerate(there):
                        more = builder.fmul(pixel, other, flags=contract)
                        products[row][part] = builder.fadd(products[row][part], more, flags=contract)
        least, minus_two = None, lanes(REAL, [-2] * _LANES)
        for row in range(ROWS):
            for product, part in zip(products[row], parts, strict=True):
                square = loaded(builder, at(energy, part, row, line), _LANES)
                cost = builder.fadd(square, builder.fmul(product, minus_two))
                cost = builder.fadd(cost, loaded(builder, at(penalty, AT_ONCE * row + part), _LANES))
                store(builder, cost, at(to, AT_ONCE * row + part))
                least = cost if least is None else _less(builder, cost, least)
        count = _LANES
        while count > 1:
            count //= 2
            least = _less(builder, *(picked(builder, least, least, range(at, at + count)) for at in (0, count)))
        return builder.extract_element(least, WHOLE(0))

    return types.float32(*[types.int64] * 7), write


def _less(builder: Any, first: Any, second: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", first, second), first, second)


_costs: Callable[..., np.float32] = cast(Any, intrinsic(_costs_code))
"""Write the costs of `ROWS` times `AT_ONCE` shifts of a block and return the least: ``(address of the block, that of
the pixel where it begins after the first of them, bytes to the next row, address of the energy there, bytes to its
next row, address of the penalty, where to write to)``."""


@compiled(
    "(float32[:,:,::1], float32[:,::1], float32[:,:], int64[::1], int64[::1], float32[:,::1], int64[::1], float32[::1])"
)
def match(
    blocks: NDArray[np.float32],
    area: NDArray[np.float32],
    energy: NDArray[np.float32],
    tops: NDArray[np.int64],
    lefts: NDArray[np.int64],
    penalty: NDArray[np.float32],
    best: NDArray[np.int64],
    least: NDArray[np.float32],
) -> None:
    """Find the shift of least cost of each block: what depends on it of the squared difference, and a penalty.

    Args:
        blocks: Of one picture, (blocks, 8, 8), whole grey levels.
        area: The other picture.
        energy: Sum of squares over the block of it that begins at each pixel.
        tops: Row of it where each block lies after the first shift.
        lefts: Column likewise.
        penalty: Of each shift, (some times `ROWS`, `AT_ONCE`); infinity for those that do not count.
        best: Is filled: the numbers of the shifts, counted in rows of `AT_ONCE`; of equals the first.
        least: Is filled: their costs.
    """
    costs = np.empty(ROWS * AT_ONCE, np.float32)
    own, width, line, to = blocks.ctypes.data, _BYTES * np.int64(area.shape[1]), energy.strides[0], costs.ctypes.data
    for k in range(blocks.shape[0]):
        block = own + k * _BYTES * BLOCK * BLOCK
        at = area.ctypes.data + tops[k] * width + _BYTES * lefts[k]
        square = energy.ctypes.data + tops[k] * line + _BYTES * lefts[k]
        lowest = np.float32(np.inf)
        for row in range(0, penalty.shape[0], ROWS):
            begin = penalty.ctypes.data + row * _BYTES * AT_ONCE
            cost = _costs(block, at + row * width, width, square + row * line, line, begin, to)
            if cost < lowest:
                place = 0
                while costs[place] != cost:
                    place += 1
                lowest, best[k] = cost, row * AT_ONCE + place
        least[k] = lowest
