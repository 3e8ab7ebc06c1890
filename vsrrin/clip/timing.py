"""Maps from output frames to pairs of source frames and time steps, in exact rational arithmetic.

Frame ``i`` of a clip is shown from its start to the start of frame ``i + 1``. An output frame is the picture at the
moment it begins: ``FrameTime(left, right, t)`` says that this moment lies the fraction ``t`` of the way from the start
of source frame ``left`` to the start of source frame ``right``.

The output lasts as long as the input, because that is what keeps audio in sync: every multiple of the output frame's
duration that lies inside the input gets a frame, so a clip of ``n`` frames gives ``ceil(n * factor)`` of them (exactly
``n * factor`` for whole factors, never shorter than the input, longer by less than one output frame). After the start
of the last source frame there is nothing to interpolate towards: it is held (``right == left`` and ``t > 0``).
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from math import ceil, lcm
from os import PathLike
from pathlib import Path
from typing import Protocol, Self

from vsrrin.errors import ArgumentError

MAX_FRAMES = 2**31 - 1
"""VapourSynth counts frames in a 32-bit int."""


MAX_RATIO_PART = 10**18
"""Numerators and denominators are 64-bit ints in VapourSynth."""

_NEARLY_ONE = 1 - Fraction(1, 2**31)
"""Time step of moments at or after the end of a source, where its last frame is held."""

_RATIO = re.compile(r"[+-]?\d{1,40}(/\d{1,40})?")
_DECIMALS = Fraction(6, 1000)
"""Difference of an NTSC rate from what it is called: 24000/1001 is 23.98 in two decimals."""


@dataclass(frozen=True, slots=True)
class FrameTime:
    """Moment of an output frame.

    Attributes:
        left: Source frame shown at this moment.
        right: The following source frame; ``left`` itself after the start of the last one (nothing to move towards).
        t: Fraction of the way from ``left`` to ``right``, in [0, 1); 0 is source frame ``left`` itself.
    """

    left: int
    right: int
    t: Fraction

    @property
    def is_source(self) -> bool:
        """True at the start of a source frame."""
        return self.t == 0

    @property
    def is_pair(self) -> bool:
        """True between two source frames."""
        return self.t != 0 and self.left != self.right

    @property
    def numbers(self) -> tuple[int, int]:
        """Numbers of both frames for people, who do not know of repetitions."""
        return self.left, self.right


class Timing(Protocol):
    """Map from output frame numbers to moments of the source."""

    length: int
    """Number of output frames."""
    fps: Fraction | None
    """Output frame rate; ``None`` where it varies."""
    steady_fps: Fraction | None
    """Rate of the source where mapping by frame number relies on a constant rate."""

    def at(self, n: int) -> FrameTime:
        """Return the moment of output frame ``n`` in [0, length)."""
        ...

    def between(self, time: FrameTime, first: int, following: int) -> FrameTime:
        """Return a moment as a fraction of the way between two source frames around it, of which no other counts."""
        ...

    def duration(self, n: int, left: Fraction | None) -> Fraction | None:
        """Return the seconds that output frame ``n`` is shown, given the duration of its left source frame or None."""
        ...


def parse_ratio(value: object, argument: str) -> Fraction:
    """Return an exact positive ratio from an int, a Fraction or a text such as ``"5/2"`` or ``"60000/1001"``.

    Raises:
        ArgumentError: The value is of another type (also a float: 59.94 is not 60000/1001), no ratio, or not positive.
    """
    allowed = f'{argument} must be a positive int, a Fraction or a text like "5/2"'
    if isinstance(value, bool) or not isinstance(value, int | Fraction | str):
        hint = ""
        if isinstance(value, float):
            hint = f"; floats are inexact: write {_suggest(value)} instead"
        raise ArgumentError(f"{allowed}, not {value!r} ({type(value).__name__}){hint}")
    if isinstance(value, str) and not _RATIO.fullmatch(value.strip()):
        raise ArgumentError(f"{allowed}, not {value[:40]!r}")
    try:
        ratio = Fraction(value)
    except ZeroDivisionError:
        raise ArgumentError(f"{allowed}, not {value!r}") from None
    if max(abs(ratio.numerator), ratio.denominator) > MAX_RATIO_PART:
        raise ArgumentError(f"{allowed}, with parts of at most 18 digits, not about {_short(ratio)}")
    if ratio <= 0:
        raise ArgumentError(f"{allowed}, not {value!r}")
    return ratio


def _short(ratio: Fraction) -> str:
    """Return the ratio in a few characters, however large its parts."""
    digits = ratio.numerator.bit_length() - ratio.denominator.bit_length()
    return f"2**{digits}" if abs(digits) > 60 else f"{float(ratio):.6g}"


def _suggest(value: float) -> str:
    """Return the ratio most likely meant by a float, as the text to write."""
    if value != value or value in (float("inf"), float("-inf")):
        return '"60000/1001" or 60'
    return f'"{exact_rate(Fraction(value)).limit_denominator(1001)}"'


def exact_rate(rate: Fraction) -> Fraction:
    """Return the NTSC rate that a rate with rounded decimals stands for, 60000/1001 for 59.94; else the rate itself."""
    ntsc = ntsc_near(rate)
    return ntsc if rate.denominator > 1 and ntsc and abs(ntsc - rate) < _DECIMALS else rate


def ntsc_near(rate: Fraction) -> Fraction:
    """Return the nearest NTSC rate, which is 1000/1001 of a whole number."""
    return Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)


def several_per_pair(timing: Timing) -> bool:
    """Return whether pairs have more than one new frame, judged by the first frames and by some all over the clip."""
    first, spread = range(min(timing.length, 64)), range(0, timing.length, max(timing.length // 64, 1))
    neighbours = ((timing.at(n), timing.at(n + 1)) for n in (*first, *spread) if n + 1 < timing.length)
    return any(a.is_pair and b.is_pair and a.left == b.left for a, b in neighbours)


class ConstantTiming:
    """Output at ``factor`` times the rate of a source whose frames all count alike.

    Args:
        length: Number of source frames.
        factor: Output frames per source frame, >= 1.
        fps: Rate of the source in frames per second, ``None`` or 0 if it varies or is not known. With a varying rate
            ``factor`` must be whole: each frame's own duration is then divided by it.
        by_rate: Say that an output rate was asked for, so that the source's rate matters also for whole factors.

    Raises:
        ArgumentError: The factor is below 1, or fractional for a varying rate, or there are more output frames than
            VapourSynth can count.
    """

    def __init__(self, length: int, factor: Fraction, fps: Fraction | None, *, by_rate: bool = False) -> None:
        if factor < 1:
            raise ArgumentError(
                f"factor must be at least 1, not {factor}: frames are added, never dropped "
                "(std.SelectEvery thins a clip out)"
            )
        if not fps and factor.denominator != 1:
            raise ArgumentError(
                f"factor {factor} needs a constant frame rate, but the clip's varies: use a whole factor, "
                "or fps=RATE, which maps by time"
            )
        self._source_length = length
        self._num, self._den = factor.numerator, factor.denominator
        self.factor = factor
        self.length = checked_length(-(-length * self._num // self._den))
        self.fps = checked_rate(fps * factor) if fps else None
        self.steady_fps = fps if by_rate or factor.denominator != 1 else None

    @classmethod
    def at_rate(cls, length: int, source_fps: Fraction, fps: Fraction) -> Self:
        """Return the timing of output at a rate, from a source of another constant rate.

        Raises:
            ArgumentError: The rate is below the source's.
        """
        if fps < source_fps:
            raise ArgumentError(
                f"fps must be at least the clip's rate of {source_fps}, not {fps}: frames are added only"
            )
        return cls(length, fps / source_fps, source_fps, by_rate=True)

    def at(self, n: int) -> FrameTime:
        """Return the moment of output frame ``n``, by integer arithmetic that never drifts."""
        left, rest = divmod(n * self._den, self._num)
        last = self._source_length - 1
        return FrameTime(left, min(left + 1, last), Fraction(rest, self._num))

    def between(self, time: FrameTime, first: int, following: int) -> FrameTime:
        """Return a moment as a fraction of the way between two source frames around it; all last equally long."""
        return FrameTime(first, following, (time.left - first + time.t) / (following - first))

    def duration(self, n: int, left: Fraction | None) -> Fraction | None:
        """Return an equal part of the left frame's own duration for whole factors, 1/fps otherwise."""
        if left is not None and self._den == 1:
            return left / self._num
        return 1 / self.fps if self.fps else None


