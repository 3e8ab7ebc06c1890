"""How fast the filter and the bare networks are on a device."""

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import vapoursynth as vs
from torch import Tensor

import vsrrin
from scripts.benchmarks.device.pictures import clip_of, model_of
from scripts.benchmarks.device.report import AbsentError, Report
from vsrrin.engine import pool
from vsrrin.engine.backends import Backend
from vsrrin.engine.options import Options
from vsrrin.nets.spec import NetSpec

NETWORKS = ("draft", "balanced", "rrin_lite", "rrin")
_SOURCE_FRAMES = 24
_WARM_UP = 24
"""Output frames before the clock starts: they load, choose kernels, record."""


def time_network(
    report: Report, name: str, folder: Path, *, device: str, size: tuple[int, int], seconds: float, compiled: bool
) -> None:
    """New frames a second of the whole filter with factor 2, and seconds per pair of the bare network.

    Args:
        report: Takes what is found.
        name: Bundled weights or a network without.
        folder: For checkpoints.
        device: Name of the device.
        size: (width, height).
        seconds: How long each is measured.
        compiled: Whether backend "compile" is measured, too.
    """
    model = model_of(name, folder)
    source = clip_of(_SOURCE_FRAMES, size)
    for _ in source.frames(close=True):  # into its cache
        pass
    for backend in ("torch", "graphs", *(["compile"] if compiled else [])):
        what = f"{backend}, {size[0]}x{size[1]}"
        report.check(name, f"{what}: filter", partial(_filter, source, model, backend, device, seconds))
        report.check(name, f"{what}: network", partial(_network, model, backend, device, size, seconds))
    pool._kept.clear()


def _filter(source: vs.VideoNode, model: str, backend: str, device: str, seconds: float) -> tuple[None, str]:
    clip = source.std.Loop(2000)
    try:
        output = vsrrin.interpolate(clip, 2, model, device=device, backend=backend, scene="off")
    except vs.Error as error:
        raise _absent(error) from error
    _render(output[:_WARM_UP])
    begin = time.perf_counter()
    _render(output[_WARM_UP : 2 * _WARM_UP])
    rate = _WARM_UP / (time.perf_counter() - begin)
    count = min(max(int(rate * seconds), _WARM_UP), output.num_frames - 2 * _WARM_UP) // 2 * 2
    begin = time.perf_counter()
    _render(output[2 * _WARM_UP : 2 * _WARM_UP + count])
    took = time.perf_counter() - begin
    # Every other frame is a source frame.
    return None, f"{count / 2 / took:.2f} new frames/s ({count // 2} in {took:.2f} s, {vs.core.num_threads} threads)"


def _render(clip: vs.VideoNode) -> None:
    """Asks for as many frames at once as vspipe does."""
    deque(clip.frames(prefetch=vs.core.num_threads, close=True), maxlen=0)


def _network(model: str, backend: str, device: str, size: tuple[int, int], seconds: float) -> tuple[None, str]:
    try:
        shared = pool.shared(Options(model=model, device=device, backend=backend))
    except vsrrin.BackendError as error:
        raise _absent(error) from error
    run = _pair(shared.backend, shared.model.spec, size)
    for _ in range(5):
        run()
    _wait(shared.backend.device)
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds / 2:
        for _ in range(3):
            run()
        _wait(shared.backend.device)
        count += 3
    each = (time.perf_counter() - begin) / count
    return None, f"{1e3 * each:.2f} ms per pair (estimate and synthesize, {count} runs): {1 / each:.1f}/s"


def _pair(backend: Backend, spec: NetSpec, size: tuple[int, int]) -> Callable[[], Tensor]:
    """One pair of frames of chance through the network, already on the device."""
    width, height = (-(-side // spec.size_multiple) * spec.size_multiple for side in size)
    torch.manual_seed(0)
    img0, img1 = (torch.rand(1, 3, height, width).to(backend.device) for _ in range(2))
    flow = torch.randn(1, 4, height // 2, width // 2).to(backend.device) if spec.external_flow else None
    t = torch.full((1, 1, 1, 1), 0.5, device=backend.device)
    return lambda: backend.synthesize(img0, img1, backend.estimate(img0, img1, flow), t)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _absent(error: Exception) -> Exception:
    return AbsentError(str(error)) if "needs PyTorch" in str(error) else error
