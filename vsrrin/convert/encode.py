"""Encoding of a clip in segments, while VapourSynth makes the next frames."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise

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


def encode_segments(job: Job, work: WorkFolder, report: Callable[[int, Sequence[int]], None]) -> list[Segment]:
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
    with in_background(_encode_missing(job, work, known), "vsrrin encoder") as frames:
        for count, (number, is_cut) in enumerate(frames, 1):
            cuts += [number] * is_cut
            report(count, cuts)
    segments = [segment for segment in known.values() if segment is not None]
    assert len(segments) == len(job.spans)
    _check_headers(segments, job.encoder)
    return segments


def _check_headers(segments: Sequence[Segment], encoder: EncoderSettings) -> None:
    if any(a.headers != b.headers for a, b in pairwise(segments)):
        raise ConvertError(
            f"{encoder.codec} began its segments in different ways, so they cannot be joined; it may have been "
            "updated since the first run: begin again with overwrite=True"
        )


def _encode_missing(job: Job, work: WorkFolder, known: dict[int, Segment | None]) -> Generator[tuple[int, bool]]:
    """Make segments and enter them in ``known``; yield each frame encoded, and whether a new scene begins with it."""
    for run in runs([number for number, segment in known.items() if segment is None]):
        with closing(_frames(job.clip, range(job.spans[run[0]].start, job.spans[run[-1]].stop))) as frames:
            for number in run:
                known[number] = yield from _encode_segment(job, work, number, frames)


def _encode_segment(
    job: Job, work: WorkFolder, number: int, frames: Iterator[vs.VideoFrame]
) -> Generator[tuple[int, bool], None, Segment]:
    path, span, size = work.part(number), job.spans[number], (job.clip.width, job.clip.height)
    cuts: list[int] = []
    try:
        with SegmentWriter(path, job.encoder, size, job.times, job.tags) as out:
            for output in span:
                with next(frames) as frame:
                    out.write(frame, output)
                    is_cut = frame.props.get("_SceneChangePrev") == 1
                cuts += [output] * is_cut
                yield output, is_cut
        return work.finish(number, len(span), tuple(cuts), out.headers)
    except BaseException:
        work.discard_part(number)
        raise


def _frames(clip: vs.VideoNode, span: range) -> Generator[vs.VideoFrame]:
    part = clip[span.start : span.stop] if len(span) < clip.num_frames else clip
    number = span.start
    try:
        for number, frame in enumerate(part.frames(), span.start + 1):  # noqa: B007
            yield frame
    except vs.Error as error:
        raise FrameError(reason(error), number) from error
