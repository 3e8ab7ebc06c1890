"""How much memory a device has left, and how to tell that it ran out."""

import psutil
import torch

_CPU_LIMIT = 4 * 2**30  # a filter is a guest: source filter, encoder and VapourSynth's frame cache need room too
_SHARE = 0.5

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
