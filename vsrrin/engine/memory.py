"""How much memory a device has left, and how to tell that it ran out."""

import ctypes
from collections.abc import Callable
from functools import cache
from threading import Lock

import psutil
import torch

_CPU_LIMIT = 5 * 2**29  # a filter is a guest: source filter, encoder and VapourSynth's frame cache need room too
_SHARE = 0.5

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of options in glibc's malloc.h,"""
_KEPT_ON_TOP, _LARGEST_IN_HEAP = 2**29, 2**25
"""and what they are set to: bytes free on top of the heap, and the greatest size that glibc allows in it."""
_HEAP_SLACK = 2**27
"""Bytes by which the process may grow before the C library's heap is tidied."""

_SOON = 32
"""Frames within which memory that was given back is needed again if it is needed at all."""

_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "failed to allocate")


def budget(device: torch.device) -> int:
    """Bytes that one run of a network may use on ``device``: half of what is free now (on the CPU 2.5 GiB at most)."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch has reserved but does not use is free as well.
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int((free + cached) * _SHARE)
    if device.type == "xpu":
        free, _ = torch.xpu.mem_get_info(device)
        return int(free * _SHARE)
    # mps shares the machine's memory.
    return min(int(psutil.virtual_memory().available * _SHARE), _CPU_LIMIT)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` means that an allocation failed; each device and library words it differently."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _OUT_OF_MEMORY)


def release(device: torch.device) -> None:
    """Gives memory that torch keeps for reuse back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "xpu":
        torch.xpu.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


class HeapTidier:
    """Keeps the C library's heap from growing by fragmentation alone.

    What networks put into glibc's heap, from several threads, stays with the process when it is freed: over hundreds of
    1080p frames that grows by a gigabyte and more although nothing leaks. Giving the free pages back costs as much as a
    frame, and what is needed again at once has to be asked for anew. So it is done only when the process has grown by
    ``slack``, and growth that is back within a few frames counts as needed.

    Args:
        slack: Bytes.
        resident: Tells the bytes resident now.
        trim: Gives free pages back; ``None`` where the C library has no way to (then nothing is ever done).
    """

    def __init__(self, slack: int, resident: Callable[[], int], trim: Callable[[], object] | None) -> None:
        self._slack, self._resident, self._trim = slack, resident, trim
        self._limit: int | None = None
        self._calls = 0  # since memory was given back, or since the start
        self._lock = Lock()

    def tidy(self) -> None:
        """To be called after every frame, by any thread."""
        if self._trim is None or not self._lock.acquire(blocking=False):
            return
        try:
            now = self._resident()
            self._calls += 1
            if self._limit is None:
                self._limit = now + self._slack
            elif now > self._limit:
                if self._calls > _SOON:
                    self._trim()
                    self._calls, now = 0, self._resident()
                self._limit = now + self._slack
        finally:
            self._lock.release()


@cache
def heap() -> HeapTidier:
    """The tidier of this process, which gives memory back instead of glibc's own rules from then on."""
    process = psutil.Process()
    try:
        library = ctypes.CDLL(None)
        trim, option = library.malloc_trim, library.mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return HeapTidier(_HEAP_SLACK, lambda: 0, None)
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    # By its own rules glibc returns the top of the heap whenever something large there is freed, and has every page of
    # it cleared for the next picture: a quarter of the time of a 480p frame.
    option(_MMAP_THRESHOLD, _LARGEST_IN_HEAP)
    option(_TRIM_THRESHOLD, _KEPT_ON_TOP)
    return HeapTidier(_HEAP_SLACK, lambda: int(process.memory_info().rss), lambda: trim(0))
