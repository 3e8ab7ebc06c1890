"""Times of output frames: the source's times divided, mapped to a rate, or stretched."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from math import lcm

from vsrrin.clip.clip_checks import frame_rate
from vsrrin.clip.retiming import Ease, Pace, RetimedTiming
from vsrrin.clip.retiming import Speed as Pacing
from vsrrin.clip.timing import ConstantTiming, SourceTimes, Timing, VariableTiming
from vsrrin.errors import ArgumentError

from .media.encode import VideoTimes
from .media.ticks import rising
from .source import Source

_FINEST = 1_000_000
"""Largest number of ticks per second where frame durations vary."""


@dataclass(frozen=True)
class Speed:
    """Wanted factor or rate, at most one of ``factor`` and ``fps``, and speed.

    Attributes:
        factor: Output frames per source frame.
        fps: Output frames per second.
        rate_out: Frames per second at which the output of ``factor`` is shown: slow (or fast) motion.
        speed: A speed or keyframes, as :func:`vsrrin.retime` takes them, from the beginning of the part used.
        ease: Course of the speed between keyframes.
    """

    factor: Fraction | None = None
    fps: Fraction | None = None
    rate_out: Fraction | None = None
    speed: Pacing | None = None
    ease: Ease = "none"


def check(speed: Speed, source: Source) -> None:
    """Check that a source can be given a speed.

    Raises:
        ArgumentError: Its rate varies, or factor and rates contradict each other.
    """
    if speed.factor is not None and speed.fps is not None:
        raise ArgumentError("give factor or fps, not both: for slow motion, the rate beside a factor is rate_out")
    if speed.rate_out is not None and speed.factor is None:
        raise ArgumentError("rate_out needs a factor: it is the rate at which the frames made by factor are shown")
    if speed.rate_out is not None and speed.speed is not None:
        raise ArgumentError("rate_out and speed both make the motion slower or faster: give one of them")
    if speed.ease != "none" and (speed.speed is None or isinstance(speed.speed, str | int | Fraction)):
        raise ArgumentError(f'ease="{speed.ease}" is the course of the speed between keyframes: give them as speed')
    if speed.speed is not None:
        pace(speed, source)
    if source.rate is not None:
        return
    varies = f"the frame rate of {source.info.path} varies"
    if speed.rate_out is not None:
        raise ArgumentError(f"{varies}: make it constant first (fps=RATE), then slow the result down")
    if speed.factor is not None and (speed.factor.denominator != 1 or speed.speed is not None):
        if speed.speed is not None:
            raise ArgumentError(f"{varies}, so speed goes with fps=RATE or without a rate, not with factor")
        raise ArgumentError(f"{varies}, so factor must be whole, not {speed.factor}; or give fps=RATE")


def timing(speed: Speed, source: Source) -> Timing:
    """Return the map from output frames to moments of the source.

    Raises:
        ArgumentError: The rate is below the source's, or there would be too many frames.
    """
    length = source.clip.num_frames
    if speed.speed is not None:
        return _retimed(speed, source)
    if speed.fps is None:
        return ConstantTiming(length, speed.factor or Fraction(2), source.rate or frame_rate(source.clip))
    if source.rate is not None:
        return ConstantTiming.at_rate(length, source.rate, speed.fps)
    return VariableTiming([b - a for a, b in pairwise([*source.times.starts, source.times.end])], speed.fps)


def _retimed(speed: Speed, source: Source) -> Timing:
    edges = [*source.times.starts, source.times.end]
    if source.rate is not None:
        times = SourceTimes.steady(source.clip.num_frames, source.rate)
    else:
        times = SourceTimes([b - a for a, b in pairwise(edges)])
    rate, first = _rate(speed, source), edges[0] - source.cut.start
    if rate is None:
        return RetimedTiming.with_all_frames(times, pace(speed, source), first)
    return RetimedTiming.at_pace(times, pace(speed, source), rate, first)


def pace(speed: Speed, source: Source) -> Pace:
    """Return the map between moments of the part used and of the output.

    Raises:
        ArgumentError: The speed is not as it must be.
    """
    length = source.times.end - source.cut.start
    if speed.speed is not None:
        return Pace(speed.speed, length, speed.ease)
    if speed.rate_out is None:
        return Pace(1, length)
    assert speed.factor is not None and source.rate is not None
    return Pace(speed.rate_out / (source.rate * speed.factor), length)


def output_times(speed: Speed, source: Source, frames: int) -> VideoTimes:
    """Return the times of all output frames.

    Args:
        speed: The wanted factor or rate.
        source: The opened source.
        frames: Number of output frames.
    """
    start = pace(speed, source).moment(source.times.starts[0] - source.cut.start)
    rate = _rate(speed, source)
    if rate is not None:
        return VideoTimes(start=start, time_base=1 / rate, frames=frames, step=1, pts=None, last=1)
    if speed.speed is None:
        assert speed.factor is not None
        moments = _divided(source, int(speed.factor))
    else:
        retimed = timing(speed, source)
        moments = [Fraction(0), *accumulate(retimed.duration(n, None) or Fraction(0) for n in range(frames))]
    assert len(moments) == frames + 1
    return _varying(moments, start)


def _rate(speed: Speed, source: Source) -> Fraction | None:
    if speed.rate_out is not None or speed.fps is not None:
        return speed.rate_out or speed.fps
    if speed.speed is not None:
        return source.rate * (speed.factor or 1) if source.rate is not None else None
    assert speed.factor is not None
    return source.rate * speed.factor if source.rate is not None else None


def _divided(source: Source, factor: int) -> list[Fraction]:
    """Return times that divide each source frame's own duration into equal parts, and the end."""
    edges = [*source.times.starts, source.times.end]
    moments = [
        left - edges[0] + (right - left) * part / factor for left, right in pairwise(edges) for part in range(factor)
    ]
    return [*moments, edges[-1] - edges[0]]


def _varying(moments: Sequence[Fraction], start: Fraction) -> VideoTimes:
    """Return the times of frames that begin at moments after a start, of which the last is the end."""
    unit = lcm(*{moment.denominator for moment in moments})
    per_second = unit if unit <= _FINEST else _FINEST
    ticks = rising([round(moment * per_second) for moment in moments])
    return VideoTimes(
        start=start,
        time_base=Fraction(1, per_second),
        frames=len(moments) - 1,
        step=None,
        pts=tuple(ticks[:-1]),
        last=ticks[-1] - ticks[-2],
    )
