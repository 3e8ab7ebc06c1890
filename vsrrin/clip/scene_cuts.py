"""Clips of scene cuts, whose frame k tells if a new scene begins after source frame k.

As frames, VapourSynth computes each answer once, on demand and in any order, and caches it.
"""

from collections.abc import Sequence

import numpy as np
import vapoursynth as vs

from vsrrin.engine.options import SceneMode

from . import frames, scene_score
from .frames import Colour
from .props import marked_cut

_CUT, _CHANGE = "_VSRRIN_Cut", "_VSRRIN_Change"

_FRAMES = range(-scene_score.RADIUS, scene_score.RADIUS + 2)
"""Source frames around pair k that decide about it, relative to k."""


def cut_clip(clip: vs.VideoNode, mode: SceneMode, threshold: float | None = None) -> vs.VideoNode:
    """Return the clip of cuts, to be read with :func:`is_cut`.

    Args:
        clip: The source, of constant format and size.
        mode: "auto" takes the scene marks on the frames (`_SceneChangeNext`, `_SceneChangePrev`) and runs the detector
            where there are none; "props" takes marks only; "detect" runs the detector only; "off" takes marks, which
            are passed on although frames are interpolated across them.
        threshold: Score from which a frame pair is a cut; ``None`` for `scene_score.THRESHOLD`.

    Returns:
        A clip of 1x1 frames, as long as the source.
    """
    threshold = scene_score.THRESHOLD if threshold is None else threshold
    tiny = empty_clip(clip, 1, 1, vs.GRAY8)
    answers = {cut: tiny.std.SetFrameProps(**{_CUT: value}) for cut, value in ((None, -1), (False, 0), (True, 1))}
    unmarked = _detected(clip, threshold) if mode in ("auto", "detect") else answers[None]
    if mode == "detect":
        return unmarked

    def choose(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoNode:
        cut = marked_cut(f[0].props, f[1].props) if n < clip.num_frames - 1 else False
        return unmarked if cut is None else answers[cut]

    marks = [clip, shifted(clip, 1)]
    return cached(tiny.std.FrameEval(choose, prop_src=marks, clip_src=[unmarked, *answers.values()]))


def _detected(clip: vs.VideoNode, threshold: float) -> vs.VideoNode:
    """Return the clip of cuts by vsrrin's own detector."""
    last = clip.num_frames - 1

    def decide(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        answer = f[0].copy()
        answer.props[_CUT] = int(n < last and scene_score.cut_score(*_looked_up(n, last, f[1:])) >= threshold)
        return answer

    tiny = empty_clip(clip, 1, 1, vs.GRAY8)
    return cached(tiny.std.ModifyFrame([tiny, *_window(clip)], decide))


def is_cut(frame: vs.VideoFrame) -> bool | None:
    """Return whether a frame of the clip of cuts says that a new scene follows; ``None`` if that is not known."""
    value = int(frame.props[_CUT])
    return None if value < 0 else bool(value)


def _window(clip: vs.VideoNode) -> list[vs.VideoNode]:
    """Return clips whose frames k are the thumbnails of the source frames around pair k, then their changes."""
    height, width = scene_score.thumbnail(np.zeros((1, 1), np.float32)).shape

    def shrink(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        thumbnail = f[0].copy()
        colour = Colour.of_frame(f[1])
        np.copyto(np.asarray(thumbnail[0]), scene_score.thumbnail(frames.luma(f[1], colour)))
        return thumbnail

    def compare(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        answer = f[0].copy()
        change = scene_score.change(np.asarray(f[1][0]), np.asarray(f[2][0]))
        answer.props[_CHANGE] = [change.lost, change.luma]
        return answer

    blank, tiny = empty_clip(clip, width, height, vs.GRAYS), empty_clip(clip, 1, 1, vs.GRAY8)
    thumbnails = cached(blank.std.ModifyFrame([blank, clip], shrink))
    changes = cached(tiny.std.ModifyFrame([tiny, thumbnails, shifted(thumbnails, 1)], compare))
    return [shifted(thumbnails, by) for by in _FRAMES] + [shifted(changes, by) for by in _FRAMES[:-1]]


def _looked_up(
    k: int, last: int, window: Sequence[vs.VideoFrame]
) -> tuple[list[scene_score.Thumbnail | None], list[scene_score.Change | None]]:
    """Return the arguments of `scene_score.cut_score` for pair k; ``None`` beyond the ends of the clip."""
    pictures, pairs = window[: len(_FRAMES)], window[len(_FRAMES) :]
    thumbnails = [np.asarray(f[0]) if 0 <= k + by <= last else None for by, f in zip(_FRAMES, pictures, strict=True)]
    changes = [
        scene_score.Change(*f.props[_CHANGE]) if 0 <= k + by < last else None
        for by, f in zip(_FRAMES[:-1], pairs, strict=True)
    ]
    return thumbnails, changes


def empty_clip(clip: vs.VideoNode, width: int, height: int, video_format: int) -> vs.VideoNode:
    """Return an empty clip as long as another."""
    return vs.core.std.BlankClip(width=width, height=height, format=video_format, length=clip.num_frames, keep=True)


def shifted(clip: vs.VideoNode, by: int) -> vs.VideoNode:
    """Return a clip, as long as ``clip``, whose frame k is frame k + by of it, or the nearest there is."""
    by = max(min(by, clip.num_frames - 1), 1 - clip.num_frames)
    if by > 0:
        return clip[by:] + clip[-1] * by
    return clip[0] * -by + clip[:by] if by else clip


def cached(clip: vs.VideoNode) -> vs.VideoNode:
    """Cache all frames of a clip: they are a few bytes each, and are asked for several times."""
    clip.std.SetVideoCache(mode=1)
    return clip
