"""Verification of a finished file: read again, and compared with what it should be."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
import av.stream

from vsrrin import files
from vsrrin.errors import ConvertError

from . import side_alpha
from .containers import Container, container_for
from .encode import VideoTimes
from .probe import as_fraction
from .streams import StreamAction, StreamPlan, describe

# Encoders and what FFmpeg calls the result.
_RESULTS = {"libopus": "opus"}
_ROUNDING = Fraction(1, 1000)
"""Matroska rounds times to milliseconds."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """Facts that a file has: packets of each stream, and times and alpha of the video's."""

    streams: tuple[tuple[str, str, bool], ...]  # kind, codec, whether it is a cover picture
    packets: Counter[int]
    times: list[Fraction]
    end: Fraction
    length: Fraction | None
    video: int
    alpha: bool


def verify(target: Path, times: VideoTimes, plan: StreamPlan) -> None:
    """Compare a file with what it should be: every packet is read, nothing is decoded.

    Args:
        target: The file.
        times: Presentation times of its video frames.
        plan: The plan of its other streams.

    Raises:
        ConvertError: It cannot be read to its end, or frames, times, the duration, alpha or a stream differ.
    """
    try:
        with av.open(files.url(target)) as container:
            found = _read(target, container)
    except av.error.FFmpegError as error:
        raise ConvertError(f"{target} cannot be read again after it was written: {error.strerror}") from None
    wrong = [*_video_faults(found, times), *_stream_faults(found, plan, target)]
    if wrong:
        raise ConvertError(f"{target} is not what was to be written: {'; '.join(wrong)}")


def _read(target: Path, container: av.container.InputContainer) -> _Found:
    videos = [stream for stream in container.streams.video if not _is_picture(stream)]
    if not videos:
        raise ConvertError(f"{target} is not what was to be written: it has no video")
    packets: Counter[int] = Counter()
    beside, alpha = _codec(videos[0]) in side_alpha.CODECS, _has_alpha(videos[0])
    times: list[Fraction] = []
    lasts = Fraction(0)
    for packet in container.demux():
        if not packet.size:
            continue
        packets[packet.stream_index] += 1
        if packet.stream_index == videos[0].index and packet.pts is not None:
            base = as_fraction(packet.time_base)
            times.append(packet.pts * base)
            lasts = (packet.duration or 0) * base
            alpha = alpha and (not beside or bool(side_alpha.alpha_of(packet)))
    # MP4 knows how long until the next is decoded: that the last one is shown so long is true only if none comes after.
    end = max(times, default=Fraction(0)) + (lasts if times and times[-1] == max(times) else 0)
    length = Fraction(container.duration, av.time_base) if container.duration is not None else None
    streams = tuple((stream.type, _codec(stream), _is_picture(stream)) for stream in container.streams)
    return _Found(
        streams=streams,
        packets=packets,
        times=sorted(times),
        end=end,
        length=length,
        video=videos[0].index,
        alpha=alpha,
    )


def _has_alpha(stream: av.VideoStream) -> bool:
    if _codec(stream) in side_alpha.CODECS:
        return side_alpha.is_marked(stream)
    samples = stream.codec_context.format
    return samples is not None and any(part.is_alpha for part in samples.components)


def _is_picture(stream: av.stream.Stream) -> bool:
    return stream.type == "video" and bool(stream.disposition & av.stream.Disposition.attached_pic)


def _codec(stream: av.stream.Stream) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context is not None else ""


def _video_faults(found: _Found, times: VideoTimes) -> list[str]:
    faults = []
    count = len(set(found.times))
    if count != times.frames or found.packets[found.video] != times.frames:
        shown = found.packets[found.video]
        faults.append(f"{shown} frames with {count} different times instead of {times.frames}")
    if times.tags is not None and times.tags.alpha and not found.alpha:
        faults.append("transparency is missing")
    if not found.times:
        return faults
    last = times.seconds(times.frames - 1)
    ends = (("first", found.times[0], times.start), ("last", found.times[-1], times.start + last))
    for name, time, wanted in ends:
        if abs(time - wanted) > _ROUNDING:
            faults.append(f"the {name} frame is shown at {float(time):.6f} s instead of {float(wanted):.6f} s")
    tolerance = times.duration - last + _ROUNDING  # containers may not know how long the last frame is shown
    length = found.end - found.times[0]
    if abs(length - times.duration) > tolerance:
        faults.append(f"the video lasts {float(length):.6f} s instead of {float(times.duration):.6f} s")
    if found.length is None:
        faults.append("the file does not say how long it is")
    elif found.length < times.duration - tolerance:
        faults.append(f"the file says it lasts {float(found.length):.6f} s, less than its video")
    return faults


def _stream_faults(found: _Found, plan: StreamPlan, target: Path) -> list[str]:
    """Return planned streams that are missing, of another codec, or empty; subtitles may be, as a cut leaves none."""
    left = {index: stream for index, stream in enumerate(found.streams) if index != found.video}
    container = container_for(target)
    faults = []
    for action in plan.kept:
        index = next((index for index, stream in left.items() if _fits(action, stream, container)), None)
        if index is None:
            faults.append(f"{describe(action.stream)} is missing")
            continue
        kind, _, is_picture = left.pop(index)
        if not found.packets[index] and kind == "audio":
            faults.append(f"{describe(action.stream)} is empty")
        if is_picture and not container.attachments and not found.packets[index]:
            faults.append(f"{describe(action.stream)} is empty")
    return faults


def _fits(action: StreamAction, stream: tuple[str, str, bool], container: Container) -> bool:
    kind, codec, is_picture = stream
    if action.stream.kind in ("attachment", "data"):
        return kind == action.stream.kind
    wanted = _RESULTS.get(action.codec or "", action.codec or "")
    wanted = container.read_as.get(wanted, wanted)
    return kind == action.stream.kind and codec == wanted and is_picture == action.stream.is_picture
