"""Exact presentation times of a file's video frames, read without decoding."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from vsrrin import files
from vsrrin.errors import ConvertError

from .matroska import missing_bytes
from .probe import as_fraction

# Formats that state their length, and seconds by which it may be wrong.
_STATES_LENGTH = {"matroska", "webm", "mov", "mp4"}
_LENGTH_TOLERANCE = Fraction(1)


@dataclass(frozen=True)
class FrameTimes:
    """Presentation times of a video's frames.

    Attributes:
        starts: Seconds of the file's own clock, strictly rising.
        last_duration: Seconds of the last frame's duration.
        rates: Frames per second that the file claims, the most trustworthy first; they may be wrong.
    """

    starts: tuple[Fraction, ...]
    last_duration: Fraction
    rates: tuple[Fraction, ...] = ()

    @property
    def end(self) -> Fraction:
        """End of the last frame, in seconds."""
        return self.starts[-1] + self.last_duration


def read_times(path: Path, track: int, decoded: int) -> FrameTimes:
    """Return the times of all frames of a video stream.

    Args:
        path: The file.
        track: Index of the stream.
        decoded: Number of frames that a decoder finds in it.

    Raises:
        ConvertError: The file is damaged or cut off: frames are missing, or the end is.
    """
    try:
        with av.open(files.url(path)) as container:
            rates = _claimed(container.streams[track])
            if "matroska" in container.format.name and (missing := missing_bytes(path)):
                raise _damaged(path, f"its last {missing} bytes are missing")
            found, end, corrupt = _demux(container, track)
            if corrupt is not None:
                raise _damaged(path, f"parts of its video at {float(corrupt):.2f} s are missing")
            _check_end(path, container, end)
        if len(found) != decoded:
            found = _decode(path, track)
    except av.error.FFmpegError as error:
        raise _damaged(path, f"its video stops with an error: {error}") from error
    if len(found) != decoded:
        raise _damaged(path, f"its video has {len(found)} frames, of which {decoded} can be decoded")
    starts = tuple(sorted(found))
    if len(set(starts)) != len(starts):
        raise _damaged(path, "two of its video frames have the same time")
    before = starts[-1] - starts[-2] if len(starts) > 1 else 1 / (rates or (Fraction(25),))[0]
    return FrameTimes(starts, found[starts[-1]] or before, rates)


def _claimed(stream: av.stream.Stream) -> tuple[Fraction, ...]:
    assert isinstance(stream, av.VideoStream)
    rates = (as_fraction(rate) for rate in (stream.base_rate, stream.average_rate, stream.guessed_rate))
    return tuple(dict.fromkeys(rate for rate in rates if rate > 0))


def _damaged(path: Path, what: str) -> ConvertError:
    return ConvertError(
        f"{path} is damaged or incomplete: {what}. Get the file again, or repair it first (for example with "
        "mkvmerge, or ffmpeg -i FILE -c copy NEW) and convert what is left"
    )


def _demux(
    container: av.container.InputContainer, track: int
) -> tuple[dict[Fraction, Fraction | None], Fraction, Fraction | None]:
    """Read all packets.

    Returns:
        Start and duration, if known, of the stream's packets; end of the last packet of any stream; start of the
        stream's first damaged packet.
    """
    found: dict[Fraction, Fraction | None] = {}
    corrupt: Fraction | None = None
    end = Fraction(0)
    for packet in container.demux():
        if packet.pts is None or not packet.size:
            continue
        base = as_fraction(packet.time_base)
        start, duration = packet.pts * base, (packet.duration or 0) * base
        end = max(end, start + duration)
        if packet.stream_index == track and not packet.is_discard:
            found[start] = duration or None
            corrupt = start if packet.is_corrupt and corrupt is None else corrupt
    return found, end, corrupt


def _decode(path: Path, track: int) -> dict[Fraction, Fraction | None]:
    """Decode all frames, up to the first error, where packets are not frames (VP8 has hidden ones)."""
    with av.open(files.url(path)) as container:
        stream = container.streams[track]
        assert isinstance(stream, av.VideoStream)
        stream.codec_context.options = {"err_detect": "explode"}
        found: dict[Fraction, Fraction | None] = {}
        for packet in container.demux(stream):
            for frame in packet.decode():
                if frame.pts is not None and frame.time_base is not None:
                    base = as_fraction(frame.time_base)
                    found[frame.pts * base] = (frame.duration or 0) * base or None
    return found


def _check_end(path: Path, container: av.container.InputContainer, end: Fraction) -> None:
    stated = container.duration
    if stated is None or not _STATES_LENGTH & set(container.format.name.split(",")):
        return
    length, begin = Fraction(stated, 1_000_000), Fraction(container.start_time or 0, 1_000_000)
    if end - min(begin, Fraction(0)) < length - _LENGTH_TOLERANCE:
        raise _damaged(path, f"it says that it lasts {float(length):.2f} s, but it ends after {float(end):.2f} s")
