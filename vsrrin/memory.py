"""How much memory a device has left, and how to tell that it ran out."""

import ctypes
from collections.abc import Callable
from functools import cache
from threading import Lock

import psutil
import torch

_CPU_LIMIT = 4 * 2**30  # a filter is a guest: source filter, encoder and VapourSynth's frame cache need room too
_SHARE = 0.5

_HEAP_SLACK = 2**29
"""Bytes by which the process may grow before the C library's heap is tidied."""

_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "failed to allocate")


def budget(device: torch.device) -> int:
    """Bytes that one run of a network may use on ``device``: half of what is free now (on the CPU 4 GiB at most)."""
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

    Frame tensors of some 25 MB come from glibc's heap, from several threads, and what is freed there stays with the
    process: over hundreds of 1080p frames it grows by a gigabyte and more although nothing leaks. Giving the free pages
    back costs about as much as a frame, so it is done only when the process has grown by ``slack`` since the last time.

    Args:
        slack: Bytes.
        resident: Tells the bytes resident now.
        trim: Gives free pages back; ``None`` where the C library has no way to (then nothing is ever done).
    """

    def __init__(self, slack: int, resident: Callable[[], int], trim: Callable[[], object] | None) -> None:
        self._slack, self._resident, self._trim = slack, resident, trim
        self._floor: int | None = None
        self._lock = Lock()

    def tidy(self) -> None:
        """To be called now and then, by any thread."""
        if self._trim is None or not self._lock.acquire(blocking=False):
            return
        try:
            now = self._resident()
            if self._floor is not None and now > self._floor + self._slack:
                self._trim()
                self._floor = self._resident()
            elif self._floor is None or now < self._floor:
                self._floor = now
        finally:
            self._lock.release()


@cache
def heap() -> HeapTidier:
    """The tidier of this process."""
    process = psutil.Process()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc
        return HeapTidier(_HEAP_SLACK, lambda: 0, None)
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return HeapTidier(_HEAP_SLACK, lambda: int(process.memory_info().rss), lambda: trim(0))
