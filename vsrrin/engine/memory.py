"""Free memory of devices, errors that mean it ran out, and the C library's heap."""

import ctypes
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import IntEnum
from functools import cache
from pathlib import Path
from threading import Lock

import cv2
import psutil
import torch

_CPU_LIMIT = 5 * 2**29  # a filter is a guest: source filter, encoder and VapourSynth's frame cache need room too
_SHARE = 0.5
_ALL_LIMIT, _ALL_SHARE = 2**32, 0.125
_GROUPS = {
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    "": ("", "memory.max", "memory.current", "inactive_file"),
}
"""Of both versions of control groups, by the controllers in /proc/self/cgroup: folder, limit, use, and the statistic of
what the system would give up."""

_KEPT_ON_TOP, _LARGEST_IN_HEAP = 2**29, 2**25
"""Bytes free on top of the heap, and the largest size that glibc allows in it."""
_HEAP_SLACK = 2**27
"""Bytes by which the process may grow before the C library's heap is tidied."""

_SOON = 32
"""Frames within which released memory is needed again, if at all."""

_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "failed to allocate")


def budget(device: torch.device) -> int:
    """Return the bytes that one run of a network may use: half of the free memory, on the CPU at most 2.5 GiB.

    In a container with a limit, free is what it leaves.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch has reserved but does not use is free as well.
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int((free + cached) * _SHARE)
    if device.type == "xpu":
        free, _ = torch.xpu.mem_get_info(device)
        return int(free * _SHARE)
    # mps shares the machine's memory.
    return min(int(_free() * _SHARE), _CPU_LIMIT)


def budget_of_all() -> int:
    """Return the bytes that all runs at once may use on the CPU.

    Half of the free memory, but no more than 4 GiB or, if that is more, an eighth of it.
    """
    free = _free()
    return int(min(free * _SHARE, max(_ALL_LIMIT, free * _ALL_SHARE)))


def _free() -> float:
    return min(psutil.virtual_memory().available, left_to_group())


def left_to_group(process: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the bytes that the limit of this process's control group leaves, as of a container; infinity without one.

    Files that the system would give up are not counted as used.

    Args:
        process: The file that names the group.
        root: The folder of all groups.
    """
    with suppress(OSError, ValueError, KeyError):
        for line in process.read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers not in _GROUPS:
                continue
            base, limit, used, files = _GROUPS[controllers]
            own = root / base / name.strip("/")
            folder = own if own.is_dir() else root / base  # in a container, its group is the root
            if (folder / limit).exists() and (most := (folder / limit).read_text().strip()) != "max":
                stated = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                return max(int(most) - int((folder / used).read_text()) + int(stated[files]), 0)
    return math.inf


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that an allocation failed; each device and library words it differently."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError | cv2.error) and any(text in str(error).lower() for text in _OUT_OF_MEMORY)


def release(device: torch.device) -> None:
    """Release memory that torch keeps for reuse to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "xpu":
        torch.xpu.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


class HeapTidier:
    """Guard against growth of the C library's heap by fragmentation alone.

    Memory that networks free in glibc's heap, from several threads, stays with the process: over hundreds of 1080p
    frames it grows by a gigabyte and more although nothing leaks. Returning the free pages takes as long as a frame,
    and pages needed again at once must be mapped anew. So it is done only when the process has grown by ``slack``, and
    growth that is back within a few frames counts as needed.

    Args:
        slack: Growth in bytes that is left alone.
        resident: Returns the bytes resident now.
        trim: Returns free pages to the system; ``None`` where the C library cannot, so that nothing is ever done.
    """

    def __init__(self, slack: int, resident: Callable[[], int], trim: Callable[[], object] | None) -> None:
        self._slack, self._resident, self._trim = slack, resident, trim
        self._limit: int | None = None
        self._calls = 0  # since memory was given back, or since the start
        self._lock = Lock()

    def tidy(self) -> None:
        """Trim the heap if it has grown; call this after every frame, from any thread."""
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
    """Return the tidier of this process, and turn glibc's own rules off at the first call."""
    # By its own rules glibc returns the top of the heap whenever something large there is freed, and has every page of
    # it cleared for the next picture: a quarter of the time of a 480p frame.
    if not mallopt({Malloc.MMAP_THRESHOLD: _LARGEST_IN_HEAP, Malloc.TRIM_THRESHOLD: _KEPT_ON_TOP}):
        return HeapTidier(_HEAP_SLACK, lambda: 0, None)
    trim, process = ctypes.CDLL(None).malloc_trim, psutil.Process()
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return HeapTidier(_HEAP_SLACK, lambda: int(process.memory_info().rss), lambda: trim(0))


class Malloc(IntEnum):
    """Options in glibc's malloc.h."""

    TRIM_THRESHOLD = -1
    TOP_PAD = -2
    MMAP_THRESHOLD = -3
    MMAP_MAX = -4


def mallopt(options: Mapping[Malloc, int]) -> bool:
    """Set options of glibc's malloc, in their order.

    Args:
        options: The options and their values.

    Returns:
        True if all were taken; False where the C library is another.
    """
    try:
        function = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # on Windows there is no library without a name
        return False
    return all([function(option, value) for option, value in options.items()])
