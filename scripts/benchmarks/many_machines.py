"""What many machines that make one film are limited by: processor time and bits of every step, and tables that follow.

Decoding, BestSource's index, new frames, encoders and joining are measured one after the other in processor seconds,
which other programs on the machine disturb little; what starting costs is left out. Prints markdown tables.

    python -m scripts.benchmarks.many_machines [--sizes 1080p 4k] [--models draft rrin_lite] [--clip VIDEO]
                                               [--cores 8] [--price 0.04] [--frames 100] [--new 6]
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.clips import CLIP, size_of

ENCODERS = {
    "x264 medium": ("-c:v", "libx264", "-preset", "medium", "-crf", "18"),
    "x265 medium": ("-c:v", "libx265", "-preset", "medium", "-crf", "20", "-x265-params", "log-level=error"),
    "SVT-AV1 8": ("-c:v", "libsvtav1", "-preset", "8", "-crf", "30"),
}
WORKERS = (10, 100, 1000)
HOUR = 24 * 3600
"""Source frames of an hour of film; made twice as many."""
LEAST = 1e-6
"""Seconds that a step is taken to need at least, where a difference is lost in the noise."""
INDEX = """
import sys, vapoursynth as vs
vs.core.bs.VideoSource(sys.argv[1], cachemode=0, showprogress=0)
"""
NEW = """
import os, sys, vapoursynth as vs, vsrrin
clip = vs.core.bs.VideoSource(sys.argv[1], cachemode=0, showprogress=0)
clip = vsrrin.interpolate(clip.std.SetFrameProps(_Matrix=1), 2, model=sys.argv[2])
count = int(sys.argv[3])
clip.get_frame(3)
before = os.times()
for n in range(4, 4 + 2 * count):
    clip.get_frame(n)
after = os.times()
print((after.user + after.system - before.user - before.system) / count)
"""


@dataclass(frozen=True)
class Step:
    """Processor seconds and bits of what comes out, both per frame."""

    seconds: float
    bits: float = 0.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=CLIP, help="scaled, and repeated until there are enough frames")
    parser.add_argument("--sizes", nargs="+", type=size_of, default=[(1920, 1080), (3840, 2160)])
    parser.add_argument("--models", nargs="+", default=["draft", "rrin_lite"])
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=list(ENCODERS))
    parser.add_argument("--frames", type=int, default=100, help="frames that are decoded and encoded")
    parser.add_argument("--new", type=int, default=6, help="new frames that are made with each model")
    parser.add_argument("--cores", type=int, default=8, help="cores of a worker")
    parser.add_argument("--price", type=float, default=0.04, help="of an hour of one core, in any money")
    options = parser.parse_args(arguments)
    for width, height in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            _report(Path(folder), width, height, options)


def _report(folder: Path, width: int, height: int, options: argparse.Namespace) -> None:
    source = folder / "source.mkv"
    scale = ("-stream_loop", "-1", "-i", str(options.clip), "-an", "-vf", f"scale={width}:{height},format=yuv420p")
    _ffmpeg(*scale, "-frames:v", str(options.frames), *ENCODERS["x264 medium"], str(source))
    count = options.frames
    decode = Step(_ffmpeg("-threads", "1", "-i", str(source), "-f", "null", "-") / count, _bits(source) / count)
    bare = _processor_time([sys.executable, "-c", "import sys, vapoursynth as vs\nvs.core.bs"])
    index = Step(max(_processor_time([sys.executable, "-c", INDEX, str(source)]) - bare, LEAST) / count)
    encoded = {name: _encode(source, folder / f"{name[:4]}.mkv", name, decode, count) for name in options.encoders}
    parts = [folder / f"{name[:4]}.mkv" for name in options.encoders]
    join = _join(parts[0], folder, count)
    new = {model: _new_frame(source, model, options.new, decode) for model in options.models}

    print(
        f"### {width}x{height}\n\n| step | core-s per frame | frames/s and core | Mbit per frame |\n|---|---|---|---|"
    )
    steps = {"decode (x264)": decode, "BestSource's index": index, **{f"new, {model}": s for model, s in new.items()}}
    for name, step in {**steps, **encoded, "join": join}.items():
        print(f"| {name} | {step.seconds:.4f} | {1 / step.seconds:.1f} | {step.bits / 1e6:.2f} |")
    print(f"| frames as they are | | | {_raw(width, height) / 1e6:.1f} |\n")
    _film(width, height, decode, new, encoded, join, options)


def _film(
    width: int,
    height: int,
    decode: Step,
    new: dict[str, Step],
    encoded: dict[str, Step],
    join: Step,
    options: argparse.Namespace,
) -> None:
    """Print what workers of some cores make, read and write, and what an hour of film costs."""
    print(f"A worker of {options.cores} cores; 24 to 48 frames per second; a core-hour costs {options.price:g}\n")
    rates = "output frames/s | read Mbit/s | write Mbit/s | raw Mbit/s | core-hours | price"
    totals = " | ".join(f"{n}: read, write, raw Gbit/s; joiners" for n in WORKERS)
    print(f"| model, encoder | {rates} | {totals} |\n{'|---' * (7 + len(WORKERS))}|")
    for model, made in new.items():
        for encoder, step in encoded.items():
            seconds = (decode.seconds + made.seconds) / 2 + step.seconds
            rate = options.cores / seconds
            flows = [rate * decode.bits / 2, rate * step.bits, rate * _raw(width, height)]
            hours = 2 * HOUR * seconds / 3600
            cells = [f"{rate:.2f}", *(f"{flow / 1e6:.1f}" for flow in flows), f"{hours:.1f}"]
            cells.append(f"{hours * options.price:.2f}")
            for workers in WORKERS:
                sums = ", ".join(f"{workers * flow / 1e9:.2g}" for flow in flows)
                cells.append(f"{sums}; {workers * rate * join.seconds:.2g}")
            print(f"| {model}, {encoder} | {' | '.join(cells)} |", flush=True)
    print()


def _encode(source: Path, target: Path, name: str, decode: Step, count: int) -> Step:
    seconds = _ffmpeg("-threads", "1", "-i", str(source), *ENCODERS[name], str(target)) / count
    return Step(max(seconds - decode.seconds, LEAST), _bits(target) / count)


def _join(part: Path, folder: Path, count: int) -> Step:
    """Join a hundred chunks without decoding."""
    (folder / "list.txt").write_text(f"file '{part.name}'\n" * 100)
    seconds = _ffmpeg("-f", "concat", "-i", str(folder / "list.txt"), "-c", "copy", str(folder / "joined.mkv"))
    return Step(seconds / (100 * count), _bits(folder / "joined.mkv") / (100 * count))


def _new_frame(source: Path, model: str, count: int, decode: Step) -> Step:
    done = subprocess.run(
        [sys.executable, "-c", NEW, str(source), model, str(count)], check=True, stdout=subprocess.PIPE, text=True
    )
    return Step(max(float(done.stdout) - decode.seconds, LEAST))


def _ffmpeg(*arguments: str) -> float:
    """Run ffmpeg and return its processor time in seconds."""
    return _processor_time(["ffmpeg", "-v", "error", "-y", *arguments])


def _processor_time(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, env={**os.environ, "SVT_LOG": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _bits(path: Path) -> int:
    return 8 * path.stat().st_size


def _raw(width: int, height: int) -> float:
    return 12.0 * width * height


if __name__ == "__main__":
    main()
