"""Conversion to a folder of PNGs, numbered from 1, of 8 or 16 bits and with alpha as the source.

Each image is a file of its own, so an interrupted run can be continued image by image.
"""

import hashlib
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import vapoursynth as vs

from vsrrin import files
from vsrrin.clip import alpha
from vsrrin.clip.frames import Colour
from vsrrin.errors import ArgumentError, ConvertError

from . import prepare, speed, work_folder
from .image_headers import read_header
from .images import ImageClip, read_folder, write_png
from .interruptible import in_background
from .prepare import Settings
from .run import Progress, Result, run
from .signature import signature
from .source import ClipSource, FrameError, Source, reason, unreadable
from .work_folder import WorkFolder

_WRITERS = min(4, os.cpu_count() or 1)
_DIGITS = 6
_OURS = re.compile(r"\d{6,}\.png")
_CUTS = "cuts.txt"


@dataclass(frozen=True)
class Images:
    """Folder of images to convert, and what is kept of it beyond its pictures."""

    clip: ClipSource
    profile: bytes | None


def open_images(path: Path, fps: Fraction, *, for_video: bool = False) -> Images:
    """Open a folder of images as the source of a conversion.

    Args:
        path: The folder.
        fps: Rate at which the images are shown.
        for_video: Say that the profile is not kept, as encoders of videos take none.

    Raises:
        ConvertError: See :func:`vsrrin.convert.images.read_folder`.
    """
    found = read_folder(path, fps)
    notes = found.notes
    if found.profile and for_video:
        notes += ("the colour profile of the images is left out: encoders of videos take none",)
    return Images(ClipSource(lambda: found.clip, _signature(found, fps), notes), found.profile)


def _signature(found: ImageClip, fps: Fraction) -> dict[str, object]:
    files = [f"{file.name} {(state := file.stat()).st_size} {state.st_mtime_ns}" for file in found.files]
    return {
        "path": str(found.folder.resolve()),
        "files": hashlib.sha256("\n".join(files).encode()).hexdigest(),
        "rate": str(fps),
    }


