"""The machine that the tests believe to run on, so that none depends on the one at hand."""

import os
from math import inf

import psutil
import pytest
import torch

from vsrrin.engine import memory as engine_memory
from vsrrin.engine.backends import torch_backend

FEATURES = ("bf16", "one-core")
"""What leads to other choices than a plain machine's: bf16 in hardware, a single core.

Whether bf16 is fast is not measured by "auto", which believes the processor: hardware with slow bf16 is "bf16" too.
"""

real_cpu_multiplies_bf16, real_virtual_memory = torch_backend.cpu_multiplies_bf16, psutil.virtual_memory
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
    patch.setattr(torch_backend, "cpu_multiplies_bf16", lambda: "bf16" in machine)
    if "one-core" in machine:
        patch.setattr(os, "cpu_count", lambda: 1)
        patch.setenv("PYTHON_CPU_COUNT", "1")
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
