"""Contents of media files: streams, times, chapters, rotation.

All times are exact seconds since the beginning of the file: the file's own start time (1.4 s is usual in transport
streams) is taken off and kept in `MediaInfo.start`.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

import av
import av.container
import av.error
import av.packet
import av.stream

from vsrrin import files
from vsrrin.errors import ConvertError

from .programmes import Programme, programmes

Kind = Literal["video", "audio", "subtitle", "attachment", "data"]

_KINDS = ("video", "audio", "subtitle", "attachment")
_PROBED_FRAMES = 3000
"""Packets read in search of the first picture; a file that starts in the middle of a group of pictures needs some."""
_LOOKED_AT = 3
"""First pictures whose side data is read."""
_PNG_CHUNKS = 4096
"""Bytes of a PNG in which a profile begins, as it comes before the picture."""
# Side data of pictures that FFmpeg names otherwise in streams.
_NAMES = {
    "displaymatrix": "display_matrix", "dynamic_hdr_plus": "dynamic_hdr10_plus", "replaygain": "replay_gain",
    "stereo3d": "stereo_3d",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StreamInfo:
    """One stream of a file.

    Attributes:
        index: Number within the file, counted from 0 over all kinds.
        kind: Kind of the stream; kinds unknown to FFmpeg count as data.
        codec: FFmpeg's name of the codec ("h264", "aac", "subrip"), of an attachment its MIME type; "chapters" of a
            track that FFmpeg has read the chapters from; "unknown" without.
        time_base: Unit of its time stamps, seconds.
        start: Time of its first sample in seconds since the beginning of the file, ``None`` if unknown.
        duration: Seconds, ``None`` if unknown.
        language: As the file states it ("eng"), ``None`` if it does not.
        metadata: Title and the like.
        disposition: FFmpeg's flags: default, forced, attached_pic...
        is_picture: Whether it is a cover picture, not a video.
        rate: Samples per second (audio), else 0.
        layout: Channel layout such as "stereo" (audio), else empty.
        can_copy: Whether FFmpeg knows enough of the codec to copy it.
        programme: Number of the programme of a transport stream that it belongs to alone, ``None`` otherwise.
        side_data: What the stream, or the first pictures of the video, have beside their samples, as FFmpeg holds it.
    """

    index: int
    kind: Kind
    codec: str
    time_base: Fraction
    start: Fraction | None
    duration: Fraction | None
    language: str | None
    metadata: Mapping[str, str]
    disposition: int
    is_picture: bool
    rate: int = 0
    layout: str = ""
    can_copy: bool = True
    programme: int | None = None
    side_data: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Chapter:
    """A chapter, in seconds since the beginning of the file."""

    start: Fraction
    end: Fraction
    metadata: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class MediaInfo:
    """A media file.

    Attributes:
        path: The file.
        format: FFmpeg's name of the container format ("matroska,webm").
        start: Seconds that the file itself calls its beginning; already taken off all other times.
        duration: Seconds from the beginning of the first to the end of the last stream, ``None`` if unknown.
        video: The first video stream that is no cover picture.
        video_track: Its number within the file, as ``bs.VideoSource(track=...)`` takes it.
        others: All other streams, in the order of the file.
        chapters: In the order of the file.
        metadata: Title and the like.
        rotation: Degrees by which a player turns the stored picture counter-clockwise before it shows it: 0, 90, 180
            or 270.
        sample_aspect: Width of a pixel over its height; 1 if unknown.
        video_start: Time of the first picture.
        size: Width and height of the stored picture; ``None`` for a clip.
        display_matrix: FFmpeg's nine integers behind `rotation`, which may also mirror; ``None`` without.
        rate: Frames of the video per second, the average where they vary; ``None`` if unknown.
        colours: Numbers of H.273 and FFmpeg by "matrix" and the like, of those that differ from what is assumed.
    """

    path: Path
    format: str
    start: Fraction
    duration: Fraction | None
    video: StreamInfo
    video_track: int
    others: tuple[StreamInfo, ...]
    chapters: tuple[Chapter, ...]
    metadata: Mapping[str, str]
    rotation: int
    sample_aspect: Fraction
    video_start: Fraction
    size: tuple[int, int] | None = None
    display_matrix: tuple[int, ...] | None = None
    rate: Fraction | None = None
    colours: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_indexed(self) -> bool:
        """True for formats with an index of their times."""
        return bool({"matroska", "mov"} & set(self.format.split(",")))


def probe(path: Path) -> MediaInfo:
    """Read the facts of a media file.

    Args:
        path: The file.

    Raises:
        ConvertError: There is no such file, or it is a folder, no media file, or without a video that can be decoded.
    """
    if not path.exists():
        raise ConvertError(f"{path} does not exist")
    if path.is_dir():
        raise ConvertError(f"{path} is a folder, not a video file")
    try:
        with av.open(files.url(path)) as container:
            return _read(path, container)
    except av.error.FFmpegError as error:
        raise ConvertError(f"{path} cannot be read as a video: {error.strerror}; ffprobe may say more") from None
    except OSError as error:
        raise ConvertError(f"{path} cannot be read: {error.strerror or error}") from None


def _read(path: Path, container: av.container.InputContainer) -> MediaInfo:
    parts = programmes(container)
    beginning = _beginning(container, parts)
    streams = [_stream(stream, beginning, parts) for stream in container.streams]
    videos = [stream for stream in streams if stream.kind == "video" and not stream.is_picture]
    if not videos:
        found = ", ".join(f"{stream.kind} ({stream.codec})" for stream in streams) or "nothing"
        raise ConvertError(f"{path} has no video stream; it holds: {found}")
    video = videos[0]
    if not video.can_copy:
        raise ConvertError(f"{path}: no decoder for its video ({video.codec}) is built in")
    source = container.streams[video.index]
    assert isinstance(source, av.VideoStream)
    chapters = tuple(_chapter(chapter, beginning) for chapter in container.chapters())
    duration = container.duration
    size = source.codec_context.width, source.codec_context.height
    format_name, metadata, aspect = container.format.name, dict(container.metadata), _aspect(source)
    for part in parts:
        metadata |= part.tags if part.number == video.programme else {}
    rate = as_fraction(source.average_rate)
    first, seen = _first_pictures(path, container, source)
    side_data = {**seen, **video.side_data}
    matrix = video.side_data.get("display_matrix")
    numbers = struct.unpack("=9i", matrix) if matrix is not None and len(matrix) == 36 else None
    return MediaInfo(
        path=path,
        format=format_name,
        start=beginning,
        duration=Fraction(duration, av.time_base) if duration is not None else None,
        video=replace(video, side_data=side_data),
        video_track=video.index,
        others=tuple(stream for stream in streams if stream is not video),
        chapters=chapters,
        metadata=metadata,
        rotation=_rotation(numbers),
        sample_aspect=aspect,
        video_start=first - beginning,
        size=size,
        display_matrix=numbers,
        rate=rate or None,
        colours=_colours(source.codec_context),
    )


def begun(info: MediaInfo, start: Fraction) -> MediaInfo:
    """Return the facts with another beginning, as of a video whose first frames had no times."""
    by = info.start - start
    if not by:
        return info
    chapters = tuple(replace(chapter, start=chapter.start + by, end=chapter.end + by) for chapter in info.chapters)
    return replace(info, start=start, chapters=chapters, video_start=info.video_start + by)


def _beginning(container: av.container.InputContainer, parts: Sequence[Programme]) -> Fraction:
    """Return the earliest start of sound and pictures: exact, while the container's is rounded to microseconds.

    Programmes beside that of the first video have clocks of their own.
    """
    video = next((s.index for s in container.streams if s.type == "video" and not _is_picture(s)), None)
    others = {index for part in parts if video not in part.streams for index in part.streams}
    others -= {index for part in parts if video in part.streams for index in part.streams}
    starts = [
        stream.start_time * as_fraction(stream.time_base)
        for stream in container.streams
        if stream.type in ("video", "audio") and stream.start_time is not None and not _is_picture(stream)
        if stream.index not in others
    ]
    return min(starts, default=Fraction(0))


def _is_picture(stream: av.stream.Stream) -> bool:
    pictures = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    return stream.type == "video" and bool(stream.disposition & pictures)


def _stream(stream: av.stream.Stream, beginning: Fraction, parts: Sequence[Programme]) -> StreamInfo:
    context = stream.codec_context
    base = as_fraction(stream.time_base)
    kind = cast(Kind, stream.type if stream.type in _KINDS else "data")
    if isinstance(stream, av.stream.AttachmentStream):
        name = stream.mimetype
    else:
        name = context.codec.canonical_name if context is not None else getattr(stream, "name", None)
        if kind == "data" and stream.discard == av.stream.Discard.all:  # a text track of QuickTime and MP4
            name = "chapters"
    sound = context if isinstance(context, av.AudioCodecContext) else None
    of = [part.number for part in parts if stream.index in part.streams]
    return StreamInfo(
        index=stream.index,
        kind=kind,
        codec=name or "unknown",
        time_base=base,
        start=stream.start_time * base - beginning if stream.start_time is not None else None,
        duration=_duration(stream, base),
        language=stream.language,
        metadata=dict(stream.metadata),
        disposition=int(stream.disposition),
        is_picture=_is_picture(stream),
        rate=sound.sample_rate if sound is not None else 0,
        layout=sound.layout.name if sound is not None else "",
        can_copy=context is not None or kind == "attachment",
        programme=of[0] if len(of) == 1 else None,
        side_data={str(name): data for name, data in context.coded_side_data.items()} if context is not None else {},
    )


def _duration(stream: av.stream.Stream, base: Fraction) -> Fraction | None:
    if stream.duration is not None:
        return stream.duration * base
    for key, value in stream.metadata.items():  # Matroska has no other place: DURATION, DURATION-eng
        if key.upper().partition("-")[0] == "DURATION":
            return parse_clock(value)
    return None


def parse_clock(text: str) -> Fraction | None:
    """Return the seconds of ``HH:MM:SS.fraction``; ``None`` for other texts."""
    parts = text.strip().split(":")
    try:
        hours, minutes, seconds = int(parts[0]), int(parts[1]), Fraction(parts[2])
    except (IndexError, ValueError):
        return None
    return hours * 3600 + minutes * 60 + seconds


def _chapter(chapter: Mapping[str, Any], beginning: Fraction) -> Chapter:
    base = as_fraction(chapter["time_base"])
    return Chapter(
        chapter["start"] * base - beginning, chapter["end"] * base - beginning, dict(chapter.get("metadata", {}))
    )


def _aspect(stream: av.VideoStream) -> Fraction:
    aspect = stream.sample_aspect_ratio
    return (
        as_fraction(aspect) if aspect is not None and aspect.numerator > 0 and aspect.denominator > 0 else Fraction(1)
    )


def _rotation(matrix: tuple[int, ...] | None) -> int:
    """Return the nearest quarter turn, counter-clockwise, in degrees; mirroring does not count."""
    if matrix is None:
        return 0
    across, down = math.hypot(matrix[0], matrix[3]), math.hypot(matrix[1], matrix[4])
    if not across or not down:
        return 0
    angle = -math.degrees(math.atan2(matrix[1] / down, matrix[0] / across))
    return round(angle / 90) % 4 * 90


def _first_pictures(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream
) -> tuple[Fraction, dict[str, bytes]]:
    """Return the time of the first decoded picture, by the file's own clock, and the side data of the first ones."""
    base, codec = as_fraction(stream.time_base), stream.codec_context.codec.long_name
    start: Fraction | None = None
    side_data: dict[str, bytes] = {}
    left = _LOOKED_AT
    for packet in islice(container.demux(stream), _PROBED_FRAMES):
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, ValueError):  # broken at the beginning: BestSource skips it; or no decoder opens
            continue
        for frame in frames:
            if start is None:
                stamp = frame.pts if frame.pts is not None else stream.start_time
                start = stamp * base if stamp is not None else Fraction(0)
            side_data |= _side_data(packet, frame)
            left -= 1
        if left <= 0:
            break
    if start is None:
        raise ConvertError(f"{path}: no picture can be decoded from its video ({codec})")
    return start, side_data


