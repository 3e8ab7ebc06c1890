"""Damaged frames, and what takes their place: new frames from the healthy ones around them."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import cast

import vapoursynth as vs

from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError

from . import alpha
from .clip_checks import frame_rate
from .timing import FrameTime

type Damaged = Sequence[int | range | tuple[int, int]] | str | PathLike[str]
"""Frame numbers and ranges (first, last), or a file with one of them a line."""

_ENTRY = re.compile(r"(\d{1,10})(?:\s*-\s*(\d{1,10}))?")


class HealthyTiming:
    """Output frames at their own places among the healthy frames of a clip.

    Args:
        length: Number of frames of the whole clip.
        damaged: Numbers of those that are not healthy, rising.
        fps: Rate of the clip, ``None`` if it varies.
    """

    steady_fps: Fraction | None = None

    def __init__(self, length: int, damaged: Sequence[int], fps: Fraction | None) -> None:
        self.length = length
        self.fps = fps
        self._damaged = damaged
        self.healthy = sorted(set(range(length)) - set(damaged))

    def at(self, n: int) -> FrameTime:
        """Return the place of a frame between the healthy ones, counted without the others."""
        right = n - bisect_left(self._damaged, n)
        last = len(self.healthy) - 1
        if right <= last and self.healthy[right] == n:
            return FrameTime(right, min(right + 1, last), Fraction(0))
        if right == 0:  # nothing before: the first healthy frame is shown
            return FrameTime(0, 0, Fraction(1, 2))
        if right > last:
            return FrameTime(last, last, Fraction(1, 2))
        before, after = self.healthy[right - 1], self.healthy[right]
        return FrameTime(right - 1, right, Fraction(n - before, after - before))

    def between(self, time: FrameTime, first: int, following: int) -> FrameTime:
        """Return a place as a fraction of the way between two healthy frames around it."""
        at, begin, left, right = (self.healthy[number] for number in (following, first, time.left, time.right))
        return FrameTime(first, following, (left + time.t * (right - left) - begin) / (at - begin))

    def duration(self, n: int, left: Fraction | None) -> Fraction | None:
        """Return the duration of the healthy frame before, as no other is known."""
        return left or (1 / self.fps if self.fps else None)


def build(clip: vs.VideoNode, damaged: Sequence[int], options: Options) -> vs.VideoNode:
    """Return a clip with new frames in place of damaged ones, which are never asked for.

    Args:
        clip: The source, as :func:`vsrrin.repair` takes it.
        damaged: Numbers of the damaged frames, rising.
        options: Options of interpolation.

    Raises:
        VsrrinError: No frame is healthy, or see :func:`vsrrin.clip.alpha.build`.
    """
    if not damaged:
        return clip
    timing = HealthyTiming(clip.num_frames, damaged, frame_rate(clip))
    if not timing.healthy:
        raise ArgumentError(f"frames names all {clip.num_frames} frames of the clip: none is left to make others of")
    mended = alpha.build(clip.std.DeleteFrames(damaged), timing, options)

    def renumber(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        for key in ("_VSRRIN_Left", "_VSRRIN_Right"):
            frame.props[key] = timing.healthy[int(frame.props[key])]
        return frame

    return mended.std.ModifyFrame(mended, renumber)


def numbers(damaged: Damaged, length: int) -> list[int]:
    """Return the numbers of damaged frames, rising, each once.

    Args:
        damaged: Numbers and ranges, or a file of them.
        length: Number of frames of the clip.

    Raises:
        ArgumentError: The file cannot be read, or an entry is no frame of the clip.
    """
    if isinstance(damaged, str | PathLike):
        spans = list(_read(damaged))
    elif isinstance(damaged, Iterable):
        spans = [(f"frames[{number}]", *_span(entry, f"frames[{number}]")) for number, entry in enumerate(damaged)]
    else:
        raise ArgumentError(f"frames must be a list of frame numbers and ranges, or a file of them, not {damaged!r}")
    found: set[int] = set()
    for name, first, last in spans:
        if not 0 <= first <= last < length:
            what = str(first) if first == last else f"{first} to {last}"
            raise ArgumentError(f"{name} is {what}, but the clip has the frames 0 to {length - 1}")
        found.update(range(first, last + 1))
    return sorted(found)


def _span(entry: object, name: str) -> tuple[int, int]:
    if isinstance(entry, range) and entry.step == 1 and entry:
        return entry[0], entry[-1]
    first, last = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, entry)
    if not all(isinstance(end, int) and not isinstance(end, bool) for end in (first, last)):
        raise ArgumentError(
            f"{name} must be a frame number, or a range such as (20, 25), first and last, not {entry!r}"
        )
    return cast(int, first), cast(int, last)


def _read(path: str | PathLike[str]) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each entry of a file, and its first and last frame."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path that cannot be
        raise ArgumentError(f"frames {str(path)!r} cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        name = f"line {number} of frames {str(path)!r}"
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ArgumentError(
                f"{name} must be a frame number, or a range such as 20-25, first and last, not {entry!r}"
            )
        yield name, int(match[1]), int(match[2] or match[1])
