"""Allocation of the large blocks of memory that every training step asks for and frees.

glibc gets pieces above some size from the system one by one and returns each at once, so the next step has every page
of them made and filled with zeros again: on two cores two thirds of the time of a step went into that.
"""

from vsrrin.engine.memory import Malloc, mallopt

_NEVER = -1
_PAD = 2**28


def keep_freed_memory() -> bool:
    """Let this process keep freed memory for its next use.

    It then holds as much as it ever needed at once, until it ends.

    Returns:
        Whether the C library could be told: glibc.
    """
    return mallopt({Malloc.MMAP_MAX: 0, Malloc.TRIM_THRESHOLD: _NEVER, Malloc.TOP_PAD: _PAD})
