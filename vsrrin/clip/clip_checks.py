"""Checks of source clips, their frame rates and durations."""

import os
from collections.abc import Sequence
from fractions import Fraction

import vapoursynth as vs

from vsrrin.engine import forks
from vsrrin.errors import ArgumentError

from . import frames, props
from .retiming import Ease, Moments, Pace, RetimedTiming, Speed
from .timing import (
    ConstantTiming,
    SourceTimes,
    Timing,
    VariableTiming,
    parse_ratio,
    read_timecodes,
    whole_durations,
)

_PROBED = 24
"""Frames in each of the three runs by which a frame rate is judged to be constant."""
MOST_READ = 10_000_000
"""Frames whose durations are read at most: four days at 30 per second, more than any file has. Players such as mpv give
clips of 134 million frames, whatever the file has, and reading those would take days."""
ROUNDING = Fraction(21, 10_000)
"""Seconds by which times and durations rounded to milliseconds differ from the true ones, alone or added up."""


def check_clip(clip: vs.VideoNode) -> vs.VideoFrame:
    """Check a clip as far as possible while the graph is built, and return its first frame.

    Raises:
        ArgumentError: It is no clip, its format or size varies or is not supported, it is interlaced or in GPU memory.
        BackendError: The process was forked from one that had used vsrrin.
    """
    check_format(clip)
    first = clip.get_frame(0)
    if frames.int_prop(first.props, "_FieldBased", 0):
        raise ArgumentError(
            "clip is interlaced (_FieldBased of its first frame): deinterlace it first, or, if it is not, "
            "clip.std.SetFieldBased(0)"
        )
    return first


def check_format(clip: vs.VideoNode) -> None:
    """Check a clip as far as possible without asking for a frame.

    Raises:
        ArgumentError: It is no clip, its format or size varies or is not supported, it is in GPU memory.
        BackendError: The process was forked from one that had used vsrrin.
    """
    forks.begin()
    if not isinstance(clip, vs.VideoNode):
        raise ArgumentError(f"clip must be a video node, not {clip!r} ({type(clip).__name__})")
    if clip.format is None or clip.format.color_family == vs.UNDEFINED:
        raise ArgumentError("clip has a variable format: make it constant first, for example with resize")
    if not clip.width or not clip.height:
        raise ArgumentError("clip has a variable size: make it constant first, for example with resize")
    frames.require_supported(clip.format)
    check_not_on_gpu(clip)


def check_not_on_gpu(clip: vs.VideoNode) -> None:
    """Check that frames are not in GPU memory (possible since R80), whose planes cannot be read.

    Raises:
        ArgumentError: They are.
    """
    if getattr(clip, "gpu_resident", False):
        raise ArgumentError("clip's frames are in GPU memory: use clip.std.GPUDownload() first")


def make_timing(
    clip: vs.VideoNode,
    factor: int | Fraction | str,
    fps: int | Fraction | str | None = None,
    timecodes: str | os.PathLike[str] | None = None,
) -> Timing:
    """Return the timing for a factor or a rate, of a clip that has passed `check_clip`.

    Args:
        clip: The clip.
        factor: Output frames per source frame.
        fps: Output frame rate instead, or ``None``.
        timecodes: A timecode file (v2) of a clip of varying rate, or ``None``.

    Raises:
        ArgumentError: The arguments contradict each other or the clip.
    """
    source_rate = frame_rate(clip)
    if fps is None:
        if timecodes is not None:
            raise ArgumentError("timecodes needs fps=RATE; a factor divides the durations that the frames carry")
        ratio = parse_ratio(factor, "factor")
        steady = ratio.denominator == 1 or not _rate_varies(clip)
        return ConstantTiming(clip.num_frames, ratio, source_rate if steady else None)
    if factor != 2:
        raise ArgumentError(f"give factor or fps, not both: factor is {factor!r}, fps is {fps!r}")
    rate = parse_ratio(fps, "fps")
    if timecodes is not None:
        return VariableTiming(read_timecodes(timecodes, clip.num_frames), rate)
    if not source_rate or _rate_varies(clip):
        return VariableTiming(_read_durations(clip), rate)
    return ConstantTiming.at_rate(clip.num_frames, source_rate, rate)


