"""Picture of one frame pair of a clip: source and new frames, and below them motion, mask and differences.

New frames are made from the whole clip, so they are those of a whole run. Transparent parts are laid over
black.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from fractions import Fraction
from itertools import batched
from pathlib import Path

import numpy as np
import vapoursynth as vs
from torch import Tensor

from vsrrin.checkpoint.loader import load
from vsrrin.clip import alpha, frames, graph, scene_score
from vsrrin.clip.clip_checks import make_timing
from vsrrin.clip.frames import Colour
from vsrrin.clip.props import marked_cut
from vsrrin.convert.images import read_folder
from vsrrin.convert.interlacing import Deinterlace, resolve
from vsrrin.convert.moments import written
from vsrrin.convert.source import ClipSource, Source, open_clip, open_file
from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError, ConvertError

from . import display, sheet
from .motion_maps import Maps, maps_of
from .sheet import Cell, Picture

MAX_FACTOR = 16
_WIDEST = 16_000
"""Largest width of a picture in pixels; many viewers show no wider ones."""
_SMALLEST_CELL = 320, 180
"""Width and height below which pixels are enlarged, so that labels can be read."""
_DOUBT_WHITE = 4.0
_STRONGEST_GAIN = 8


@dataclass(frozen=True)
class Wanted(Options):
    """Place and settings of a preview; flow and mask are made by PyTorch whatever the backend.

    Attributes:
        source: The video file or folder of images.
        at: Seconds since the beginning of the file, or a frame number.
        factor: Output frames per source frame, 2 to `MAX_FACTOR`.
        deinterlace: Make a frame of each "frame" or each "field" of an interlaced video, as a conversion does.
        progressive: Take the frames as they are, though the video says that they are interlaced.
    """

    source: Path
    at: Fraction | int
    _: KW_ONLY
    factor: int = 2
    deinterlace: Deinterlace | None = None
    progressive: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.factor <= MAX_FACTOR:
            raise ArgumentError(f"factor must be a whole number from 2 to {MAX_FACTOR}, not {self.factor}")


@dataclass(frozen=True)
class Preview:
    """Picture, and facts about it as subject and text."""

    picture: Picture
    facts: tuple[tuple[str, str], ...]


@dataclass(kw_only=True)
class _Pair:
    """Two neighbouring source frames and all that is shown of them."""

    left: int
    images: tuple[Tensor, Tensor]
    shown: list[Picture]
    kinds: list[str]
    maps: Maps
    marked: bool | None
    score: float
    notes: list[str]


def preview(wanted: Wanted) -> Preview:
    """Make the picture of a frame pair.

    Raises:
        VsrrinError: The source cannot be read, has no such position, or the network cannot be used with the options.
    """
    source = _open(wanted)
    try:
        pair = _pair(source, wanted)
    except vs.Error as error:
        raise ConvertError(f"{wanted.source}: {error}") from error
    facts = tuple(_facts(source, wanted, pair))
    pictures, maps = list(_pictures(source, wanted, pair)), list(_analysis(wanted, pair))
    return Preview(_arranged(pictures, maps, [f"{name}: {text}" for name, text in facts]), facts)


def _open(wanted: Wanted) -> Source:
    path = wanted.source
    if path.is_dir():
        images = read_folder(path)
        source = open_clip(ClipSource(lambda: images.clip, {}, images.notes), path)
    else:
        source = open_file(path)
    source = resolve(source, wanted.deinterlace, progressive=wanted.progressive)
    if alpha.PROP in source.clip.get_frame(0).props:
        notes = (*source.notes, "transparent parts are shown in black")
        source = replace(source, clip=alpha.over_black(source.clip), notes=notes)
    if source.clip.num_frames < 2:
        raise ConvertError(f"{path} has one frame only; a preview needs two: choose another source")
    return source


def _left_of(source: Source, at: Fraction | int) -> int:
    """Return the number of the frame shown at a position, at most the last but one, as a pair begins with it.

    Raises:
        ArgumentError: The position is not before the end.
    """
    starts, count = source.times.starts, len(source.times.starts)
    if at >= (count if isinstance(at, int) else source.times.end):
        given = f"{at}f" if isinstance(at, int) else written(at)
        raise ArgumentError(
            f"at must lie before the end, which is at {written(source.times.end)} or {count}f, not at {given}"
        )
    number = at if isinstance(at, int) else bisect_right(starts, at) - 1
    return min(max(number, 0), count - 2)


def _pair(source: Source, wanted: Wanted) -> _Pair:
    left = _left_of(source, wanted.at)
    clip, factor = source.clip, wanted.factor
    made = graph.build(clip, make_timing(clip, factor), wanted)
    got = [made.get_frame(factor * left + k) for k in range(factor + 1)]
    images = [frames.to_tensor(frame, _colour(frame)) for frame in (got[0], got[-1])]
    notes = list(source.notes)
    if guessed := _colour(got[0]).guessed:
        notes.append(f"{guessed} assumed, as the clip does not say")
    if source.info.rotation:
        notes.append(f"players turn this video by {source.info.rotation} degrees; it is shown as stored")
    if said := display.note(got[0].props):
        notes.append(said)
    model = load(wanted.model, arithmetic=wanted.arithmetic)
    return _Pair(
        left=left,
        images=(images[0], images[1]),
        shown=[display.shown(frame) for frame in got],
        kinds=[str(frame.props["_VSRRIN_Kind"]) for frame in got],
        maps=maps_of(model, images[0], images[1], Fraction(factor // 2, factor), wanted),
        marked=marked_cut(clip.get_frame(left).props, clip.get_frame(left + 1).props),
        score=_cut_score(clip, left),
        notes=notes,
    )


def _cut_score(clip: vs.VideoNode, left: int) -> float:
    """Return the score of the pair by the filter's own detector."""
    numbers = range(left - scene_score.RADIUS, left + 2 + scene_score.RADIUS)
    thumbnails = []
    for number in numbers:
        frame = clip.get_frame(number) if 0 <= number < clip.num_frames else None
        thumbnails.append(None if frame is None else scene_score.thumbnail(frames.luma(frame, _colour(frame))))
    return scene_score.cut_score(thumbnails)


