"""Work in another thread: in order, told of failures, ended with the block."""

import threading
from collections.abc import Generator

import pytest

from vsrrin.convert.interruptible import in_background


class Counting:
    """Counts in a generator, and notes where and how it ended."""

    def __init__(self, stop: int | None = None, error: BaseException | None = None) -> None:
        self.stop, self.error = stop, error
        self.threads: set[str] = set()
        self.closed = False

    def items(self) -> Generator[int]:
        number = 0
        try:
            while number != self.stop:
                self.threads.add(threading.current_thread().name)
                yield number
                number += 1
            if self.error:
                raise self.error
        finally:
            self.threads.add(threading.current_thread().name)
            self.closed = True


def test_all_items_in_order_from_another_thread() -> None:
    counting = Counting(1000)
    with in_background(counting.items(), "counts") as items:
        assert list(items) == list(range(1000))
    assert counting.threads == {"counts"}
    assert counting.closed


@pytest.mark.parametrize("error", [ValueError("no more"), KeyboardInterrupt()])
def test_an_error_comes_after_the_items_before_it(error: BaseException) -> None:
    counting = Counting(3, error)
    seen: list[int] = []
    with pytest.raises(type(error)) as caught, in_background(counting.items(), "counts") as items:
        for item in items:
            seen.append(item)
    assert caught.value is error
    assert seen == [0, 1, 2]
    assert counting.closed


@pytest.mark.parametrize("taken", [0, 5])
def test_a_block_that_ends_early_closes_the_generator_in_its_thread(taken: int) -> None:
    counting = Counting()
    with pytest.raises(KeyboardInterrupt), in_background(counting.items(), "counts") as items:
        for _ in range(taken):
            next(items)
        raise KeyboardInterrupt
    assert counting.threads <= {"counts"}
    assert counting.closed or not taken
    assert "counts" not in {thread.name for thread in threading.enumerate()}


def test_an_error_while_closing_does_not_hide_why_the_block_ended() -> None:
    def fails_to_close() -> Generator[int]:
        try:
            yield from iter(int, 1)
        finally:
            raise OSError("the disk is full")

    with pytest.raises(KeyboardInterrupt), in_background(fails_to_close(), "fails") as items:
        next(items)
        raise KeyboardInterrupt
