"""Exact presentation times of a file's video frames, read without decoding."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import av.logging

from vsrrin import files
from vsrrin.errors import ConvertError

from .matroska import missing_bytes
from .probe import as_fraction
from .spread import apart, explaining_rate, filled

# Formats that state their length, and seconds by which it may be wrong.
_STATES_LENGTH = {"matroska", "webm", "mov", "mp4"}
_LENGTH_TOLERANCE = Fraction(1)
_JUMP = Fraction(1, 2)
"""Seconds by which times go back where another recording begins; less is rounding."""


@dataclass(frozen=True)
class FrameTimes:
    """Presentation times of a video's frames.

    Attributes:
        starts: Seconds of the file's own clock, strictly rising.
        last_duration: Seconds of the last frame's duration.
        rates: Frames per second that the file claims, the most trustworthy first; they may be wrong.
        notes: Messages for the user.
        exact: Whether nothing is rounded or guessed, the last duration included.
    """

    starts: tuple[Fraction, ...]
    last_duration: Fraction
    rates: tuple[Fraction, ...] = ()
    notes: tuple[str, ...] = ()
    exact: bool = False

    @property
    def end(self) -> Fraction:
        """End of the last frame, in seconds."""
        return self.starts[-1] + self.last_duration


@dataclass(frozen=True, slots=True)
class _Frame:
    """Time and duration of a packet or frame in seconds, ``None`` if unknown."""

    start: Fraction | None
    duration: Fraction | None
    is_key: bool = False
    is_corrupt: bool = False


@dataclass(frozen=True)
class _Claims:
    """Facts that a file states of a stream: rates, that of its decoder, and the unit of its times."""

    rates: tuple[Fraction, ...]
    rate: Fraction
    tick: Fraction


def read_times(path: Path, track: int, decoded: int, first: Fraction) -> FrameTimes:
    """Return the times of all frames of a video stream that can be decoded.

    Args:
        path: The file.
        track: Index of the stream.
        decoded: Number of frames that a decoder finds in it.
        first: Time of the first of them by the file's own clock. Frames before it, which refer to others before the
            file's beginning, are left out, and it is said.

    Raises:
        ConvertError: The file is damaged or cut off: frames are missing, or the end is; or its times begin anew midway.
    """
    try:
        with _errors_of_reading() as errors, av.open(files.url(path)) as container:
            claims, begins = _claims(container.streams[track]), _begins(container, track)
            demuxer = container.format.name
            has_header = bool(_STATES_LENGTH & set(demuxer.split(",")))
            if "matroska" in demuxer and (missing := missing_bytes(path)):
                raise _damaged(path, f"its last {missing} bytes are missing")
            packets, end = _demux(path, container, track)
            _check_end(path, container, end)
        early = [packet for packet in packets if packet.start is not None and packet.start < first]
        late = [packet for packet in packets if packet.start is None or packet.start >= first]
        _check_whole(path, late)
        found, left_out = _times(packets, decoded, claims), []
        if found is None:
            left_out = early
            found = _times(late, decoded, claims) or _times(_decode(path, track), decoded, claims)
    except av.error.FFmpegError as error:
        raise _damaged(path, f"its video stops with an error: {error}") from error
    if found is None:
        raise _damaged(path, f"its video has {len(late)} frames, of which {decoded} can be decoded")
    if has_header and any(packet.is_key for packet in left_out):  # such files begin with a frame that needs no other
        raise _damaged(path, f"its video cannot be decoded before {float(first):.2f} s")
    if left_out:
        found = replace(found, notes=(_said(left_out, first), *found.notes))
    if damage := next((text for source, text in errors if source == demuxer), None):
        note = f"the file is damaged, frames or sound may be missing: {damage}"
        found = replace(found, notes=(*found.notes, note))
    if begins is None:
        return found
    delay = min((packet.start for packet in early if packet.start is not None), default=found.starts[0])
    return replace(found, starts=tuple(start - delay + begins for start in found.starts))


def _times(frames: Sequence[_Frame], decoded: int, claims: _Claims) -> FrameTimes | None:
    """Return the times of frames; ``None`` if their number is not that of the decoded ones."""
    known = {frame.start: frame.duration for frame in frames if frame.start is not None}
    rates = claims.rates
    if len(known) == decoded:
        starts = sorted(known)
        before = starts[-1] - starts[-2] if len(starts) > 1 else 1 / (rates or (Fraction(25),))[0]
        return FrameTimes(tuple(starts), known[starts[-1]] or before, rates)
    if len(frames) != decoded:
        return None
    if not known:
        rate = claims.rate
        note = f"the video has no times: it is taken for one of {float(rate):.6g} frames per second"
        return _steady(Fraction(0), rate, decoded, note)
    unknown = sum(frame.start is None for frame in frames)
    starts = sorted(filled([frame.start for frame in frames], 1 / claims.rate))
    alike = len(starts) - len(set(starts))
    what = f"frames without a time: {unknown}" if unknown else f"frames at the time of another: {alike}"
    rate_of_all = explaining_rate(starts, rates, claims.tick) if alike else None
    if rate_of_all is not None:
        note = f"{what}; the video is taken for one of {float(rate_of_all):.6g} frames per second, rounded"
        return _steady(starts[0], rate_of_all, decoded, note)
    distinct = sorted(set(starts))
    last = known.get(starts[-1]) or (distinct[-1] - distinct[-2] if len(distinct) > 1 else decoded / claims.rate)
    spread = apart(starts, starts[-1] + last)
    return FrameTimes(tuple(spread), starts[-1] + last - spread[-1], rates, (f"{what}; they are spread evenly",))


def _steady(start: Fraction, rate: Fraction, frames: int, note: str) -> FrameTimes:
    return FrameTimes(tuple(start + number / rate for number in range(frames)), 1 / rate, (rate,), (note,))


def _begins(container: av.container.InputContainer, track: int) -> Fraction | None:
    """Return the time of a stream's first frame where FFmpeg would count in the delay of its decoder.

    That is so without a clock, and in AVI, which has places for frames but no times of their presentation.
    """
    stream = container.streams[track]
    if stream.start_time is None:
        return Fraction(0)
    return stream.start_time * as_fraction(stream.time_base) if container.format.name == "avi" else None


def _said(left_out: Sequence[_Frame], first: Fraction) -> str:
    starts = {packet.start for packet in left_out if packet.start is not None}
    count = "a frame" if len(starts) == 1 else f"{len(starts)} frames"
    return (
        f"the video begins in the middle: {count} ({float(first - min(starts)):.2f} s) before the first that can be "
        "decoded without others are left out"
    )


def _claims(stream: av.stream.Stream) -> _Claims:
    assert isinstance(stream, av.VideoStream)
    rates = (as_fraction(rate) for rate in (stream.base_rate, stream.average_rate, stream.guessed_rate))
    claimed = tuple(dict.fromkeys(rate for rate in rates if rate > 0))
    rate = as_fraction(stream.guessed_rate) or (*claimed, Fraction(25))[0]
    return _Claims(claimed, rate, as_fraction(stream.time_base))


def _damaged(path: Path, what: str) -> ConvertError:
    return ConvertError(
        f"{path} is damaged or incomplete: {what}. Get the file again, or repair it first (for example with "
        "mkvmerge, or ffmpeg -i FILE -c copy NEW) and convert what is left"
    )


def _check_whole(path: Path, packets: Sequence[_Frame]) -> None:
    for packet in packets:
        if packet.is_corrupt:
            where = f" at {float(packet.start):.2f} s" if packet.start is not None else ""
            raise _damaged(path, f"parts of its video{where} are missing")


@contextmanager
def _errors_of_reading() -> Iterator[list[tuple[str, str]]]:
    """Yield a list that gets what FFmpeg says of damage in this thread: what says it, and the text."""
    said: list[tuple[str, str]] = []
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as logs:
            yield said
            said += ((name, " ".join(text.split())) for _, name, text in logs)
    finally:
        av.logging.set_level(level)


def _demux(path: Path, container: av.container.InputContainer, track: int) -> tuple[list[_Frame], Fraction]:
    """Read all packets, and return those of the stream, and the end of the last packet of any stream."""
    found: list[_Frame] = []
    end, before = Fraction(0), None
    for packet in container.demux():
        if not packet.size or (packet.pts is None and packet.stream_index != track):
            continue
        base = as_fraction(packet.time_base)
        start, duration = packet.pts * base if packet.pts is not None else None, (packet.duration or 0) * base
        end = max(end, start + duration) if start is not None else end
        if packet.stream_index != track or packet.is_discard:
            continue
        found.append(_Frame(start, duration or None, packet.is_keyframe, packet.is_corrupt))
        if packet.dts is not None:
            if before is not None and (packet.dts - before) * base < -_JUMP:
                raise _joined(path, before * base, packet.dts * base)
            before = packet.dts
    return found, end


def _joined(path: Path, before: Fraction, after: Fraction) -> ConvertError:
    return ConvertError(
        f"the times of {path} go back from {float(before):.2f} to {float(after):.2f} s midway, as where several "
        "recordings were put into one file: convert them one by one, or give them one clock first (ffmpeg -i FILE -map "
        "0 -c copy NEW.mkv)"
    )


def _decode(path: Path, track: int) -> list[_Frame]:
    """Decode all frames, up to the first error after one, where packets are not frames (VP8 has hidden ones)."""
    with av.open(files.url(path)) as container:
        stream = container.streams[track]
        assert isinstance(stream, av.VideoStream)
        stream.codec_context.options = {"err_detect": "explode"}
        found: list[_Frame] = []
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, ValueError):  # the latter where no decoder opens
                if found:
                    raise
                continue  # the stream begins in the middle
            for frame in frames:
                if frame.pts is not None and frame.time_base is not None:
                    base = as_fraction(frame.time_base)
                    found.append(_Frame(frame.pts * base, (frame.duration or 0) * base or None))
    return found


def _check_end(path: Path, container: av.container.InputContainer, end: Fraction) -> None:
    stated = container.duration
    if stated is None or not _STATES_LENGTH & set(container.format.name.split(",")):
        return
    length, begin = Fraction(stated, 1_000_000), Fraction(container.start_time or 0, 1_000_000)
    if end - min(begin, Fraction(0)) < length - _LENGTH_TOLERANCE:
        raise _damaged(path, f"it says that it lasts {float(length):.2f} s, but it ends after {float(end):.2f} s")
