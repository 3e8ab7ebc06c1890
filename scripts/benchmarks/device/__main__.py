"""Checks a device: whether every network makes the same frames on it as on the CPU, with every backend.

    python -m scripts.benchmarks.device [--device cuda] [--nets NAME ...] [--frames N]
                                        [--size 320x192] [--jobs N] [--time]

To be run in a clone. Frames go through `vsrrin.interpolate` on the device and, in float32, on the CPU; what differs is
judged by PSNR. Further checks: frames asked for in any order are the same bits, recordings give what the network gives,
odd sizes, tiles, formats, two frame sizes at once, several devices, and memory: that it is given back, and that there
are tiles when it runs out. Networks whose weights are not bundled have random ones. Prints a line for each check and a
table at the end; tracebacks go to stderr; exit status 1 if anything is not as it should be.

Needs of vsrrin's requirements only NumPy, OpenCV, psutil, PyTorch, safetensors and VapourSynth without plugins.
"""

import argparse
import faulthandler
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
import vapoursynth as vs

from scripts.benchmarks.device import times
from scripts.benchmarks.device.checks import NetworkChecks
from scripts.benchmarks.device.pictures import BUNDLED, UNTRAINED
from scripts.benchmarks.device.report import FAILED, Finding, Report
from vsrrin import __version__
from vsrrin.engine.backends import graph_backend
from vsrrin.engine.backends.torch_backend import resolve_device
from vsrrin.errors import VsrrinError

_NETS = (*BUNDLED, *UNTRAINED)
_TIMED_SIZES = ((854, 480), (1920, 1080))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--nets", nargs="*", choices=_NETS, default=list(_NETS), metavar="NAME", help=", ".join(_NETS))
    parser.add_argument("--frames", type=int, default=4, help="source frames")
    parser.add_argument("--size", type=_size, default=(320, 192), help="of most clips; even, at least 128x96")
    parser.add_argument("--compile", action="store_true", help='backend "compile" as well, which takes minutes')
    parser.add_argument(
        "--graphs-anyway", action="store_true", help='try backend "graphs" with a PyTorch that is too old for it'
    )
    parser.add_argument("--jobs", type=int, default=0, help="networks at once, each in a process of its own; 0: in one")
    parser.add_argument("--limit", type=float, default=0, help="seconds for a network's process; 0 for no limit")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--time", action="store_true", help="measure speed as well")
    parser.add_argument("--time-sizes", nargs="+", type=_size, default=list(_TIMED_SIZES), metavar="SIZE")
    parser.add_argument("--time-nets", nargs="+", choices=_NETS, default=list(times.NETWORKS), metavar="NAME")
    parser.add_argument("--seconds", type=float, default=3.0, help="for which each speed is measured")
    options = parser.parse_args(arguments)
    if options.frames < 2:
        parser.error("--frames must be at least 2: new frames lie between two")
    if options.size[0] < 128 or options.size[1] < 96:
        parser.error("--size must be at least 128x96, which every network takes")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, print; 1 if anything failed."""
    options = parse(arguments)
    try:
        place = resolve_device(options.device)
    except VsrrinError as error:
        print(error, file=sys.stderr)
        return 1
    if options.graphs_anyway:
        graph_backend._FIRST_TO_RECORD = (0, 0)
    begin = time.perf_counter()
    report = Report(options.json)
    print("\n".join(surroundings(place)), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.limit and not options.jobs:
            faulthandler.dump_traceback_later(options.limit)  # what the threads wait for
        if options.jobs:
            _check_apart(options, report, folder)
        else:
            _check_here(options, report, folder)
        faulthandler.cancel_dump_traceback_later()
        if options.time:
            _measure(options, report, folder)
    print(f"\n{report.table()}\n\n{time.perf_counter() - begin:.0f} s", flush=True)
    return int(report.failed())


def surroundings(place: torch.device) -> list[str]:
    """What the results may depend on, in lines."""
    lines = [
        f"vsrrin {__version__}, Python {platform.python_version()}, PyTorch {torch.__version__}, "
        f"NumPy {np.__version__}, OpenCV {cv2.__version__}, VapourSynth R{vs.__version__.release_major}",
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads of PyTorch, {vs.core.num_threads} of VapourSynth",
    ]
    if place.type == "cuda":
        properties = torch.cuda.get_device_properties(place)
        lines.append(
            f"{place}: {properties.name}, compute capability {properties.major}.{properties.minor}, "
            f"{properties.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}, "
            f"cuDNN {torch.backends.cudnn.version()}, TF32 in convolutions {torch.backends.cudnn.allow_tf32}"
        )
    else:
        lines.append(f"{place}")
    return lines


def _check_here(options: argparse.Namespace, report: Report, folder: Path) -> None:
    for name in options.nets:
        checks = NetworkChecks(
            report,
            name,
            folder,
            device=options.device,
            size=options.size,
            frames=options.frames,
            compiled=options.compile,
        )
        checks.run()


def _check_apart(options: argparse.Namespace, report: Report, folder: Path) -> None:
    """Each network in a process of its own: what ruins one process leaves the others alone."""
    cores = max((os.cpu_count() or 1) // options.jobs, 1)
    environment = {**os.environ, "OMP_NUM_THREADS": str(cores), "PYTHONUNBUFFERED": "1"}

    def check(name: str) -> int:
        command = [sys.executable, "-m", "scripts.benchmarks.device", "--nets", name, "--device", options.device]
        command += ["--size", "{}x{}".format(*options.size), "--frames", str(options.frames)]
        command += ["--json", str(folder / f"{name}.json")]
        command += [f"--{flag}" for flag in ("compile", "graphs-anyway") if getattr(options, flag.replace("-", "_"))]
        if options.limit:
            command += ["--limit", str(0.95 * options.limit)]
        # Its table comes with everybody's.
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            end = threading.Timer(options.limit, process.kill)
            if options.limit:
                end.start()
            for line in process.stdout:
                if not line.startswith("|") and f" {name}: " in line:
                    print(line, end="", flush=True)
            process.wait()
            end.cancel()
        return process.returncode

    with ThreadPoolExecutor(options.jobs) as pool:
        # The largest take longest and begin first.
        statuses = dict(zip(reversed(options.nets), pool.map(check, reversed(options.nets)), strict=True))
    for name in options.nets:
        report.read(folder / f"{name}.json")
        if statuses[name] not in (0, 1):
            report.add(Finding(name, "process", FAILED, f"ended with status {statuses[name]}", 0.0))


def _measure(options: argparse.Namespace, report: Report, folder: Path) -> None:
    for name in options.time_nets:
        for size in options.time_sizes:
            times.time_network(
                report,
                name,
                folder,
                device=options.device,
                size=size,
                seconds=options.seconds,
                compiled=options.compile,
            )


def _size(text: str) -> tuple[int, int]:
    width, height = map(int, text.split("x"))
    if min(width, height) < 2 or width % 2 or height % 2:
        raise ValueError(text)
    return width, height


if __name__ == "__main__":
    sys.exit(main())
