"""Encoding of a clip in segments, while VapourSynth makes the next frames."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import vapoursynth as vs

from vsrrin.convert.media.encode import ColourTags, SegmentWriter, VideoTimes
from vsrrin.convert.media.encoders import EncoderSettings
from vsrrin.errors import ConvertError

from .interruptible import in_background
from .source import FrameError, reason
from .work_folder import Segment, WorkFolder, runs


@dataclass(frozen=True, kw_only=True)
class Job:
    """Clip to encode, in the encoder's format, and the output frames of each of its segments."""

    clip: vs.VideoNode
    encoder: EncoderSettings
    times: VideoTimes
    tags: ColourTags
    spans: Sequence[range]


class Report(Protocol):
    """Receiver of progress."""

    def __call__(self, frames: int, cuts: Sequence[int], workers: Mapping[str, float] = ..., /) -> None:
        """Take the number of frames encoded in this run, cuts found in it, and frames per second of each worker."""
        ...


class Encode(Protocol):
    """Way to encode all segments that are not finished: `encode_segments`, or one of other processes."""

    def __call__(self, job: Job, work: WorkFolder, report: Report) -> list[Segment]:
        """Encode them, and return the facts of all segments in order."""
        ...


def encode_segments(job: Job, work: WorkFolder, report: Report) -> list[Segment]:
    """Encode all segments that are not finished.

    Args:
        job: The clip to encode.
        work: The folder that keeps segments.
        report: Called after each frame, from the calling thread, with the number of frames encoded in this run and
            the output frames, in this run, with which a new scene begins.

    Returns:
        Facts about all segments, in order.

    Raises:
        ConvertError: A frame cannot be made or encoded, or a segment cannot be written; finished ones are kept.
        KeyboardInterrupt: The run was interrupted; finished segments are kept.
    """
    known = {number: work.finished(number, len(span)) for number, span in enumerate(job.spans)}
    cuts: list[int] = []
    with in_background(_encode_missing(job, work, known), "vsrrin encoder") as encoded:
        for count, (number, is_cut) in enumerate(encoded, 1):
            cuts += [number] * is_cut
            report(count, cuts)
    return joinable(known.values(), job)


def joinable(known: Iterable[Segment | None], job: Job) -> list[Segment]:
    """Return all segments of a job, in order.

    Raises:
        ConvertError: They cannot be joined.
    """
    segments = [segment for segment in known if segment is not None]
    assert len(segments) == len(job.spans)
    if any(a.headers != b.headers for a, b in pairwise(segments)):
        raise ConvertError(
            f"{job.encoder.codec} began its segments in different ways, so they cannot be joined; it may have been "
            "updated since the first run: begin again with overwrite=True"
        )
    return segments


def _encode_missing(job: Job, work: WorkFolder, known: dict[int, Segment | None]) -> Generator[tuple[int, bool]]:
    """Make segments and enter them in ``known``; yield each frame encoded, and whether a new scene begins with it."""
    for run in runs([number for number, segment in known.items() if segment is None]):
        with closing(frames(job.clip, range(job.spans[run[0]].start, job.spans[run[-1]].stop))) as made:
            for number in run:
                try:
                    cuts, headers = yield from write_segment(job, number, made, work.part(number))
                    known[number] = work.finish(number, len(job.spans[number]), cuts, headers)
                except BaseException:
                    work.discard_part(number)
                    raise


def write_segment(
    job: Job, number: int, made: Iterator[vs.VideoFrame], path: Path
) -> Generator[tuple[int, bool], None, tuple[tuple[int, ...], bytes]]:
    """Encode a segment to a file; yield each frame encoded, and whether a new scene begins with it.

    Args:
        job: What it is a segment of.
        number: Its number.
        made: Frames, of which the next is its first.
        path: The file, which is left as it is if that fails.

    Returns:
        The frames with which a new scene begins, and the bytes before the first frame.

    Raises:
        ConvertError: A frame cannot be made or encoded, or the file cannot be written.
    """
    cuts: list[int] = []
    with SegmentWriter(path, job.encoder, (job.clip.width, job.clip.height), job.times, job.tags) as out:
        for output in job.spans[number]:
            with next(made) as frame:
                out.write(frame, output)
                is_cut = frame.props.get("_SceneChangePrev") == 1
            cuts += [output] * is_cut
            yield output, is_cut
    return tuple(cuts), out.headers


def frames(clip: vs.VideoNode, span: range) -> Generator[vs.VideoFrame]:
    """Yield frames of a clip, made while they are used.

    Raises:
        FrameError: A frame cannot be made.
    """
    part = clip[span.start : span.stop] if len(span) < clip.num_frames else clip
    number = span.start
    try:
        for number, frame in enumerate(part.frames(), span.start + 1):  # noqa: B007
            yield frame
    except vs.Error as error:
        raise FrameError(reason(error), number) from error
