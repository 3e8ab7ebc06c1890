"""Frames of the filter, asked for in any order, and how far apart they are."""

import gc
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import vapoursynth as vs
from numpy.typing import NDArray

from tests.conftest import planes
from vsrrin.engine import memory, pool
from vsrrin.engine.backends.graph_backend import GraphBackend

type Picture = list[NDArray[np.generic]]
"""The planes of a frame."""


def straight(clip: vs.VideoNode) -> list[Picture]:
    """Return all frames, asked for one after the other."""
    return [_planes(clip, n) for n in range(clip.num_frames)]


def by_threads(clip: vs.VideoNode, seed: int) -> list[Picture]:
    """Return all frames, asked for in a random order by several threads."""
    order = random.Random(seed).sample(range(clip.num_frames), clip.num_frames)
    with ThreadPoolExecutor(6) as threads:
        found = dict(zip(order, threads.map(lambda n: _planes(clip, n), order), strict=True))
    return [found[n] for n in range(clip.num_frames)]


def at_once(clips: Sequence[vs.VideoNode], seed: int) -> list[list[Picture]]:
    """Return all frames of clips, all asked for before the first is there, in a random order."""
    order = [(k, n) for k, clip in enumerate(clips) for n in range(clip.num_frames)]
    random.Random(seed).shuffle(order)
    futures = {(k, n): clips[k].get_frame_async(n) for k, n in order}
    found = {}
    for key, future in futures.items():
        with future.result() as frame:
            found[key] = planes(frame)
    return [[found[k, n] for n in range(clip.num_frames)] for k, clip in enumerate(clips)]


def _planes(clip: vs.VideoNode, n: int) -> Picture:
    with clip.get_frame(n) as frame:
        return planes(frame)


def difference(first: Sequence[Picture], second: Sequence[Picture]) -> tuple[float, float]:
    """Return the largest difference in 8-bit levels, and the PSNR in dB (infinite if there is none) of all samples.

    Integers are taken to use all bits of their type.
    """
    errors = [
        (a.astype(np.float64) - b.astype(np.float64)).ravel()
        * (255.0 if a.dtype.kind == "f" else 2.0 ** (8 - 8 * a.dtype.itemsize))
        for one, two in zip(first, second, strict=True)
        for a, b in zip(one, two, strict=True)
    ]
    error = np.concatenate(errors)
    if not np.isfinite(error).all():
        return float("inf"), float("-inf")
    mean = float(np.square(error).mean())
    return float(np.abs(error).max()), float(10 * np.log10(255.0**2 / mean)) if mean else float("inf")


def recordings() -> list[bool]:
    """Return for each recording of the network used last whether the device could record it."""
    kept = [shared.backend for shared in pool._kept.values() if isinstance(shared.backend, GraphBackend)]
    return [each is not None for each in kept[-1]._recordings.values()]


def forget(device: torch.device) -> None:
    """Let all networks go, and give their memory back to the device."""
    pool._kept.clear()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        getattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: None)()
    memory.release(device)
