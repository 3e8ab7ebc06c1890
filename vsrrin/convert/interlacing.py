"""Interlaced sources: each frame or each field becomes a frame, by FFmpeg's bwdif."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Literal

import av
import numpy as np
import vapoursynth as vs
from av.filter import Graph

from vsrrin.clip import alpha
from vsrrin.clip.frames import int_prop
from vsrrin.convert.media.pixels import Pixels, from_av, to_av
from vsrrin.convert.media.times import FrameTimes
from vsrrin.errors import ArgumentError, ConvertError

from .source import Source

Deinterlace = Literal["frame", "field"]

_BOTTOM_FIRST = 1
"""Value of the property ``_FieldBased``; 0 is progressive, 2 is top field first."""


def resolve(source: Source, deinterlace: Deinterlace | None, *, progressive: bool) -> Source:
    """Return a source whose frames are progressive.

    Args:
        source: The opened source.
        deinterlace: Make one frame of each "frame", or of each "field", which doubles the rate; ``None`` does neither.
        progressive: Ignore the flags by which frames are interlaced.

    Raises:
        ArgumentError: The settings are wrong or contradict each other.
        ConvertError: The first frame is interlaced and the settings do not say what to do, or bwdif does not know the
            format of the frames.
    """
    if deinterlace not in (None, "frame", "field"):
        raise ArgumentError(f"deinterlace must be 'frame', 'field' or None, not {deinterlace!r}")
    if deinterlace and progressive:
        raise ArgumentError("give deinterlace or progressive, not both: the one believes the frames to be interlaced")
    if progressive:
        return replace(source, clip=source.clip.std.SetFieldBased(0))
    if deinterlace:
        return _deinterlaced(source, by_field=deinterlace == "field")
    with source.clip.get_frame(0) as first:
        if not int_prop(first.props, "_FieldBased", 0):
            return source
    rates = f" ({float(source.rate):.6g} and {float(2 * source.rate):.6g} per second)" if source.rate else ""
    raise ConvertError(
        f'{source.info.path} is interlaced, as it says: deinterlace="frame" makes a frame of each frame and '
        f'deinterlace="field" of each field{rates}; if its frames are progressive all the same, as those of many films '
        "are, progressive=True takes them as they are"
    )


def _deinterlaced(source: Source, *, by_field: bool) -> Source:
    clip, first = source.clip, source.clip.get_frame(0)
    pixels = Pixels.of_clip(clip.format)
    if pixels.name is None:
        raise ConvertError(f"{source.info.path} is {pixels}, which bwdif cannot deinterlace: convert it first")
    made = _progressive(clip, pixels.name, by_field=by_field)
    if alpha.PROP in first.props:
        deep = alpha.alpha_of(alpha.of_depth(clip, 16))  # of grey, bwdif knows 8 and 16 bits
        grey = _progressive(deep, "gray16le", by_field=by_field)
        made = alpha.of_depth(made.std.ClipToProp(grey, alpha.PROP), clip.format.bits_per_sample)
    if not by_field:
        return replace(source, clip=made)
    return replace(
        source,
        clip=made,
        times=_halved(source.times),
        rate=source.rate and 2 * source.rate,
        numbers=range(2 * source.numbers.start, 2 * source.numbers.stop),
        whole=2 * source.whole,
    )


def _progressive(clip: vs.VideoNode, name: str, *, by_field: bool) -> vs.VideoNode:
    """Return a clip with a frame for each frame or each field; ``name`` is FFmpeg's of its format."""
    _bwdif([to_av(clip.get_frame(0), name)], 1, "tff", name)  # what bwdif does not know shows now
    before, after = clip[0] + clip[:-1], clip[1:] + clip[-1]
    count = 2 if by_field else 1
    stacked = vs.core.std.BlankClip(clip, height=clip.height * count, keep=True)
    render = partial(_render, count=count, last=clip.num_frames - 1, name=name)
    made = stacked.std.ModifyFrame([stacked, before, clip, after], render)
    if not by_field:
        return made
    return vs.core.std.Interleave([made.std.CropAbs(clip.width, clip.height, top=top) for top in (0, clip.height)])


def _halved(times: FrameTimes) -> FrameTimes:
    """Return times of which each lasts half as long, as fields do."""
    starts = (at for left, right in pairwise([*times.starts, times.end]) for at in (left, (left + right) / 2))
    return FrameTimes(tuple(starts), times.last_duration / 2, tuple(2 * rate for rate in times.rates))


def _render(n: int, f: Sequence[vs.VideoFrame], *, count: int, last: int, name: str) -> vs.VideoFrame:
    """Return frame ``n``, or its two fields as one frame above the other; a callback of ModifyFrame.

    bwdif looks at one frame before and one after, so a graph of its own for every frame gives what one graph gives
    that sees all frames in order.
    """
    _, before, here, after = f
    order = "bff" if int_prop(here.props, "_FieldBased", 0) == _BOTTOM_FIRST else "tff"
    around = ([before] if n else []) + [here] + ([after] if n < last else [])
    made = _bwdif([to_av(frame, name) for frame in around], count, order, name, is_last=n == last)
    out = f[0].copy()
    for index, picture in enumerate(made):
        for plane, samples in enumerate(from_av(picture, here.format)):
            target = np.asarray(out[plane])
            rows = target.shape[0] // count
            np.copyto(target[index * rows : (index + 1) * rows], samples)
    out.props.clear()
    out.props.update(here.props)
    out.props["_FieldBased"] = 0
    return out


def _bwdif(
    frames: Sequence[av.VideoFrame], count: int, order: str, name: str, *, is_last: bool = True
) -> list[av.VideoFrame]:
    """Return the ``count`` frames that bwdif makes of the second but last frame, or of the last of a clip."""
    graph = Graph()
    graph.threads = 1  # frames are made in parallel, and a pool for each costs more than it gives
    start = graph.add_buffer(width=frames[0].width, height=frames[0].height, format=name, time_base=Fraction(1, 2))
    bwdif = graph.add("bwdif", mode="send_field" if count == 2 else "send_frame", parity=order, deint="all")
    graph.link_nodes(start, bwdif, graph.add("buffersink")).configure()
    made: list[av.VideoFrame] = []
    try:
        for number, frame in enumerate([*frames, None] if is_last else frames):
            if frame is not None:
                frame.pts, frame.time_base = 2 * number, Fraction(1, 2)
            graph.vpush(frame)
            made += _pulled(graph)
    except av.error.FFmpegError as error:
        raise ConvertError(f"bwdif cannot deinterlace frames of {name}: {error}") from error
    wanted = made[-count:]
    if len(wanted) < count or any(picture.format.name != name for picture in wanted):
        raise ConvertError(f"bwdif cannot deinterlace frames of {name}: convert them to another format first")
    return wanted


def _pulled(graph: Graph) -> list[av.VideoFrame]:
    made = []
    while True:
        try:
            made.append(graph.vpull())
        except (BlockingIOError, EOFError):  # FFmpegError's "again" and "end"
            return made
