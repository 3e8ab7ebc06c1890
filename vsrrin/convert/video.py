"""Conversion to a video file, with the other streams of the source.

Frames are encoded into segments, which an interruption leaves behind for ``resume``.
"""

import errno
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import MappingProxyType

from vsrrin import files
from vsrrin.errors import ConvertError

from . import speed
from .encode import Encode, encode_segments
from .media.containers import container_for
from .media.encode import SegmentWriter
from .media.losses import losses
from .media.mux import Joined, join
from .media.probe import probe
from .media.streams import StreamPlan
from .media.trial import Trial
from .media.verify import verify
from .prepare import Settings, in_format, prepare
from .run import Progress, Result, run
from .source import ClipSource, FrameError, unreadable
from .work_folder import Segment, WorkFolder, fingerprint

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors of a disk that does not take another file, either."""
_NOBODY: Mapping[str, float] = MappingProxyType({})


class VideoConversion:
    """Prepared conversion to a video file; before it runs, only a trial is written, to a temporary folder.

    Args:
        settings: Settings of the conversion.
        source: A clip to convert instead of the file ``settings.source``.

    Attributes:
        encode: Function that encodes the segments.

    Raises:
        VsrrinError: The source, a setting, the target or the model cannot be used.
    """

    unit = "frames"

    def __init__(self, settings: Settings, source: ClipSource | None = None) -> None:
        self.settings = settings
        self.encode: Encode = encode_segments
        self.prepared = prepare(settings, source)
        self.source = self.prepared.source
        self.frames = self.prepared.times.frames
        self.losses: list[str] = []
        self.plan = self._tried()
        self._changes = tuple(note for note in self.plan.notes if note not in self.plan.losses)
        self.spans = self.prepared.job.spans

    @property
    def duration(self) -> Fraction:
        """Length of the video in seconds."""
        return self.prepared.times.duration

    @property
    def notes(self) -> tuple[str, ...]:
        """Messages for the user; those of losses come last."""
        return (*self.prepared.notes, *self._changes, *self.losses)

    @property
    def signature(self) -> Mapping[str, object]:
        """Values that the segments depend on, as JSON can hold them."""
        return self.prepared.signature

    def finished(self, work: WorkFolder) -> int:
        """Return the number of frames in finished segments."""
        return sum(segment.frames for segment in self._segments(work))

    def make(self, work: WorkFolder, report: Callable[[Progress], None]) -> tuple[int, ...]:
        """Encode the segments that are missing, and return the frames with which a new scene begins.

        Raises:
            ConvertError: A frame cannot be made or encoded, or a segment cannot be written.
        """
        known, resumed = [cut for segment in self._segments(work) for cut in segment.cuts], self.finished(work)

        def encoded(frames: int, cuts: Sequence[int], workers: Mapping[str, float] = _NOBODY) -> None:
            found, done = tuple(sorted((*known, *cuts))), resumed + frames
            state = Progress(frames_done=done, frames_total=self.frames, resumed_frames=resumed, cuts=found)
            report(replace(state, workers=workers))

        try:
            segments = self.encode(self.prepared.job, work, encoded)
            return tuple(cut for segment in segments for cut in segment.cuts)
        except FrameError as error:
            near = speed.timing(self.settings.rates, self.source).at(error.number).left
            raise unreadable(error, self.source, near) from error

    def publish(self, work: WorkFolder) -> None:
        """Join the segments with the other streams, verify the file, and only then give it its name.

        Raises:
            ConvertError: The file cannot be written, fails verification, or its name was taken meanwhile.
        """
        target = self.settings.target
        joined = work.path / f"joined{target.suffix.lower()}"
        with files.explained(target):
            try:
                self._join(work, joined)
                files.publish({joined: target}, overwrite=self.settings.overwrite)
            finally:
                joined.unlink(missing_ok=True)
        work.remove()

    def _tried(self) -> StreamPlan:
        """Try the last step with the first frame of the source, and return the plan for the streams that it needs."""
        prepared, clip = self.prepared, self.source.clip
        first = in_format(clip[:1], prepared.encoder, clip.get_frame(0)).get_frame(0)
        times = prepared.times.first
        with tempfile.TemporaryDirectory(prefix="vsrrin-") as name:
            folder = Path(name)
            segment = folder / "000000.nut"
            with SegmentWriter(segment, prepared.encoder, (first.width, first.height), times, prepared.tags) as out:
                out.write(first, 0)
            trial = Trial(
                segment=segment,
                times=times,
                joined=folder / f"joined{self.settings.target.suffix.lower()}",
                info=prepared.source.info,
                cut=prepared.source.cut,
                pace=prepared.pace,
            )
            return self._compared(trial.run(prepared.plan), trial.joined)

    def _compared(self, made: Joined, path: Path) -> StreamPlan:
        """Return the plan of a written file, and note what the source has and the file has not."""
        info, container = self.source.info, container_for(self.settings.target)
        found = (*made.plan.losses, *losses(info, probe(path), made.written, made.chapters, container))
        self.losses += [loss for loss in found if loss not in self.losses]
        return made.plan

    def _join(self, work: WorkFolder, joined: Path) -> None:
        """Write the joined file and verify it; of what fails, the video alone stays in the work folder."""
        prepared = self.prepared
        segments = [work.segment(number) for number in range(len(self.spans))]
        join_to = partial(join, segments, frame_times=prepared.times, cut=prepared.source.cut, pace=prepared.pace)
        try:
            self._check_source()
            made = join_to(joined, prepared.source.info, self.plan)
            verify(joined, prepared.times, made.written)
            self.plan = self._compared(made, joined)
        except ConvertError as error:
            if getattr(error.__cause__, "errno", None) in _FULL:
                raise
            joined.unlink(missing_ok=True)
            alone, nothing = work.path / f"video{joined.suffix}", StreamPlan((), ())
            info = prepared.source.info
            try:
                bare = replace(info, metadata={}, chapters=(), video=replace(info.video, metadata={}, side_data={}))
                join_to(alone, bare, nothing)
                verify(alone, prepared.times, nothing)
            except (ConvertError, OSError):
                alone.unlink(missing_ok=True)
                raise error from None
            raise ConvertError(
                f"{error}. All frames are made: {alone} is the video without its other streams. resume=True makes the "
                'rest; with audio="drop" or subtitles=False it leaves out what may be the cause'
            ) from error

    def _check_source(self) -> None:
        """Refuse sound and subtitles of a file that is not the one whose frames were converted."""
        path = self.settings.source
        if not self.plan.kept:
            return
        try:
            same = fingerprint(path).items() <= self.source.signature.items()
        except OSError as error:
            raise ConvertError(f"{path} cannot be read any more: {error.strerror}") from error
        if not same:
            raise ConvertError(
                f"{path} has changed while it was converted, and its other streams may not fit the frames any more: "
                "bring back the file as it was, or begin again with overwrite=True"
            )

    def _segments(self, work: WorkFolder) -> list[Segment]:
        known = [work.finished(number, len(span)) for number, span in enumerate(self.spans)]
        return [segment for segment in known if segment is not None]


def convert(
    settings: Settings,
    *,
    source: ClipSource | None = None,
    progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Result:
    """Convert to a video file.

    Args:
        settings: Settings of the conversion.
        source: A clip to convert instead of the file ``settings.source``.
        progress: See :func:`vsrrin.convert.run.run`.
        say: See :func:`vsrrin.convert.run.run`.

    Raises:
        VsrrinError: See :class:`VideoConversion` and :func:`vsrrin.convert.run.run`.
    """
    return run(VideoConversion(settings, source), progress=progress, say=say)
