"""Filters for VapourSynth scripts."""

import inspect
import re
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Concatenate

import vapoursynth as vs

from vsrrin.clip import alpha, graph, mending, motion_blur, motion_clips, playing
from vsrrin.clip.clip_checks import check_clip, make_retiming, make_timing, source_times
from vsrrin.clip.looping import looped
from vsrrin.clip.requests import Blurring, Interpolating, Playing, Repairing, Retiming, Viewing
from vsrrin.clip.timing import Timing, parse_ratio
from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError, VsrrinError


def _filter[**P, R](
    request: Callable[P, R],
) -> Callable[[Callable[[vs.VideoNode, R], vs.VideoNode]], Callable[Concatenate[vs.VideoNode, P], vs.VideoNode]]:
    """Make a filter of a function of a clip and a request.

    The filter takes the fields of the request as arguments and raises vs.Error under its own name. Its docstring has
    the descriptions of `Options` in place of the request.
    """

    def decorate(make: Callable[[vs.VideoNode, R], vs.VideoNode]) -> Callable[..., vs.VideoNode]:
        plain = inspect.signature(make)
        arguments = inspect.signature(request).parameters.values()
        signature = plain.replace(parameters=[plain.parameters["clip"], *arguments])

        @wraps(make)
        def filtered(*given: Any, **named: Any) -> vs.VideoNode:
            try:
                bound = signature.bind(*given, **named).arguments
            except TypeError as error:
                raise TypeError(f"vsrrin.{make.__name__}: {error}") from None
            try:
                return make(bound.pop("clip"), request(**bound))  # type: ignore[call-arg]
            except VsrrinError as error:
                raise vs.Error(f"vsrrin.{make.__name__}: {error}") from error

        filtered.__signature__ = signature  # type: ignore[attr-defined]
        own, options = (inspect.cleandoc(described.__doc__ or "") for described in (make, Options))
        shared = options.partition("\nAttributes:\n")[2].partition("\n\n")[0]
        filtered.__doc__ = re.sub(r"    request: .*", lambda _: shared, own)
        return filtered

    return decorate


@_filter(Interpolating)
def interpolate(clip: vs.VideoNode, request: Interpolating) -> vs.VideoNode:
    """Add frames between the frames of a clip.

    The output has the format, size, colour description and length of the input: ``ceil(n * factor)`` frames, where
    the last source frame is held until its end. Output frames that coincide with a source frame are that frame, bit
    for bit. An ``_Alpha`` of the frames moves with the picture. Frames may be requested in any order and by any number
    of threads, with the same result. Each carries the properties listed in :mod:`vsrrin.clip.props`.

    Args:
        clip: GRAY, YUV or RGB of 8 to 16 bit, half or float, of constant format and size, progressive; its frame rate
            may vary.
        factor: Output frames per source frame, at least 1: an int, a Fraction or a text such as "5/2". 1 returns the
            clip, unless ``duplicates="spread"``. It must be whole if the frame rate varies; each frame's duration is
            then divided by it.
        fps: Output frame rate instead of ``factor``: an int, a Fraction or a text such as "60000/1001". If the
            frame rate varies, frames are mapped by their durations, which are read from the whole clip at once unless
            ``timecodes`` gives them.
        timecodes: A timecode file (v2) of the clip, for ``fps`` if the frame rate varies.
        loop: The first frame follows the last: what is shown after the last one's start lies between these two, so that
            the clip can be played in a loop without a jump, unless there is a cut. Marks of scene detectors do not
            count there.
        request: Factor or rate, and options, each given as an argument of its own.

    Returns:
        The interpolated clip.

    Raises:
        vapoursynth.Error: An argument, the clip's first frame, the checkpoint or the device cannot be used; raised
            while the graph is built, with a message that begins with "vsrrin.interpolate:".
    """
    return alpha.build(*_source(clip, request), request)


def _source(clip: vs.VideoNode, request: Interpolating) -> tuple[vs.VideoNode, Timing]:
    """Return the clip and the timing that a request is about."""
    check_clip(clip)
    timing = make_timing(clip, request.factor, request.fps, request.timecodes)
    return looped(clip, timing, request, loop=request.loop)


@_filter(Interpolating)
def proxy(clip: vs.VideoNode, request: Interpolating) -> vs.VideoNode:
    """Show what :func:`interpolate` would, with the nearest source frame in place of each new one.

    Length, rate, times, cuts and properties are the same, and no network is loaded: for scene detection, chunked
    encoding and quick looks.

    Args:
        clip: As for :func:`interpolate`.
        factor: As for :func:`interpolate`.
        fps: As for :func:`interpolate`.
        timecodes: As for :func:`interpolate`.
        loop: As for :func:`interpolate`.
        request: Those of :func:`interpolate`; the ones that say how new frames are made change nothing.

    Returns:
        A clip as :func:`interpolate` returns it, but for its pictures.

    Raises:
        vapoursynth.Error: See :func:`interpolate`; the message begins with "vsrrin.proxy:".
    """
    return graph.build(*_source(clip, request), request, proxy=True, name="proxy")


