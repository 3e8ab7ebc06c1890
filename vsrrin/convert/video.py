"""Files in, files out: a video through :func:`vsrrin.interpolate` into a file, with everything else the source holds.

Frames are encoded into segments, which an interruption leaves behind for ``resume``; the target appears only when all
of it has been written and verified.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vsrrin.convert.media.encoders import EncoderSettings
from vsrrin.convert.media.mux import join
from vsrrin.convert.media.pixels import Pixels
from vsrrin.convert.media.streams import StreamPlan
from vsrrin.convert.media.verify import Expected, verify
from vsrrin.errors import ConvertError

from .encode import Job, encode_segments
from .prepare import Prepared, Settings, prepare
from .source import ClipSource
from .work_folder import Segment, WorkFolder, ranges

__all__ = [
    "ClipSource",
    "Outline",
    "Progress",
    "Result",
    "Settings",
    "convert",
    "outline",
]


@dataclass(frozen=True)
class Outline:
    """What a conversion will do.

    Attributes:
        source: The input.
        target: The output.
        size: Width and height.
        pixels: Sample layout of the source, in words.
        source_frames: Frames of the part that is used.
        source_rate: Frames per second, ``None`` if it varies.
        source_duration: Seconds.
        frames: Output frames.
        rate: Output frames per second, ``None`` if it varies.
        duration: Seconds.
        tempo: How much longer the output lasts.
        encoder: What writes the video.
        plan: What becomes of the other streams.
        notes: What the user should know.
        segments: Number of segments.
        segment_frames: Output frames in each but the last.
    """

    source: Path
    target: Path
    size: tuple[int, int]
    pixels: str
    source_frames: int
    source_rate: Fraction | None
    source_duration: Fraction
    frames: int
    rate: Fraction | None
    duration: Fraction
    tempo: Fraction
    encoder: EncoderSettings
    plan: StreamPlan
    notes: tuple[str, ...]
    segments: int
    segment_frames: int


@dataclass(frozen=True)
class Progress:
    """How far a conversion is.

    Attributes:
        frames_done: Output frames encoded, those of earlier runs included.
        frames_total: All output frames.
        cuts: Scene cuts found.
        resumed_frames: Output frames that earlier runs have encoded.
        cut_frames: Output frames with which a new scene begins.
    """

    frames_done: int
    frames_total: int
    cuts: int
    resumed_frames: int
    cut_frames: tuple[int, ...] = ()


@dataclass(frozen=True)
class Result:
    """What has been written.

    Attributes:
        target: The file.
        frames: Its video frames.
        duration: Of its video, seconds.
        cuts: Output frames with which a new scene begins.
        resumed_frames: Output frames that earlier runs had encoded.
        notes: What the user should know.
    """

    target: Path
    frames: int
    duration: Fraction
    cuts: tuple[int, ...]
    resumed_frames: int
    notes: tuple[str, ...]


def outline(settings: Settings, *, source: ClipSource | None = None) -> Outline:
    """Make all checks and say what would be done; writes nothing.

    Args:
        settings: What to convert, and how.
        source: A clip to convert instead of the file ``settings.source``.

    Raises:
        VsrrinError: Anything about the source, the settings, the target or the model is not as it must be.
    """
    return _outline(settings, prepare(settings, source))


def convert(
    settings: Settings,
    *,
    source: ClipSource | None = None,
    progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Result:
    """Convert a file.

    The target is there only if all of it has been written and verified. Whatever ends a run before, segments that are
    finished stay in a hidden folder beside the target, for ``settings.resume``.

    Args:
        settings: What to convert, and how.
        source: A clip to convert instead of the file ``settings.source``.
        progress: Called after each frame, from the calling thread.
        say: Is given messages for the user.

    Raises:
        VsrrinError: Anything is not as it must be, before the work or in the middle.
        KeyboardInterrupt: As it came.
    """
    say = say or _nothing
    prepared = prepare(settings, source)
    for note in prepared.notes:
        say(note)
    with WorkFolder(settings.target, prepared.signature, resume=settings.resume, overwrite=settings.overwrite) as work:
        try:
            return _run(settings, prepared, work, progress, say)
        except BaseException:
            _say_how_to_resume(work, prepared, say)
            raise


def _run(
    settings: Settings,
    prepared: Prepared,
    work: WorkFolder,
    progress: Callable[[Progress], None] | None,
    say: Callable[[str], None],
) -> Result:
    job = Job(prepared.clip, prepared.encoder, prepared.times, prepared.tags, _spans(prepared))
    known = [work.finished(number, len(span)) for number, span in enumerate(job.spans)]
    resumed = sum(segment.frames for segment in known if segment is not None)
    if resumed:
        say(f"{resumed} of {prepared.times.frames} frames were finished before")
    report = _Report(prepared.times.frames, known, progress)
    done = encode_segments(job, work, report)
    cuts = tuple(cut for segment in done for cut in segment.cuts)
    _finish(settings, prepared, work, len(done))
    return Result(settings.target, prepared.times.frames, prepared.times.duration, cuts, resumed, prepared.notes)


class _Report:
    """Turns what one run has done into what all have."""

    def __init__(
        self, total: int, known: Sequence[Segment | None], progress: Callable[[Progress], None] | None
    ) -> None:
        self._total, self._progress = total, progress
        self._resumed = sum(segment.frames for segment in known if segment is not None)
        self._cuts = [cut for segment in known if segment is not None for cut in segment.cuts]

    def __call__(self, frames: int, cuts: Sequence[int]) -> None:
        if self._progress is not None:
            found = tuple(sorted((*self._cuts, *cuts)))
            self._progress(Progress(self._resumed + frames, self._total, len(found), self._resumed, found))


def _finish(settings: Settings, prepared: Prepared, work: WorkFolder, count: int) -> None:
    """Join, verify, and only then give the file its name."""
    joined = work.path / f"joined{settings.target.suffix.lower()}"
    try:
        join(
            [work.segment(number) for number in range(count)],
            joined,
            prepared.source.info,
            prepared.plan,
            frame_times=prepared.times,
            cut=prepared.source.cut,
            tempo=prepared.tempo,
        )
        verify(joined, _expected(prepared))
        _sync(joined)
        if settings.target.exists() and not settings.overwrite:
            raise ConvertError(f"{settings.target} has come into being meanwhile: --overwrite replaces it")
        os.replace(joined, settings.target)
    except OSError as error:
        raise ConvertError(f"{settings.target} cannot be written: {error.strerror or error}") from error
    finally:
        joined.unlink(missing_ok=True)
    work.remove()


def _expected(prepared: Prepared) -> Expected:
    times = prepared.times
    last = times.seconds(times.frames - 1)
    return Expected(
        frames=times.frames,
        first=times.start,
        last=times.start + last,
        duration=times.duration,
        frame_duration=times.duration - last,
        actions=prepared.plan,
    )


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _say_how_to_resume(work: WorkFolder, prepared: Prepared, say: Callable[[str], None]) -> None:
    spans = _spans(prepared)
    done = [len(span) for number, span in enumerate(spans) if work.finished(number, len(span)) is not None]
    if done:
        say(
            f"{sum(done)} of {prepared.times.frames} frames are finished and kept in {work.path}: the same command "
            "with --resume continues from there"
        )


def _spans(prepared: Prepared) -> list[range]:
    return ranges(prepared.times.frames, prepared.segment_frames)


def _outline(settings: Settings, prepared: Prepared) -> Outline:
    source, times = prepared.source, prepared.times
    return Outline(
        source=settings.source,
        target=settings.target,
        size=(prepared.clip.width, prepared.clip.height),
        pixels=str(Pixels.of_clip(source.clip.format)),
        source_frames=source.clip.num_frames,
        source_rate=source.rate,
        source_duration=source.duration,
        frames=times.frames,
        rate=times.rate if times.step is not None else None,
        duration=times.duration,
        tempo=prepared.tempo,
        encoder=prepared.encoder,
        plan=prepared.plan,
        notes=prepared.notes,
        segments=len(_spans(prepared)),
        segment_frames=prepared.segment_frames,
    )


def _nothing(message: str) -> None:
    pass
