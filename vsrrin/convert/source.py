"""Sources of conversions: video files through BestSource, or clips; trimmed, and with exact times."""

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path

import vapoursynth as vs

from vsrrin.clip import damage_score, scene_score
from vsrrin.clip.clip_checks import ROUNDING, frame_rate
from vsrrin.clip.timing import ntsc_near
from vsrrin.convert.media import side_alpha
from vsrrin.convert.media.probe import MediaInfo, StreamInfo, begun, probe
from vsrrin.convert.media.streams import Cut
from vsrrin.convert.media.times import FrameTimes, read_times
from vsrrin.errors import ArgumentError, ConvertError

from .animations.kinds import form_of
from .animations.reading import open_moving
from .decoder import open_video, turned
from .side_alpha import attach
from .work_folder import fingerprint

Moment = Fraction | int
"""Seconds since the beginning of the file as a Fraction, or the number of a frame as an int."""


_LOOKED_AT = scene_score.RADIUS + 2 + damage_score.RADIUS + damage_score.LONGEST
"""Frames before and after a pair that an output frame may need, as cuts and damage are judged by their neighbours."""
_LONGEST_DAMAGE = 1000
"""Frames in a row that are tried once one of them cannot be read."""


class FrameError(ConvertError):
    """Output frame that cannot be made.

    Args:
        message: The reason.
        number: The output frame.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True)
class ClipSource:
    """Source that is no video file.

    Attributes:
        open: Returns the clip, of constant format, size and rate.
        signature: Values that identify the source, as JSON can hold them.
        notes: Messages for the user.
    """

    open: Callable[[], vs.VideoNode]
    signature: Mapping[str, object]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """Opened source.

    Attributes:
        clip: Frames to convert.
        info: Facts about the file; for a clip, those of a file without other streams.
        times: Times of the clip's frames, in seconds since the beginning of the file.
        rate: Frames per second, ``None`` if it varies.
        cut: Part of the file that the clip is.
        numbers: Numbers of the clip's frames in the file.
        whole: Number of all frames of the file.
        signature: Values that identify the source, as JSON can hold them.
        notes: Messages for the user.
        plays: Times that a moving image is played, 0 for ever; ``None`` for all else.
    """

    clip: vs.VideoNode
    info: MediaInfo
    times: FrameTimes
    rate: Fraction | None
    cut: Cut
    numbers: range
    whole: int
    signature: Mapping[str, object]
    notes: tuple[str, ...] = ()
    plays: int | None = None

    @property
    def duration(self) -> Fraction:
        """Seconds from the clip's first frame to the end of its last."""
        return self.times.end - self.times.starts[0]


def open_file(path: Path, *, start: Moment | None = None, end: Moment | None = None, turn: bool = False) -> Source:
    """Open a video file, or a moving image.

    Args:
        path: The file.
        start: First moment used; ``None`` for the beginning.
        end: First moment left out; ``None`` for the end.
        turn: Turn the frames as a player would; otherwise they stay as stored.

    Raises:
        ConvertError: The file cannot be read, is damaged at ``start``, or has no video.
        ArgumentError: ``start`` and ``end`` leave nothing.
    """
    if form_of(path) is not None:
        return _open_moving(path, start=start, end=end)
    info = probe(path)
    clip = open_video(path, info.video_track)
    absolute = read_times(path, info.video_track, clip.num_frames, info.start + info.video_start)
    notes = absolute.notes
    if info.video.codec in side_alpha.CODECS:
        clip, said = attach(clip, path, info.video_track, absolute.starts)
        notes += said
    if turn:
        clip = turned(clip)
    info = begun(info, min(info.start, absolute.starts[0]))
    times = replace(absolute, starts=tuple(start - info.start for start in absolute.starts))
    return _source(clip, info, times, signature=fingerprint(path), notes=notes, start=start, end=end)


def open_clip(source: ClipSource, path: Path, *, start: Moment | None = None, end: Moment | None = None) -> Source:
    """Open a clip in place of a file.

    Args:
        source: The clip.
        path: Its name in messages.
        start: First frame or moment used; ``None`` for the beginning.
        end: First frame or moment left out; ``None`` for the end.

    Raises:
        ConvertError: The clip's rate is not constant, or its first frame cannot be made.
        ArgumentError: ``start`` and ``end`` leave nothing.
    """
    clip = source.open()
    rate = frame_rate(clip)
    if rate is None:
        raise ConvertError(f"{path}: the clip has no constant frame rate")
    times = FrameTimes(tuple(number / rate for number in range(clip.num_frames)), 1 / rate, (rate,))
    info = _pictures_alone(path, times.end, 1 / rate)
    return _source(clip, info, times, signature=source.signature, notes=source.notes, start=start, end=end)


def _open_moving(path: Path, *, start: Moment | None, end: Moment | None) -> Source:
    moving = open_moving(path)
    info = _pictures_alone(path, moving.times.end, Fraction(1, 1000))
    source = _source(
        moving.clip, info, moving.times, signature=fingerprint(path), notes=moving.notes, start=start, end=end
    )
    return replace(source, plays=moving.plays)


def _pictures_alone(path: Path, duration: Fraction, tick: Fraction) -> MediaInfo:
    """Return the facts of a file without other streams."""
    stream = StreamInfo(
        index=0,
        kind="video",
        codec="rawvideo",
        time_base=tick,
        start=Fraction(0),
        duration=duration,
        language=None,
        metadata={},
        disposition=0,
        is_picture=False,
    )
    return MediaInfo(
        path=path,
        format="clip",
        start=Fraction(0),
        duration=duration,
        video=stream,
        video_track=0,
        others=(),
        chapters=(),
        metadata={},
        rotation=0,
        sample_aspect=Fraction(1),
        video_start=Fraction(0),
    )


