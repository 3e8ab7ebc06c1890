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


def test_the_heap_is_tidied_only_after_it_has_grown() -> None:
    sizes, trimmed = iter([100, 150, 90, 180, 191, 120, 210, 221, 130]), []
    tidier = memory.HeapTidier(100, lambda: next(sizes), lambda: trimmed.append(1))
    for _ in range(4):  # 100, 150, 90 (a new floor), 180
        tidier.tidy()
    assert not trimmed
    tidier.tidy()  # 191 is 101 above the floor; 120 afterwards
    assert len(trimmed) == 1
    tidier.tidy()  # 210
    assert len(trimmed) == 1
    tidier.tidy()  # 221; 130 afterwards
    assert len(trimmed) == 2


def test_nothing_is_done_where_the_c_library_cannot() -> None:
    memory.HeapTidier(0, lambda: pytest.fail("asked"), None).tidy()


def test_this_process_has_a_tidier_that_runs() -> None:
    memory.heap().tidy()
    assert memory.heap() is memory.heap()