def make_retiming(
    clip: vs.VideoNode,
    *,
    speed: Speed | None,
    times: Moments | None,
    fps: int | Fraction | str | None,
    ease: Ease,
    timecodes: str | os.PathLike[str] | None,
) -> Timing:
    """Return the timing for a speed, or for moments of the source, of a clip that has passed `check_clip`.

    Args:
        clip: The clip.
        speed: A speed or keyframes.
        times: Seconds of the source for each output frame instead.
        fps: Output frame rate, "variable", or ``None`` for that of the clip.
        ease: Course of the speed between keyframes.
        timecodes: A timecode file (v2) of a clip of varying rate, or ``None``.

    Raises:
        ArgumentError: The arguments are not as they must be, or contradict each other or the clip.
    """
    if (speed is None) == (times is None):
        raise ArgumentError("give speed or times" + ("" if speed is None else ", not both"))
    if ease != "none" and (speed is None or isinstance(speed, str) or not isinstance(speed, Sequence)):
        raise ArgumentError(f"ease={ease!r} is the course between keyframes: give them as speed, or leave ease out")
    if fps == "variable" and times is not None:
        raise ArgumentError('fps="variable" needs speed; frames at given times are shown at a constant rate')
    source = source_times(clip, timecodes)
    if fps is None and source.fps is None:
        raise ArgumentError(
            "fps must be given where the clip's rate varies: a rate, or 'variable', which keeps all frames"
        )
    rate = source.fps if fps in (None, "variable") else parse_ratio(fps, "fps")
    if times is not None:
        assert rate is not None
        return RetimedTiming.at_moments(source, times, rate)
    assert speed is not None
    pace = Pace(speed, source.end, ease)
    if fps == "variable":
        return RetimedTiming.with_all_frames(source, pace)
    assert rate is not None
    return RetimedTiming.at_pace(source, pace, rate)


def source_times(clip: vs.VideoNode, timecodes: str | os.PathLike[str] | None) -> SourceTimes:
    """Return the times of a clip's frames, from a timecode file if there is one, else from rate or durations.

    Raises:
        ArgumentError: They are not known.
    """
    if timecodes is not None:
        return SourceTimes(read_timecodes(timecodes, clip.num_frames))
    rate = frame_rate(clip)
    if not rate or _rate_varies(clip):
        return SourceTimes(_read_durations(clip))
    return SourceTimes.steady(clip.num_frames, rate)


def _rate_varies(clip: vs.VideoNode) -> bool:
    """Return whether a rate varies, judged by runs of frames at the start, in the middle and at the end.

    What the clip claims does not count: source filters give files of variable rate their average. Durations rounded to
    milliseconds, as Matroska has them, are constant.
    """
    rate = frame_rate(clip)
    if not rate:
        return True
    starts = {0, max(clip.num_frames // 2 - _PROBED, 0), max(clip.num_frames - _PROBED, 0)}
    return any(_run_varies(clip[start : start + _PROBED], rate) for start in sorted(starts))


def _run_varies(clip: vs.VideoNode, rate: Fraction) -> bool:
    durations = [props.frame_duration(frame.props) for frame in clip.frames(close=True)]
    known = [duration for duration in durations if duration is not None]
    drift = abs(sum(known, Fraction(0)) - len(known) / rate)
    return drift > ROUNDING or any(abs(duration - 1 / rate) > ROUNDING for duration in known)


def _read_durations(clip: vs.VideoNode) -> list[Fraction]:
    if clip.num_frames > MOST_READ:
        raise ArgumentError(
            f"fps needs the durations of all frames, as the clip has no constant rate, and it has {clip.num_frames} "
            f"frames, as a player's endless clip; at most {MOST_READ} are read: use vsrrin.play, which reads none in "
            "advance, or give factor=N instead, or a rate by std.AssumeFPS first"
        )
    say(f"the frame rate varies: reading the durations of all {clip.num_frames} frames (timecodes=FILE is quicker)")
    return whole_durations(props.frame_duration(frame.props) for frame in clip.frames(close=True))


def frame_rate(clip: vs.VideoNode) -> Fraction | None:
    """Return a clip's frame rate, ``None`` if it varies or is not known."""
    return Fraction(clip.fps.numerator, clip.fps.denominator) if clip.fps.numerator else None


def say(message: str, *, warning: bool = False) -> None:
    """Log a message through VapourSynth; stdout may be the video."""
    kind = vs.MESSAGE_TYPE_WARNING if warning else vs.MESSAGE_TYPE_INFORMATION
    vs.core.log_message(kind, f"vsrrin: {message}")
