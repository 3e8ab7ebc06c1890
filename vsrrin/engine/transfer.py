"""Copies between the host and a device, beside the device's work.

Source frames are written into pinned memory and copied to the device on a stream of their own; the network waits for
them on the device, not on the host, so that the frames of the next pair arrive while this one is synthesised. At most
two such copies of an engine are on their way (double buffering): the host waits for the older one before a third
begins, and keeps what is being copied alive until then. New frames come back on another stream, and only the thread
that asked waits.

What is device-specific is a :class:`Mover` of few lines; who waits for what is written once, here and in the engine,
and runs with every device.
"""

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Protocol

import torch
from torch import Tensor

type Empty = Callable[..., Tensor]
"""Makes a float32 tensor on the host from its sides."""

_ON_THEIR_WAY = 2


class Mark(Protocol):
    """A point in the work of a device."""

    def wait(self) -> None:
        """Lets what the device is given from now on begin after this point; the host does not wait."""
        ...

    def synchronize(self) -> None:
        """Lets the host wait until the device is there."""
        ...


class Mover(Protocol):
    """Copies of one device."""

    pinned: bool
    """Whether copies go beside other work only from and to pinned memory."""

    def upload(self, x: Tensor) -> tuple[Tensor, Mark]:
        """Begins to copy from the host; what comes back may be used after its mark."""
        ...

    def download(self, x: Tensor, empty: Empty) -> tuple[Tensor, Mark]:
        """Begins to copy to the host, after all that the device was given so far; ``empty`` makes the memory for it."""
        ...


class _Done:
    """The mark of what needs no waiting."""

    def wait(self) -> None:
        """Nothing."""

    def synchronize(self) -> None:
        """Nothing."""


DONE: Mark = _Done()


class Direct:
    """Copies at once, or nothing at all on the CPU."""

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
        mover: Those of its device.
    """

    def __init__(self, mover: Mover) -> None:
        self._mover = mover
        self._lock = Lock()
        self._uploads: deque[tuple[Mark, Tensor]] = deque()

    def upload(self, x: Tensor) -> tuple[Tensor, Mark]:
        """Begins to copy a tensor from the host, which must not be written to any more.

        Returns:
            It on the device, and the mark to wait for before it is used.
        """
        with self._lock:
            while len(self._uploads) >= _ON_THEIR_WAY:
                self._end_oldest()
            there, mark = self._mover.upload(x)
            if mark is not DONE:
                self._uploads.append((mark, x))
        return there, mark

    def download(self, x: Tensor, empty: Empty) -> Tensor:
        """A tensor of the device, on the host; waits until it is there.

        Args:
            x: The tensor.
            empty: Makes the memory for it, pinned if the mover wants that.
        """
        here, mark = self._mover.download(x, empty)
        mark.synchronize()
        return here

    def clear(self) -> None:
        """Waits for what is on its way."""
        with self._lock:
            while self._uploads:
                self._end_oldest()

    def _end_oldest(self) -> None:
        # It stays in its place, with the memory that is being copied, until that is done.
        self._uploads[0][0].synchronize()
        self._uploads.popleft()


def mover_of(device: torch.device) -> Mover:
    """The copies of a device."""
    return CudaMover(device) if device.type == "cuda" else Direct(device)
