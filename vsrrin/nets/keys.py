"""Conditions on the keys and shapes of a state dict, by which networks recognise their weights and find their sizes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

type Size = int | str | Callable[[Mapping[str, int]], int] | None
"""One dimension: this number, the size of that name, what follows from named sizes, or (None) any number."""
type Shape = tuple[Size, ...] | None
"""All dimensions of a tensor; None for any shape."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Conditions that a state dict must meet."""

    has: Mapping[str, Shape]
    """Keys that must be there, and their shapes."""
    lacks: tuple[str, ...] = ()
    """Keys that must not be there."""
    nothing_else: bool = False
    """Whether keys beside ``has`` are too many."""
    counts: Mapping[str, str] = field(default_factory=dict)
    """Names of further sizes, each to a pattern with ``{}`` for a number: how many such keys there are, from 0 on."""

    def match(self, state: Mapping[str, Tensor]) -> bool:
        """Return whether a state dict meets all conditions."""
        if any(key not in state for key in self.has) or any(key in state for key in self.lacks):
            return False
        if self.nothing_else and len(state) > len(self.has):
            return False
        shapes = [(state[key].shape, shape) for key, shape in self.has.items() if shape is not None]
        if any(len(found) != len(shape) for found, shape in shapes):
            return False
        sizes = self.sizes(state)
        return all(
            size is None
            or number == (sizes[size] if isinstance(size, str) else size(sizes) if callable(size) else size)
            for found, shape in shapes
            for number, size in zip(found, shape, strict=True)
        )

    def sizes(self, state: Mapping[str, Tensor]) -> dict[str, int]:
        """Return the named sizes of a state dict that has all keys, with their dimensions."""
        named = {
            size: state[key].shape[dimension]
            for key, shape in self.has.items()
            for dimension, size in enumerate(shape or ())
            if isinstance(size, str)
        }
        return named | {name: count_of(state, pattern) for name, pattern in self.counts.items()}

    def report(self, state: Mapping[str, Tensor]) -> str:
        """Return in words how a state dict that matches meets the conditions."""
        there = ", ".join(f"{key} {tuple(state[key].shape)}" for key in self.has)
        absent = f"; without {', '.join(self.lacks)}" if self.lacks else ""
        return f"{there}{absent}{'; nothing else' if self.nothing_else else ''}"


def _number(size: int | str | Callable[[Mapping[str, int]], int], sizes: Mapping[str, int]) -> int:
    if isinstance(size, str):
        return sizes[size]
    return size(sizes) if callable(size) else size


def count_of(state: Mapping[str, Tensor], pattern: str) -> int:
    """Return how many keys of a pattern with one ``{}`` for a number a state dict has, counting from 0."""
    found = 0
    while pattern.format(found) in state:
        found += 1
    return found
