"""Interpolation of clips whose frames carry their transparency as ``_Alpha``, as image sequences do.

Colour is multiplied by alpha before it is interpolated, and divided by it afterwards: the colour of a fully transparent
pixel is arbitrary, and would bleed into the edges of what moves over it. Alpha is interpolated as a clip of its own,
with the same cuts. Laid over a background, the result is never worse than either of the two, because compositing
multiplies by alpha again. Source frames stay bit for bit, whatever their transparent pixels hold.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import vapoursynth as vs

from vsrrin.clip.frames import Colour
from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError

from . import graph
from .clip_checks import check_clip
from .repeats import repeat_clip, run_clip
from .scene_cuts import cut_clip, is_cut
from .timing import Timing

PROP = "_Alpha"
"""Property of frames that holds their alpha."""


def alpha_of(clip: vs.VideoNode) -> vs.VideoNode:
    """Return the alpha of each frame as a GRAY clip of full range, with the times of the frames."""
    alpha = clip.std.PropToClip(PROP).std.CopyFrameProps(clip)
    return alpha.std.RemoveFrameProps([PROP, "_Matrix", "_Primaries", "_Transfer"]).std.SetFrameProps(_Range=1)


def premultiplied(clip: vs.VideoNode) -> vs.VideoNode:
    """Return a clip laid over black, in its own format and without alpha."""
    product = _float(clip).std.PreMultiply(_float(alpha_of(clip)))
    return _as(product, clip).std.RemoveFrameProps([PROP])


def over_black(clip: vs.VideoNode) -> vs.VideoNode:
    """Return a clip of any format whose frames have an ``_Alpha`` laid over black; opaque pixels stay as they are."""
    if clip.format.color_family != vs.YUV:
        return premultiplied(clip)
    bits = clip.format.bits_per_sample
    lowest = 0 if Colour.of_frame(clip.get_frame(0)).full_range else 16 << (bits - 8)
    black = clip.std.BlankClip(color=[lowest, 1 << (bits - 1), 1 << (bits - 1)], keep=True)
    merged = black.std.MaskedMerge(clip, alpha_of(clip), first_plane=True)
    return merged.std.CopyFrameProps(clip).std.RemoveFrameProps([PROP])


def of_depth(clip: vs.VideoNode, bits: int) -> vs.VideoNode:
    """Return a clip whose frames' alpha has as many bits per sample as wanted."""
    grey, wanted = alpha_of(clip), vs.core.query_video_format(vs.GRAY, vs.INTEGER, bits, 0, 0)
    if grey.format.id == wanted.id:
        return clip
    return clip.std.ClipToProp(grey.resize.Point(format=wanted.id, range_s="full"), PROP)


def build(
    clip: vs.VideoNode,
    timing: Timing,
    options: Options,
    runs: vs.VideoNode | None = None,
    *,
    mends: Sequence[int] = (),
    name: str = "interpolate",
) -> vs.VideoNode:
    """Return a clip with new frames, as :func:`vsrrin.clip.graph.build` makes them, and their alpha if there is any.

    Args:
        clip: The source.
        timing: See `graph.build`.
        options: See `graph.build`.
        runs: See `graph.build`.
        mends: See `graph.build`.
        name: See `graph.build`.

    Raises:
        VsrrinError: Alpha has another size or format than the clip; or see :func:`vsrrin.clip.graph.build`.
    """
    first = check_clip(clip)
    if PROP not in first.props:
        return graph.build(clip, timing, options, runs, mends=mends, name=name)
    _check_alpha(first)
    marked = options if options.scene == "off" else replace(options, scene="props")
    return interpolate_with_alpha(
        clip,
        lambda part, runs=runs: graph.build(part, timing, marked, runs, mends=mends, name=name),
        options,
    )


def _check_alpha(frame: vs.VideoFrame) -> None:
    alpha, own = frame.props[PROP], frame.format
    assert isinstance(alpha, vs.VideoFrame)
    same = (own.sample_type, own.bits_per_sample) == (alpha.format.sample_type, alpha.format.bits_per_sample)
    if alpha.format.color_family != vs.GRAY or not same or (alpha.width, alpha.height) != (frame.width, frame.height):
        have, given = (f"{each.width}x{each.height} in {each.format.name}" for each in (frame, alpha))
        raise ArgumentError(
            f"clip's first frame is {have}, and its alpha {given}: _Alpha must be GRAY of the same size and depth; "
            f'std.ClipToProp sets another, std.RemoveFrameProps("{PROP}") leaves it out'
        )


