"""Decoding of video files to 8-bit RGB pictures.

FFmpeg's way to RGB, left alone, takes every file that names no matrix for BT.601 (on BT.709 that was wrong by up to 16
levels), and is 1 to 2 levels too dark with all files, more from 10 bit. So matrix and range are told to it, guessed by
the filter's rule where the file is silent, and its exact arithmetic is asked for: measured against floating point, no
sample is off by more than rounding. Chroma is repeated over its block, not smoothed and wherever its samples are sited,
because that is how the filter shows frames to a network (:mod:`vsrrin.clip.frames`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import vapoursynth as vs
from av.video.reformatter import ChromaLocation, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from training.errors import DatasetError
from vsrrin import files
from vsrrin.clip.frames import Colour
from vsrrin.convert.media.probe import as_fraction, probe
from vsrrin.errors import ConvertError, VsrrinError

type Picture = NDArray[np.uint8]
"""(H, W, 3), RGB."""

VIDEO_SUFFIXES = (
    *(".mp4", ".mkv", ".mov", ".webm", ".avi", ".y4m", ".m4v", ".ts"),
    *(".mts", ".m2ts", ".mpg", ".mpeg", ".ogv", ".flv", ".wmv"),
)

_EXACT = Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
_LIMITED, _FULL = 1, 2  # FFmpeg's ranges
_RGB, _YCGCO = 0, 8
# H.273 matrix coefficients to those that FFmpeg converts; what vsrrin.clip.frames reads as another is the same here.
_MATRICES = {
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
    14: Colorspace.BT2020,
}
_MOST_BITS = 16
_DEFAULT_RATE = Fraction(25)


class VideoError(DatasetError):
    """Video that cannot be read, or not to its end; the text names the file and what to do."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Decoded frame.

    Attributes:
        number: Its place in the video, from 0.
        time: When it is shown, seconds.
        picture: Upright, (H, W, 3) RGB.
    """

    number: int
    time: Fraction
    picture: Picture


class Video:
    """Video file, to be read once from its beginning.

    Args:
        path: The file.
        long_edge: Larger pictures are scaled down to this many pixels on the long edge, both sides even.

    Raises:
        VideoError: It is no video, or cannot be decoded.
    """

    def __init__(self, path: Path, long_edge: int | None = None) -> None:
        self.path = path
        try:
            self._info = probe(path)
        except ConvertError as error:
            raise VideoError(str(error)) from error
        self._long_edge = long_edge
        with av.open(files.url(path)) as container:
            stream = container.streams[self._info.video_track]
            assert isinstance(stream, av.VideoStream)
            rates = (as_fraction(rate) for rate in (stream.average_rate, stream.guessed_rate))
            self.rate: Fraction | None = next((rate for rate in rates if rate > 0), None)
            """Frames per second as the file claims them."""
            self.claimed_frames = stream.frames or None
            """Number of frames that the file claims; not to be relied on."""

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Decode the file; frames before number ``first`` are passed over.

        Raises:
            VideoError: It is damaged, interlaced, or has a pixel format that cannot be converted; frames before the
                damage have been given.
        """
        converter = Converter(self._info.rotation, self._long_edge)
        number = 0
        try:
            with av.open(files.url(self.path)) as container:
                stream = container.streams[self._info.video_track]
                assert isinstance(stream, av.VideoStream)
                stream.thread_type = "AUTO"
                for frame in container.decode(stream):
                    if frame.is_corrupt:
                        raise VideoError("parts of it are missing; get it again, or repair it first")
                    if number >= first:
                        yield Frame(number, self._time(frame, number), converter(frame))
                    number += 1
        except (VsrrinError, ValueError, av.error.FFmpegError) as error:
            raise VideoError(f"{self.path}, frame {number}: {error}") from error

    def _time(self, frame: av.VideoFrame, number: int) -> Fraction:
        if frame.pts is None or frame.time_base is None:
            return number / (self.rate or _DEFAULT_RATE)
        return frame.pts * as_fraction(frame.time_base)


