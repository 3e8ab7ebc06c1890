"""Reusable memory for frames on the CPU.

A 1080p frame in float32 takes 25 MB. Fresh memory of that size costs more than the work on it: every page is cleared
and mapped at the first touch, which takes 5 to 30 ms per frame, and the C library returns it to the system as soon as
the tensor is gone.
"""

import math
from collections import deque
from typing import Any

import numpy as np
import torch
from torch import Tensor

_SMALLEST = 2**20
"""Bytes below which the C library is as fast."""


class FramePool:
    """Tensors whose memory returns to the pool with the last view of it; thread safe.

    Args:
        limit: Bytes that may lie idle.
        pinned: Pin all memory, small tensors too, so that CUDA copies from and to it while it does other work.
    """

    def __init__(self, limit: int, *, pinned: bool = False) -> None:
        self._limit = limit
        self._pinned = pinned
        self._idle: deque[np.ndarray[Any, np.dtype[np.float32]]] = deque()

    def empty(self, *shape: int) -> Tensor:
        """Return an uninitialised, contiguous float32 tensor of this shape on the CPU."""
        count = math.prod(shape)
        if 4 * count < _SMALLEST:
            return torch.empty(shape, pin_memory=self._pinned)
        return torch.from_numpy(np.asarray(_Lease(self, self._block(count), shape)))

    def clear(self) -> None:
        """Release the idle memory to the system, or to PyTorch's store of pinned memory."""
        self._idle.clear()

    @property
    def idle_bytes(self) -> int:
        """Bytes of idle memory."""
        return sum(block.nbytes for block in tuple(self._idle))

    def _block(self, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return memory for exactly ``count`` floats; clips have few frame sizes, so sizes are not mixed."""
        for _ in range(len(self._idle)):
            try:
                block = self._idle.popleft()
            except IndexError:  # another thread was faster
                break
            if block.size == count:
                return block
            self._idle.append(block)
        if self._pinned:
            return torch.empty(count, dtype=torch.float32, pin_memory=True).numpy()
        return np.empty(count, np.float32)

    def _put_back(self, block: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        # Called from destructors, in any thread and at any time: a deque's own methods need no lock.
        self._idle.append(block)
        while self.idle_bytes > self._limit:
            try:
                self._idle.popleft()  # the one that has waited longest
            except IndexError:
                break


class _Lease:
    """Owner of a block while arrays on it live; numpy keeps the object whose interface it reads."""

    def __init__(self, pool: FramePool, block: np.ndarray[Any, np.dtype[np.float32]], shape: tuple[int, ...]) -> None:
        self._pool, self._block = pool, block
        self.__array_interface__ = {**block.__array_interface__, "shape": shape, "strides": None}

    def __del__(self) -> None:
        self._pool._put_back(self._block)
