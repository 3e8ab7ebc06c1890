"""Pass over memory, compiled by Numba, that samples a picture by flow of half its size.

See :mod:`vsrrin.nets.parts.kernels`. Where all pixels that are read lie in the picture, those of a row are one load,
with their colours beside each other: the rows are added up first, then the pixels in them.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from .kernels import compiled, float_of, inlined, load
from .lanes import REAL, WHOLE, in_all, lanes, loaded, madd, picked, store

_KEYS = (-0.75, 1.25, -1.25, 0.75), (1.5, -2.25, 1.5, -0.75), (-0.75, 0.0, 0.75, 0.0), (0.0, 1.0, 0.0, 0.0)
"""Weights of four pixels by how far it is from the second one, x: factors of x cubed, x squared, x and 1."""
_CUBED, _SQUARED, _SIMPLE, _ALONE = (tuple(np.float32(factor) for factor in power) for power in _KEYS)
_AHEAD = 16
"""Rows of the picture that are fetched into the cache before they are read, in no order that processors foresee."""
_ZERO, _QUARTER, _TWO = np.float32(0), np.float32(0.25), np.float32(2)


def _cubic_code(_: Any, to: Any, at: Any, row: Any, across: Any, down: Any, apart: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        to, at, row, across, down, apart = given
        total = lanes(REAL, [0] * 16)
        for _ in range(4):
            weight = picked(builder, one := loaded(builder, down, 1), one, [0] * 16)
            total = madd(builder, weight, loaded(builder, at, 16), total)  # of which 12 are used
            at, down = builder.add(at, row), builder.add(down, apart)
        x, *powers = in_all(builder, across), *(lanes(REAL, [p[min(k // 3, 3)] for k in range(16)]) for p in _KEYS)
        weights = powers[0]
        for power in powers[1:]:
            weights = madd(builder, weights, x, power)
        total = builder.fmul(total, weights)
        pairs = builder.fadd(picked(builder, total, total, range(6)), picked(builder, total, total, range(6, 12)))
        one, other = (picked(builder, pairs, pairs, (*range(k, k + 3), k)) for k in (0, 3))
        store(builder, builder.fadd(one, other), to)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3, types.float32, types.int64, types.int64), write


def _linear_code(_: Any, to: Any, at: Any, row: Any, across: Any, down: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        def between(first: Any, second: Any, share: Any) -> Any:
            way = builder.fsub(second, first)
            return madd(builder, in_all(builder, share, way.type.count), way, first)

        to, at, row, across, down = given
        both = between(loaded(builder, at, 8), loaded(builder, builder.add(at, row), 8), down)  # of which 6 are used
        one, other = (picked(builder, both, both, range(k, k + 4)) for k in (0, 3))
        store(builder, between(one, other, across), to)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3, types.float32, types.float32), write


def _fetch_code(_: Any, address: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, *[WHOLE] * 3])
        function = builder.module.declare_intrinsic("llvm.prefetch.p0", (), kind)
        builder.call(function, [builder.inttoptr(given[0], byte), WHOLE(0), WHOLE(3), WHOLE(1)])
        return context.get_dummy_value()

    return types.void(types.int64), write


_fetch: Callable[[Any], None] = cast(Any, intrinsic(_fetch_code))
"""Ask for an address to be brought into the cache."""
_cubic: Callable[..., None] = cast(Any, intrinsic(_cubic_code))
"""Write a pixel of four by four: ``(address to write at, address of the first, bytes to the next row, share of the way
to the right, address of the rows' weights, bytes from one of these to the next)``."""
_linear: Callable[..., None] = cast(Any, intrinsic(_linear_code))
"""Likewise of two by two: ``(address to write at, address of the first, bytes to the next row, shares of the way to the
right and down)``. Both write four numbers."""


@inlined
def _held(value: Any, least: Any, most: Any) -> Any:
    """Return the nearest number between these; of none the least."""
    value = value if value > least else least
    return value if value < most else most


@compiled("(float32[:,:,::1], int64, int64, int64[:,::1], boolean, int64, int64)")
def warp(
    out: NDArray[np.float32], image: int, row_bytes: int, flow: NDArray[np.int64], sharp: bool, first: int, last: int
) -> None:
    """Sample a picture of three colours where flow points to, with its border beyond it.

    Args:
        out: Is filled from row ``first`` to before ``last``, (H, W, 3), sides even and at least 6.
        image: Address of a picture of this size, its colours and pixels beside each other.
        row_bytes: Bytes to its next row.
        flow: Bits of pairs of dx, dy in pixels of half size, (H / 2, W / 2), or (1, W / 2) for the same in all rows.
        sharp: Bicubic, not bilinear.
        first: See above.
        last: See above.
    """
    height, width = out.shape[0], out.shape[1]
    row = np.uint32(row_bytes // 4)
    half, before, taps = width // 2, np.float32(sharp), 4 if sharp else 2
    # Beyond the last pixel that is read, vectors hold others of the row.
    end_x, end_y = np.float32(width - (6 if sharp else 3)), np.float32(height - taps)
    most_x, most_y, far = np.float32(width + 1), np.float32(height + 1), np.float32(-3)
    line = np.empty((2, half + 2), np.float32)  # with its first and last number twice
    column = np.arange(width).astype(np.float32)
    place, share = np.empty((2, width), np.float32), np.empty((2, width), np.float32)
    at, inner, down = np.empty(width, np.uint32), np.empty(width, np.bool_), np.empty((4, width), np.float32)
    patch, found = np.zeros((4, 16), np.float32), np.empty(4, np.float32)
    for y in range(first, last):
        ahead = image + min(y + _AHEAD, height - 1) * row_bytes
        for k in range(0, 12 * width, 64):
            _fetch(ahead + k)
        near = flow[min(y // 2, len(flow) - 1)]
        other = flow[min(max(y // 2 + (1 if y % 2 else -1), 0), len(flow) - 1)]
        for x in range(half):
            dx, dy = float_of(np.int32(near[x])), float_of(np.int32(near[x] >> 32))
            line[0, x + 1] = _TWO * (dx + (float_of(np.int32(other[x])) - dx) * _QUARTER)
            line[1, x + 1] = _TWO * (dy + (float_of(np.int32(other[x] >> 32)) - dy) * _QUARTER)
        for c in range(2):
            line[c, 0], line[c, half + 1] = line[c, 1], line[c, half]
            for x in range(half):
                value = line[c, x + 1]
                place[c, 2 * x] = value + (line[c, x] - value) * _QUARTER
                place[c, 2 * x + 1] = value + (line[c, x + 2] - value) * _QUARTER
        row_y = np.float32(y)
        for x in range(width):
            u, v = _held(place[0, x] + column[x], far, most_x), _held(place[1, x] + row_y, far, most_y)
            whole_u, whole_v = np.floor(u), np.floor(v)
            place[0, x], place[1, x], share[0, x], share[1, x] = whole_u, whole_v, u - whole_u, v - whole_v
            i, j = _held(whole_u - before, _ZERO, end_x), _held(whole_v - before, _ZERO, end_y)
            inner[x] = (i == whole_u - before) & (j == whole_v - before)
            at[x] = np.uint32(np.int32(j)) * row + np.uint32(np.int32(i)) * np.uint32(3)
        inner[width - 1] = False  # four numbers are more than are left
        to, weights, apart = out[y].ctypes.data, down.ctypes.data, 4 * width
        if sharp:
            for k in range(4):
                for x in range(width):
                    v = share[1, x]
                    down[k, x] = ((_CUBED[k] * v + _SQUARED[k]) * v + _SIMPLE[k]) * v + _ALONE[k]
            for x in range(width - 1):
                _cubic(to + 12 * x, image + 4 * np.int64(at[x]), row_bytes, share[0, x], weights + 4 * x, apart)
        else:
            for x in range(width - 1):
                _linear(to + 12 * x, image + 4 * np.int64(at[x]), row_bytes, share[0, x], share[1, x])
        for x in range(width):
            if inner[x]:
                continue
            # What it is made of, with the border repeated, is put together first.
            i, j = np.int64(place[0, x] - before), np.int64(place[1, x] - before)
            for m in range(taps):
                begin = image + min(max(j + m, 0), height - 1) * row_bytes
                for k in range(taps):
                    pixel = begin + 12 * min(max(i + k, 0), width - 1)
                    for c in range(3):
                        patch[m, 3 * k + c] = load(pixel + 4 * c)
            if sharp:
                _cubic(found.ctypes.data, patch.ctypes.data, 64, share[0, x], weights + 4 * x, apart)
            else:
                _linear(found.ctypes.data, patch.ctypes.data, 64, share[0, x], share[1, x])
            for c in range(3):
                out[y, x, c] = found[c]