def _source(
    clip: vs.VideoNode,
    info: MediaInfo,
    times: FrameTimes,
    *,
    signature: Mapping[str, object],
    notes: tuple[str, ...] = (),
    start: Moment | None,
    end: Moment | None,
) -> Source:
    rate = steady_rate(times)
    if rate is not None:
        clip = clip.std.AssumeFPS(fpsnum=rate.numerator, fpsden=rate.denominator)
    first, last = _number(times, start, 0), _number(times, end, clip.num_frames)
    if first >= last:
        raise ArgumentError(
            f"no frame of {info.path} is from {_said(start, 'the beginning')} to {_said(end, 'the end')}: it has "
            f"{clip.num_frames} frames, from {float(times.starts[0]):.3f} to {float(times.end):.3f} s"
        )
    used = clip[first:last]
    _check_first_frame(used)
    part = replace(times, starts=times.starts[first:last])
    if last < clip.num_frames:
        part = replace(part, last_duration=times.starts[last] - times.starts[last - 1])
    begin = _second(times, start, Fraction(0))
    finish = None if end is None or last == clip.num_frames else _second(times, end, times.end)
    return Source(
        clip=used,
        info=info,
        times=part,
        rate=rate,
        cut=Cut(begin, finish),
        numbers=range(first, last),
        whole=clip.num_frames,
        signature=signature,
        notes=notes,
    )


def _check_first_frame(clip: vs.VideoNode) -> None:
    """Check that the first frame can be made, which all preparation looks at."""
    try:
        clip.get_frame(0).close()
    except vs.Error as error:
        raise ConvertError(reason(error)) from error


def reason(error: vs.Error) -> str:
    """Return the message for a frame that failed, without the traceback that VapourSynth adds in callbacks."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = re.sub(r"^(vsrrin|vapoursynth)\.[\w.]*Error: ", "", lines[-1]) if lines else "no reason is known"
    return f"a frame could not be made: {last}"


def unreadable(error: FrameError, source: Source, near: int) -> ConvertError:
    """Return the error for an output frame that failed, with the first source frames that cannot be read, and times.

    Args:
        error: The failure.
        source: The source.
        near: Source frame that the output frame lies after.
    """
    first = max(near - _LOOKED_AT, 0)
    reasons = {number: why for number in range(first, near + _LOOKED_AT + 2) if (why := _failure(source, number))}
    if not reasons:
        return error
    bad, starts = min(reasons), source.times.starts
    good = bad + 1
    while good <= bad + _LONGEST_DAMAGE and _failure(source, good):
        good += 1
    which = f"the frame at {float(starts[bad]):.3f} s (number {bad} of those used)"
    if good > bad + 1:
        which = (
            f"the frames from {float(starts[bad]):.3f} to {float(starts[good - 1]):.3f} s "
            f"(numbers {bad} to {good - 1} of those used)"
        )
    parts = []
    if bad > 0:
        parts.append(f'the part before (end="{_milliseconds(starts[bad])}")')
    if good < len(starts):
        parts.append(f'what comes after (start="{_milliseconds(starts[good])}")')
    advice = f"Convert {' and '.join(parts)}, or repair" if parts else "Repair"
    return ConvertError(f"{source.info.path}: {which} cannot be read: {reasons[bad]}. {advice} the file first")


def _failure(source: Source, number: int) -> str | None:
    """Return why a frame of a source cannot be read; ``None`` if it can, or is none."""
    if number >= len(source.times.starts):
        return None
    try:
        source.clip.get_frame(number).close()
    except vs.Error as error:
        return reason(error).removeprefix("a frame could not be made: ")
    return None


def _milliseconds(moment: Fraction) -> str:
    """Return a moment in seconds, not later than it is, so that as a bound it takes the frame in or leaves it out."""
    return f"{floor(moment * 1000) / 1000:.3f}"


def _number(times: FrameTimes, moment: Moment | None, default: int) -> int:
    """Return the first frame that is not before a moment."""
    if moment is None:
        return default
    if isinstance(moment, int):
        return min(max(moment, 0), len(times.starts))
    return bisect_left(times.starts, moment)


def _second(times: FrameTimes, moment: Moment | None, default: Fraction) -> Fraction:
    if moment is None:
        return default
    if isinstance(moment, int):
        return times.starts[moment] if 0 < moment < len(times.starts) else default
    return max(moment, Fraction(0))


def _said(moment: Moment | None, default: str) -> str:
    if moment is None:
        return default
    return f"frame {moment}" if isinstance(moment, int) else f"{float(moment):.3f} s"


def steady_rate(times: FrameTimes) -> Fraction | None:
    """Return the constant rate of all times, up to rounding to milliseconds unless they are exact; ``None`` if none."""
    starts = times.starts
    if len(starts) == 1:
        return 1 / times.last_duration
    if times.exact:
        durations = {after - before for before, after in pairwise([*starts, times.end])}
        return 1 / durations.pop() if len(durations) == 1 else None
    average = (len(starts) - 1) / (starts[-1] - starts[0])
    for rate in (*times.rates, ntsc_near(average), Fraction(round(average)), average.limit_denominator(1001)):
        if rate and all(abs(start - starts[0] - number / rate) <= ROUNDING for number, start in enumerate(starts)):
            return rate
    return None