def _colour(frame: vs.VideoFrame) -> Colour:
    return Colour.of_frame(frame)


def _pictures(source: Source, wanted: Wanted, pair: _Pair) -> Iterator[Cell]:
    for k, (picture, kind) in enumerate(zip(pair.shown, pair.kinds, strict=True)):
        if k in (0, wanted.factor):
            number = pair.left + bool(k)
            yield Cell(f"source frame {number}, {written(source.times.starts[number])}", picture)
        else:
            t = Fraction(k, wanted.factor)
            text = f"NEW, t = {t}" if kind == "new" else f"t = {t}: {_why_not_new(wanted, pair, kind, t)}"
            yield Cell(text, picture, stands_out=True)


def _why_not_new(wanted: Wanted, pair: _Pair, kind: str, t: Fraction) -> str:
    if wanted.scene == "off" or not _is_cut(wanted, pair):
        if np.array_equal(pair.shown[0], pair.shown[-1]):
            return "left frame held, as both are equal"
        return f"fallback: {kind}, as the new frame cannot be trusted"
    if kind == "blend":
        return "both frames blended, as a cut lies between"
    if wanted.at_cut == "nearest" and 2 * t >= 1:
        return "right frame held, as a cut precedes"
    return "left frame held, as a cut follows"


def _is_cut(wanted: Wanted, pair: _Pair) -> bool:
    if pair.marked is not None and wanted.scene != "detect":
        return pair.marked
    return wanted.scene != "props" and pair.score >= _threshold(wanted)


def _threshold(wanted: Wanted) -> float:
    return scene_score.THRESHOLD if wanted.scene_threshold is None else wanted.scene_threshold