def interpolate_with_alpha(
    clip: vs.VideoNode,
    interpolate: Callable[..., vs.VideoNode],
    options: Options | None = None,
) -> vs.VideoNode:
    """Add frames, with their alpha, between the frames of a clip.

    Args:
        clip: Any clip whose frames have an ``_Alpha`` of the same depth and size.
        interpolate: :func:`vsrrin.interpolate` with all arguments but the clip; with ``duplicates="spread"`` it is also
            given the ``runs`` of :func:`vsrrin.clip.graph.build`.
        options: Options for finding cuts and repeats; the cuts found in the colours hold for alpha too, and a frame
            repeats the one before if both do.

    Returns:
        The interpolated clip; every frame has its own ``_Alpha``.
    """
    options = options or Options()
    marked = clip if options.scene == "off" else _mark_cuts(clip, options)
    alpha = alpha_of(marked)
    colours = _float(marked.std.RemoveFrameProps([PROP])).std.PreMultiply(_float(alpha))
    given = {}
    if options.duplicates == "spread":
        both = vs.core.std.StackVertical([colours, _like(_float(alpha), colours)])
        given["runs"] = run_clip(repeat_clip(both, options.longest_run), cut_clip(marked, "props"), options)
    new, new_alpha = interpolate(colours, **given), interpolate(_float(alpha), **given)
    if new is colours:  # a factor of 1
        return clip
    whole = _as(new_alpha, alpha)
    smallest = 0.5 / (2 ** min(clip.format.bits_per_sample, 16) - 1)  # what rounds to transparent has no colour
    straight = _as(vs.core.std.Expr([new, _like(new_alpha, new)], f"y {smallest} >= x y / 0 ?"), clip)
    return _with_source_frames(straight.std.ClipToProp(whole, PROP), clip)


def _with_source_frames(new: vs.VideoNode, clip: vs.VideoNode) -> vs.VideoNode:
    """Put the source frames themselves in their places, also where one is held at the end."""

    def choose(n: int, f: vs.VideoFrame) -> vs.VideoNode:
        left = int(f.props["_VSRRIN_Left"])
        if f.props["_VSRRIN_Kind"] != "source" and left != f.props["_VSRRIN_Right"]:
            return new
        source = clip[left]  # one frame answers any number
        alpha = source.std.PropToClip(PROP)
        return source.std.CopyFrameProps(new[n]).std.ClipToProp(alpha, PROP)

    return new.std.FrameEval(choose, prop_src=new, clip_src=[new, clip])


def _mark_cuts(clip: vs.VideoNode, options: Options) -> vs.VideoNode:
    """Write the cuts onto the frames, so that both interpolations use them."""
    cuts = cut_clip(premultiplied(clip), options.scene, options.scene_threshold)
    before = cuts[0] + cuts[:-1] if clip.num_frames > 1 else cuts

    def mark(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        frame = f[0].copy()
        here, last = is_cut(f[1]), is_cut(f[2]) if n else False
        if here is not None and last is not None:
            frame.props["_SceneChangeNext"], frame.props["_SceneChangePrev"] = int(here), int(last)
        return frame

    return clip.std.ModifyFrame([clip, cuts, before], mark)


def _like(grey: vs.VideoNode, clip: vs.VideoNode) -> vs.VideoNode:
    """Return a GRAY clip with planes as those of another."""
    shape = clip.format
    if shape.color_family == vs.GRAY:
        return grey
    small = grey.resize.Bilinear(clip.width >> shape.subsampling_w, clip.height >> shape.subsampling_h)
    return vs.core.std.ShufflePlanes([grey, small, small], [0, 0, 0], shape.color_family)


def _float(clip: vs.VideoNode) -> vs.VideoNode:
    shape = clip.format
    wanted = vs.core.query_video_format(shape.color_family, vs.FLOAT, 32, shape.subsampling_w, shape.subsampling_h)
    return clip.resize.Point(format=wanted.id)


def _as(clip: vs.VideoNode, like: vs.VideoNode) -> vs.VideoNode:
    """Convert a clip to the format and the range of another, rounded."""
    full = Colour.of_frame(like.get_frame(0)).full_range
    return clip.resize.Point(format=like.format.id, range_s="full" if full else "limited")
