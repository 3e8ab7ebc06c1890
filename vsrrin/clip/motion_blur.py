"""Motion blur: the mean of many new frames over the time that a shutter is open."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

import vapoursynth as vs

from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError

from . import frames, graph, props
from .frames import Colour
from .looping import looped
from .retiming import RetimedTiming, Seconds, exact
from .timing import FrameTime, SourceTimes

_MARKS = ("_SceneChangePrev", "_SceneChangeNext")
_MOST_SAMPLES = 31
"""Frames that VapourSynth averages at most."""
_LINEAR, _PQ, _HLG = 8, 16, 18
_GAMMA = 2.4
"""Exponent from sample values to light for all other transfer functions, whose differences do not show in a blur. As a
plain power, mirrored at 0, it has an exact inverse, whatever the value."""


def build(
    clip: vs.VideoNode,
    source: SourceTimes,
    options: Options,
    *,
    fps: Fraction,
    shutter: Seconds,
    samples: int,
    linear: bool,
    loop: bool,
) -> vs.VideoNode:
    """Return a clip whose frames are means of new frames around their moments.

    Args:
        clip: The source, as :func:`vsrrin.blur` takes it.
        source: Times of its frames.
        options: Options of interpolation.
        fps: Output rate.
        shutter: Degrees of which 360 are the whole time of an output frame.
        samples: New frames in each mean, an odd number.
        linear: Mix light instead of sample values.
        loop: Whether the first frame follows the last.

    Raises:
        VsrrinError: An argument is out of range, or see :func:`vsrrin.clip.graph.build`.
    """
    angle = exact(shutter)
    if angle is None or not 0 < angle <= 360:
        raise ArgumentError(f"shutter must be an angle above 0 and up to 360 degrees, not {shutter!r}")
    if (
        isinstance(samples, bool)
        or not isinstance(samples, int)
        or not 3 <= samples <= _MOST_SAMPLES
        or samples % 2 == 0
    ):
        raise ArgumentError(f"samples must be an odd number from 3 to {_MOST_SAMPLES}, not {samples!r}")
    length = -(-source.end * fps // 1)
    radius = samples // 2
    step = angle / 360 / fps / (samples - 1)

    def at(n: int) -> FrameTime:
        frame, sample = divmod(n, samples)
        moment = frame / fps + (sample - radius) * step
        if not loop:
            return source.find(max(moment, Fraction(0)))
        rounds, own = divmod(moment, source.end)
        place = source.find(own)
        left = place.left + rounds * clip.num_frames
        return FrameTime(left, left + 1, place.t)

    timing = RetimedTiming(source, length * samples, at, fps=fps * samples)
    beyond = ceil(radius * step / source.end)
    new = graph.build(*looped(clip, timing, options, loop=loop, beyond=beyond), options, name="blur")
    # The first and the last stand for half of the time between two: the shutter is open for the angle, exactly.
    weights = [1, *[2] * (samples - 2), 1]
    mixed = _light(new) if linear else new
    mean = mixed.std.AverageFrames(weights, scenechange=True)[radius::samples]
    if linear:
        mean = _samples(mean, new[radius::samples])
    mean = mean.std.AssumeFPS(fpsnum=fps.numerator, fpsden=fps.denominator)
    return mean.std.RemoveFrameProps(props.OF_ONE_FRAME).std.SetFrameProps(_VSRRIN_Kind="blur")


def _light(clip: vs.VideoNode) -> vs.VideoNode:
    """Return a clip as RGB in linear light."""
    blank = clip.std.BlankClip(format=vs.RGBS, keep=True)
    rgb = blank.std.ModifyFrame([clip, blank], _converted).std.CopyFrameProps(clip, props=_MARKS)
    transfer = _transfer(clip)
    if transfer in (_PQ, _HLG):
        return rgb.resize.Point(transfer_in=transfer, transfer=_LINEAR)
    return rgb if transfer == _LINEAR else _power(rgb, _GAMMA)


def _samples(light: vs.VideoNode, like: vs.VideoNode) -> vs.VideoNode:
    """Return a clip in linear light in the format and the transfer function of another."""
    transfer = _transfer(like)
    if transfer in (_PQ, _HLG):
        light = light.resize.Point(transfer_in=_LINEAR, transfer=transfer)
    elif transfer != _LINEAR:
        light = _power(light, 1 / _GAMMA)
    return like.std.ModifyFrame([light, like], _converted)


def _transfer(clip: vs.VideoNode) -> int:
    return frames.int_prop(clip.get_frame(0).props, "_Transfer", 0)


def _power(clip: vs.VideoNode, exponent: float) -> vs.VideoNode:
    return vs.core.std.Expr(clip, f"x abs {exponent} pow x 0 < -1 1 ? *")


def _converted(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
    """Return the picture of the first frame in the format and with the properties of the second."""
    image, like = frames.to_tensor(f[0], Colour.of_frame(f[0])), f[1]
    return frames.from_tensor(image, like, Colour.of_frame(like), vs.core.core)
