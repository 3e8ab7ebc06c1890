"""The machine that the tests believe to run on, so that none depends on the one at hand."""

import os

import psutil
import pytest
import torch

from vsrrin.engine.backends import torch_backend

MACHINES = ("plain", "bf16", "one-core")
"""The machines that lead to other choices: no bf16 in hardware, bf16 in hardware, a single core.

Whether bf16 is fast is not measured by "auto", which believes the processor: hardware with slow bf16 is "bf16" too.
"""

real_cpu_multiplies_bf16, real_virtual_memory = torch_backend.cpu_multiplies_bf16, psutil.virtual_memory
"""The functions that are replaced, for tests of them."""

FREE_MEMORY = 8 * 2**30
"""Bytes that are free on each of them."""


def imitate(name: str, number: int, patch: pytest.MonkeyPatch) -> None:
    """Make this process believe that it runs on another machine.

    Programs that it starts are told of the cores alone: tests that compare their pictures name a precision.

    Args:
        name: One of `MACHINES`.
        number: Number of this process among those that run tests; each gets a core of its own.
        patch: What undoes it all.
    """
    memory = real_virtual_memory()._replace(total=2 * FREE_MEMORY, available=FREE_MEMORY)
    patch.setattr(psutil, "virtual_memory", lambda: memory)
    patch.setattr(torch_backend, "cpu_multiplies_bf16", lambda: name == "bf16")
    if name == "one-core":
        patch.setattr(os, "cpu_count", lambda: 1)
        patch.setenv("PYTHON_CPU_COUNT", "1")
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
