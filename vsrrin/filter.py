"""Filters for VapourSynth scripts."""

import inspect
import os
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from functools import wraps
from typing import Any, Concatenate

import vapoursynth as vs

from vsrrin.clip import graph
from vsrrin.clip.clip_checks import check_clip, make_timing
from vsrrin.engine.options import Options
from vsrrin.errors import VsrrinError


@dataclass(frozen=True)
class _Rate:
    factor: int | Fraction | str = 2
    _: KW_ONLY
    fps: int | Fraction | str | None = None
    timecodes: str | os.PathLike[str] | None = None


@dataclass(frozen=True)
class _Request(Options, _Rate):  # fields of the last base come first: factor, model, then all others by keyword
    model: str | os.PathLike[str] = "rrin_lite"


def _filter[**P, R](
    request: Callable[P, R],
) -> Callable[[Callable[[vs.VideoNode, R], vs.VideoNode]], Callable[Concatenate[vs.VideoNode, P], vs.VideoNode]]:
    """Make a filter of a function of a clip and a request.

    It takes the fields of the request as arguments, describes the options among them as `Options` does, and raises
    vs.Error under its own name.
    """

    def decorate(make: Callable[[vs.VideoNode, R], vs.VideoNode]) -> Callable[..., vs.VideoNode]:
        plain = inspect.signature(make)
        arguments = inspect.signature(request).parameters.values()
        signature = plain.replace(parameters=[*list(plain.parameters.values())[:1], *arguments])

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

        vars(filtered)["__signature__"] = signature
        own, options = (inspect.cleandoc(described.__doc__ or "") for described in (make, Options))
        shared = options.partition("\nAttributes:\n")[2].partition("\n\n")[0]
        filtered.__doc__ = own.replace("\n\nReturns:", f"\n{shared}\n\nReturns:")
        return filtered

    return decorate


@_filter(_Request)
def interpolate(clip: vs.VideoNode, request: _Request) -> vs.VideoNode:
    """Add frames between the frames of a clip.

    The output has the format, size and colour description of the input, and lasts as long: ``ceil(n * factor)``
    frames; after the start of the last source frame that frame is held. Frames that coincide with a source frame are
    that source frame, bit for bit. Any frame can be asked for in any order and by any number of threads, with the
    same result. Every output frame carries the properties listed in :mod:`vsrrin.clip.props`.

    Args:
        clip: GRAY, YUV or RGB of 8 to 16 bit, half or float, of constant format and size, progressive. A varying frame
            rate is fine.
        factor: Output frames per source frame, at least 1: an int, a Fraction or a text such as "5/2". 1 returns the
            clip. With a varying frame rate it must be whole; each frame's duration is then divided by it.
        fps: Output frame rate instead of ``factor``: an int, a Fraction or a text such as "60000/1001". With a varying
            frame rate it maps by the frames' durations, which are read from the whole clip at once unless
            ``timecodes`` gives them.
        timecodes: A timecode file (v2) of the clip, for ``fps`` with a varying frame rate.

    Returns:
        The interpolated clip.

    Raises:
        vapoursynth.Error: Beginning with "vsrrin.interpolate:"; while the graph is built, if anything about the
            arguments, the clip's first frame, the checkpoint or the device is not as it must be.
    """
    check_clip(clip)
    return graph.build(clip, make_timing(clip, request.factor, request.fps, request.timecodes), request)
