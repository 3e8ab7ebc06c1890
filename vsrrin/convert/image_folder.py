"""Anything in, a folder of PNGs out: numbered from 1, of 8 or 16 bits as the source, with its alpha.

Each image is a file of its own, so an interrupted run can be continued image by image.
"""

import hashlib
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import vapoursynth as vs

from vsrrin.clip.alpha import alpha_of, interpolate_with_alpha, premultiplied
from vsrrin.clip.frames import Colour
from vsrrin.errors import ArgumentError, ConvertError

from . import prepare, speed, work_folder
from .image_headers import read_header
from .images import ImageClip, read_folder, write_png
from .interruptible import in_background
from .prepare import Settings
from .source import ClipSource, Source, reason
from .video import Progress, Result
from .work_folder import WorkFolder

_WRITERS = min(4, os.cpu_count() or 1)
_DIGITS = 6
_OURS = re.compile(r"\d{6,}\.png")
_CUTS = "cuts.txt"


@dataclass(frozen=True)
class Images:
    """A folder of images to convert, and what is kept of it beyond its pictures."""

    clip: ClipSource
    profile: bytes | None
    has_alpha: bool


@dataclass(frozen=True)
class FolderOutline:
    """What a conversion to a folder will do.

    Attributes:
        source: The opened input.
        frames: Number of images.
        size: Width and height.
        bits: Per sample.
        alpha: Whether images have alpha.
        notes: What the user should know.
    """

    source: Source
    frames: int
    size: tuple[int, int]
    bits: int
    alpha: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Prepared:
    outline: FolderOutline
    clip: vs.VideoNode
    profile: bytes | None
    signature: dict[str, object]


def open_images(path: Path, fps: Fraction, *, over_black: bool = False) -> Images:
    """Opens a folder of images as a source for a conversion.

    Args:
        path: The folder.
        fps: The rate at which the images are shown.
        over_black: Lay what is transparent over black, for outputs that cannot hold alpha.

    Raises:
        ConvertError: See :func:`vsrrin.convert.images.read_folder`.
    """
    found = read_folder(path, fps)
    clip, notes = found.clip, found.notes
    flat = found.has_alpha and over_black
    if flat:
        clip = premultiplied(clip)
        notes += ("transparent parts become black, a video cannot hold them: write a folder of images to keep them",)
    signature = {**_signature(found, fps), "over black": flat}
    return Images(ClipSource(lambda: clip, signature, notes), found.profile, found.has_alpha and not flat)


def _signature(found: ImageClip, fps: Fraction) -> dict[str, object]:
    files = [f"{file.name} {(state := file.stat()).st_size} {state.st_mtime_ns}" for file in found.files]
    return {
        "path": str(found.folder.resolve()),
        "files": hashlib.sha256("\n".join(files).encode()).hexdigest(),
        "rate": str(fps),
    }


def outline_folder(settings: Settings, images: Images | None = None) -> FolderOutline:
    """Make all checks and say what would be done; writes nothing.

    Raises:
        VsrrinError: Anything about the source, the settings, the target or the model is not as it must be.
    """
    return _prepare(settings, images).outline


