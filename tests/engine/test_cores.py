"""vsrrin.engine.cores"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from vsrrin.engine.cores import Cores, cores_of, share, threads


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_no_more_cores_are_taken_than_there_are() -> None:
    cores, lock, taken, most = Cores(4), threading.Lock(), 0, 0

    def work(count: int) -> None:
        nonlocal taken, most
        with cores.taken(count):
            with lock:
                taken += count
                most = max(most, taken)
            time.sleep(0.002)
            with lock:
                taken -= count

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [1, 2, 3, 4] * 8))
    assert (taken, most) == (0, 4)


def test_who_wants_all_is_not_passed_over_for_ever() -> None:
    cores, order = Cores(2), list[str]()
    first = cores.taken(1)
    first.__enter__()

    def work(name: str, count: int) -> None:
        with cores.taken(count):
            order.append(name)

    waiting = []
    for name, count in (("all", 2), ("one", 1)):
        waiting.append(threading.Thread(target=work, args=(name, count)))
        waiting[-1].start()
        while len(cores._waiting) < len(waiting):
            time.sleep(0.001)
    assert order == []  # one core is free, but the first in the queue wants two
    first.__exit__(None, None, None)
    for thread in waiting:
        thread.join(10)
    assert order == ["all", "one"]


def test_more_than_there_are_is_all() -> None:
    cores = Cores(2)
    with cores.taken(7):
        assert cores._free == 0
    assert cores._free == 2


def test_cores_come_back_after_an_error() -> None:
    cores = Cores(2)
    with pytest.raises(ValueError, match="broken"), cores.taken(2):
        raise ValueError("broken")
    with cores.taken(2):
        pass


@pytest.mark.usefixtures("four_threads")
def test_the_number_of_threads_is_the_calling_threads_own() -> None:
    inside, done = threading.Event(), threading.Event()
    seen = list[int]()

    def limited() -> None:
        with threads(1):
            seen.append(torch.get_num_threads())
            inside.set()
            done.wait(10)
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=limited)
    thread.start()
    inside.wait(10)
    assert torch.get_num_threads() == 4
    with ThreadPoolExecutor(1) as pool:  # one that begins meanwhile
        assert pool.submit(torch.get_num_threads).result() == 4
    done.set()
    thread.join(10)
    assert seen == [1, 4]


@pytest.mark.usefixtures("four_threads")
@pytest.mark.parametrize(("lanes", "expected"), [(1, 4), (2, 2), (3, 1), (4, 1), (9, 1)])
def test_lanes_share_the_threads(lanes: int, expected: int) -> None:
    assert share(lanes) == expected


@pytest.mark.usefixtures("four_threads")
def test_cores_are_not_counted_by_a_thread_that_has_some_of_them() -> None:
    cores_of.cache_clear()
    try:
        with threads(1):
            assert cores_of("cpu").count == 4
    finally:
        cores_of.cache_clear()
