"""Clips of runs, whose frame k tells which source frames around source frame k show one picture.

A run is a distinct frame with the frames behind it that repeat it. As frames, VapourSynth computes each answer once, on
demand and in any order, and caches it.
"""

from collections.abc import Mapping, Sequence, Set
from itertools import takewhile
from typing import NamedTuple

import numpy as np
import vapoursynth as vs

from vsrrin.engine.options import Options

from . import frames, repeat_score
from .frames import Colour
from .scene_cuts import cached, empty_clip, is_cut, shifted

_CHANGE, _REPEATS, _RUN = "_VSRRIN_Change", "_VSRRIN_Repeats", "_VSRRIN_Run"


class Run(NamedTuple):
    """Frames that motion is spread over, as one of them has it."""

    first: int
    """The distinct frame: this one, or the one that it repeats."""
    following: int
    """The next distinct frame; ``first`` itself, and this frame, where nothing is spread."""


def run_of(frame: vs.VideoFrame) -> Run:
    """Return what a frame of a clip of runs says."""
    return Run(*frame.props[_RUN])


def run_frame(frame: vs.VideoFrame, run: Run) -> vs.VideoFrame:
    """Return a copy of a frame that says this to `run_of`."""
    answer = frame.copy()
    answer.props[_RUN] = run
    return answer


def run_clip(repeats: vs.VideoNode, cuts: vs.VideoNode, options: Options) -> vs.VideoNode:
    """Return the clip of runs, to be read with `run_of`.

    Args:
        repeats: The clip of repeats of the source, from `repeat_clip`.
        cuts: The clip of its scene cuts, which no run crosses unless ``options.scene`` is "off".
        options: Options of interpolation, with the longest run that motion is spread over.

    Returns:
        A clip of 1x1 frames, as long as the source.
    """
    longest, last = options.longest_run, repeats.num_frames - 1
    window = range(1 - longest, longest + 1)
    before = [] if options.scene == "off" else [shifted(cuts, by - 1) for by in window]

    def find(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        pairs = {n + by: frame for by, frame in zip(window, f[1:], strict=False) if 0 <= n + by <= last}
        begins = {n + by for by, frame in zip(window, f[1 + len(window) :], strict=False) if n + by and is_cut(frame)}
        return run_frame(f[0], _run(n, pairs, begins, longest))

    tiny = empty_clip(repeats, 1, 1, vs.GRAY8)
    return cached(tiny.std.ModifyFrame([tiny, *(shifted(repeats, by) for by in window), *before], find))


def _run(n: int, pairs: Mapping[int, vs.VideoFrame], begins: Set[int], longest: int) -> Run:
    """Return the run of frame n, by what is known of the frames around it and which of them begin a scene."""

    def repeats(k: int) -> bool:
        return k in pairs and k not in begins and _is_repeat(pairs[k])

    first, following = n, n + 1
    while repeats(first):
        first -= 1
    while repeats(following):
        following += 1
    # Not known: a hold, or a run at an end of the clip. Before a cut there is nothing to move to.
    if first not in pairs or following not in pairs or following in begins or not 1 < following - first <= longest:
        return Run(n, n)
    # Frames within a hold look like a run by themselves, but what is around it does not move either.
    entered = _change(pairs[first]) if first and first not in begins else repeat_score.BEYOND
    left = _change(pairs[following])
    inside = (_change(pairs[k]) for k in range(first + 1, following))
    moves = all(repeat_score.is_repeat(change, [entered], [left]) for change in inside)
    return Run(first, following) if moves else Run(n, n)


def stilled(clip: vs.VideoNode, repeats: vs.VideoNode, longest: int) -> vs.VideoNode:
    """Return a clip with the picture of the distinct frame in place of those that repeat it.

    Grain between them is motion to whoever looks for motion.
    """

    def choose(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoNode:
        return clip[n - sum(1 for _ in takewhile(_is_repeat, f))]

    before = [shifted(repeats, -by) for by in range(longest)]
    return clip.std.FrameEval(choose, prop_src=before, clip_src=[clip]).std.CopyFrameProps(clip)


def repeat_clip(clip: vs.VideoNode, longest: int) -> vs.VideoNode:
    """Return the clip whose frame k says whether source frame k repeats the one before, by its picture alone.

    Args:
        clip: The source, of constant format and size.
        longest: Frames of the longest run that is looked for.
    """
    changes, last = _changes(clip), clip.num_frames - 1
    around = range(1 - longest, longest)

    def decide(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        found = [_change(k) if 1 <= n + by <= last else repeat_score.BEYOND for by, k in zip(around, f, strict=True)]
        before, own, after = found[: longest - 1], found[longest - 1], found[longest:]
        answer = f[longest - 1].copy()
        answer.props[_REPEATS] = int(n > 0 and repeat_score.is_repeat(own, before, after))
        return answer

    return cached(changes.std.ModifyFrame([shifted(changes, by) for by in around], decide))


def _is_repeat(frame: vs.VideoFrame) -> bool:
    return bool(frame.props[_REPEATS])


def _change(frame: vs.VideoFrame) -> repeat_score.Change:
    return repeat_score.Change(*frame.props[_CHANGE])


def _changes(clip: vs.VideoNode) -> vs.VideoNode:
    """Return the clip whose frame k has the change from source frame k - 1 to k."""
    by = repeat_score.shrink(clip.width, clip.height)
    width, height = max(clip.width // by, 1), max(clip.height // by, 1)

    def shrink(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        small = f[0].copy()
        np.copyto(np.asarray(small[0]), frames.small_planes(f[1], Colour.of_frame(f[1]), width, height))
        return small

    def compare(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        answer = f[0].copy()
        answer.props[_CHANGE] = repeat_score.change(np.asarray(f[1][0]), np.asarray(f[2][0]), by)
        return answer

    pictures = empty_clip(clip, width, height * clip.format.num_planes, vs.GRAYS)
    pictures = pictures.std.ModifyFrame([pictures, clip], shrink)
    tiny = empty_clip(clip, 1, 1, vs.GRAY8)
    return cached(tiny.std.ModifyFrame([tiny, shifted(pictures, -1), pictures], compare))