def convert_to_folder(
    settings: Settings,
    images: Images | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Result:
    """Convert a video, or a folder of images, to a folder of PNGs.

    The folder is there only if all images have been written and verified. Those that are finished when something ends
    the run before stay in a hidden folder beside it, for ``settings.resume``.

    Args:
        settings: What to convert, and how; what is about encoders, sound and subtitles does not count.
        images: The source if it is a folder.
        progress: Called after each image, from the calling thread.
        say: Is given messages for the user.

    Raises:
        VsrrinError: Anything is not as it must be, before the work or in the middle.
        KeyboardInterrupt: As it came.
    """
    prepared = _prepare(settings, images)
    say = say or _nothing
    for note in prepared.outline.notes:
        say(note)
    with WorkFolder(settings.target, prepared.signature, resume=settings.resume, overwrite=settings.overwrite) as work:
        try:
            run = _Run(prepared, work.path, progress)
            if run.resumed:
                say(f"{run.resumed} of {prepared.outline.frames} images were finished before")
            run.write_missing()
            run.verify()
            _publish(work.path, settings)
        except BaseException:
            _say_how_to_resume(work.path, prepared.outline.frames, say)
            raise
    duration = prepared.outline.source.duration
    return Result(settings.target, prepared.outline.frames, duration, run.cuts, run.resumed, prepared.outline.notes)


def _prepare(settings: Settings, images: Images | None) -> _Prepared:
    settings = prepare.with_tiles_of_first_run(settings)
    _check_target(settings)
    source = prepare.open_any(settings, images.clip if images else None, turn=True)
    speed.check(settings.speed, source)
    settings = prepare.with_tiles(settings, source)
    has_alpha = images.has_alpha if images else "_Alpha" in source.clip.get_frame(0).props
    made = _interpolated(settings, source, has_alpha)
    notes = list(source.notes)
    if abs(source.info.sample_aspect - 1) > Fraction(1, 100):
        notes.append(f"pixels of the source are {source.info.sample_aspect} times as wide as high; PNGs do not say so")
    if settings.speed.rate_out is not None:
        notes.append("images have no times: a rate beside the number of new frames changes nothing")
    if source.rate is None:
        notes.append("the frame rate varies, and images have no times: --fps RATE makes it constant")
    if source.clip.get_frame(0).props.get("_Transfer") in (16, 18):
        notes.append("HDR: samples stay as they are, in 16 bits; PNGs do not say that they are PQ or HLG")
    bits = made.format.bits_per_sample
    shown = FolderOutline(source, made.num_frames, (made.width, made.height), bits, has_alpha, tuple(notes))
    signature = {**prepare.signature(settings, source, made), "output": "PNG"}
    return _Prepared(shown, made, images.profile if images else None, signature)


def _check_target(settings: Settings) -> None:
    target, source = settings.target, settings.source
    if not target.parent.is_dir():
        raise ConvertError(f"the folder {target.parent}, which is to hold the output, does not exist: make it first")
    if target.exists() and source.exists() and target.samefile(source):
        raise ArgumentError(f"input and output are the same folder, {target}: choose another output")
    _check_replaceable(target, overwrite=settings.overwrite)
    if work_folder.recorded(target) and not settings.resume and not settings.overwrite:
        raise work_folder.unfinished(target)


def _check_replaceable(target: Path, *, overwrite: bool) -> None:
    """Whether the output may take this place: only numbered PNGs are ever replaced, and only if that is asked for."""
    if target.exists() and not target.is_dir():
        raise ConvertError(f"{target} is a file: give the name of a folder, or of a video file")
    if target.is_symlink():
        raise ConvertError(f"{target} is a link, whose place a folder cannot take: give {target.resolve()}")
    if target.exists() and (entries := sorted(entry.name for entry in target.iterdir())):
        if not overwrite:
            raise ConvertError(f"the folder {target} is not empty: --overwrite replaces the images in it")
        others = [name for name in entries if not _OURS.fullmatch(name)]
        if others:
            raise ConvertError(
                f"the folder {target} holds more than numbered PNGs ({others[0]}), which are not to be lost: "
                "choose another output"
            )


def _interpolated(settings: Settings, source: Source, has_alpha: bool) -> vs.VideoNode:
    """The images to write: RGB or GRAY of 8 or 16 bits, full range."""
    if not has_alpha:
        return _for_png(prepare.interpolated(settings, source), source.clip)
    clip = _for_png(source.clip, source.clip)
    grey = vs.GRAY8 if clip.format.bits_per_sample == 8 else vs.GRAY16
    clip = clip.std.ClipToProp(alpha_of(source.clip).resize.Point(format=grey), "_Alpha")
    return interpolate_with_alpha(
        clip,
        lambda part: prepare.interpolated(settings, replace(source, clip=part)),
        settings,
    )


def _for_png(clip: vs.VideoNode, source: vs.VideoNode) -> vs.VideoNode:
    """Turned into what PNGs can hold; ``source`` says what its samples mean."""
    first = source.get_frame(0)
    colour = Colour.of_frame(first)
    grey = colour.family == vs.GRAY
    deep = colour.bits > 8
    wanted = (vs.GRAY16 if deep else vs.GRAY8) if grey else vs.RGB48 if deep else vs.RGB24
    if clip.format.id == wanted and colour.full_range:
        return clip
    options = {"matrix_in": colour.matrix} if colour.family == vs.YUV else {}
    ranges = {} if colour.is_float else {"range_in": vs.RANGE_FULL if colour.full_range else vs.RANGE_LIMITED}
    converted = clip.resize.Bicubic(format=wanted, range=vs.RANGE_FULL, **ranges, **options)
    assert isinstance(converted, vs.VideoNode)
    return converted


class _Run:
    """Writes the images that are not there yet."""

    def __init__(self, prepared: _Prepared, folder: Path, progress: Callable[[Progress], None] | None) -> None:
        self._prepared, self._folder, self._progress = prepared, folder, progress
        self._total = prepared.outline.frames
        self._missing = [n for n in range(self._total) if not self._is_finished(n)]
        self.resumed = self._total - len(self._missing)
        self._done = self.resumed
        self._cuts = _read_cuts(folder / _CUTS)

    @property
    def cuts(self) -> tuple[int, ...]:
        """Images with which a new scene begins."""
        return tuple(sorted(self._cuts))

    def path(self, number: int) -> Path:
        """The file of an output frame."""
        return self._folder / f"{number + 1:0{max(_DIGITS, len(str(self._total)))}}.png"

    def write_missing(self) -> None:
        """Interpolates and writes; a bounded number of frames waits for the disk."""
        with in_background(self._written(), "vsrrin images") as written:
            for cuts in written:
                self._done += 1
                if self._progress is not None:
                    self._progress(Progress(self._done, self._total, len(cuts), self.resumed, cuts))

    def _written(self) -> Generator[tuple[int, ...]]:
        """Yields, after each image, the cuts known."""
        waiting: deque[Future[None]] = deque()
        with ThreadPoolExecutor(_WRITERS, "vsrrin PNG") as pool, closing(self._frames()) as frames:
            try:
                for number, frame in frames:
                    self._note_cut(number, frame)
                    waiting.append(pool.submit(write_png, frame, self.path(number), self._prepared.profile))
                    while waiting and (waiting[0].done() or len(waiting) > 2 * _WRITERS):
                        waiting.popleft().result()
                        yield self.cuts
                while waiting:
                    waiting.popleft().result()
                    yield self.cuts
            finally:
                pool.shutdown(cancel_futures=True)

    def verify(self) -> None:
        """Reads the headers of all images again.

        Raises:
            ConvertError: One is not there, or not as it must be.
        """
        for number in range(self._total):
            if not self._is_finished(number):
                raise ConvertError(f"{self.path(number)} is not as it was written: is the disk full or damaged?")

    def _frames(self) -> Generator[tuple[int, vs.VideoFrame]]:
        try:
            for span in work_folder.runs(self._missing):
                with closing(self._prepared.clip[span.start : span.stop].frames()) as frames:
                    yield from zip(span, frames, strict=True)
        except vs.Error as error:
            raise ConvertError(reason(error)) from error

    def _note_cut(self, number: int, frame: vs.VideoFrame) -> None:
        if frame.props.get("_SceneChangePrev") == 1 and number not in self._cuts:
            self._cuts.add(number)
            with (self._folder / _CUTS).open("a") as file:
                file.write(f"{number}\n")

    def _is_finished(self, number: int) -> bool:
        outline = self._prepared.outline
        try:
            header = read_header(self.path(number))
        except ConvertError:
            return False
        return (header.size, header.depth, header.alpha) == (outline.size, outline.bits, outline.alpha)


def _read_cuts(path: Path) -> set[int]:
    """Cuts of earlier runs; a line that was being written is not finished, and its frame neither."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return {int(line) for line in lines if line.endswith("\n") and line.strip().isdigit()}


def _publish(folder: Path, settings: Settings) -> None:
    """Give the finished folder its name; what it replaces is removed only then.

    It keeps what it can be continued by until it has the name: whoever has put something there meanwhile may take it
    away again.
    """
    target, old = settings.target, folder.with_name(f"{folder.name}.old")
    try:
        _check_replaceable(target, overwrite=settings.overwrite)
        if target.exists() and any(target.iterdir()):
            if old.exists():  # a run was killed while it removed what it had replaced
                shutil.rmtree(old)
            os.replace(target, old)
        os.replace(folder, target)
        for entry in list(target.iterdir()):
            if not _OURS.fullmatch(entry.name):
                entry.unlink()
    except OSError as error:
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise ConvertError(f"{target} cannot be written: {error.strerror or error}") from error
    shutil.rmtree(old, ignore_errors=True)


def _say_how_to_resume(folder: Path, total: int, say: Callable[[str], None]) -> None:
    done = len(list(folder.glob("*.png")))
    if done:
        say(
            f"{done} of {total} images are finished and kept in {folder}: the same command with --resume continues "
            "from there"
        )


def _nothing(message: str) -> None:
    pass
