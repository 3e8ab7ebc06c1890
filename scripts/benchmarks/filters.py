"""Speed and memory of all filters that make frames, beside interpolate.

The filters take turns in one process; each makes the same number of output frames, from 8-bit 4:2:0 frames in memory.
Then each makes many in a process of its own, for a peak never falls, with VapourSynth's cache limited: its peak after a
quarter of them and at the end. Prints a markdown table; times are the least of the rounds.

    python -m scripts.benchmarks.filters [--clip VIDEO] [--model draft] [--sizes 480p 1080p] [--memory 1000]
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import vapoursynth as vs

import vsrrin
from scripts.benchmarks.clips import CLIP, in_memory, size_of
from scripts.benchmarks.memory import own_peak, reset_peak

_CACHE_MIB = 256
_EVERY = 10
"""One frame of so many is damaged."""


@dataclass(frozen=True)
class _Filter:
    """A filter, and the new frames that it makes for each of its output frames."""

    make: Callable[[vs.VideoNode, str], vs.VideoNode]
    new: float


def _mended(clip: vs.VideoNode, model: str) -> vs.VideoNode:
    return vsrrin.repair(clip, range(1, clip.num_frames - 1, _EVERY), model)


def _on_twos(clip: vs.VideoNode, model: str) -> vs.VideoNode:
    return vsrrin.dedup(clip.std.SelectEvery(2, [0, 0]), model=model)


FILTERS = {
    "interpolate, factor 2": _Filter(lambda clip, model: vsrrin.interpolate(clip, 2, model), 1 / 2),
    "retime, speed 1/2": _Filter(lambda clip, model: vsrrin.retime(clip, "1/2", model), 1 / 2),
    "blur, 9 samples": _Filter(lambda clip, model: vsrrin.blur(clip, model=model), 8),
    f"repair, every {_EVERY}th listed": _Filter(_mended, 1 / _EVERY),
    "repair, apply=True, healthy": _Filter(lambda clip, model: vsrrin.repair(clip, None, model, apply=True), 0),
    "dedup, on twos": _Filter(_on_twos, 1 / 2),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--model", default="draft", help="a bundled name or a checkpoint")
    parser.add_argument("--sizes", nargs="+", type=size_of, default=[(854, 480), (1920, 1080)], metavar="SIZE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=24, help="output frames per filter and round; 0: no times")
    parser.add_argument("--memory", type=int, default=1000, help="output frames per filter; 0: no memory")
    parser.add_argument("--filters", nargs="+", default=[""], metavar="NAME", help="how their names begin; all")
    options = parser.parse_args(arguments)
    chosen = [name for name in FILTERS if name.startswith(tuple(options.filters))]
    print(f"{options.rounds} rounds of {options.frames} output frames, {torch.get_num_threads()} threads\n")
    print(f"| size | filter | s/output frame | s/new frame | MiB, {options.memory // 4} frames | {options.memory} |")
    print("|---|---|---|---|---|---|")
    for size in options.sizes:
        times = _times(options.clip, options.model, size, chosen, options.rounds, options.frames)
        for name, seconds in times.items():
            own = f"{seconds:.4f}" if options.frames else "-"
            each = f"{seconds / FILTERS[name].new:.4f}" if options.frames and FILTERS[name].new else "-"
            peaks = _peaks(options.clip, options.model, size, name, options.memory)
            print(f"| {size[0]}x{size[1]} | {name} | {own} | {each} | {peaks} |", flush=True)


def _opened(clip: Path, size: tuple[int, int]) -> vs.VideoNode:
    width, height = size
    source = vs.core.bs.VideoSource(str(clip), cachemode=0)
    return in_memory(source.resize.Bicubic(width, height, format=vs.YUV420P8))


def _times(
    clip: Path, model: str, size: tuple[int, int], names: Sequence[str], rounds: int, frames: int
) -> dict[str, float]:
    """Return the seconds that an output frame of each filter takes."""
    source, found = _opened(clip, size), dict.fromkeys(names, float("inf"))
    source = source.std.Loop(times=-(-4 * (frames + 1) // source.num_frames))
    for _ in range(rounds if frames else 0):
        for name in names:
            # A new graph each time, or VapourSynth would answer from its cache. The first frames load and look ahead.
            output, begins = FILTERS[name].make(source, model), 0.0
            for number, _ in enumerate(output[: 2 * frames].frames(close=True), 1):
                if number == frames:
                    begins = time.perf_counter()
            found[name] = min(found[name], (time.perf_counter() - begins) / frames)
    return found


def _peaks(clip: Path, model: str, size: tuple[int, int], name: str, frames: int) -> str:
    if not frames:
        return "- | -"
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return " | ".join(f"{peak / 2**20:.0f}" for peak in process.apply(_run, (clip, model, size, name, frames)))


def _run(clip: Path, model: str, size: tuple[int, int], name: str, frames: int) -> tuple[int, int]:
    """Make frames of a filter, and return the peak after a quarter of them and at the end."""
    vs.core.max_cache_size = _CACHE_MIB
    source = _opened(clip, size)
    source = source.std.Loop(times=-(-2 * frames // source.num_frames))
    output = FILTERS[name].make(source, model)
    reset_peak()
    peaks = []
    for number, _ in enumerate(output[:frames].frames(close=True), 1):
        if number in (frames // 4, frames):
            peaks.append(own_peak())
    return peaks[0], peaks[-1]


if __name__ == "__main__":
    main()
