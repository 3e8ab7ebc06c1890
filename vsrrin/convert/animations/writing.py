"""Moving images, written by FFmpeg's encoders."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from vsrrin import files
from vsrrin.errors import ConvertError

from . import reading, webp
from .canvas import Canvas
from .kinds import Form, form_of
from .palette import TRANSPARENT, Palette, choose
from .parts import DamagedError, Picture, decode

FORMS: Mapping[str, Form] = {".gif": "GIF", ".apng": "APNG", ".webp": "WebP"}
"""Kinds of moving images by the extensions of their names."""

_LARGEST_UNIT = 65535


def unit(form: Form, time_base: Fraction) -> Fraction:
    """Return the seconds that times in a file are multiples of; ``time_base`` is that of the frames to write."""
    if form == "GIF":
        return Fraction(1, 100)
    return time_base if form == "APNG" and time_base.denominator <= _LARGEST_UNIT else Fraction(1, 1000)


def write(
    path: Path,
    form: Form,
    images: Sequence[Path],
    *,
    sources: Callable[[int], bool],
    ticks: Sequence[int],
    tick: Fraction,
    plays: int,
    quality: int | None,
) -> None:
    """Write a moving image, and read it to see that it is whole.

    Args:
        path: The file.
        form: Its kind.
        images: PNGs of its frames.
        sources: Whether a frame is one of the source.
        ticks: Times of the frames and the end, rising.
        tick: Seconds of one of them.
        plays: Times that it is played; 0 for ever.
        quality: Quality of a WebP from 0 to 100; ``None`` for lossless.

    Raises:
        ConvertError: It cannot be written, or is not whole.
    """
    options: dict[str, str] = {}
    last = ticks[-1] - ticks[-2]
    if form == "GIF":
        again = plays - 1 if plays > 1 else -plays  # FFmpeg has 0 for ever, and -1 for once
        codec, pixels, muxing = "gif", "pal8", {"loop": str(again), "final_delay": str(last)}
        frames = _indexed(images, sources)
    else:
        frames = ((picture, "rgba") for picture in _pictures(images))
        if form == "APNG":
            codec, pixels, options = "apng", "rgba", {"pred": "mixed"}
            muxing = {"plays": str(plays), "final_delay": str(last * tick)}
        else:
            codec, pixels, muxing = "libwebp_anim", "bgra", {"loop": str(plays)}
            options = {"lossless": "1"} if quality is None else {"quality": str(quality)}
    try:
        with av.open(files.url(path), "w", format=form.lower(), container_options=muxing) as container:
            _encode(container, container.add_stream(codec, options=options), pixels, frames, ticks, tick)
    except (av.FFmpegError, ValueError) as error:
        raise ConvertError(f"{path} cannot be written: {error}") from error
    if form == "WebP":
        _finish_webp(path, ticks[-1])
    _verify(path, images, ticks[-1] * tick, plays)


def _encode(
    container: av.container.OutputContainer,
    stream: Any,
    pixels: str,
    frames: Iterator[tuple[Any, str]],
    ticks: Sequence[int],
    tick: Fraction,
) -> None:
    for number, (picture, given) in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(picture, format=given)
        if number == 0:
            stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pixels
            stream.time_base = stream.codec_context.time_base = tick
        frame = frame.reformat(format=pixels) if given != pixels else frame
        frame.pts, frame.time_base, frame.duration = ticks[number], tick, ticks[number + 1] - ticks[number]
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _pictures(images: Sequence[Path]) -> Iterator[Picture]:
    for image in images:
        yield decode(image.read_bytes())


def _indexed(images: Sequence[Path], sources: Callable[[int], bool]) -> Iterator[tuple[Any, str]]:
    """Yield numbers of colours, and the palette, alpha first."""
    height, width = next(_pictures(images)).shape[:2]
    named = ((picture, sources(number)) for number, picture in enumerate(_pictures(images)))
    colours = choose(named, width * height * len(images))
    table = np.zeros((256, 4), np.uint8)
    table[: len(colours), 1:], table[:TRANSPARENT, 0] = colours, 255
    palette = Palette(colours)
    for picture in _pictures(images):
        yield (palette.numbers(picture), table), "pal8"


def _finish_webp(path: Path, end: int) -> None:
    """Set the time of the last frame, which FFmpeg does not."""
    if form_of(path) is None:
        raise ConvertError("all frames are one picture, of which WebP makes a still image: write .gif or .apng")
    data = bytearray(path.read_bytes())
    webp.set_end(data, end)
    path.write_bytes(data)


def _verify(path: Path, images: Sequence[Path], end: Fraction, plays: int) -> None:
    try:
        made = reading.load(path)
        canvas = Canvas(made)
        shapes = {canvas.frame(number).shape[:2] for number in range(len(made.parts))}
    except DamagedError as error:
        raise ConvertError(f"{path} is not as it should be: {error}. Is the disk damaged?") from error
    total = sum(part.duration for part in made.parts)
    wanted = next(_pictures(images)).shape[:2]
    if shapes != {wanted} or total != end or made.plays != plays:
        raise ConvertError(
            f"{path} is not as it should be: {float(total)} s, played {made.plays} times, not {float(end)} s, played "
            f"{plays} times"
        )
