"""Moving images as sources of conversions.

A frame that is shown for much longer than most is a hold: it becomes two, of which the last is shown as long as most
are, so that the picture stays still until its last step. Else what moves after it would creep all the time.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from statistics import median_low

import vapoursynth as vs

from vsrrin.convert.images import frame_of
from vsrrin.convert.media.times import FrameTimes
from vsrrin.engine.options import Options
from vsrrin.errors import ConvertError

from . import apng, gif, webp
from .canvas import Canvas
from .kinds import Form, form
from .parts import Animation, DamagedError

_READERS: Mapping[Form, Callable[[memoryview], Animation]] = {"GIF": gif.read, "APNG": apng.read, "WebP": webp.read}
_MOST_PIXELS = 1 << 27
_HOLD = Options.longest_run
"""Multiple of the usual time of a frame from which it is a hold, as of repeated frames."""
_SRGB = {"_Matrix": vs.MATRIX_RGB, "_Primaries": vs.PRIMARIES_BT709, "_Transfer": 13, "_Range": 1}


@dataclass(frozen=True, kw_only=True)
class MovingImage:
    """A moving image as a clip.

    Attributes:
        clip: RGB24; its frames carry ``_Alpha`` if any of them is transparent anywhere.
        times: Times of the frames.
        form: The kind of file.
        plays: Times that it is played; 0 for ever.
        notes: Messages for the user.
    """

    clip: vs.VideoNode
    times: FrameTimes
    form: str
    plays: int
    notes: tuple[str, ...]


def open_moving(path: Path) -> MovingImage:
    """Open a moving image.

    Args:
        path: A file for which :func:`vsrrin.convert.animations.kinds.form_of` has an answer.

    Raises:
        ConvertError: It cannot be read, or is damaged or cut off.
    """
    try:
        animation = load(path)
        canvas = Canvas(animation)
        opaque = canvas.is_opaque()
    except DamagedError as error:
        raise ConvertError(f"{path} is damaged or incomplete: {error}. Get the file again") from error
    durations = [part.duration for part in animation.parts]
    shown = list(_holds(durations))
    starts = list(accumulate((duration for _, duration in shown), initial=Fraction(0)))
    notes = animation.notes
    if held := len(shown) - len(durations):
        notes += (f"frames shown for more than {_HOLD} times as long as most stay still until their last step: {held}",)
    return MovingImage(
        clip=_clip(animation, canvas, shown, opaque=opaque),
        times=FrameTimes(tuple(starts[:-1]), shown[-1][1], exact=True),
        form=animation.form,
        plays=animation.plays,
        notes=notes,
    )


def load(path: Path) -> Animation:
    """Read the frames of a moving image, without decoding them.

    Raises:
        ConvertError: The file cannot be read.
        DamagedError: It is no moving image, or damaged, cut off or too large.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConvertError(f"{path} cannot be read: {error.strerror or error}") from error
    if (kind := form(data)) is None:
        raise DamagedError("it is no GIF, APNG or animated WebP")
    animation = _READERS[kind](memoryview(data))
    sizes = [(animation.width, animation.height), *((part.width, part.height) for part in animation.parts)]
    for width, height in sizes:
        if width * height > _MOST_PIXELS:
            raise DamagedError(f"it says that it, or a frame of it, is {width}x{height} pixels large")
    return animation


def _holds(durations: list[Fraction]) -> Iterator[tuple[int, Fraction]]:
    """Yield the number of each frame to show, and for how long; holds come twice."""
    usual = median_low(durations)
    for number, duration in enumerate(durations):
        if duration > _HOLD * usual:
            yield number, duration - usual
            duration = usual
        yield number, duration


def _clip(animation: Animation, canvas: Canvas, shown: list[tuple[int, Fraction]], *, opaque: bool) -> vs.VideoNode:
    blank = vs.core.std.BlankClip(
        width=animation.width, height=animation.height, format=vs.RGB24, length=len(shown), keep=True
    )
    alpha = vs.core.get_video_format(vs.GRAY8)

    def load(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        number, duration = shown[n]
        try:
            picture = canvas.frame(number)
        except DamagedError as error:
            raise ConvertError(str(error)) from error
        planes = [picture[..., channel] for channel in range(4)]
        frame = frame_of(planes[:3], blank.format)
        if not opaque:
            frame.props["_Alpha"] = frame_of(planes[3:], alpha)
        frame.props.update({**_SRGB, "_DurationNum": duration.numerator, "_DurationDen": duration.denominator})
        return frame

    return blank.std.ModifyFrame(blank, load)
