"""Reusable memory for frames on the CPU, and for what networks make of them.

A 1080p frame in float32 takes 25 MB. Fresh memory of that size costs more than the work on it: every page is cleared
and mapped at the first touch, which takes 5 to 30 ms per frame, and the C library returns it to the system as soon as
the tensor is gone.
"""

import math
from collections import deque
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SMALLEST = 2**20
"""Bytes below which the C library is as fast."""

_SCRATCH_BYTES = 3 * 2**28
"""Bytes that may lie idle between two pairs; what a pair of 1080p takes."""


class FramePool:
    """Tensors whose memory returns to the pool with the last view of it; thread safe.

    Args:
        limit: Bytes that may lie idle.
        pinned: Pin all memory, small tensors too, so that CUDA copies from and to it while it does other work.
    """

    def __init__(self, limit: int, *, pinned: bool = False) -> None:
        self._limit = limit
        self._pinned = pinned
        self._idle: deque[NDArray[np.uint8]] = deque()

    def empty(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return an uninitialised, contiguous tensor of this shape and type on the CPU."""
        count = math.prod(shape) * dtype.itemsize
        if count < _SMALLEST:
            return torch.empty(shape, dtype=dtype, pin_memory=self._pinned)
        return torch.from_numpy(np.asarray(_Lease(self, self._block(count)))).view(dtype).view(shape)

    def clear(self) -> None:
        """Release the idle memory to the system, or to PyTorch's store of pinned memory."""
        self._idle.clear()

    @property
    def idle_bytes(self) -> int:
        """Bytes of idle memory."""
        return sum(block.nbytes for block in tuple(self._idle))

    def _block(self, count: int) -> NDArray[np.uint8]:
        """Return memory of exactly ``count`` bytes; clips have few frame sizes, so sizes are not mixed."""
        for _ in range(len(self._idle)):
            try:
                block = self._idle.popleft()
            except IndexError:  # another thread was faster
                break
            if block.size == count:
                return block
            self._idle.append(block)
        # PyTorch's memory begins where vectors of any processor may.
        return np.asarray(torch.empty(count, dtype=torch.uint8, pin_memory=self._pinned).numpy())

    def _put_back(self, block: NDArray[np.uint8]) -> None:
        # Called from destructors, in any thread and at any time: a deque's own methods need no lock.
        if block.nbytes > self._limit:
            return
        self._idle.append(block)
        while self.idle_bytes > self._limit:
            try:
                self._idle.popleft()  # the one that has waited longest
            except IndexError:
                break


class _Lease:
    """Owner of a block while arrays on it live; numpy keeps the object whose interface it reads."""

    def __init__(self, pool: FramePool, block: NDArray[np.uint8]) -> None:
        self._pool, self._block = pool, block
        self.__array_interface__: dict[str, Any] = dict(block.__array_interface__)

    def __del__(self) -> None:
        self._pool._put_back(self._block)


scratch = FramePool(_SCRATCH_BYTES)
"""Memory for what networks make on the CPU on the way to a frame, shared by all of them."""
