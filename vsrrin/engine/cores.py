"""Cores of the processor, shared among frame pairs that are worked on at once.

The work on a pair is a chain of hundreds of short steps. On all cores at once each of them lasts until the slowest core
is done, and anything else that runs on one of them holds up the others too. So several pairs are worked on at once, as
VapourSynth asks for several frames at once, each by a thread or a few.
"""

import ctypes
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Condition

import torch


class Cores:
    """A number of cores that threads take some of, in the order in which they ask.

    Args:
        count: How many there are.
    """

    def __init__(self, count: int) -> None:
        self.count = self._free = count
        self._waiting: deque[object] = deque()
        self._changed = Condition()

    @contextmanager
    def taken(self, count: int) -> Iterator[None]:
        """Take so many cores, at most all of them, as soon as they are free."""
        count = min(count, self.count)
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket and self._free >= count)
                self._free -= count
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()


@cache
def cores_of(device: str) -> Cores:
    """Return the cores of a device: the threads that PyTorch uses here, or one for a device that is none's but its own.

    Two networks at once on the same cores only slow each other down, on CPUs up to tenfold.
    """
    return Cores(torch.get_num_threads() if device == "cpu" else 1)


def share(lanes: int) -> int:
    """Return the threads for each of so many pairs that are worked on at once."""
    return max(torch.get_num_threads() // lanes, 1)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Make PyTorch use so many threads for what the calling thread does; others' settings are left alone."""
    cores_of("cpu")  # before there are fewer threads to count
    before = torch.get_num_threads()  # this also sets the thread's number, which PyTorch would do later
    if before == count:
        yield
        return
    _set(count)
    try:
        yield
    finally:
        _set(before)


def _set(count: int) -> None:
    # torch.set_num_threads would be for all threads that begin later, too.
    function = _openmp("omp_set_num_threads")
    if function is not None:
        function(count)


def end_idle_threads() -> None:
    """End the calling thread's helpers in PyTorch, which would go on spinning and keep others from the cores.

    They come back when they are needed, in some microseconds each; without this OpenVINO takes up to a third longer.
    """
    function = _openmp("omp_pause_resource_all")
    if function is not None and torch.get_num_threads() > 1:
        function(1)  # omp_pause_soft


@cache
def _openmp(name: str) -> Callable[[int], object] | None:
    """Return a function of OpenMP; ``None`` where there is none."""
    try:
        found: Callable[[int], object] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # on Windows there is no library without a name
        return None
    return found
