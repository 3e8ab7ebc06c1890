"""Damaged frames, and what takes their place: new frames from the healthy ones around them.

They are told by a clip of runs, see :mod:`vsrrin.clip.repeats`: of a damaged frame it has the healthy frame before
and the one after, or one of them twice where there is no other. To all else a damaged frame looks like the one before.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import cast

import vapoursynth as vs

from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError

from . import alpha
from .clip_checks import check_clip, frame_rate, say
from .damage import damage_clip
from .damage_score import LONGEST, Found
from .repeats import Run, run_frame, run_of
from .scene_cuts import empty_clip, shifted
from .timing import ConstantTiming

type Damaged = Sequence[int | range | tuple[int, int]] | str | PathLike[str]
"""Frame numbers and ranges (first, last), or a file with one of them a line."""

_ENTRY = re.compile(r"(\d{1,10})(?:\s*-\s*(\d{1,10}))?")


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
    known = set(damaged)
    healthy = [number for number in range(clip.num_frames) if number not in known]
    if not healthy:
        raise ArgumentError(f"frames names all {clip.num_frames} frames of the clip: none is left to make others of")

    def run(n: int) -> Run:
        if n not in known:
            return Run(n, n)
        at = bisect_left(healthy, n)
        beside = healthy[max(at - 1, 0) : at + 1]
        return Run(beside[0], beside[-1])

    tiny = empty_clip(clip, 1, 1, vs.GRAY8)
    runs = tiny.std.ModifyFrame(tiny, lambda n, f: run_frame(f, run(n)))
    return _mended(clip, runs, sorted({following - first for first, following in map(run, damaged)} - {0}), options)


def detected(clip: vs.VideoNode, options: Options, *, apply: bool, number: int = 0) -> vs.VideoNode:
    """Return a clip whose frames say whether they are damaged, in ``_VSRRIN_Damage``.

    Args:
        clip: The source, as :func:`vsrrin.repair` takes it.
        options: Options of interpolation.
        apply: Put new frames in place of the damaged ones.
        number: Number of the first frame in messages.

    Raises:
        VsrrinError: See :func:`vsrrin.clip.alpha.build`.
    """
    first = check_clip(clip)
    damage = damage_clip(alpha.premultiplied(clip) if "_Alpha" in first.props else clip, _Report(number))
    mended = _mended(clip, damage, range(1, LONGEST + 2), options) if apply else clip
    return mended.std.CopyFrameProps(damage, props=["_VSRRIN_Damage"])


class _Report:
    """Logs each run of damaged frames once, whichever of its frames is asked for first."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._said: set[int] = set()
        self._lock = Lock()

    def __call__(self, found: Found) -> None:
        with self._lock:
            if found.first in self._said:
                return
            self._said.add(found.first)
        first, last = found.first + self._number, found.last + self._number
        which = f"frame {first} is" if first == last else f"frames {first} to {last} are"
        say(f"{which} damaged: {found.kind}", warning=True)


def _mended(clip: vs.VideoNode, runs: vs.VideoNode, lengths: Sequence[int], options: Options) -> vs.VideoNode:
    """Return a clip with new frames wherever a clip of runs has others than the frame itself."""
    if options.duplicates != "keep":
        raise ArgumentError(
            f'duplicates must be "keep" where frames are repaired, not {options.duplicates!r}: vsrrin.dedup spreads '
            "motion over repeats afterwards"
        )
    nearest = options.at_cut == "nearest"

    def shown(n: int, f: vs.VideoFrame) -> int:
        first, following = run_of(f)
        return following if nearest and 2 * n >= first + following else first

    def choose(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoNode:
        before, here, after = (shown(n + by, frame) for by, frame in zip((-1, 0, 1), f, strict=True))
        # Marks of a cut hold for one of the frames that show a picture: the first of them, or the last.
        wrong = [mark for mark, other in (("_SceneChangePrev", before), ("_SceneChangeNext", after)) if other == here]
        return clip[here].std.RemoveFrameProps(wrong) if wrong else clip[here]

    around = [shifted(runs, by) for by in (-1, 0, 1)]
    filled = clip.std.BlankClip(keep=True).std.FrameEval(choose, prop_src=around, clip_src=[clip])
    timing = ConstantTiming(clip.num_frames, Fraction(1), frame_rate(clip))
    return alpha.build(filled, timing, options, runs, mends=[1, *lengths], name="repair")


def numbers(damaged: Damaged, length: int, argument: str = "frames") -> list[int]:
    """Return the numbers of damaged frames, rising, each once.

    Args:
        damaged: Numbers and ranges, or a file of them.
        length: Number of frames of the clip.
        argument: Name of the argument in messages.

    Raises:
        ArgumentError: The file cannot be read, or an entry is no frame of the clip.
    """
    if isinstance(damaged, str | PathLike):
        spans = list(_read(damaged, argument))
    elif isinstance(damaged, Iterable):
        named = ((f"{argument}[{number}]", entry) for number, entry in enumerate(damaged))
        spans = [(name, *_span(entry, name)) for name, entry in named]
    else:
        raise ArgumentError(
            f"{argument} must be a list of frame numbers and ranges, or a file of them, not {damaged!r}"
        )
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


def _read(path: str | PathLike[str], argument: str) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each entry of a file, and its first and last frame."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path that cannot be
        raise ArgumentError(f"{argument} {str(path)!r} cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        name = f"line {number} of {argument} {str(path)!r}"
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ArgumentError(
                f"{name} must be a frame number, or a range such as 20-25, first and last, not {entry!r}"
            )
        yield name, int(match[1]), int(match[2] or match[1])
