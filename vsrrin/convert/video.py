"""Conversion to a video file, with the other streams of the source.

Frames are encoded into segments, which an interruption leaves behind for ``resume``.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from vsrrin import files

from .encode import Job, encode_segments
from .media.mux import join
from .media.verify import verify
from .prepare import Settings, prepare
from .run import Progress, Result, run
from .source import ClipSource
from .work_folder import Segment, WorkFolder, ranges


class VideoConversion:
    """Prepared conversion to a video file; nothing is written before it runs.

    Args:
        settings: Settings of the conversion.
        source: A clip to convert instead of the file ``settings.source``.

    Raises:
        VsrrinError: The source, a setting, the target or the model cannot be used.
    """

    unit = "frames"

    def __init__(self, settings: Settings, source: ClipSource | None = None) -> None:
        self.settings = settings
        self.prepared = prepare(settings, source)
        self.source = self.prepared.source
        self.frames = self.prepared.times.frames
        self.spans = ranges(self.frames, self.prepared.segment_frames)

    @property
    def duration(self) -> Fraction:
        """Length of the video in seconds."""
        return self.prepared.times.duration

    @property
    def notes(self) -> tuple[str, ...]:
        """Messages for the user."""
        return self.prepared.notes

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

        def encoded(frames: int, cuts: Sequence[int]) -> None:
            found = tuple(sorted((*known, *cuts)))
            report(Progress(frames_done=resumed + frames, frames_total=self.frames, resumed_frames=resumed, cuts=found))

        prepared = self.prepared
        job = Job(
            clip=prepared.clip,
            encoder=prepared.encoder,
            times=prepared.times,
            tags=prepared.tags,
            spans=self.spans,
        )
        return tuple(cut for segment in encode_segments(job, work, encoded) for cut in segment.cuts)

    def publish(self, work: WorkFolder) -> None:
        """Join the segments with the other streams, verify the file, and only then give it its name.

        Raises:
            ConvertError: The file cannot be written, fails verification, or its name was taken meanwhile.
        """
        target, prepared = self.settings.target, self.prepared
        joined = work.path / f"joined{target.suffix.lower()}"
        with files.explained(target):
            try:
                join(
                    [work.segment(number) for number in range(len(self.spans))],
                    joined,
                    prepared.source.info,
                    prepared.plan,
                    frame_times=prepared.times,
                    cut=prepared.source.cut,
                    tempo=prepared.tempo,
                )
                verify(joined, prepared.times, prepared.plan)
                files.publish({joined: target}, overwrite=self.settings.overwrite)
            finally:
                joined.unlink(missing_ok=True)
        work.remove()

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
