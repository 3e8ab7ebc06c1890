"""Clips of runs, whose frame k tells which source frames around source frame k show one picture.

A run is a distinct frame with the frames behind it that repeat it. As frames, VapourSynth computes each answer once, on
demand and in any order, and caches it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import vapoursynth as vs

from vsrrin.engine.options import Options

from . import frames, repeat_score
from .frames import Colour
from .scene_cuts import cached, empty_clip, is_cut, shifted

_CHANGE, _STATE, _RUN = "_VSRRIN_Change", "_VSRRIN_State", "_VSRRIN_Run"
_DISTINCT, _REPEAT, _BEGINS_SCENE = range(3)


class Run(NamedTuple):
    """Place of a source frame among those that motion is spread over."""

    first: int
    """The distinct frame: this one, or the one that it repeats."""
    following: int
    """The next distinct frame; ``first`` itself where nothing is to be spread."""
    is_repeat: bool
    """Whether the frame repeats the one before."""

    @property
    def is_spread(self) -> bool:
        """True where motion is spread over several frames."""
        return self.following > self.first


def run_of(frame: vs.VideoFrame) -> Run:
    """Return what a frame of a clip of runs says."""
    first, following, is_repeat = frame.props[_RUN]
    return Run(first, following, bool(is_repeat))


def run_clip(clip: vs.VideoNode, cuts: vs.VideoNode, options: Options) -> vs.VideoNode:
    """Return the clip of runs, to be read with `run_of`.

    Args:
        clip: The source, of constant format and size.
        cuts: The clip of its scene cuts, which no run crosses unless ``options.scene`` is "off".
        options: Options of interpolation, with the longest run that motion is spread over.

    Returns:
        A clip of 1x1 frames, as long as the source.
    """
    longest = options.longest_run
    states = _states(clip, None if options.scene == "off" else cuts, longest)
    window = range(1 - longest, longest + 1)

    def find(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        answer = f[0].copy()
        state = {
            n + by: int(frame.props[_STATE])
            for by, frame in zip(window, f[1:], strict=True)
            if 0 <= n + by < clip.num_frames
        }
        answer.props[_RUN] = _run(n, state, longest)
        return answer

    tiny = empty_clip(clip, 1, 1, vs.GRAY8)
    return cached(tiny.std.ModifyFrame([tiny, *(shifted(states, by) for by in window)], find))


def _run(n: int, state: dict[int, int], longest: int) -> Run:
    first, following = n, n + 1
    while state.get(first) == _REPEAT:
        first -= 1
    while state.get(following) == _REPEAT:
        following += 1
    # Not found within the window: a hold, or a run at an end of the clip; before a cut there is nothing to move to.
    known = first in state and state.get(following) == _DISTINCT
    if not known or not 1 < following - first <= longest:
        first = following = n
    return Run(first, following, state[n] == _REPEAT)


def _states(clip: vs.VideoNode, cuts: vs.VideoNode | None, longest: int) -> vs.VideoNode:
    """Return the clip whose frame k says if source frame k is distinct, a repeat of k - 1, or begins a scene."""
    changes = _changes(clip)
    around = range(-longest, longest + 1)

    def decide(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        answer, state = f[0].copy(), _DISTINCT
        found = {
            by: repeat_score.Change(*frame.props[_CHANGE])
            for by, frame in zip(around, f[1:], strict=False)
            if 1 <= n + by < clip.num_frames
        }
        if n and cuts is not None and is_cut(f[-1]):
            state = _BEGINS_SCENE
        elif n and repeat_score.is_repeat(
            found[0], [found[by] for by in found if by < 0], [found[by] for by in found if by > 0]
        ):
            state = _REPEAT
        answer.props[_STATE] = state
        return answer

    tiny = empty_clip(clip, 1, 1, vs.GRAY8)
    before = [] if cuts is None else [shifted(cuts, -1)]
    return cached(tiny.std.ModifyFrame([tiny, *(shifted(changes, by) for by in around), *before], decide))


def _changes(clip: vs.VideoNode) -> vs.VideoNode:
    """Return the clip whose frame k has the change from source frame k - 1 to k."""
    width, height = repeat_score.size(clip.width, clip.height)

    def shrink(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        small = f[0].copy()
        np.copyto(np.asarray(small[0]), frames.small_planes(f[1], Colour.of_frame(f[1]), width, height))
        return small

    def compare(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        answer = f[0].copy()
        answer.props[_CHANGE] = repeat_score.change(np.asarray(f[1][0]), np.asarray(f[2][0]))
        return answer

    pictures = empty_clip(clip, width, height * clip.format.num_planes, vs.GRAYS)
    pictures = pictures.std.ModifyFrame([pictures, clip], shrink)
    tiny = empty_clip(clip, 1, 1, vs.GRAY8)
    return cached(tiny.std.ModifyFrame([tiny, shifted(pictures, -1), pictures], compare))
