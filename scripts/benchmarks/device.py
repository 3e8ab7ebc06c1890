"""Speed of the filter and of the bare networks on a device. Prints a markdown table.

    python -m scripts.benchmarks.device [--device cuda] [--models NAME ...] [--sizes 854x480 1920x1080]
                                        [--backends torch graphs] [--seconds 3]

New frames a second are those of the whole filter with factor 2, asked for several at a time as vspipe asks; ms per pair
are those of the bare network on frames that are on the device. Networks whose weights are not bundled have random ones.
Whether the frames are right is what `python -m pytest tests/device --device cuda` tells.

Needs of vsrrin's requirements only NumPy, OpenCV, psutil, PyTorch, safetensors and VapourSynth without plugins.
"""

import argparse
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import vapoursynth as vs
from torch import Tensor

import vsrrin
from scripts.benchmarks.clips import opencv_clip, size_of
from scripts.models.random_weights import random_model, save_model
from vsrrin.checkpoint import loader
from vsrrin.engine import pool
from vsrrin.engine.backends import Backend
from vsrrin.engine.options import Options
from vsrrin.nets.registry import by_name
from vsrrin.nets.spec import NetSpec

_SOURCE_FRAMES = 24
_WARM_UP = 24
"""Output frames before the clock starts: they load, choose kernels, record."""


def filter_rate(source: vs.VideoNode, options: Options, seconds: float) -> float:
    """Return how many new frames a second the whole filter makes of a clip, measured for so long."""
    clip = source.std.Loop(2000)
    output = vsrrin.interpolate(clip, 2, options.model, device=options.device, backend=options.backend, scene="off")
    _render(output[:_WARM_UP])
    begin = time.perf_counter()
    _render(output[_WARM_UP : 2 * _WARM_UP])
    rate = _WARM_UP / (time.perf_counter() - begin)
    count = min(max(int(rate * seconds), _WARM_UP), output.num_frames - 2 * _WARM_UP) // 2 * 2
    begin = time.perf_counter()
    _render(output[2 * _WARM_UP : 2 * _WARM_UP + count])
    return float(count / 2 / (time.perf_counter() - begin))  # every other frame is a source frame


def _render(clip: vs.VideoNode) -> None:
    deque(clip.frames(prefetch=vs.core.num_threads, close=True), maxlen=0)


def network_seconds(shared: pool.Shared, size: tuple[int, int], seconds: float) -> float:
    """Return the seconds that the bare network takes for a pair (estimate and synthesize), measured for so long."""
    run, device = _pair(shared.backend, shared.model.spec, size), shared.backend.device
    for _ in range(5):
        run()
    _wait(device)
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        for _ in range(3):
            run()
        _wait(device)
        count += 3
    return (time.perf_counter() - begin) / count


def _pair(backend: Backend, spec: NetSpec, size: tuple[int, int]) -> Callable[[], Tensor]:
    width, height = (-(-side // spec.size_multiple) * spec.size_multiple for side in size)
    torch.manual_seed(0)
    img0, img1 = (torch.rand(1, 3, height, width).to(backend.device) for _ in range(2))
    flow = torch.randn(1, 4, height // 2, width // 2).to(backend.device) if spec.external_flow else None
    t = torch.full((1, 1, 1, 1), 0.5, device=backend.device)
    return lambda: backend.synthesize(img0, img1, backend.estimate(img0, img1, flow), t)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--device", default="cuda")
    add("--models", nargs="+", default=["draft", "balanced", "rrin_lite", "rrin"], metavar="NAME")
    add("--sizes", nargs="+", type=size_of, default=[(854, 480), (1920, 1080)], metavar="SIZE")
    add("--backends", nargs="+", default=["torch", "graphs"], choices=("torch", "graphs", "compile"))
    add("--seconds", type=float, default=3.0, help="how long each speed is measured")
    options = parser.parse_args(arguments)
    print(f"PyTorch {torch.__version__}, {options.device}, {vs.core.num_threads} threads of VapourSynth\n")
    print("| model | size | backend | new frames/s | ms per pair |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            model = name if name in loader.bundled() else save_model(random_model(by_name(name)), Path(folder))
            for width, height in options.sizes:
                source = opencv_clip(_SOURCE_FRAMES, (width, height))
                for backend in options.backends:
                    given = Options(model=model, device=options.device, backend=backend)
                    try:
                        each = network_seconds(pool.shared(given), (width, height), options.seconds / 2)
                        found = f"{filter_rate(source, given, options.seconds):.2f} | {1e3 * each:.2f}"
                    except (vsrrin.VsrrinError, vs.Error) as error:
                        found = f"{error} | -"
                    print(f"| {name} | {width}x{height} | {backend} | {found} |", flush=True)


if __name__ == "__main__":
    main()
