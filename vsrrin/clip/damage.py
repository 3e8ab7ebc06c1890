"""Clips of damage, whose frame k tells whether source frame k is damaged, and what takes its place.

As frames, VapourSynth computes each answer once, on demand and in any order, and caches it.
"""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import vapoursynth as vs

from vsrrin.engine import memory

from . import damage_score, frames
from .damage_score import Found, Kind, Sight
from .frames import Colour
from .repeats import Run, run_frame
from .scene_cuts import cached, empty_clip, shifted

_KIND, _SIGHT, _CHANGE = "_VSRRIN_Damage", "_VSRRIN_Sight", "_VSRRIN_Change"
_AROUND = range(-damage_score.RADIUS, damage_score.RADIUS + 1)
_NONE = "none"


def kind_of(frame: vs.VideoFrame) -> Kind | None:
    """Return the kind of damage that a frame of a clip of damage tells of; ``None`` if there is none."""
    kind = frame.props[_KIND]
    return None if kind == _NONE else cast(Kind, kind)


def damage_clip(clip: vs.VideoNode, report: Callable[[Found], None] | None = None) -> vs.VideoNode:
    """Return the clip of damage of a source, with its kind in ``_VSRRIN_Damage`` and the run to read with `run_of`.

    The run is from the healthy frame before to the one after; that frame twice where there is but one.

    Args:
        clip: The source, of constant format and size.
        report: Called from any thread for each damaged frame, with the run that it is part of.

    Returns:
        A clip of 1x1 frames, as long as the source.
    """
    last = clip.num_frames - 1
    found = _found(clip)
    around = range(-damage_score.LONGEST, damage_score.LONGEST + 1)

    def decide(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        memory.heap().tidy()  # pictures are small and short-lived, and those who only look make no frames
        known = {n + by: frame for by, frame in zip(around, f, strict=True) if 0 <= n + by <= last}
        first = following = n
        while first in known and kind_of(known[first]):
            first -= 1
        while following in known and kind_of(known[following]):
            following += 1
        beside = [k for k in (first, following) if k in known]
        # Damage of several kinds in a row may be longer than what is looked at.
        at_end = first < 0 or following > last
        if first == n or len(beside) < 2 - at_end or following - first > damage_score.LONGEST + 1:
            answer = run_frame(f[len(f) // 2], Run(n, n))
            answer.props[_KIND] = _NONE
            return answer
        if report is not None:
            report(Found(cast(Kind, kind_of(known[n])), first + 1, following - 1))
        return run_frame(known[n], Run(beside[0], beside[-1]))

    return cached(found.std.ModifyFrame([shifted(found, by) for by in around], decide))


def _found(clip: vs.VideoNode) -> vs.VideoNode:
    """Return the clip whose frame k has the kind of damage that the detector sees in source frame k."""
    pictures, last = _pictures(clip), clip.num_frames - 1
    shape = 3, pictures.height // 3, pictures.width

    def compare(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        answer = f[0].copy()
        answer.props[_CHANGE] = damage_score.change(*(np.asarray(each[0]).reshape(shape) for each in f[1:])).tolist()
        return answer

    tiny = empty_clip(clip, 1, 1, vs.GRAY8)
    changes = cached(tiny.std.ModifyFrame([tiny, shifted(pictures, -1), pictures], compare))

    def find(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        seen = {n + by: frame for by, frame in zip(_AROUND, f[1:], strict=False) if 0 <= n + by <= last}
        moved = {n + by: frame for by, frame in zip(_AROUND[1:], f[1 + len(_AROUND) :], strict=True)}
        window = damage_score.Window(
            {k: np.asarray(frame[0]).reshape(shape) for k, frame in seen.items()},
            {k: _sight(frame) for k, frame in seen.items()},
            {k: np.array(frame.props[_CHANGE], np.float32, ndmin=1) for k, frame in moved.items() if 0 < k <= last},
        )
        found: Found | None = damage_score.find(window, n)
        answer = f[0].copy()
        answer.props[_KIND] = found.kind if found else _NONE
        return answer

    inputs = [*(shifted(pictures, by) for by in _AROUND), *(shifted(changes, by) for by in _AROUND[1:])]
    return cached(tiny.std.ModifyFrame([tiny, *inputs], find))


def _sight(frame: vs.VideoFrame) -> Sight:
    mean, is_dark, has_lost = frame.props[_SIGHT]
    return Sight(mean, bool(is_dark), bool(has_lost))


def _pictures(clip: vs.VideoNode) -> vs.VideoNode:
    """Return the clip of small pictures, with all planes one below the other, and facts about them."""
    by = -(-max(clip.width, clip.height) // damage_score.LARGEST)
    width, height = max(clip.width // by, 1), max(clip.height // by, 1)

    def shrink(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        small, colour = f[0].copy(), Colour.of_frame(f[1])
        planes = frames.small_planes(f[1], colour, width, height).reshape(-1, height, width)
        yuv = damage_score.picture(planes, is_rgb=colour.family == vs.RGB)
        np.copyto(np.asarray(small[0]), yuv.reshape(-1, width))
        small.props[_SIGHT] = [float(fact) for fact in damage_score.sight(yuv)]
        return small

    blank = empty_clip(clip, width, height * 3, vs.GRAYS)
    return blank.std.ModifyFrame([blank, clip], shrink)
