"""Damaged frames of a file, as a list to look at and to correct."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import vapoursynth as vs

from vsrrin.clip import damage
from vsrrin.clip.alpha import premultiplied
from vsrrin.clip.clip_checks import check_clip
from vsrrin.clip.damage_score import Kind
from vsrrin.clip.repeats import run_of

from . import interlacing
from .image_folder import open_images
from .interlacing import Deinterlace
from .source import FrameError, Moment, Source, open_clip, open_file, reason, unreadable


class Damage(NamedTuple):
    """Run of damaged frames, by their numbers in the file, and the time of its first."""

    kind: Kind
    first: int
    last: int
    time: Fraction


def opened(
    path: Path,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    deinterlace: Deinterlace | None = None,
    progressive: bool = False,
) -> Source:
    """Open a video or a folder of images, as a conversion with the same settings does."""
    if path.is_dir():
        source = open_clip(open_images(path, Fraction(24)).clip, path, start=start, end=end)
    else:
        source = open_file(path, start=start, end=end)
    return interlacing.resolve(source, deinterlace, progressive=progressive)


def damaged(source: Source) -> Iterator[Damage | None]:
    """Yield once for each frame: a run of damaged frames after its last, else ``None``.

    Raises:
        ConvertError: A frame cannot be read.
    """
    clip, begin = source.clip, source.numbers.start
    done = 0
    try:
        found = damage.damage_clip(premultiplied(clip) if "_Alpha" in check_clip(clip).props else clip)
        for number, frame in enumerate(found.frames(close=True)):
            kind, (first, following) = damage.kind_of(frame), run_of(frame)
            last = following - 1 if following > number else clip.num_frames - 1
            done = number + 1
            if kind is None or number != last:
                yield None
                continue
            first = first + 1 if first < number else 0
            yield Damage(kind, begin + first, begin + last, source.times.starts[first])
    except vs.Error as error:
        raise unreadable(FrameError(reason(error), done), source, done) from error
