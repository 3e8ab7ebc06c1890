"""Pass over memory, compiled by Numba, that adds up pictures by the softmax of logits.

See :mod:`vsrrin.nets.parts.kernels`. It takes sixteen pixels at a time, and logits in the order in which they lie, by
squares of pixels: only weights are put in the order of the pictures.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from .kernels import ROUNDER, compiled
from .lanes import REAL, WHOLE, each, in_all, loaded, madd, picked, store

MOST = 16
"""Pictures."""
_LEAST, _PER_OCTAVE, _OCTAVE, _OCTAVE_REST = -87.0, 1.44269504, 0.693359375, -2.12194440e-4
_SERIES = 1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1 / 6, 0.5, 1.0
"""The exponential on half an octave around 0 but for its first term; the coefficients of the Cephes library."""
_variable: Any = cgutils.alloca_once
_LONG, _SIXTEEN = ir.IntType(64), ir.VectorType(REAL, 16)


def _larger(builder: Any, first: Any, second: Any) -> Any:
    """Return the larger numbers; in place of none the second."""
    return builder.select(builder.fcmp_ordered(">", first, second), first, second)


def _exp(builder: Any, x: Any) -> Any:
    """Return exponentials of numbers of at most 0, to float32's precision; of none the least."""
    x = _larger(builder, x, each(REAL, _LEAST))
    rounded = madd(builder, x, each(REAL, _PER_OCTAVE), each(REAL, ROUNDER))
    octaves = builder.fsub(rounded, each(REAL, ROUNDER))
    for part in (_OCTAVE, _OCTAVE_REST):
        x = madd(builder, octaves, each(REAL, -part), x)
    series = each(REAL, _SERIES[0])
    for factor in _SERIES[1:-1]:
        series = madd(builder, series, x, each(REAL, factor))
    series = builder.fadd(madd(builder, builder.fmul(series, x), x, x), each(REAL, _SERIES[-1]))
    # The last bits are the number of octaves; those of the rounder itself are moved out.
    bits = builder.shl(builder.bitcast(rounded, ir.VectorType(WHOLE, 16)), each(WHOLE, 23))
    return builder.fmul(series, builder.bitcast(builder.add(bits, each(WHOLE, 127 << 23)), _SIXTEEN))


def _offset(builder: Any, address: Any, count: Any, size: Any) -> Any:
    return builder.add(address, builder.mul(count, size))