@_filter(Viewing)
def motion(clip: vs.VideoNode, request: Viewing) -> vs.VideoNode:
    """Show what the new frames of :func:`interpolate` are made of, in place of the frames.

    Length, rate, times, cuts and properties are those of :func:`interpolate` with the same arguments, so that a frame
    here belongs to the frame of the same number there.

    Args:
        clip: As for :func:`interpolate`. One with alpha is laid over black.
        kind: What is shown. "flow": motion from the left to the right source frame, RGBS: red is dx and green dy in
            pixels, of what is at this place in the new frame; 0 in frames that are not new. "confidence": how far
            the new frame can be trusted, before any fallback, see :mod:`vsrrin.flow.confidence`; 1 in frames that are
            not new. "mask": the share of the right source frame in the network's blend, of rrin_lite, balanced and
            other networks that have one; 0 in frames that are not new. Both are GRAY of the clip's depth and of full
            range, for ``std.MaskedMerge``. "sources": both source frames moved to the time of the new frame by the
            flow, side by side, in the clip's format; twice the same frame where it is not new.
        factor: As for :func:`interpolate`.
        fps: As for :func:`interpolate`.
        timecodes: As for :func:`interpolate`.
        request: Those of :func:`interpolate`; a ``fallback`` changes nothing.

    Returns:
        A clip of the same length, of the format of its kind.

    Raises:
        vapoursynth.Error: See :func:`interpolate`; the message begins with "vsrrin.motion:".
    """
    check_clip(clip)
    timing = make_timing(clip, request.factor, request.fps, request.timecodes)
    return motion_clips.build(clip, timing, request, request.kind)


@_filter(partial(Options, duplicates="spread"))
def dedup(clip: vs.VideoNode, request: Options) -> vs.VideoNode:
    """Replace frames that repeat the one before by new ones, so that what moved in steps moves evenly.

    This is :func:`vsrrin.interpolate` with a factor of 1 and ``duplicates="spread"``: frames, rate, times and all
    frames that repeat none stay as they are.

    Args:
        clip: As :func:`vsrrin.interpolate` takes it.
        request: Options, each given as an argument of its own.

    Returns:
        The clip with new frames in place of repeats.

    Raises:
        vapoursynth.Error: See :func:`vsrrin.interpolate`; the message begins with "vsrrin.dedup:".
    """
    check_clip(clip)
    return alpha.build(clip, make_timing(clip, 1), request, name="dedup")


@_filter(Retiming)
def retime(clip: vs.VideoNode, request: Retiming) -> vs.VideoNode:
    """Show a clip slower or faster, at one speed, by keyframes, or at moments of one's own, with the frames it needs.

    Times are exact. Output frames that coincide with a source frame are that frame, bit for bit; all others are made
    as :func:`interpolate` makes them, with the same properties. Sound is not changed: ``vsrrin convert`` stretches it.

    Args:
        clip: As for :func:`interpolate`; its frame rate may vary.
        speed: Seconds of the clip in a second of the output: 2 is twice as fast, "1/4" four times slower. Or
            keyframes, each the seconds of the clip and the speed from there on: ``[(0, 1), (2.5, "1/4"), (4, 1)]``.
        times: Moments of the clip in seconds, rising, one for each output frame, instead of ``speed``.
        fps: Output frame rate; that of the clip unless given. "variable" keeps every source frame and adds frames
            where they would be shown for longer than they were; durations then vary.
        ease: Course of the speed from one keyframe to the next: "none" (the first one's until the second), "linear", or
            "smooth", which begins and ends gently.
        timecodes: A timecode file (v2) of the clip if its frame rate varies; else its durations are read at once.
        loop: As for :func:`interpolate`.
        request: Speed and rate, and options, each given as an argument of its own.

    Returns:
        The retimed clip.

    Raises:
        vapoursynth.Error: An argument, the clip's first frame, the checkpoint or the device cannot be used; raised
            while the graph is built, with a message that begins with "vsrrin.retime:".
    """
    check_clip(clip)
    timing = make_retiming(
        clip,
        speed=request.speed,
        times=request.times,
        fps=request.fps,
        ease=request.ease,
        timecodes=request.timecodes,
    )
    return alpha.build(*looped(clip, timing, request, loop=request.loop), request, name="retime")


