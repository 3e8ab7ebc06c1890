"""Times of output frames: the source's times divided, mapped to a rate, or stretched."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import lcm

from vsrrin.clip.clip_checks import frame_rate
from vsrrin.clip.timing import ConstantTiming, Timing, VariableTiming
from vsrrin.errors import ArgumentError

from .media.encode import VideoTimes
from .media.ticks import rising
from .source import Source

_FINEST = 1_000_000
"""Largest number of ticks per second where frame durations vary."""


@dataclass(frozen=True)
class Speed:
    """Wanted factor or rate; at most one of ``factor`` and ``fps``.

    Attributes:
        factor: Output frames per source frame.
        fps: Output frames per second.
        rate_out: Frames per second at which the output of ``factor`` is shown: slow (or fast) motion.
    """

    factor: Fraction | None = None
    fps: Fraction | None = None
    rate_out: Fraction | None = None


def check(speed: Speed, source: Source) -> None:
    """Check that a source can be given a speed.

    Raises:
        ArgumentError: Its rate varies, or factor and rates contradict each other.
    """
    if speed.factor is not None and speed.fps is not None:
        raise ArgumentError("give factor or fps, not both: for slow motion, the rate beside a factor is rate_out")
    if speed.rate_out is not None and speed.factor is None:
        raise ArgumentError("rate_out needs a factor: it is the rate at which the frames made by factor are shown")
    if source.rate is not None:
        return
    varies = f"the frame rate of {source.info.path} varies"
    if speed.rate_out is not None:
        raise ArgumentError(f"{varies}: make it constant first (fps=RATE), then slow the result down")
    if speed.factor is not None and speed.factor.denominator != 1:
        raise ArgumentError(f"{varies}, so factor must be whole, not {speed.factor}; or give fps=RATE")


def timing(speed: Speed, source: Source) -> Timing:
    """Return the map from output frames to moments of the source.

    Raises:
        ArgumentError: The rate is below the source's, or there would be too many frames.
    """
    length = source.clip.num_frames
    if speed.fps is None:
        return ConstantTiming(length, speed.factor or Fraction(2), source.rate or frame_rate(source.clip))
    if source.rate is not None:
        return ConstantTiming.at_rate(length, source.rate, speed.fps)
    return VariableTiming([b - a for a, b in pairwise([*source.times.starts, source.times.end])], speed.fps)


def tempo(speed: Speed, source: Source) -> Fraction:
    """Return the length of the output relative to the source: 1 unless slow motion."""
    if speed.rate_out is None:
        return Fraction(1)
    assert speed.factor is not None and source.rate is not None
    return source.rate * speed.factor / speed.rate_out


def output_times(speed: Speed, source: Source, frames: int) -> VideoTimes:
    """Return the times of all output frames.

    Args:
        speed: The wanted factor or rate.
        source: The opened source.
        frames: Number of output frames.
    """
    start = (source.times.starts[0] - source.cut.start) * tempo(speed, source)
    rate = _rate(speed, source)
    if rate is not None:
        return VideoTimes(start=start, time_base=1 / rate, frames=frames, step=1, pts=None, last=1)
    assert speed.factor is not None
    return _divided(source, int(speed.factor), frames, start)


def _rate(speed: Speed, source: Source) -> Fraction | None:
    if speed.rate_out is not None or speed.fps is not None:
        return speed.rate_out or speed.fps
    assert speed.factor is not None
    return source.rate * speed.factor if source.rate is not None else None


def _divided(source: Source, factor: int, frames: int, start: Fraction) -> VideoTimes:
    """Return times that divide each source frame's own duration into equal parts."""
    edges = [*source.times.starts, source.times.end]
    moments = [
        left - edges[0] + (right - left) * part / factor for left, right in pairwise(edges) for part in range(factor)
    ]
    moments.append(edges[-1] - edges[0])
    unit = lcm(*{moment.denominator for moment in moments})
    per_second = unit if unit <= _FINEST else _FINEST
    ticks = rising([round(moment * per_second) for moment in moments])
    assert len(ticks) == frames + 1
    return VideoTimes(
        start=start,
        time_base=Fraction(1, per_second),
        frames=frames,
        step=None,
        pts=tuple(ticks[:-1]),
        last=ticks[-1] - ticks[-2],
    )
