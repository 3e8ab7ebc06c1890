"""Copies between the host and a device while the device does other work.

Source frames are written into pinned memory and copied to the device on a stream of their own. The network waits for
them on the device, not on the host, so that the frames of the next pair arrive while this one is synthesised. At most
two such copies of an engine are on their way (double buffering): before a third begins, the host waits for the older
one, and keeps its source alive until then. New frames come back on another stream, and only the thread that asked for
them waits.

A :class:`Mover` holds the few lines that differ between devices; the order of waiting is the same for all.
"""

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Protocol

import torch
from torch import Tensor

type Empty = Callable[..., Tensor]
"""Function that makes a float32 tensor on the host, of the given sides."""

_ON_THEIR_WAY = 2


class Mark(Protocol):
    """Point in the work of a device."""

    def wait(self) -> None:
        """Make later device work wait for this point without blocking the host."""
        ...

    def synchronize(self) -> None:
        """Block the host until the device has reached this point."""
        ...


class Mover(Protocol):
    """Copies of one device."""

    pinned: bool
    """True if only copies from and to pinned memory go on beside other work."""

    def upload(self, x: Tensor) -> tuple[Tensor, Mark]:
        """Begin to copy from the host; the copy may be used after its mark."""
        ...

    def download(self, x: Tensor, empty: Empty) -> tuple[Tensor, Mark]:
        """Begin to copy to the host, into memory made by ``empty``, after all work given to the device so far."""
        ...


class _Done:
    """Mark that needs no waiting."""

    def wait(self) -> None:
        """See `Mark`."""

    def synchronize(self) -> None:
        """See `Mark`."""


DONE: Mark = _Done()


class Direct:
    """Copies made at once, or none at all on the CPU."""

    pinned = False

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def upload(self, x: Tensor) -> tuple[Tensor, Mark]:
        """See `Mover`."""
        return x.to(self._device), DONE

    def download(self, x: Tensor, empty: Empty) -> tuple[Tensor, Mark]:
        """See `Mover`."""
        return x.cpu(), DONE


class CudaMover:
    """Copies on streams of their own."""

    pinned = True

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._up, self._down = (torch.cuda.Stream(device) for _ in range(2))  # type: ignore[no-untyped-call]

    def upload(self, x: Tensor) -> tuple[Tensor, Mark]:
        """See `Mover`."""
        with torch.cuda.stream(self._up):
            there = x.to(self._device, non_blocking=True)
            mark = self._mark()
        # Else its memory could be given to another tensor while the network still reads it.
        there.record_stream(torch.cuda.current_stream(self._device))
        return there, mark

    def download(self, x: Tensor, empty: Empty) -> tuple[Tensor, Mark]:
        """See `Mover`."""
        with torch.cuda.device(self._device):
            made = self._mark()
        here = empty(*x.shape)
        with torch.cuda.stream(self._down):
            made.wait()
            here.copy_(x, non_blocking=True)
            mark = self._mark()
        x.record_stream(self._down)
        return here, mark

    def _mark(self) -> "_CudaMark":
        # Blocking: threads that wait leave the cores to flow and conversion.
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record()
        return _CudaMark(event, self._device)


class _CudaMark:
    def __init__(self, event: torch.cuda.Event, device: torch.device) -> None:
        self._event, self._device = event, device

    def wait(self) -> None:
        """See `Mark`."""
        torch.cuda.current_stream(self._device).wait_event(self._event)

    def synchronize(self) -> None:
        """See `Mark`."""
        self._event.synchronize()


class Transfer:
    """Copies of one engine; thread safe.

    Args:
        mover: Copies of its device.
    """

    def __init__(self, mover: Mover) -> None:
        self._mover = mover
        self._lock = Lock()
        self._uploads: deque[tuple[Mark, Tensor]] = deque()

    def upload(self, x: Tensor) -> tuple[Tensor, Mark]:
        """Begin to copy a tensor from the host, which must not be written to any more.

        Returns:
            The tensor on the device, and the mark to wait for before it is used.
        """
        with self._lock:
            while len(self._uploads) >= _ON_THEIR_WAY:
                self._end_oldest()
            there, mark = self._mover.upload(x)
            if mark is not DONE:
                self._uploads.append((mark, x))
        return there, mark

    def download(self, x: Tensor, empty: Empty) -> Tensor:
        """Return a copy of a device's tensor on the host, complete.

        Args:
            x: The tensor.
            empty: Makes the memory for the copy, pinned if the mover wants that.
        """
        here, mark = self._mover.download(x, empty)
        mark.synchronize()
        return here

    def clear(self) -> None:
        """Wait for all copies on their way."""
        with self._lock:
            while self._uploads:
                self._end_oldest()

    def _end_oldest(self) -> None:
        # It stays in its place, with the memory that is being copied, until that is done.
        self._uploads[0][0].synchronize()
        self._uploads.popleft()


def mover_of(device: torch.device) -> Mover:
    """Return the copies of a device."""
    return CudaMover(device) if device.type == "cuda" else Direct(device)
