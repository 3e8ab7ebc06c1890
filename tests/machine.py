"""The machine that the tests believe to run on, so that none depends on the one at hand."""

import os
from collections.abc import Mapping, Sequence
from math import inf

import psutil
import pytest
import torch
from torch import nn

from vsrrin.engine import memory as engine_memory
from vsrrin.engine.backends import calibration, processor
from vsrrin.engine.backends.calibration import Way

FEATURES = ("bf16", "int8", "one-core")
"""What leads to other choices than a plain machine's: arithmetic in hardware that is fast there, a single core."""

real_multiplies_bf16, real_multiplies_int8 = processor.multiplies_bf16, processor.multiplies_int8
real_fastest, real_virtual_memory = calibration.fastest, psutil.virtual_memory
real_left_to_group = engine_memory.left_to_group
"""The functions that are replaced, for tests of them."""

FREE_MEMORY = 8 * 2**30
"""Bytes that are free on any."""


def features(names: str) -> frozenset[str]:
    """Return the features that an argument such as "bf16,one-core" names; "plain" has none."""
    found = frozenset(names.split(",")) - {"plain"}
    if not found <= set(FEATURES):
        raise pytest.UsageError(f"--machine must be plain or some of {','.join(FEATURES)}, not {names}")
    return found


def _fastest(net: nn.Module, ways: Sequence[Way], *, again: bool = False) -> tuple[Way, Mapping[Way, float]]:
    """What measuring would find: the coarsest arithmetic, and OpenVINO before PyTorch."""
    order = ["int8", "bf16", "fp16", "fp32"]
    best = min(ways, key=lambda way: (order.index(way.precision), way.backend))
    return best, {way: 1.0 if way == best else 2.0 for way in ways}


def imitate(machine: frozenset[str], number: int, patch: pytest.MonkeyPatch) -> None:
    """Make this process believe that it runs on another machine.

    Programs that it starts are told of the cores alone: tests that compare their pictures name a precision.

    Args:
        machine: Some of `FEATURES`.
        number: Number of this process among those that run tests; each gets a core of its own.
        patch: What undoes it all.
    """
    memory = real_virtual_memory()._replace(total=2 * FREE_MEMORY, available=FREE_MEMORY)
    patch.setattr(psutil, "virtual_memory", lambda: memory)
    patch.setattr(engine_memory, "left_to_group", lambda: inf)
    patch.setattr(processor, "multiplies_bf16", lambda: "bf16" in machine)
    patch.setattr(processor, "multiplies_int8", lambda: "int8" in machine)
    patch.setattr(calibration, "fastest", _fastest)
    if "one-core" in machine:
        patch.setattr(os, "cpu_count", lambda: 1)
        patch.setenv("PYTHON_CPU_COUNT", "1")
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
