"""Speed ramps and free maps from output frames to moments of the source, in exact rational arithmetic.

A speed of 2 shows two seconds of the source in one. From one keyframe to the next it changes with the time of the
output, so that the moment of the source is a polynomial of it, and exact: where S seconds of the source are shown at a
speed that goes from a to b, they take T = 2 S / (a + b) seconds, and after the part u of them the source has moved on
by T (a u + (b - a) E(u)). E is the integral of the course of the speed: u for a linear one, 3 u² - 2 u³ (smoothstep)
for a smooth one.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal, Self, get_args

from vsrrin.errors import ArgumentError

from .timing import FrameTime, SourceTimes, checked_length, checked_rate, parse_ratio

Ease = Literal["none", "linear", "smooth"]
"""Course of the speed between two keyframes: the first one's until the second, even, or gentle at both ends."""

type Seconds = int | float | Fraction | str
"""A number; a float is taken as it is written."""

type Speed = int | Fraction | str | Sequence[tuple[Seconds, int | Fraction | str]]
"""A speed, or keyframes: seconds of the source, and the speed from there on."""

type Moments = Sequence[Seconds]
"""Moments of the source in seconds, one for each output frame."""

_COURSES: dict[Ease, Callable[[Fraction], Fraction]] = {
    "linear": lambda u: u * u / 2,
    "smooth": lambda u: u**3 * (1 - u / 2),
}
_NANOSECONDS = 10**9
_FOREVER = 10**9


@dataclass(frozen=True, slots=True)
class _Leg:
    """Part of the output between two keyframes, in seconds of source and output, and its first and last speed."""

    source: Fraction
    output: Fraction
    first: Fraction
    last: Fraction
    length: Fraction


class Pace:
    """Map between moments of the output and of the source.

    Args:
        speed: A speed, or keyframes. Before the first keyframe its speed holds, after the last one that.
        length: Seconds of the source; the last speed holds beyond it, too.
        ease: Course of the speed between keyframes.

    Attributes:
        length: Seconds of the output.
        tempo: The same over the seconds of the source.
        is_even: Whether the speed is the same everywhere.

    Raises:
        ArgumentError: A speed or a moment is not as it must be.
    """

    def __init__(self, speed: Speed, length: Fraction = Fraction(1), ease: Ease = "none") -> None:
        if ease not in get_args(Ease):
            raise ArgumentError(f"ease must be one of {', '.join(get_args(Ease))}, not {ease!r}")
        keys = _keyframes(speed, length)
        edges = [Fraction(0), *(moment for moment, _ in keys[1:]), length]
        speeds = [pace for _, pace in keys]
        if keys[0][0] > 0:
            edges.insert(1, keys[0][0])
            speeds.insert(0, speeds[0])
        self._ease = ease
        self._legs: list[_Leg] = []
        output = Fraction(0)
        for (begin, end), (first, following) in zip(pairwise(edges), pairwise([*speeds, speeds[-1]]), strict=True):
            last = first if ease == "none" else following
            leg = _Leg(begin, output, first, last, 2 * (end - begin) / (first + last))
            self._legs += [leg] if leg.length else []
            output += leg.length
        self.length, self.tempo = output, output / length
        self.is_even = len(set(speeds)) == 1
        self._legs.append(_Leg(length, output, speeds[-1], speeds[-1], Fraction(0)))
        self._outputs, self._sources = [leg.output for leg in self._legs], [leg.source for leg in self._legs]

    @property
    def is_plain(self) -> bool:
        """True if nothing is slower or faster."""
        return self.is_even and self.tempo == 1

    def position(self, moment: Fraction) -> Fraction:
        """Return the moment of the source, in seconds, that is shown at a moment of the output."""
        leg = self._legs[max(bisect_right(self._outputs, moment) - 1, 0)]
        if leg.first == leg.last:
            return leg.source + (moment - leg.output) * leg.first
        part = (moment - leg.output) / leg.length
        return leg.source + leg.length * (leg.first * part + (leg.last - leg.first) * _COURSES[self._ease](part))

    def moment(self, position: Fraction) -> Fraction:
        """Return when a moment of the source is shown: exactly at constant speed, to 1 ns where the speed changes."""
        leg = self._legs[max(bisect_right(self._sources, position) - 1, 0)]
        if leg.first == leg.last:
            return leg.output + (position - leg.source) / leg.first
        low, high = 0, math.ceil(leg.length * _NANOSECONDS)
        while low < high:
            middle = (low + high) // 2
            if self.position(leg.output + Fraction(middle, _NANOSECONDS)) < position:
                low = middle + 1
            else:
                high = middle
        return leg.output + Fraction(low, _NANOSECONDS)

    def even_until(self, position: Fraction, step: Fraction) -> Fraction:
        """Return the end of the part of the source, from a position on, that has one speed, or takes a step at most."""
        number = max(bisect_right(self._sources, position) - 1, 0)
        leg, last = self._legs[number], number == len(self._legs) - 1
        if leg.first != leg.last:
            return min(position + step, self._legs[number + 1].source)
        return position + _FOREVER if last else self._legs[number + 1].source


