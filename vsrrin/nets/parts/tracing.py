"""Switch for recording networks as graphs, and the shortcuts that neither a graph nor autograd can follow."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_traced = ContextVar("vsrrin_traced", default=False)


@contextmanager
def tracing() -> Iterator[None]:
    """Run networks in operations that a graph of any frame size can hold, in this thread, while the block lasts."""
    token = _traced.set(True)
    try:
        yield
    finally:
        _traced.reset(token)


def is_traced() -> bool:
    """Return whether a network is recorded: inside :func:`tracing`, or by ``torch.compile`` or ``torch.export``."""
    return torch.compiler.is_compiling() or _traced.get()


def may_take_shortcuts() -> bool:
    """Return whether a network may leave PyTorch for OpenCV, and may write into tensors that it has made.

    Both are faster on a CPU. A graph would not see them, or would only hold for one frame size; OpenCV has no
    gradients, and values that autograd needs must not be written over.
    """
    return not (torch.is_grad_enabled() or is_traced())