class FolderConversion:
    """Prepared conversion to a folder of PNGs; nothing is written before it runs.

    Args:
        settings: Settings of the conversion; those of encoders, sound and subtitles have no effect.
        images: The source if it is a folder of images.

    Attributes:
        source: The opened input.
        size: Width and height of the images.
        bits: Bits per sample.
        alpha: True if the images have alpha.

    Raises:
        VsrrinError: The source, a setting, the target or the model cannot be used.
    """

    unit = "images"

    def __init__(self, settings: Settings, images: Images | None = None) -> None:
        settings = prepare.with_choices_of_first_run(settings)
        self._check_target(settings)
        self.source = prepare.open_any(settings, images.clip if images else None, turn=True)
        speed.check(settings.rates, self.source)
        self.settings = settings = prepare.with_tiles(settings, self.source)
        self.source = prepare.repaired(settings, self.source)
        first = self.source.clip.get_frame(0)
        self.alpha = alpha.PROP in first.props
        self._profile = images.profile if images else None
        self._clip = _for_png(prepare.interpolated(settings, self.source), first)
        self.frames = int(self._clip.num_frames)
        self.size = self._clip.width, self._clip.height
        self.bits = self._clip.format.bits_per_sample
        self.duration = self.source.duration
        self.notes = tuple(self._notes(first))
        self.signature = {**signature(settings, self.source, self._clip), "output": "PNG"}

    def finished(self, work: WorkFolder) -> int:
        """Return the number of finished images."""
        return self.frames - len(self._missing(work.path))

    def make(self, work: WorkFolder, report: Callable[[Progress], None]) -> tuple[int, ...]:
        """Write the images that are missing, and return those with which a new scene begins.

        A bounded number of frames waits for the disk.

        Raises:
            ConvertError: An image cannot be made or written, or is damaged on the disk.
        """
        missing, cuts = self._missing(work.path), _SceneStarts(work.path / _CUTS)
        resumed = done = self.frames - len(missing)
        with in_background(self._written(work, missing, cuts), "vsrrin images") as written:
            for known in written:
                done += 1
                report(Progress(frames_done=done, frames_total=self.frames, resumed_frames=resumed, cuts=known))
        if still := self._missing(work.path):
            raise ConvertError(
                f"{self._path(work.path, still[0])} is not as it was written: check whether the disk is full or damaged"
            )
        return cuts.known()

    def publish(self, work: WorkFolder) -> None:
        """Give the finished folder its name; what it replaces is removed only then.

        Raises:
            ConvertError: The target cannot be written, or what is there may not be replaced.
        """
        _publish(work.path, self.settings)

    def _check_target(self, settings: Settings) -> None:
        _check_target(settings)

    def _notes(self, first: vs.VideoFrame) -> Iterator[str]:
        return _notes(self.settings, self.source, first)

    def _path(self, folder: Path, number: int) -> Path:
        """Return the file of an output frame."""
        return folder / f"{number + 1:0{max(_DIGITS, len(str(self.frames)))}}.png"

    def _missing(self, folder: Path) -> list[int]:
        return [number for number in range(self.frames) if not self._is_finished(self._path(folder, number))]

    def _is_finished(self, path: Path) -> bool:
        try:
            header = read_header(path)
        except ConvertError:
            return False
        return (header.size, header.depth, header.alpha) == (self.size, self.bits, self.alpha)

    def _written(self, work: WorkFolder, missing: Sequence[int], cuts: "_SceneStarts") -> Generator[tuple[int, ...]]:
        """Yield, after each image, the cuts known."""
        waiting: deque[Future[None]] = deque()
        with ThreadPoolExecutor(_WRITERS, "vsrrin PNG") as pool, closing(self._made(missing)) as frames:
            try:
                for number, frame in frames:
                    cuts.note(number, frame)
                    waiting.append(pool.submit(self._write, frame, self._path(work.path, number), work))
                    while waiting and (waiting[0].done() or len(waiting) > 2 * _WRITERS):
                        waiting.popleft().result()
                        yield cuts.known()
                while waiting:
                    waiting.popleft().result()
                    yield cuts.known()
            finally:
                pool.shutdown(cancel_futures=True)

    def _write(self, frame: vs.VideoFrame, path: Path, work: WorkFolder) -> None:
        write_png(frame, path, self._profile)
        work.keep(path)

    def _made(self, missing: Sequence[int]) -> Generator[tuple[int, vs.VideoFrame]]:
        done = 0
        try:
            for span in work_folder.runs(missing):
                with closing(self._clip[span.start : span.stop].frames()) as frames:
                    for made in zip(span, frames, strict=True):
                        yield made
                        done += 1
        except vs.Error as error:
            number = missing[done]
            near = speed.timing(self.settings.rates, self.source).at(number).left
            raise unreadable(FrameError(reason(error), number), self.source, near) from error


