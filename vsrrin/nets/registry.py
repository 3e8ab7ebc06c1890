"""Registry of the networks vsrrin knows, and recognition of the one that a state dict belongs to."""

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor

from vsrrin.errors import UnknownNetError

from . import bmbc, cain, plain, raft_rrin, rrin, rrin_lite, rrin_lite_quick, srrin
from .spec import NetSpec

NETS: tuple[NetSpec, ...] = (
    srrin.SPEC,
    rrin.SPEC,
    raft_rrin.SPEC,
    rrin_lite.SPEC,
    rrin_lite_quick.SPEC,
    cain.SPEC,
    bmbc.SPEC,
    plain.SPEC,
)
"""In order of detection: a net whose keys contain another's comes before it."""

_NAMED = 4


def identify(state: Mapping[str, Tensor]) -> NetSpec:
    """Return the network that a canonical state dict belongs to.

    Raises:
        UnknownNetError: It is none of them; the text says which it resembles most, and what is missing or left over.
    """
    for spec in NETS:
        if spec.detect(state):
            return spec
    raise UnknownNetError(f"identify: these weights belong to no network vsrrin knows. {_nearest(state)}")


def by_name(name: str) -> NetSpec:
    """Return the network of that name.

    Raises:
        UnknownNetError: There is none.
    """
    for spec in NETS:
        if spec.name == name:
            return spec
    raise UnknownNetError(f"by_name: no network is called {name!r}; there are {', '.join(s.name for s in NETS)}.")


def differences(spec: NetSpec, state: Mapping[str, Tensor]) -> tuple[list[str], list[str], list[str]]:
    """Compare a state dict with a network of the usual sizes.

    Returns:
        Keys missing, keys left over, and keys whose shape differs.
    """
    expected = _default_shapes(spec)
    missing = [key for key in expected if key not in state]
    left_over = [key for key in state if key not in expected]
    differing = [key for key in expected if key in state and tuple(state[key].shape) != expected[key]]
    return missing, left_over, differing


def compared(spec: NetSpec, state: Mapping[str, Tensor]) -> str:
    """Return :func:`differences` in words."""
    missing, left_over, differing = differences(spec, state)
    return (
        f"keys missing: {first_few(missing)}; left over: {first_few(left_over)}; "
        f"of another shape: {first_few(differing)}"
    )


def first_few(keys: list[str]) -> str:
    """Return the number of keys, and the first few by name: ``3 (a, b, c)``."""
    if not keys:
        return "0"
    more = ", ..." if len(keys) > _NAMED else ""
    return f"{len(keys)} ({', '.join(keys[:_NAMED])}{more})"


@cache
def _default_shapes(spec: NetSpec) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in spec.default().state_dict().items()}


def _nearest(state: Mapping[str, Tensor]) -> str:
    def common(spec: NetSpec) -> int:
        return len(_default_shapes(spec).keys() & state.keys())

    # Of nets that share as many keys, the one with the fewest of its own.
    best = max(NETS, key=lambda spec: (common(spec), -len(_default_shapes(spec))))
    names = ", ".join(spec.name for spec in NETS)
    if not common(best):
        return f"They share no key with any of {names}; they have {first_few(list(state))} of their own."
    return f"They resemble {best.name} most: {compared(best, state)}. Known networks: {names}."
