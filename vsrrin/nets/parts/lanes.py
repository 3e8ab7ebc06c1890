"""Vectors in compiled code, for :mod:`vsrrin.nets.parts.kernels` and its neighbours."""

from collections.abc import Iterable
from typing import Any

from llvmlite import ir

REAL, WHOLE = ir.FloatType(), ir.IntType(32)


def lanes(kind: Any, values: Iterable[float]) -> Any:
    """Return a constant vector."""
    numbers = [kind(value) for value in values]
    return ir.Constant(ir.VectorType(kind, len(numbers)), numbers)


def each(kind: Any, value: float) -> Any:
    """Return a constant vector of one value."""
    return lanes(kind, [value] * 16)


def picked(builder: Any, first: Any, second: Any, places: Iterable[int]) -> Any:
    """Return values of two vectors, by their places in both in a row."""
    return builder.shuffle_vector(first, second, lanes(WHOLE, places))


def in_all(builder: Any, value: Any, count: int = 16) -> Any:
    """Return a vector of one value."""
    nothing = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    return picked(builder, builder.insert_element(nothing, value, WHOLE(0)), nothing, [0] * count)


def madd(builder: Any, first: Any, second: Any, add: Any) -> Any:
    """Return ``first * second + add``, rounded once or twice."""
    return builder.fadd(builder.fmul(first, second, flags=("contract",)), add, flags=("contract",))


def loaded(builder: Any, address: Any, count: int) -> Any:
    """Return so many numbers of float32 from an address on."""
    value = builder.load(builder.inttoptr(address, ir.VectorType(REAL, count).as_pointer()))
    value.align = 4
    return value


def store(builder: Any, values: Any, address: Any, align: int = 4) -> None:
    """Write a vector."""
    builder.store(values, builder.inttoptr(address, values.type.as_pointer()), align=align)