@_filter(Blurring)
def blur(clip: vs.VideoNode, request: Blurring) -> vs.VideoNode:
    """Blur what moves, as a camera does whose shutter is open for a part of each frame's time.

    Each output frame is the mean of new frames around its moment, which :func:`interpolate` makes. Still parts stay as
    they are, and nothing is mixed across a cut. ``_VSRRIN_Kind`` is "blur".

    Args:
        clip: As for :func:`interpolate`; its frame rate may vary.
        shutter: Time that the shutter is open, as an angle of which 360 is the whole time of an output frame: 180 is
            usual in film.
        fps: Output frame rate; that of the clip unless given. A lower one is smooth, as motion is blurred over it.
        samples: Frames in each mean, an odd number from 3 to 31. More are needed where things move far in a frame.
        linear: Mix light, as a camera does, instead of sample values: highlights leave brighter traces. Slower.
        timecodes: A timecode file (v2) of the clip if its frame rate varies; else its durations are read at once.
        loop: The first frame follows the last: the ends are blurred by what is beyond them.
        request: Shutter and rate, and options, each given as an argument of its own. The model is "draft" unless given,
            as errors of single frames do not show in a mean.

    Returns:
        The blurred clip.

    Raises:
        vapoursynth.Error: An argument, the clip's first frame, the checkpoint or the device cannot be used; raised
            while the graph is built, with a message that begins with "vsrrin.blur:".
    """
    check_clip(clip)
    source = source_times(clip, request.timecodes)
    rate = source.fps if request.fps is None else parse_ratio(request.fps, "fps")
    if rate is None:
        raise ArgumentError("fps must be given where the clip's rate varies")
    return motion_blur.build(
        clip,
        source,
        request,
        fps=rate,
        shutter=request.shutter,
        samples=request.samples,
        linear=request.linear,
        loop=request.loop,
    )


@_filter(Repairing)
def repair(clip: vs.VideoNode, request: Repairing) -> vs.VideoNode:
    """Replace damaged or missing frames by new ones, made of the healthy frames around them.

    All others stay as they are, bit for bit. Damaged frames that are given by number are never asked for, so that those
    which cannot be decoded can be replaced, too. Where a cut lies between the healthy frames on both sides, ``at_cut``
    decides; at the beginning and at the end of the clip the nearest healthy frame is held.

    Without numbers a detector looks for frames that are black, bright as by a flash, green or grey as decoders leave
    what is missing, torn between two pictures, or frozen where motion went on. It looks 12 frames ahead and back, and
    finds runs of at most 4 frames. Each frame says what it is in ``_VSRRIN_Damage``, "none" if it is healthy, and each
    run is logged once.

    Args:
        clip: As for :func:`interpolate`; its frame rate may vary.
        frames: Numbers of damaged frames, and ranges of them as tuples, first and last: ``[7, (20, 25)]``. Or the path
            of a file with a number or a range (``20-25``) in each line, and comments after ``#``. ``None`` looks for
            damaged frames.
        apply: Replace the frames that the detector finds, too; else they are only reported. Frames that are given are
            always replaced.
        request: Frames, and options, each given as an argument of its own.

    Returns:
        The repaired clip, of the same length and rate.

    Raises:
        vapoursynth.Error: An argument, the clip's first healthy frame, the checkpoint or the device cannot be used;
            raised while the graph is built, with a message that begins with "vsrrin.repair:".
    """
    if not isinstance(clip, vs.VideoNode):
        check_clip(clip)
    if not isinstance(request.apply, bool):
        raise ArgumentError(f"apply must be True or False, not {request.apply!r}")
    if request.frames is None:
        return mending.detected(clip, request, apply=request.apply)
    return mending.build(clip, mending.numbers(request.frames, clip.num_frames), request)


@_filter(Playing)
def play(clip: vs.VideoNode, request: Playing) -> vs.VideoNode:
    """Add frames to what a player shows, while it plays.

    For the ``video_in`` of mpv's filter "vapoursynth" and what is like it: a clip without end and rate, whose frames
    come one after the other with their durations. No frame is asked for while the script runs; each is asked for once,
    in order, at most one beyond the pair that is shown. The first frame that cannot be had is the end, until which the
    last one is held.

    With a factor, frame n depends on n alone. With a rate, it also depends on the durations of the source frames
    before it, counted from where the script was loaded, and where these are those of ``container_fps``, on n alone.
    With a budget, frames may be held instead of made, depending on the machine and what else it does: encode with
    :func:`interpolate`.

    Args:
        clip: ``video_in``, in any format that :func:`interpolate` takes. ``_Alpha`` does not move.
        container_fps: Frames per second as the player read them; rounded ones are taken for what they stand for. A
            value of 0, or one that cannot be, counts as not known.
        display_fps: Frames per second that the display shows.
        target: "display" for the display's rate, a whole number or a Fraction of frames for each source frame, or a
            rate as a text: "60", "60000/1001". The clip itself is returned if its rate is as high.
        budget: Part of real time that new frames may take, above 0 and up to 1. The best model for it is chosen, by a
            short measurement the first time. When making them takes longer than they are shown, single frames are
            held. ``None``: nothing is measured, and all frames are made.
        request: Rates, target, budget, and options, each given as an argument of its own. The model "auto" is
            "rrin_lite", "balanced" or "draft", and "draft" without a budget; ``overlays`` is
            "still" unless given; ``duplicates`` must be "keep".

    Returns:
        The clip to play.

    Raises:
        vapoursynth.Error: An argument, the clip's format, the checkpoint or the device cannot be used; the message
            begins with "vsrrin.play:".
    """
    return playing.build(
        clip,
        request,
        container_fps=request.container_fps,
        display_fps=request.display_fps,
        target=request.target,
        budget=request.budget,
    )