def _side_data(packet: "av.packet.Packet[av.VideoStream]", frame: av.VideoFrame) -> dict[str, bytes]:
    """Return what a picture has beside its samples."""
    if packet.stream.codec_context.codec.canonical_name in ("png", "apng"):
        # PyAV 19 frees the name of a colour profile twice, which ends the process.
        return {"icc_profile": b""} if b"iCCP" in bytes(packet)[:_PNG_CHUNKS] else {}
    found = {kind.name.lower(): bytes(data) for kind, data in frame.side_data.items()}
    return {_NAMES.get(name, name): data for name, data in found.items()}


def _colours(context: av.VideoCodecContext) -> dict[str, int]:
    """Return what is said of colours, but for "unspecified", and limited range and chroma at the left, as assumed."""
    said = {
        "matrix": (context.colorspace, (2,)),
        "primaries": (context.color_primaries, (2,)),
        "transfer": (context.color_trc, (2,)),
        "range": (context.color_range, (0, 1)),
        "chroma location": (context.chroma_sample_location, (0, 1)),
    }
    return {name: int(value) for name, (value, nothing) in said.items() if int(value) not in nothing}


def as_fraction(value: object) -> Fraction:
    """Return a plain Fraction for FFmpeg's rational, 0 for a missing one (0:0)."""
    numerator = getattr(value, "numerator", 0)
    denominator = getattr(value, "denominator", 1)
    return Fraction(numerator, denominator) if denominator else Fraction(0)
