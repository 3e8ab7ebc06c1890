"""vsrrin.engine.memory"""

from math import inf
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import psutil
import pytest
import torch

from tests.machine import real_left_to_group, real_virtual_memory
from vsrrin.engine import memory


@pytest.mark.parametrize(("free", "expected"), [(1000, 500), (4 * 2**30, 2 * 2**30), (100 * 2**30, 5 * 2**29)])
def test_the_cpu_budget_is_half_of_what_is_free_and_two_and_a_half_gib_at_most(
    monkeypatch: pytest.MonkeyPatch, free: int, expected: int
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    assert memory.budget(torch.device("cpu")) == expected


def test_some_memory_is_free_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", real_virtual_memory)
    assert 0 < memory.budget(torch.device("cpu")) <= psutil.virtual_memory().total


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("contained", [True, False], ids=["container", "group"])
def test_the_limit_of_a_container_counts(
    version: int, contained: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, root = tmp_path / "cgroup", tmp_path / "groups"
    process.write_text("3:cpu,cpuacct:/x\n5:memory:/a/b\n1:name=systemd:/\n" if version == 1 else "0::/a/b\n")
    folder = root / ("memory" if version == 1 else "") / ("" if contained else "a/b")
    folder.mkdir(parents=True)
    limit, used, files = ("max", "current", "inactive_file")
    if version == 1:
        limit, used, files = ("limit_in_bytes", "usage_in_bytes", "total_inactive_file")
    (folder / f"memory.{limit}").write_text("1000\n")
    (folder / f"memory.{used}").write_text("700\n")
    (folder / "memory.stat").write_text(f"anon 500\n{files} 100\n")
    left = real_left_to_group(process, root)
    assert left == 400
    monkeypatch.setattr(memory, "left_to_group", lambda: left)
    assert memory.budget(torch.device("cpu")) == 200
    (folder / f"memory.{limit}").write_text("max\n" if version == 2 else f"{2**63 - 4096}\n")
    assert real_left_to_group(process, root) > 2**62


def test_no_group_no_limit(tmp_path: Path) -> None:
    assert real_left_to_group(tmp_path / "missing", tmp_path) == inf


def test_a_real_failed_allocation_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert memory.is_out_of_memory(caught.value)


def test_a_failed_allocation_of_opencv_is_recognised() -> None:
    with pytest.raises(cv2.error) as caught:
        cv2.copyMakeBorder(np.zeros((1, 1), np.uint8), 0, 2**30, 0, 2**30, cv2.BORDER_CONSTANT)
    assert memory.is_out_of_memory(caught.value)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried ...")])
def test_other_forms_of_running_out_are_recognised(error: BaseException) -> None:
    assert memory.is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("out of memory lane"), KeyError("x")])
def test_other_errors_are_not(error: BaseException) -> None:
    assert not memory.is_out_of_memory(error)


def tidier_of(sizes: list[int]) -> tuple[memory.HeapTidier, list[int]]:
    """A tidier with a slack of 100 for a process of these sizes, and the sizes at which it gave memory back."""
    seen: list[int] = []

    def resident() -> int:
        seen.append(sizes.pop(0))
        return seen[-1]

    trimmed: list[int] = []
    return memory.HeapTidier(100, resident, lambda: trimmed.append(seen[-1])), trimmed


def test_the_heap_is_tidied_only_after_it_has_grown() -> None:
    tidier, trimmed = tidier_of([100] + [200] * 40 + [201, 120] + [220] * 40 + [221, 130])
    for _ in range(41):
        tidier.tidy()
    assert trimmed == []
    tidier.tidy()  # 201 is more than 100 above the start; 120 afterwards
    assert trimmed == [201]
    for _ in range(41):
        tidier.tidy()
    assert trimmed == [201, 221]


def test_memory_that_is_needed_again_at_once_is_left_alone() -> None:
    """A network takes its working memory with the first frames: giving that back after each would double the time."""
    tidier, trimmed = tidier_of([100] + [500] * 50 + [650, 300] + [650] * 50)
    for _ in range(51):
        tidier.tidy()
    assert trimmed == []
    for _ in range(51):
        tidier.tidy()
    assert trimmed == [650]


def test_nothing_is_done_where_the_c_library_cannot() -> None:
    memory.HeapTidier(0, lambda: pytest.fail("asked"), None).tidy()


def test_this_process_has_a_tidier_that_runs() -> None:
    memory.heap().tidy()
    assert memory.heap() is memory.heap()
