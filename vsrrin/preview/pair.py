"""Two neighbouring source frames of a file, the frames that settings make between them, and what is known of both.

New frames are made from the whole clip, so they are those of a whole run. Transparent parts are laid over black.
"""

import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from fractions import Fraction
from pathlib import Path

import vapoursynth as vs

from vsrrin.checkpoint.loader import load
from vsrrin.clip import alpha, frames, graph, scene_score
from vsrrin.clip.clip_checks import make_timing
from vsrrin.clip.frames import Colour
from vsrrin.clip.props import marked_cut
from vsrrin.clip.repeats import Run, repeat_clip, run_clip, run_of, stilled
from vsrrin.clip.scene_cuts import cut_clip
from vsrrin.convert.images import read_folder
from vsrrin.convert.interlacing import Deinterlace, resolve
from vsrrin.convert.moments import written
from vsrrin.convert.source import ClipSource, Source, open_clip, open_file
from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError, ConvertError

from . import display
from .motion_maps import Maps, maps_of
from .sheet import Picture

MAX_FACTOR = 16


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

    @property
    def settings(self) -> str:
        """The model and all that is not as usual."""
        usual = {field.name: field.default for field in fields(Options)}
        changed = [name for name in usual if name != "model" and getattr(self, name) != usual[name]]
        return ", ".join([Path(self.model).name, *(f"{name} {getattr(self, name)}" for name in changed)])


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Output frame.

    Attributes:
        picture: The frame as a screen shows it.
        kind: What it is, as ``_VSRRIN_Kind`` says.
        t: Its time between two source frames, from 0 to before 1.
        seconds: What making it took, with all that no frame before it had needed.
    """

    picture: Picture
    kind: str
    t: Fraction
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two source frames, and what settings make of them.

    Attributes:
        wanted: Place and settings.
        source: The opened file.
        left: The source frame that is shown at the place.
        between: The source frames that motion is estimated between: ``left`` and the next, or those around a run.
        sources: Both as a screen shows them.
        shown: The output frames from ``left`` to the next source frame, both included.
        maps: Maps of the frame in the middle of ``shown``.
        run: The run of equal frames that ``left`` is in, whether or not motion is spread over it.
        marked: Whether a scene detector has marked a cut; ``None`` for no marks.
        score: The score of vsrrin's own detector.
        notes: What else is to be said.
    """

    wanted: Wanted
    source: Source
    left: int
    between: tuple[int, int]
    sources: tuple[Picture, Picture]
    shown: tuple[Shown, ...]
    maps: Maps
    run: Run
    marked: bool | None
    score: float
    notes: tuple[str, ...]

    @property
    def middle(self) -> Shown:
        """The output frame that the maps are of."""
        return self.shown[self.wanted.factor // 2]

    @property
    def is_cut(self) -> bool:
        """Whether a cut is seen by the settings' way of finding cuts."""
        if self.marked is not None and self.wanted.scene != "detect":
            return self.marked
        return self.wanted.scene != "props" and self.score >= self.threshold

    @property
    def threshold(self) -> float:
        """The score from which vsrrin's detector sees a cut."""
        return scene_score.THRESHOLD if self.wanted.scene_threshold is None else self.wanted.scene_threshold


def pairs(several: Sequence[Wanted]) -> list[Pair]:
    """Return what each of these settings makes at one place; all but the settings is the same in them.

    Raises:
        VsrrinError: The source cannot be read, has no such position, or a network cannot be used with its options.
    """
    source = _open(several[0])
    try:
        return [_pair(source, wanted) for wanted in several]
    except vs.Error as error:
        raise ConvertError(f"{several[0].source}: {error}") from error


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


def _pair(source: Source, wanted: Wanted) -> Pair:
    left, clip = _left_of(source, wanted.at), source.clip
    repeats = repeat_clip(clip, wanted.longest_run)
    still = stilled(clip, repeats, wanted.longest_run)
    seen = still if wanted.duplicates == "spread" else clip
    run = run_of(run_clip(repeats, cut_clip(still, wanted.scene, wanted.scene_threshold), wanted).get_frame(left))
    spread = wanted.duplicates == "spread" and run.following > run.first
    first, following = run if spread else (left, left + 1)
    ends = [clip.get_frame(number) for number in (first, following)]
    images = [frames.to_tensor(frame, Colour.of_frame(frame)) for frame in ends]
    marked, score = marked_cut(clip.get_frame(following - 1).props, ends[1].props), _cut_score(seen, following - 1)
    shown = tuple(_output(clip, wanted, left))
    return Pair(
        wanted=wanted,
        source=source,
        left=left,
        between=(first, following),
        sources=(display.shown(ends[0]), display.shown(ends[1])),
        shown=shown,
        maps=maps_of(
            load(wanted.model, arithmetic=wanted.arithmetic),
            images[0],
            images[1],
            shown[wanted.factor // 2].t,
            wanted,
        ),
        run=run,
        marked=marked,
        score=score,
        notes=tuple(_notes(source, ends[0])),
    )


def _output(clip: vs.VideoNode, wanted: Wanted, left: int) -> Iterator[Shown]:
    """Yield the output frames from a source frame to the next."""
    made = graph.build(clip, make_timing(clip, wanted.factor), wanted)
    for k in range(wanted.factor + 1):
        began = time.perf_counter()
        frame = made.get_frame(wanted.factor * left + k)
        seconds = time.perf_counter() - began
        kind, t = str(frame.props["_VSRRIN_Kind"]), Fraction(frame.props["_VSRRIN_TNum"], frame.props["_VSRRIN_TDen"])
        yield Shown(picture=display.shown(frame), kind=kind, t=t, seconds=seconds)


def _notes(source: Source, frame: vs.VideoFrame) -> Iterator[str]:
    yield from source.notes
    if guessed := Colour.of_frame(frame).guessed:
        yield f"{guessed} assumed, as the clip does not say"
    if source.info.rotation:
        yield f"players turn this video by {source.info.rotation} degrees; it is shown as stored"
    if said := display.note(frame.props):
        yield said


def _cut_score(clip: vs.VideoNode, left: int) -> float:
    """Return the score of the pair by the filter's own detector."""
    numbers = range(left - scene_score.RADIUS, left + 2 + scene_score.RADIUS)
    thumbnails = []
    for number in numbers:
        frame = clip.get_frame(number) if 0 <= number < clip.num_frames else None
        thumbnails.append(None if frame is None else scene_score.thumbnail(frames.luma(frame, Colour.of_frame(frame))))
    return scene_score.cut_score(thumbnails)