def _block_code(_: Any, to: Any, row: Any, table: Any, start: Any, count: Any, x: Any, factor: Any) -> Any:
    side = factor.literal_value
    wide = 16 // side
    # Fours of pixels in a row: their row, the column of the first, and where they are among the sixteen.
    fours = [(first // wide, first % wide) for first in range(0, 16, 4)]
    places = [[c // side * side**2 + r * side + c % side for c in range(left, left + 4)] for r, left in fours]
    # Of three colours of each; the last four lanes are not used.
    lane_of = [[place[min(lane // 3, 3)] for lane in range(16)] for place in places]

    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        to, row, table, start, count, x, _ = given

        def entry(k: Any, column: int) -> Any:
            place = _offset(builder, builder.add(table, _LONG(8 * column)), k, _LONG(32))
            return builder.load(builder.inttoptr(place, _LONG.as_pointer()))

        def squares(k: Any) -> Any:
            """Return what channels hold of the pixels."""
            step = entry(k, 3)
            at = _offset(builder, entry(k, 2), builder.sdiv(x, _LONG(side)), step)
            parts = [loaded(builder, _offset(builder, at, _LONG(n), step), side**2) for n in range(16 // side**2)]
            while len(parts) > 1:
                both = range(2 * parts[0].type.count)
                parts = [picked(builder, *two, both) for two in zip(parts[::2], parts[1::2], strict=True)]
            return parts[0]

        weights = _variable(builder, ir.ArrayType(_SIXTEEN, MOST))
        most, total, *sums = (_variable(builder, _SIXTEEN) for _ in range(2 + len(fours)))

        def weight(k: Any) -> Any:
            return builder.gep(weights, [_LONG(0), k], inbounds=True)

        builder.store(each(REAL, -np.inf), most)
        with cgutils.for_range(builder, count) as loop:
            k = loop.index
            add = builder.extract_element(loaded(builder, _offset(builder, start, k, _LONG(4)), 1), WHOLE(0))
            logits = builder.fadd(squares(k), in_all(builder, add))
            builder.store(logits, weight(k))
            builder.store(_larger(builder, logits, builder.load(most)), most)
        builder.store(each(REAL, 0), total)
        with cgutils.for_range(builder, count) as loop:
            found = _exp(builder, builder.fsub(builder.load(weight(loop.index)), builder.load(most)))
            builder.store(found, weight(loop.index))
            builder.store(builder.fadd(builder.load(total), found), total)
        share = builder.fdiv(each(REAL, 1), builder.load(total))
        red, green, blue = (squares(builder.add(count, _LONG(c))) for c in range(3))
        for lanes, sum_ in zip(lane_of, sums, strict=True):
            two = picked(builder, red, green, [lane + 16 * (k % 3 == 1) for k, lane in enumerate(lanes)])
            three = picked(builder, two, blue, [16 + lane if k % 3 == 2 else k for k, lane in enumerate(lanes)])
            builder.store(three, sum_)
        with cgutils.for_range(builder, count) as loop:
            k = loop.index
            found = builder.fmul(builder.load(weight(k)), share)
            at, down = _offset(builder, entry(k, 0), x, _LONG(12)), entry(k, 1)
            for (r, left), lanes, sum_ in zip(fours, lane_of, sums, strict=True):
                begin = _offset(builder, builder.add(at, _LONG(12 * left)), _LONG(r), down)
                pixels = loaded(builder, begin, 12)
                pixels = picked(builder, pixels, pixels, [min(lane, 11) for lane in range(16)])
                spread = picked(builder, found, found, lanes)
                builder.store(madd(builder, spread, pixels, builder.load(sum_)), sum_)
        at = _offset(builder, to, x, _LONG(12))
        for (r, left), sum_ in zip(fours, sums, strict=True):
            done = builder.load(sum_)
            begin = _offset(builder, builder.add(at, _LONG(12 * left)), _LONG(r), row)
            store(builder, picked(builder, done, done, range(12)), begin)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6, factor), write


_block: Callable[..., None] = cast(Any, intrinsic(prefer_literal=True)(_block_code))
"""Write sixteen pixels, ``factor`` rows of them: ``(address of the first row, bytes to the next, address of a table,
that of what is added to logits, pictures, column, factor)``. The table's rows are those of `blend` for the first row
that is written, but for the bytes to the next row of squares."""


@compiled("(float32[:,:,::1], int64[:,::1], float32[::1], int64, int64, int64)")
def blend(
    out: NDArray[np.float32], table: NDArray[np.int64], start: NDArray[np.float32], factor: int, first: int, last: int
) -> None:
    """Write the sum of pictures by the softmax of logits, with a residue.

    Args:
        out: Is filled from row ``factor * first`` to before ``factor * last``, (H, W, 3), of at least 8 columns.
        table: Of each picture its address and bytes to its next row, its colours and pixels beside each other, then of
            its logits, ``factor`` by ``factor`` pixels beside each other, the address and bytes to the next row and to
            the next square. Three rows more are the residue's colours, of which there are the latter alone.
        start: Is added to the logits, one for each picture, of which there are at most `MOST`.
        factor: 2 or 4.
        first: See above.
        last: See above.
    """
    width, count = out.shape[1], len(start)
    row, wide = 12 * width, 16 // factor
    at = np.empty((count + 3, 4), np.int64)
    for y in range(first, last):
        for k in range(count + 3):
            at[k, 0], at[k, 1] = table[k, 0] + y * factor * table[k, 1], table[k, 1]
            at[k, 2], at[k, 3] = table[k, 2] + y * table[k, 3], table[k, 4]
        to, places, add = out[y * factor].ctypes.data, at.ctypes.data, start.ctypes.data
        for column in range(0, width, wide):
            x = min(column, width - wide)  # so that some of the last ones are written twice
            if factor == 2:
                _block(to, row, places, add, count, x, 2)
            else:
                _block(to, row, places, add, count, x, 4)
