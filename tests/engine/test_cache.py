"""vsrrin.engine.cache"""

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from vsrrin.engine.cache import BoundedCache


def make_cache(limit: int) -> BoundedCache[bytes]:
    return BoundedCache(limit, len)


def test_values_are_made_once_and_kept() -> None:
    cache, calls = make_cache(100), []
    for _ in range(3):
        assert cache.get(1, lambda: calls.append(1) or b"x" * 10) == b"x" * 10  # type: ignore[func-returns-value]
    assert len(calls) == 1
    assert cache.bytes == 10


def test_the_bound_holds_for_any_order_of_requests() -> None:
    cache, chooser = make_cache(100), random.Random(0)
    for _ in range(2000):
        key = chooser.randrange(50)
        assert cache.get(key, lambda key=key: bytes([key]) * (key + 1)) == bytes([key]) * (key + 1)  # type: ignore[misc]
        assert cache.bytes <= 100
    assert 0 < cache.bytes == sum(len(cache.get(k, bytes)) for k in list(cache._kept))


def test_the_least_recently_used_goes_first() -> None:
    cache = make_cache(3)
    for key in (1, 2, 3, 1, 4):
        cache.get(key, lambda: b"x")
    assert list(cache._kept) == [3, 1, 4]


def test_values_above_the_bound_are_handed_out_but_not_kept() -> None:
    cache = make_cache(5)
    assert cache.get(1, lambda: b"large value") == b"large value"
    assert len(cache) == 0


def test_concurrent_requests_wait_for_the_one_that_makes_the_value() -> None:
    cache, started, go, calls = make_cache(100), Event(), Event(), []

    def make() -> bytes:
        calls.append(1)
        started.set()
        go.wait(10)
        return b"value"

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cache.get, 1, make)
        started.wait(10)
        others = [pool.submit(cache.get, 1, make) for _ in range(3)]
        go.set()
        assert [future.result(10) for future in (first, *others)] == [b"value"] * 4
    assert len(calls) == 1


def test_failures_reach_all_who_wait_and_are_not_remembered() -> None:
    cache, started, go = make_cache(100), Event(), Event()

    def fail() -> bytes:
        started.set()
        go.wait(10)
        raise ValueError("broken")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, 1, fail)
        started.wait(10)
        second = pool.submit(cache.get, 1, fail)
        go.set()
        for future in (first, second):
            with pytest.raises(ValueError, match="broken"):
                future.result(10)
    assert cache.get(1, lambda: b"fine") == b"fine"


def test_clearing_while_a_value_is_made_leaves_nothing_behind() -> None:
    cache, started, cleared = make_cache(100), Event(), Event()

    def make() -> bytes:
        started.set()
        cleared.wait(10)
        return b"old"

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(cache.get, 1, make)
        started.wait(10)
        cache.clear()
        cleared.set()
        assert future.result(10) == b"old"
    assert (len(cache), cache.bytes) == (0, 0)
    assert cache.get(1, lambda: b"new") == b"new"


def test_many_threads_never_get_a_wrong_value() -> None:
    cache, barrier = make_cache(40), Barrier(8)

    def work(seed: int) -> bool:
        chooser = random.Random(seed)
        barrier.wait(10)
        keys = [chooser.randrange(20) for _ in range(500)]
        return all(cache.get(k, lambda k=k: bytes([k]) * 5) == bytes([k]) * 5 for k in keys)  # type: ignore[misc]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert cache.bytes <= 40