def _keyframes(speed: Speed, length: Fraction) -> list[tuple[Fraction, Fraction]]:
    if isinstance(speed, str) or not isinstance(speed, Sequence):
        return [(Fraction(0), parse_ratio(speed, "speed"))]
    keys: list[tuple[Fraction, Fraction]] = []
    for number, key in enumerate(speed):
        name = f"speed[{number}]"
        if isinstance(key, str) or not isinstance(key, Sequence) or len(key) != 2:
            raise ArgumentError(f'{name} must be a keyframe such as (2.5, "1/4"), seconds and speed, not {key!r}')
        moment = _seconds(key[0], name)
        if keys and moment <= keys[-1][0]:
            raise ArgumentError(
                f"{name} is at {key[0]} s, which must be after the keyframe before it: sort them by time"
            )
        if moment > length:
            raise ArgumentError(f"{name} is at {key[0]} s, after the end of the clip at {float(length):.6g} s")
        keys.append((moment, parse_ratio(key[1], name)))
    if not keys:
        raise ArgumentError('speed has no keyframes: give at least one, such as [(0, "1/2")], or a single speed')
    return keys


def exact(value: object) -> Fraction | None:
    """Return a number as a fraction, ``None`` if it is none; floats are taken as they are written, 2.1 for 21/10."""
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction | str):
        return None
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        return None


def _seconds(value: object, name: str) -> Fraction:
    moment = exact(value)
    if moment is None:
        raise ArgumentError(f'{name} must be at a number of seconds such as 2.5 or "5/2", not {value!r}')
    if moment < 0:
        raise ArgumentError(f"{name} must not be before the clip's beginning, at 0 s, but is at {value!r} s")
    return moment


class RetimedTiming:
    """Output frames at moments of the source that are chosen freely.

    Args:
        source: Times of the source's frames.
        length: Number of output frames.
        at: The moment of an output frame.
        fps: Output frame rate; ``None`` where it varies.
        durations: Seconds of each output frame where the rate varies.
    """

    def __init__(
        self,
        source: SourceTimes,
        length: int,
        at: Callable[[int], FrameTime],
        *,
        fps: Fraction | None,
        durations: Sequence[Fraction] = (),
    ) -> None:
        self.length = checked_length(length)
        self.at = at
        self.fps = checked_rate(fps) if fps else None
        self.steady_fps, self.between = source.fps, source.between
        self._durations = durations

    @classmethod
    def at_pace(cls, source: SourceTimes, pace: Pace, fps: Fraction, first: Fraction = Fraction(0)) -> Self:
        """Return the timing of output at a constant rate, where the first source frame is at a moment of the pace."""
        begin = pace.moment(first)
        length = max(math.ceil((pace.moment(first + source.end) - begin) * fps), 1)
        return cls(
            source,
            length,
            lambda n: source.find(max(pace.position(begin + n / fps) - first, Fraction(0))),
            fps=fps,
        )

    @classmethod
    def at_moments(cls, source: SourceTimes, times: Moments, fps: Fraction) -> Self:
        """Return the timing of output frames at given moments of the source, shown at a constant rate.

        Raises:
            ArgumentError: There is none, or one of them goes back, or is outside of the source.
        """
        if isinstance(times, str) or not isinstance(times, Sequence) or not times:
            raise ArgumentError(f"times must be the seconds of the source for each output frame, not {times!r}")
        moments = [_seconds(moment, f"times[{number}]") for number, moment in enumerate(times)]
        for number, (before, after) in enumerate(pairwise(moments), 1):
            if after < before:
                raise ArgumentError(f"times[{number}] goes back, from {times[number - 1]} to {times[number]} s")
        if moments[-1] > source.end:
            raise ArgumentError(
                f"times[{len(moments) - 1}] is {times[-1]} s, after the end of the clip at {float(source.end):.6g} s"
            )
        return cls(source, len(moments), lambda n: source.find(moments[n]), fps=fps)

    @classmethod
    def with_all_frames(cls, source: SourceTimes, pace: Pace, first: Fraction = Fraction(0)) -> Self:
        """Return the timing of output of varying rate that has every source frame.

        The time that a source frame is shown is divided so that no output frame is shown for longer than the source
        frame was. The first one is at a moment of the pace.
        """
        starts = [*source.starts, source.end]
        shown = [pace.moment(first + start) for start in starts]
        times: list[FrameTime] = []
        durations: list[Fraction] = []
        for number, (begin, end) in enumerate(pairwise(shown)):
            duration = starts[number + 1] - starts[number]
            parts = math.ceil((end - begin) / duration)
            for part in range(parts):
                position = pace.position(begin + (end - begin) * part / parts) - first if part else starts[number]
                t = (position - starts[number]) / duration
                times.append(FrameTime(number, min(number + 1, len(starts) - 2), t))
            durations += [(end - begin) / parts] * parts
        return cls(source, len(times), times.__getitem__, fps=None, durations=durations)

    def duration(self, n: int, left: Fraction | None) -> Fraction | None:
        """Return one over the output rate, or the frame's own duration where the rate varies."""
        return 1 / self.fps if self.fps else self._durations[n]
