"""Memory of the device, given back when networks are let go."""

import weakref

import pytest
import torch

from vsrrin.engine import pool

from .conftest import Bench
from .place import Network
from .rendering import forget, straight

pytestmark = pytest.mark.device

_LEFT_OVER = 2**26
"""Bytes of a device that may still be in use when everything is given back: work space of libraries."""


def test_networks_that_are_let_go_give_memory_back(
    bench: Bench, network: Network, backend: str, in_use_before: int
) -> None:
    """All that any test before this one has used on the device counts."""
    forget(bench.place.device)
    straight(bench.output(network, factor=network.factor, backend=backend))
    kept = [weakref.ref(shared.backend) for shared in pool._kept.values()]
    assert kept
    forget(bench.place.device)
    assert [each() for each in kept] == [None] * len(kept)
    if bench.place.is_cuda:
        assert torch.cuda.memory_allocated(bench.place.device) - in_use_before <= _LEFT_OVER
