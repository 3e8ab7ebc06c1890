"""Playing through vsrrin.play: the first frame's delay, look-ahead, real-time share; growth of memory.

A simulated player (`scripts.benchmarks.player`) plays a video as mpv does, as fast as frames come, with
``budget=None``, so that all frames are made. A line of the table is one size and model: seconds from loading the script
to the first new frame at the first time and after a seek, source frames asked for beyond the one that is shown, and
seconds of video per second. The machine keeps up where that is above 1 and something is left for decoder and display.

With ``--minutes``, so much of a small endless video is played instead, and resident memory is printed after each
minute of it. The rule: after the last minute it is at most 10 % above that after the second. Exit status 1 if not.

    python -m scripts.benchmarks.play [--clip VIDEO] [--sizes 854x480 ...] [--models draft ...] [--targets 2 60]
    python -m scripts.benchmarks.play --minutes 20
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import psutil
import vapoursynth as vs

from scripts.benchmarks.clips import CLIP, size_of
from scripts.benchmarks.player import Player

_RATE = Fraction(24000, 1001)
_SMALL = 320, 180
_SETTLED = 2
_GROWTH = 1.10
_MIB = 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, measure, print; return 1 if memory grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--sizes", type=size_of, nargs="+", default=[(854, 480), (1280, 720)])
    parser.add_argument("--models", nargs="+", default=["draft", "balanced"])
    parser.add_argument(
        "--targets", nargs="+", default=["2", "60"], help='frames for each source frame, or "60" and more'
    )
    parser.add_argument("--frames", type=int, default=100, help="source frames played for each line")
    parser.add_argument("--minutes", type=int, help="play a small video for so long, and look at memory")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "play.vpy"
        if options.minutes:
            return _memory(options.clip, script, options.minutes)
        print("| size | model | target | first new frame, s | after a seek, s | frames ahead | times real time |")
        print("|---|---|---|---|---|---|---|")
        for size in options.sizes:
            for model in options.models:
                for target in options.targets:
                    print(_line(options.clip, script, size, model, target, options.frames), flush=True)
    return 0


def _player(clip: Path, script: Path, size: tuple[int, int], frames: int, *, model: str, target: str) -> Player:
    """Return a player of a video at film's rate, which is decoded now and repeated."""
    wanted = target if int(target) < 10 else f'"{target}"'
    arguments = f"container_fps=container_fps, target={wanted}, budget=None, model={model!r}"
    script.write_text(f"import vsrrin\nvsrrin.play(video_in, {arguments}).set_output()\n")
    source = vs.core.bs.VideoSource(str(clip), cachemode=0).resize.Bicubic(*size)
    source.std.SetVideoCache(mode=1, fixedsize=1, maxsize=source.num_frames)
    for frame in source.frames(close=True):
        assert frame.width == size[0]
    looped = source.std.Loop(-(-frames // source.num_frames))[:frames]
    times = [number / _RATE for number in range(frames)]
    return Player(looped, times, script, {"container_fps": float(_RATE)})


def _line(clip: Path, script: Path, size: tuple[int, int], model: str, target: str, frames: int) -> str:
    player = _player(clip, script, size, frames, model=model, target=target)
    delays = []
    for first in (0, 5):
        begin = time.perf_counter()
        list(player.play(first, most=2))
        delays.append(time.perf_counter() - begin)
    player.at_once, ahead = 1, 0
    for shown in player.play(most=20):
        assert player.source is not None
        ahead = max(ahead, max(player.source.asked) - shown.place[0])
    player.at_once = vs.core.num_threads
    begin = time.perf_counter()
    last = max(shown.time for shown in player.play())
    share = float(last) / (time.perf_counter() - begin)
    return f"| {size[0]}x{size[1]} | {model} | {target} | {delays[0]:.2f} | {delays[1]:.2f} | {ahead} | {share:.2f} |"


def _memory(clip: Path, script: Path, minutes: int) -> int:
    player = _player(clip, script, _SMALL, int(minutes * 60 * _RATE) + 1, model="draft", target="60")
    process, used = psutil.Process(), [0.0]
    print("| minute | MiB |\n|---|---|")
    for shown in player.play():
        if shown.time >= 60 * len(used):
            used.append(process.memory_info().rss / _MIB)
            print(f"| {len(used) - 1} | {used[-1]:.0f} |", flush=True)
    grown = used[-1] / used[min(_SETTLED, len(used) - 1)]
    print(f"{grown - 1:+.1%} since minute {_SETTLED}")
    return int(grown > _GROWTH)


if __name__ == "__main__":
    sys.exit(main())
