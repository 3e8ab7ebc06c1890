"""Frames of a clip into segments: decoding, interpolation and encoding at the same time, through a bounded queue."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from queue import Empty, Full, Queue
from threading import Event, Thread

import vapoursynth as vs

from .errors import ConvertError
from .media.encode import ColourTags, SegmentWriter, VideoTimes
from .media.encoders import EncoderSettings
from .segments import Segment, WorkFolder, runs
from .sources import reason

_QUEUED = 8
"""Frames that wait for the encoder at most."""
_PATIENCE = 0.1
"""Seconds after which a waiting thread looks whether the other one has failed."""


@dataclass(frozen=True)
class Job:
    """What is encoded, and how.

    Attributes:
        clip: The output's frames, in the encoder's format.
        encoder: What encodes them.
        times: When they are shown.
        tags: What the encoder is told of the picture.
        spans: Output frames of each segment.
    """

    clip: vs.VideoNode
    encoder: EncoderSettings
    times: VideoTimes
    tags: ColourTags
    spans: Sequence[range]


def encode_segments(job: Job, work: WorkFolder, report: Callable[[int, Sequence[int]], None]) -> list[Segment]:
    """Make all segments that are not finished.

    Args:
        job: What is encoded.
        work: Where segments are kept.
        report: Called now and then with the number of frames encoded in this run and the output frames, in this run,
            with which a new scene begins.

    Returns:
        What is known of all segments, in order.

    Raises:
        ConvertError: A frame cannot be made or encoded, or a segment cannot be written; finished ones are kept.
    """
    known = {number: work.finished(number, len(span)) for number, span in enumerate(job.spans)}
    encoder = _EncoderThread(job, work)
    missing = [number for number, segment in known.items() if segment is None]
    for run in runs(missing):
        encoder.start(run)
        try:
            _feed(job, encoder, range(job.spans[run[0]].start, job.spans[run[-1]].stop), report)
        finally:
            encoder.stop()
    known.update(encoder.finished)
    segments = [segment for segment in known.values() if segment is not None]
    assert len(segments) == len(job.spans)
    _check_headers(segments, job.encoder)
    return segments


def _check_headers(segments: Sequence[Segment], encoder: EncoderSettings) -> None:
    if any(a.headers != b.headers for a, b in pairwise(segments)):
        raise ConvertError(
            f"{encoder.codec} began its segments in different ways, so that they cannot be joined: has it been "
            "updated since the first run? Begin again with --overwrite"
        )


def _feed(job: Job, encoder: "_EncoderThread", span: range, report: Callable[[int, Sequence[int]], None]) -> None:
    """Hand frames to the encoder, in order, until all are encoded."""
    for number, frame in zip(span, _frames(job.clip, span), strict=True):
        encoder.put(number, frame)
        report(encoder.frames, encoder.cuts)
    while not encoder.wait():
        report(encoder.frames, encoder.cuts)
    report(encoder.frames, encoder.cuts)


def _frames(clip: vs.VideoNode, span: range) -> Iterator[vs.VideoFrame]:
    part = clip[span.start : span.stop] if len(span) < clip.num_frames else clip
    try:
        yield from part.frames()
    except vs.Error as error:
        raise ConvertError(reason(error)) from error


@dataclass
class _EncoderThread:
    """Encodes frames from a queue, segment by segment."""

    job: Job
    work: WorkFolder
    frames: int = 0
    cuts: list[int] = field(default_factory=list)
    finished: dict[int, Segment] = field(default_factory=dict)

    def start(self, numbers: Sequence[int]) -> None:
        """Begin with the segments of these numbers."""
        self._queue: Queue[tuple[int, vs.VideoFrame]] = Queue(_QUEUED)
        self._failure: BaseException | None = None
        self._given_up = Event()
        self._thread = Thread(target=self._run, args=(numbers,), name="vsrrin encoder", daemon=True)
        self._thread.start()

    def put(self, number: int, frame: vs.VideoFrame) -> None:
        """Give the next frame; waits while the queue is full."""
        while True:
            self._raise_failure()
            try:
                return self._queue.put((number, frame), timeout=_PATIENCE)
            except Full:
                continue

    def wait(self) -> bool:
        """Wait a moment; whether all is encoded."""
        self._thread.join(_PATIENCE)
        ended = not self._thread.is_alive()  # asked first: it may fail at any moment until it has ended
        self._raise_failure()
        return ended

    def stop(self) -> None:
        """Wait for the thread, which gives up the segment at hand unless all is encoded."""
        self._given_up.set()
        self._thread.join()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self, numbers: Sequence[int]) -> None:
        try:
            for number in numbers:
                self.finished[number] = self._segment(number)
        except _GivenUpError:
            pass
        except BaseException as error:
            self._failure = error

    def _segment(self, number: int) -> Segment:
        span, clip = self.job.spans[number], self.job.clip
        cuts: list[int] = []
        path = self.work.part(number)
        try:
            with SegmentWriter(path, self.job.encoder, (clip.width, clip.height), self.job.times, self.job.tags) as out:
                for expected in span:
                    cuts += self._encode(out, expected)
            return self.work.finish(number, len(span), tuple(cuts), out.headers)
        except BaseException:
            self.work.discard_part(number)
            raise

    def _encode(self, out: SegmentWriter, expected: int) -> list[int]:
        """Encode the next frame; its number, in a list, if a new scene begins with it."""
        number, frame = self._take()
        assert number == expected
        cut = [number] if frame.props.get("_SceneChangePrev") == 1 else []
        out.write(frame, number)
        frame.close()
        self.cuts += cut
        self.frames += 1
        return cut

    def _take(self) -> tuple[int, vs.VideoFrame]:
        while not self._given_up.is_set():
            try:
                return self._queue.get(timeout=_PATIENCE)
            except Empty:
                continue
        raise _GivenUpError


class _GivenUpError(Exception):
    """The run has ended before all frames were encoded."""