def convert_to_folder(
    settings: Settings,
    images: Images | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Result:
    """Convert a video, or a folder of images, to a folder of PNGs.

    Args:
        settings: See :class:`FolderConversion`.
        images: See :class:`FolderConversion`.
        progress: See :func:`vsrrin.convert.run.run`.
        say: See :func:`vsrrin.convert.run.run`.

    Raises:
        VsrrinError: See :class:`FolderConversion` and :func:`vsrrin.convert.run.run`.
    """
    return run(FolderConversion(settings, images), progress=progress, say=say)


def _notes(settings: Settings, source: Source, first: vs.VideoFrame) -> Iterator[str]:
    yield from source.notes
    others = {"cover picture" if stream.is_picture else stream.kind for stream in source.info.others}
    if others := others | ({"chapters"} if source.info.chapters else set()):
        yield f"left out, as a folder of images holds none: {', '.join(sorted(others))}"
    if abs(source.info.sample_aspect - 1) > Fraction(1, 100):
        yield f"pixels of the source are {source.info.sample_aspect} times as wide as high; PNGs do not say so"
    if settings.rate_out is not None:
        yield "images have no times: the rate at which new frames are to be shown changes nothing"
    if source.rate is None:
        yield "the frame rate varies, and images have no times: fps=RATE makes it constant"
    if first.props.get("_Transfer") in (16, 18):
        yield "HDR: samples stay as they are, in 16 bits; PNGs do not say that they are PQ or HLG"


def _check_target(settings: Settings) -> None:
    target, source = settings.target, settings.source
    if not target.parent.is_dir():
        raise ConvertError(f"the folder {target.parent} of the target does not exist: make it first")
    if target.exists() and source.exists() and target.samefile(source):
        raise ArgumentError(f"source and target are the same folder, {target}: choose another target")
    _check_replaceable(target, overwrite=settings.overwrite)
    if not settings.resume and not settings.overwrite:
        work_folder.check_fresh(target)


def _check_replaceable(target: Path, *, overwrite: bool) -> None:
    """Check that a target may be written; only numbered PNGs are ever replaced, and only with ``overwrite``."""
    if target.exists() and not target.is_dir():
        raise ConvertError(f"{target} is a file: give the name of a folder, or of a video file")
    if target.is_symlink():
        raise ConvertError(f"{target} is a link, which a folder cannot replace: give {target.resolve()}")
    if target.exists() and (entries := sorted(entry.name for entry in target.iterdir())):
        if not overwrite:
            raise ConvertError(f"the folder {target} is not empty: overwrite=True replaces the images in it")
        others = [name for name in entries if not _OURS.fullmatch(name)]
        if others:
            raise ConvertError(
                f"the folder {target} holds more than numbered PNGs ({others[0]}), which would be lost: "
                "choose another target"
            )


def _for_png(clip: vs.VideoNode, first: vs.VideoFrame) -> vs.VideoNode:
    """Convert a clip to RGB or GRAY of 8 or 16 bits, full range, for PNGs; ``first`` tells what its samples mean."""
    colour = Colour.of_frame(first)
    deep = colour.bits > 8
    wanted = (vs.GRAY16 if deep else vs.GRAY8) if colour.family == vs.GRAY else vs.RGB48 if deep else vs.RGB24
    if alpha.PROP in first.props:
        clip = alpha.of_depth(clip, 16 if deep else 8)
    if clip.format.id == wanted and colour.full_range:
        return clip
    options = {"matrix_in": colour.matrix} if colour.family == vs.YUV else {}
    ranges = {} if colour.is_float else {"range_in": vs.RANGE_FULL if colour.full_range else vs.RANGE_LIMITED}
    converted = clip.resize.Bicubic(format=wanted, range=vs.RANGE_FULL, **ranges, **options)
    assert isinstance(converted, vs.VideoNode)
    return converted


class _SceneStarts:
    """Numbers of the images with which a new scene begins, written down as they are found."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(errors="replace").splitlines(keepends=True) if path.exists() else []
        # A line that was being written is not finished, and its frame neither.
        self._numbers = {int(line) for line in lines if line.endswith("\n") and line.strip().isdecimal()}

    def note(self, number: int, frame: vs.VideoFrame) -> None:
        """Write down a frame's number if a scene begins with it."""
        if frame.props.get("_SceneChangePrev") == 1 and number not in self._numbers:
            self._numbers.add(number)
            with self._path.open("a") as file:
                file.write(f"{number}\n")

    def known(self) -> tuple[int, ...]:
        """Return the numbers in order."""
        return tuple(sorted(self._numbers))


def _publish(folder: Path, settings: Settings) -> None:
    """Give the finished folder its name, and remove what it replaces only then.

    The files by which work is continued stay until then: if something stands in the way, the run can be repeated.
    """
    target, old = settings.target, files.beside(settings.target, "vsrrin.old")
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
