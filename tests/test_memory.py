"""vsrrin.memory"""

import psutil
import pytest
import torch

from vsrrin import memory


def test_the_cpu_budget_is_half_of_what_is_free_and_four_gib_at_most() -> None:
    budget = memory.budget(torch.device("cpu"))
    assert 0 < budget <= min(4 * 2**30, psutil.virtual_memory().total)


def test_a_real_failed_allocation_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert memory.is_out_of_memory(caught.value)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried ...")])
def test_other_forms_of_running_out_are_recognised(error: BaseException) -> None:
    assert memory.is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("out of memory lane"), KeyError("x")])
def test_other_errors_are_not(error: BaseException) -> None:
    assert not memory.is_out_of_memory(error)