class Converter:
    """Converter of decoded frames to upright RGB pictures."""

    def __init__(self, rotation: int = 0, long_edge: int | None = None) -> None:
        self._quarters = rotation // 90
        self._long_edge = long_edge
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> Picture:
        """Return the frame as an upright (H, W, 3) uint8 RGB picture."""
        if frame.interlaced_frame:
            raise VideoError(
                "it is interlaced, which would teach combs; deinterlace it first (if it is progressive and only marked "
                "otherwise, encode it again with ffmpeg -vf setfield=prog)"
            )
        picture = _scaled(self._rgb(frame), self._long_edge)
        return np.ascontiguousarray(np.rot90(picture, self._quarters))

    def _rgb(self, frame: av.VideoFrame) -> Picture:
        colour = colour_of(frame)
        wide = colour.bits > 8 and (colour.full_range or colour.family != vs.YUV)
        if colour.family == vs.YUV:
            if colour.matrix in (_RGB, _YCGCO):
                raise VideoError("its colour matrix (RGB or YCgCo in YUV) is not supported; convert it to BT.709")
            frame.chroma_location = ChromaLocation.CENTER  # of its block, so that it is repeated over that block
            frame.colorspace = _MATRICES.get(colour.matrix, Colorspace.ITU709)
        converted = self._reformatter.reformat(
            frame,
            format="rgb48le" if wide else "rgb24",
            src_colorspace=Colorspace(frame.colorspace) if colour.family == vs.YUV else None,
            src_color_range=_FULL if colour.full_range else _LIMITED,
            dst_color_range=_FULL,
            interpolation=_EXACT,
            threads=1,
        )
        return _eight_bit(converted.to_ndarray(), *_levels(colour, wide))


def colour_of(frame: av.VideoFrame) -> Colour:
    """Return how a frame's samples are to be read, with the filter's guesses where the frame does not say.

    Raises:
        VideoError: More than 16 bits per sample, or floating point.
    """
    components = [component for component in frame.format.components if not component.is_alpha]
    bits = components[0].bits
    if bits > _MOST_BITS:
        raise VideoError(f"its pixel format, {frame.format.name}, is not supported; convert it to 16 bits or less")
    rgb = frame.format.is_rgb or frame.format.has_palette
    family = vs.RGB if rgb else vs.YUV if len(components) == 3 else vs.GRAY
    props = {"_Matrix": frame.colorspace, "_Transfer": frame.color_trc, "_Primaries": frame.color_primaries}
    if frame.color_range in (_LIMITED, _FULL):
        props["_Range"] = int(frame.color_range == _FULL)
    elif frame.format.name.startswith("yuvj"):
        props["_Range"] = 1
    video_format = vs.core.query_video_format(family, vs.INTEGER, max(bits, 8), 0, 0)
    props = {key: int(value) for key, value in props.items()}
    return Colour.of(video_format, frame.width, frame.height, props)


def _levels(colour: Colour, wide: bool) -> tuple[float, float]:
    """Return the values of black and white in what FFmpeg returns.

    It takes grey as it is, and shifts samples of more than 8 bits.
    """
    if colour.family == vs.YUV:
        return 0.0, float(2**colour.bits - 1 << 16 - colour.bits) if wide else 255.0
    if colour.family == vs.RGB:
        return 0.0, 65535.0 if wide else 255.0
    scale, offset = colour.luma
    unit = 2 ** (16 - colour.bits) if wide else 1
    return offset * unit, (offset + scale) * unit


def _eight_bit(samples: NDArray[np.generic], black: float, white: float) -> Picture:
    if samples.dtype == np.uint8 and (black, white) == (0, 255):
        return samples.astype(np.uint8, copy=False)
    values = (samples.astype(np.float32) - np.float32(black)) * np.float32(255 / (white - black))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _scaled(picture: Picture, long_edge: int | None) -> Picture:
    height, width = picture.shape[:2]
    if long_edge is None or max(height, width) <= long_edge:
        return picture
    ratio = long_edge / max(height, width)
    size = max(2, 2 * round(width * ratio / 2)), max(2, 2 * round(height * ratio / 2))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
