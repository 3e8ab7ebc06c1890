"""Passes over memory on the CPU, compiled by Numba: what PyTorch does in ten passes with as many temporaries, in one.

:mod:`vsrrin.nets.parts.fused` says what they compute, and calls them where Numba is installed. They find planes by a
table: a row for each, with the address of its first value and the bytes to the next row and to the next pixel of a row,
so that one compiled function does for any order in memory and any number of planes. They hold no lock of Python's and
start no threads.

The first import on a machine compiles for some seconds; what is compiled is kept beside this file or, where that cannot
be written, in the user's folder for caches.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from .lanes import REAL, WHOLE, each, in_all, loaded, madd, picked, store

_SETTINGS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_CONTRACT = {"contract"}

_STRIP = 96
"""Pixels of the stack at a time: what is written stays in the fastest cache."""
_COLOURS = 12
"""Bytes of a pixel of three colours."""
_ZERO, _MOST = np.float32(0), np.float32(255)
ROUNDER = 1.5 * 2**23
"""Numbers added to this are rounded to whole ones, which are then its last bits."""


def compiled[F: Callable[..., Any]](*signatures: str, contract: bool = True) -> Callable[[F], F]:
    """Compile a function for these signatures, and keep what is compiled where a folder can be written.

    Args:
        signatures: See above.
        contract: Whether a product and a sum may be rounded once, where the processor does it.
    """
    settings = {**_SETTINGS, "fastmath": _CONTRACT if contract else False}

    def compile_it(function: F) -> F:
        try:
            return cast(F, njit(list(signatures), cache=True, **settings)(function))
        except RuntimeError:  # no folder can be written to keep it in
            return cast(F, njit(list(signatures), **settings)(function))

    return compile_it


def inlined[F: Callable[..., Any]](function: F) -> F:
    """Compile a function into those that call it."""
    return cast(F, njit(inline="always", fastmath=_CONTRACT, **_SETTINGS)(function))


def _load_code(_: Any, address: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        value = builder.load(builder.inttoptr(given[0], REAL.as_pointer()))
        value.align = 4
        return value

    return types.float32(types.int64), write


def _bits_code(_: Any, value: Any) -> Any:
    return types.uint32(types.float32), lambda context, builder, signature, given: builder.bitcast(given[0], WHOLE)


def _float_code(_: Any, bits: Any) -> Any:
    return types.float32(types.int32), lambda context, builder, signature, given: builder.bitcast(given[0], REAL)


def _bfloat16s(builder: Any, values: Any) -> Any:
    """As `_rounded`."""
    bits = builder.bitcast(values, ir.VectorType(WHOLE, 16))
    odd = builder.and_(builder.lshr(bits, each(WHOLE, 16)), each(WHOLE, 1))
    bits = builder.add(builder.add(bits, each(WHOLE, 0x7FFF)), odd)
    return builder.trunc(builder.lshr(bits, each(WHOLE, 16)), ir.VectorType(ir.IntType(16), 16))


def _levels(builder: Any, values: Any, gain: Any, shift: Any) -> Any:
    """As `_level`."""
    values = madd(builder, values, in_all(builder, gain), in_all(builder, shift))
    least, most = each(REAL, 0.0), each(REAL, 255.0)
    values = builder.select(builder.fcmp_ordered(">", values, least), values, least)
    values = builder.select(builder.fcmp_ordered("<", values, most), values, most)
    bits = builder.bitcast(builder.fadd(values, each(REAL, ROUNDER)), ir.VectorType(WHOLE, 16))
    return builder.trunc(bits, ir.VectorType(ir.IntType(8), 16))


def _square_code(_: Any, out: Any, to: Any, at: Any, row: Any, gain: Any, shift: Any) -> Any:
    places = [3 * pixel + colour for colour in range(3) for pixel in range(4)]

    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        _, to, at, row, gain, shift = given
        above, below = loaded(builder, at, 6), loaded(builder, builder.add(at, row), 6)
        values = picked(builder, above, below, places + places[:4])
        kind = signature.args[0].dtype
        if kind == types.uint16:
            values = _bfloat16s(builder, values)
        elif kind == types.uint8:
            values = _levels(builder, values, gain, shift)
        store(builder, picked(builder, values, values, range(12)), to, kind.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(out, types.int64, types.int64, types.int64, types.float32, types.float32), write


load: Callable[[Any], np.float32] = cast(Any, intrinsic(_load_code))
_bits: Callable[[np.float32], np.uint32] = cast(Any, intrinsic(_bits_code))
float_of: Callable[[Any], np.float32] = cast(Any, intrinsic(_float_code))
_write_square: Callable[..., None] = cast(Any, intrinsic(_square_code))
"""Write two by two pixels of three colours, which lie side by side: ``(out, address in out, address, bytes to the next
row, gain, shift)``."""


def _as_in(value: Any, out: Any, gain: Any, shift: Any) -> Any:
    """Return a float32 as ``out`` stores it: float32, the bits of a bfloat16 in uint16, or the number of a level."""
    raise NotImplementedError  # compiled code alone calls it


def _as_in_code(value, out, gain, shift):  # type: ignore[no-untyped-def]  # Numba compares it with what it returns
    if out.dtype == types.float32:
        return lambda value, out, gain, shift: value
    if out.dtype == types.uint16:
        return lambda value, out, gain, shift: _rounded(value)
    return lambda value, out, gain, shift: _level(value * gain + shift)


@inlined
def _rounded(value: np.float32) -> np.uint16:
    """Return the bits of the nearest bfloat16; of two as near, the even one."""
    bits = _bits(value)
    return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))


@inlined
def _level(value: np.float32) -> np.uint8:
    """Return the nearest whole number of [0, 255]; of two as near, the even one."""
    value = value if value > _ZERO else _ZERO
    value = value if value < _MOST else _MOST
    return np.uint8(_bits(value + np.float32(ROUNDER)) & np.uint32(255))


overload(_as_in)(_as_in_code)


@compiled(
    *(
        f"({kind}[:,:,::1], int64[:,::1], int64, float32, float32, int64, int64)"
        for kind in ("uint8", "uint16", "float32")
    )
)
def stack(
    out: NDArray[Any], table: NDArray[np.int64], squares: int, gain: float, shift: float, first: int, last: int
) -> None:
    """Write pixels of several planes side by side.

    Args:
        out: Is filled from row ``first`` to before ``last``, (H, W, C): float32, uint16 for bfloat16, or uint8 for the
            nearest whole number to a value times ``gain`` plus ``shift``, in [0, 255].
        table: Planes. Of the first ``squares`` each square of two by two pixels becomes four channels.
        squares: See above.
        gain: See above.
        shift: See above.
        first: See above.
        last: See above.
    """
    width, channels, planes = out.shape[1], out.shape[2], table.shape[0]
    for y in range(first, last):
        for start in range(0, width, _STRIP):
            end = min(start + _STRIP, width)
            k = 0
            while k < squares:
                row, step = table[k, 1], table[k, 2]
                at = table[k, 0] + 2 * y * row + 2 * start * step
                together = k + 2 < squares and table[k + 1, 0] == table[k, 0] + 4 and table[k + 2, 0] == table[k, 0] + 8
                if together and step == _COLOURS:
                    to = out[y, start, 4 * k :].ctypes.data
                    for x in range(end - start):
                        _write_square(out, to + x * channels * out.itemsize, at + 2 * x * step, row, gain, shift)
                    k += 3
                    continue
                for x in range(start, end):
                    pixel = out[y, x]
                    pixel[4 * k] = _as_in(load(at), out, gain, shift)
                    pixel[4 * k + 1] = _as_in(load(at + step), out, gain, shift)
                    pixel[4 * k + 2] = _as_in(load(at + row), out, gain, shift)
                    pixel[4 * k + 3] = _as_in(load(at + row + step), out, gain, shift)
                    at += 2 * step
                k += 1
            for k in range(squares, planes):
                step, channel = table[k, 2], 3 * squares + k
                at = table[k, 0] + y * table[k, 1] + start * step
                for x in range(start, end):
                    out[y, x, channel] = _as_in(load(at), out, gain, shift)
                    at += step