def _analysis(wanted: Wanted, pair: _Pair) -> list[Cell]:
    maps = pair.maps
    cells = []
    if maps.forward is not None and maps.backward is not None and maps.doubt is not None:
        full = _full_colour(maps)
        for name, flow in (("to the right frame", maps.forward), ("back to the left frame", maps.backward)):
            cells.append(Cell(f"flow {name}: {_largest(flow):.1f} px at most", sheet.flow_colours(flow, full)))
        if maps.share is None:
            label = f"doubt: flow there and back misses (white: {_DOUBT_WHITE:g} px)"
            cells.append(Cell(label, sheet.grey(maps.doubt, _DOUBT_WHITE)))
    if maps.share is not None:
        t = Fraction(wanted.factor // 2, wanted.factor)
        cells.append(Cell(f"mask at t = {t}: share of the right frame", sheet.grey(maps.share, 1)))
    left, right = (pair.shown[k].astype(np.int16) for k in (0, -1))
    apart = np.abs(left - right)
    gain = int(np.clip(255 // max(float(np.percentile(apart, 99.5)), 1), 1, _STRONGEST_GAIN))
    cells.append(Cell(f"difference of the source frames, x{gain}", np.minimum(apart * gain, 255).astype(np.uint8)))
    return cells


def _largest(flow: sheet.Values) -> float:
    return float(np.hypot(flow[..., 0], flow[..., 1]).max())


def _full_colour(maps: Maps) -> float:
    """Return the length of motion with the full colour, in pixels.

    It is nearly the longest, as a few stray vectors would leave all else pale, and at least a pixel, as the noise of a
    still picture is no motion.
    """
    assert maps.forward is not None and maps.backward is not None
    lengths = [np.hypot(flow[..., 0], flow[..., 1]) for flow in (maps.forward, maps.backward)]
    return max(float(np.percentile(np.stack(lengths), 99)), 1.0)


def _facts(source: Source, wanted: Wanted, pair: _Pair) -> Iterator[tuple[str, str]]:
    clip, left = source.clip, pair.left
    yield "source", f"{wanted.source.name}, {clip.width}x{clip.height} {clip.format.name}"
    yield "frames", f"{left} and {left + 1} of {clip.num_frames}, at {written(source.times.starts[left])}"
    tiles = f", {pair.maps.tiles} tiles" if pair.maps.tiles > 1 else ""
    yield "network", f"{Path(wanted.model).name}, factor {wanted.factor}{tiles}"
    if pair.maps.forward is None or pair.maps.backward is None:
        yield "motion", "this network makes new frames without estimating motion"
    else:
        longest = max(_largest(pair.maps.forward), _largest(pair.maps.backward))
        yield "motion", f"{longest:.1f} px at most; full colour from {_full_colour(pair.maps):.1f} px"
    against = "from" if pair.score >= _threshold(wanted) else "below"
    detected = f"score {pair.score:.2f}, {against} {_threshold(wanted)}"
    by = "by vsrrin's detector"
    if wanted.scene != "detect" and (pair.marked is not None or wanted.scene == "props"):
        by = "unmarked" if pair.marked is None else "marked on the frames"
    ignored = "; no cut is acted on, as scene is 'off'" if wanted.scene == "off" else ""
    yield "cut", f"{'YES' if _is_cut(wanted, pair) else 'none'} between these frames, {by} ({detected}){ignored}"
    for note in pair.notes:
        yield "note", note


def _arranged(pictures: Sequence[Cell], analysis: Sequence[Cell], lines: Sequence[str]) -> Picture:
    """Return all cells in rows, with the text in the first free place behind pictures or maps."""
    height, width = pictures[0].picture.shape[:2]
    factor = max(-(-_SMALLEST_CELL[0] // width), -(-_SMALLEST_CELL[1] // height), 1)
    columns = max(min(4 if len(pictures) <= 3 else 5, _WIDEST // (factor * width)), 1)
    groups = [
        [[sheet.enlarged(cell, factor) for cell in row] for row in batched(cells, columns)]
        for cells in (pictures, analysis)
    ]
    home = next((group[-1] for group in groups if len(group[-1]) < columns), [])
    rows = [row for group in groups for row in group] + ([] if home else [home])
    panel = sheet.legend(factor * height, factor * width, lines, with_wheel=any("flow" in c.label for c in analysis))
    home.append(Cell("", panel))
    return sheet.sheet(rows)
