"""Growth of memory over random seeks in a 1080p clip.

A seek asks for a random odd output frame, which is always an interpolated one, and drops it. After some of the seeks
the memory is printed as a markdown table: resident now, the peak so far, and what VapourSynth's frame cache holds.
Each factor is measured in a process of its own, for a peak never falls.

The rule: the peak after the last seek is at most 10 % above the peak after 50 seeks. Exit status 1 if not.

VapourSynth caches frames by design until they fill half of the machine's memory. That growth is not the filter's, so
the cache is limited (``core.max_cache_size``, --vapoursynth-cache in MiB, 256 unless told otherwise), to a size that
is full well before the 50th seek. A short clip is repeated, so that hardly a seek finds its frames in a cache.

    python -m scripts.benchmarks.seeks [--clip VIDEO] [--size 1920x1080] [--seeks 1000] [--factor 2 4]
"""

import argparse
import multiprocessing
import random
import resource
import sys
import time
from pathlib import Path

import psutil
import vapoursynth as vs

import vsrrin
from scripts.benchmarks.clips import CLIP, size_of

_SETTLED = 50
"""Seeks after which the peak may grow by no more than `_GROWTH`."""
_GROWTH = 1.10
_LEAST_FRAMES = 1000
_MIB = 2**20


def main() -> int:
    """Parse the command line, measure, print; return 1 if memory grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--size", type=size_of, default=(1920, 1080))
    parser.add_argument("--seeks", type=int, default=1000, help=f"more than {_SETTLED}")
    parser.add_argument("--factor", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--model", default="rrin_lite")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vapoursynth-cache", type=int, default=256, metavar="MIB")
    options = parser.parse_args()
    if options.seeks <= _SETTLED:
        parser.error(
            f"--seeks must be more than {_SETTLED}, not {options.seeks}: the rule compares with the peak there"
        )
    if any(factor % 2 for factor in options.factor):
        parser.error("--factor must be even, so that every odd output frame is an interpolated one")
    failed = False
    for factor in options.factor:
        process = multiprocessing.get_context("spawn").Process(target=_measure, args=(options, factor))
        process.start()
        process.join()
        failed |= process.exitcode != 0
    return int(failed)


def _measure(options: argparse.Namespace, factor: int) -> None:
    """Seek with one factor; end the process with status 1 if memory grew."""
    vs.core.max_cache_size = options.vapoursynth_cache
    clip = _source(options.clip, options.size)
    output = vsrrin.interpolate(clip, factor, options.model)
    chooser = random.Random(options.seed)
    print(
        f"\n{options.clip.name} at {clip.width}x{clip.height}, {clip.format.name}, factor {factor}, {options.model}, "
        f"{options.seeks} seeks, VapourSynth's cache limited to {vs.core.max_cache_size} MiB\n"
    )
    print("| seeks | resident MiB | peak MiB | VapourSynth's cache MiB | s per seek |")
    print("|---|---|---|---|---|", flush=True)
    settled = 0.0
    begin = time.perf_counter()
    for seek in range(1, options.seeks + 1):
        number = chooser.randrange((clip.num_frames - 1) * factor // 2) * 2 + 1
        output.get_frame(number).close()
        if seek == _SETTLED:
            settled = _peak()
        if seek in (1, 10, _SETTLED, options.seeks) or seek % 100 == 0:
            print(f"| {seek} | {_row()} | {(time.perf_counter() - begin) / seek:.2f} |", flush=True)
    growth = _peak() / settled
    verdict = "flat" if growth <= _GROWTH else "NOT FLAT"
    print(f"\nPeak after {options.seeks} / after {_SETTLED} seeks: {growth:.3f}, at most {_GROWTH:.2f}: {verdict}")
    sys.exit(verdict != "flat")


def _source(path: Path, size: tuple[int, int]) -> vs.VideoNode:
    """Return the clip at that size, of many frames, all of them different ones to every cache."""
    clip = vs.core.bs.VideoSource(str(path), cachemode=0, showprogress=0)
    clip = clip.std.Loop(-(-_LEAST_FRAMES // clip.num_frames))
    return clip.resize.Bicubic(*size)


def _row() -> str:
    resident = psutil.Process().memory_info().rss / _MIB
    return f"{resident:.0f} | {_peak():.0f} | {vs.core.used_cache_size / _MIB:.0f}"


def _peak() -> float:
    """Return the largest resident memory of this process so far, MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MIB


if __name__ == "__main__":
    sys.exit(main())
