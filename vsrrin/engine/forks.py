"""Refusal of work in a forked process.

Threads do not live on in a fork, and whoever waits for those of VapourSynth, PyTorch or OpenCV there waits for ever.
"""

import os

from vsrrin.errors import BackendError

_state = {"begun": False, "cut off": False}


def begin() -> None:
    """Note that work with threads begins in this process.

    Raises:
        BackendError: The process was forked from one in which such work had begun.
    """
    if _state["cut off"]:
        raise BackendError(
            "this process was forked from one that had used vsrrin, and lacks its threads: start processes with "
            'multiprocessing.get_context("spawn"), or fork before the first use'
        )
    _state["begun"] = True


def _forked() -> None:
    _state["cut off"] = _state["begun"]


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_forked)