class SourceTimes:
    """Times of the frames of a source.

    Attributes:
        fps: Frames per second, ``None`` if their number varies.
        end: Seconds from the beginning of the first frame to the end of the last.
    """

    def __init__(self, durations: Sequence[Fraction], fps: Fraction | None = None) -> None:
        """Take the seconds that each frame is shown.

        Raises:
            ArgumentError: A duration is not positive.
        """
        for index, duration in enumerate(durations):
            if duration <= 0:
                raise ArgumentError(f"source frame {index} has the duration {duration} s; it must be positive")
        # Starts are whole multiples of one common unit, so that bisection compares ints, not Fractions.
        self._unit = lcm(*{d.denominator for d in durations})
        self._ticks = [0, *accumulate(d.numerator * (self._unit // d.denominator) for d in durations)]
        self.fps = fps
        self.end = Fraction(self._ticks[-1], self._unit)

    @classmethod
    def steady(cls, length: int, fps: Fraction) -> Self:
        """Return the times of frames at a constant rate."""
        return cls([1 / fps] * length, fps)

    @property
    def starts(self) -> list[Fraction]:
        """Seconds at which the frames begin."""
        return [Fraction(tick, self._unit) for tick in self._ticks[:-1]]

    def find(self, moment: Fraction) -> FrameTime:
        """Return the place of a moment in seconds between the frames; after the end the last one is held."""
        tick = moment * self._unit
        last = len(self._ticks) - 2
        left = min(bisect_right(self._ticks, tick) - 1, last)
        start, end = self._ticks[left], self._ticks[left + 1]
        return FrameTime(left, min(left + 1, last), min((tick - start) / (end - start), _NEARLY_ONE))

    def between(self, time: FrameTime, first: int, following: int) -> FrameTime:
        """Return a moment as a fraction of the way between two source frames around it, by their durations.

        Numbers before the first frame and after the last are those of repetitions.
        """
        start, end = self._tick(time.left), self._tick(time.left + 1)
        tick, begin = start + time.t * (end - start), self._tick(first)
        return FrameTime(first, following, (tick - begin) / (self._tick(following) - begin))

    def _tick(self, number: int) -> int:
        rounds, own = divmod(number, len(self._ticks) - 1)
        return rounds * self._ticks[-1] + self._ticks[own]


class VariableTiming:
    """Output at a constant rate from a source whose frames have durations of their own.

    Args:
        durations: Seconds that each source frame is shown, all positive.
        fps: Output rate, at least the source's average rate.

    Raises:
        ArgumentError: A duration is not positive, the rate is below the average, or there are too many output frames.
    """

    def __init__(self, durations: Sequence[Fraction], fps: Fraction) -> None:
        self._source = SourceTimes(durations)
        average = len(durations) / self._source.end
        if fps < average:
            raise ArgumentError(
                f"fps must be at least the clip's average rate of {float(average):.3f}, not {fps}: "
                "frames are added, never dropped"
            )
        self.fps: Fraction | None = checked_rate(fps)
        self.steady_fps: Fraction | None = None
        self._step = 1 / fps
        self.length = checked_length(ceil(self._source.end * fps))

    def at(self, n: int) -> FrameTime:
        """Return the moment of output frame ``n``, found by time, not by index."""
        return self._source.find(n * self._step)

    def between(self, time: FrameTime, first: int, following: int) -> FrameTime:
        """Return a moment as a fraction of the way between two source frames around it, by their durations."""
        return self._source.between(time, first, following)

    def duration(self, n: int, left: Fraction | None) -> Fraction | None:
        """Return one over the output rate."""
        return self._step


def read_timecodes(path: str | PathLike[str], length: int) -> list[Fraction]:
    """Read durations from a timecode file (``# timecode format v2``, milliseconds per line).

    Such files are written by ``vspipe --timecodes``, BestSource (``timecodes=``) and mkvextract. The last frame lasts
    as long as the one before unless the file has a line more than the clip has frames.

    Args:
        path: The file.
        length: Number of frames of the clip.

    Returns:
        ``length`` durations in seconds.

    Raises:
        ArgumentError: The file cannot be read, is of another format, or fits another clip.
    """
    if not isinstance(path, str | PathLike):
        raise ArgumentError(f"timecodes must be the path of a file, not {path!r} ({type(path).__name__})")
    name = f"timecodes file {str(path)!r}"
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ArgumentError(f"{name} is no text in UTF-8: save it as UTF-8, with or without a BOM") from None
    except (OSError, ValueError) as error:  # ValueError: a path that cannot be
        raise ArgumentError(f"{name} cannot be read: {error}") from None
    header = lines[0].strip().lower() if lines else ""
    if not header.startswith("#") or not header.endswith("format v2"):
        raise ArgumentError(f'{name} must begin with "# timecode format v2", not {header!r}')
    try:
        starts = [Fraction(text.strip()) for text in lines[1:] if text.strip() and not text.lstrip().startswith("#")]
    except ValueError as error:
        raise ArgumentError(f"{name} has a line that is not a number: {error}") from None
    if len(starts) not in (length, length + 1):
        raise ArgumentError(f"{name} has {len(starts)} times, but the clip has {length} frames")
    durations = [(b - a) / 1000 for a, b in pairwise(starts)]
    if len(durations) < length:
        if not durations:
            raise ArgumentError(f"{name} has one time only, which gives no duration")
        durations.append(durations[-1])
    return durations


def whole_durations(durations: Iterable[Fraction | None]) -> list[Fraction]:
    """Return durations read from frame properties, complete.

    A last frame without one lasts as long as the frame before: source filters take a frame's duration from the start of
    the next.

    Raises:
        ArgumentError: Another frame has none.
    """
    known = list(durations)
    if len(known) > 1 and known[-1] is None:
        known[-1] = known[-2]
    checked: list[Fraction] = []
    for index, duration in enumerate(known):
        if duration is None:
            raise ArgumentError(
                f"source frame {index} has no _DurationNum/_DurationDen, so the clip's timing is not known: "
                "give timecodes=FILE, or std.AssumeFPS first"
            )
        checked.append(duration)
    return checked


def checked_rate(fps: Fraction) -> Fraction:
    """Return an output rate that VapourSynth can hold.

    Raises:
        ArgumentError: It cannot.
    """
    if max(fps.numerator, fps.denominator) > MAX_RATIO_PART:
        raise ArgumentError(
            f"the output rate would be a fraction with parts of more than 18 digits (about {_short(fps)}), which "
            "VapourSynth cannot hold: give a simpler factor or fps"
        )
    return fps


def checked_length(length: int) -> int:
    """Return a number of output frames that VapourSynth can count.

    Raises:
        ArgumentError: It cannot.
    """
    if length > MAX_FRAMES:
        raise ArgumentError(f"the output would have {length} frames; VapourSynth can count {MAX_FRAMES}")
    return length
