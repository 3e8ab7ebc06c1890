"""Conversion of frames to RGB tensors and back.

The two directions are exact inverses up to rounding, so that a new frame between two equal frames is that frame, and
source and new frames never differ in colour. Two resizers would not be: a smooth chroma resampler loses a little on
each way. Subsampled chroma is repeated on the way to RGB and averaged over the same block on the way back, wherever its
samples are sited. Values outside [0, 1] (superwhite,
out-of-gamut colours) are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import cv2
import numpy as np
import torch
import vapoursynth as vs
from numpy.typing import NDArray
from torch import Tensor

from vsrrin.errors import ArgumentError
from vsrrin.nets.parts.opencv_layout import interleaved

type Plane = NDArray[np.float32]
"""Samples of one plane, (H, W)."""

# (Kr, Kb) by ITU-T H.273 matrix coefficients. Constant-luminance and ICtCp systems (10, 13, 14) are not linear in RGB;
# the network sees them through BT.2020's matrix, which changes its input slightly and its output not at all, since the
# way back is the same.
_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
    12: (0.2126, 0.0722),
    13: (0.2126, 0.0722),
    14: (0.2627, 0.0593),
}
_RGB, _UNSPECIFIED, _YCGCO = 0, 2, 8
_HDR_TRANSFERS = (16, 18)  # PQ and HLG come with BT.2020
_MATRIX_NAMES = {1: "BT.709", 5: "BT.601 (625 lines)", 6: "BT.601 (525 lines)", 9: "BT.2020"}


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Meaning of the sample values of a frame.

    Attributes:
        family: VapourSynth's colour family.
        matrix: H.273 matrix coefficients (YUV only).
        full_range: True if integer samples use the whole range.
        bits: Bits per sample.
        is_float: True if samples are floating point.
        guessed: Description of what the frame leaves open and was guessed; empty if nothing.
    """

    family: vs.ColorFamily
    matrix: int
    full_range: bool
    bits: int
    is_float: bool
    guessed: str = ""

    @classmethod
    def of(cls, video_format: vs.VideoFormat, width: int, height: int, props: Mapping[str, Any]) -> "Colour":
        """Return the meaning that properties give, with what they leave open guessed by the usual rules.

        An unknown matrix is BT.2020 for PQ and HLG, BT.601 up to 1024x576, BT.709 above; an unknown range is limited
        for YUV and GRAY, full for RGB.
        """
        family = video_format.color_family
        guesses = []
        matrix = _RGB
        if family == vs.YUV:
            matrix = int_prop(props, "_Matrix", _UNSPECIFIED)
            if matrix == _UNSPECIFIED:
                matrix = _guess_matrix(width, height, props)
                guesses.append(f"matrix {_MATRIX_NAMES[matrix]}")
        full = _full_range(props)
        if full is None:
            full = family == vs.RGB
            if family != vs.RGB and video_format.sample_type == vs.INTEGER:
                guesses.append("limited range")
        return cls(
            family=family,
            matrix=matrix,
            full_range=full,
            bits=video_format.bits_per_sample,
            is_float=video_format.sample_type == vs.FLOAT,
            guessed=" and ".join(guesses),
        )

    @classmethod
    def of_frame(cls, frame: vs.VideoFrame) -> "Colour":
        """Return the meaning of the samples of a frame, see `of`."""
        return cls.of(frame.format, frame.width, frame.height, frame.props)

    @cached_property
    def luma(self) -> tuple[float, float]:
        """Scale and offset of luma, GRAY and RGB planes: [0, 1] = (sample - offset) / scale."""
        if self.is_float:
            return 1.0, 0.0
        if self.full_range:
            return float(2**self.bits - 1), 0.0
        return 219.0 * 2 ** (self.bits - 8), 16.0 * 2 ** (self.bits - 8)

    @cached_property
    def chroma(self) -> tuple[float, float]:
        """Scale and offset of chroma planes: [-1/2, 1/2] = (sample - offset) / scale."""
        if self.is_float:
            return 1.0, 0.0
        if self.full_range:
            return float(2**self.bits - 1), float(2 ** (self.bits - 1))
        span = 219.0 if self.matrix == _YCGCO else 224.0
        return span * 2 ** (self.bits - 8), float(2 ** (self.bits - 1))

    @cached_property
    def luma_weights(self) -> tuple[float, float]:
        """Weights (Kr, Kb) of red and blue in luma; an unknown or reserved matrix is read as BT.709."""
        return _LUMA_WEIGHTS.get(self.matrix, _LUMA_WEIGHTS[1])


ALIGNED = 8
"""A multiple of every subsampling."""
_BAND = 128
"""Rows converted at a time, a multiple of every subsampling: intermediate values stay in the cache.

The work is done by numpy and OpenCV, not torch: VapourSynth calls from many threads, and each would wake a team of
OpenMP threads of its own for every small step.
"""


@cache
def _to_rgb(colour: Colour) -> NDArray[np.float32]:
    """Return the matrix (3, 4) from a pixel's three samples and a 1 to RGB in [0, 1]."""
    to_samples, offsets = _to_samples(colour)
    matrix = np.linalg.inv(to_samples)
    return np.column_stack((matrix, -matrix @ offsets)).astype(np.float32)


@cache
def _from_rgb(colour: Colour) -> NDArray[np.float32]:
    """Return the matrix (3, 4) from RGB in [0, 1] and a 1 to a pixel's samples; (1, 4) for GRAY, the mean."""
    matrix = np.column_stack(_to_samples(colour))
    return (matrix.mean(0, keepdims=True) if colour.family == vs.GRAY else matrix).astype(np.float32)


def _to_samples(colour: Colour) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the matrix (3, 3) from RGB to samples, a row for each plane, and the offsets of the planes."""
    red, green, blue = np.eye(3)
    luma, chroma = colour.luma, colour.luma
    planes = red, green, blue
    if colour.family == vs.YUV and colour.matrix == _RGB:
        planes = green, blue, red
    elif colour.family == vs.YUV:
        chroma = colour.chroma
        if colour.matrix == _YCGCO:
            y = (red + 2 * green + blue) / 4
            planes = y, green - y, (red - blue) / 2
        else:
            kr, kb = colour.luma_weights
            y = kr * red + (1 - kr - kb) * green + kb * blue
            planes = y, (blue - y) / (2 * (1 - kb)), (red - y) / (2 * (1 - kr))
    scales, offsets = np.array((luma, chroma, chroma)).T
    return np.array(planes) * scales[:, None], offsets


def _guess_matrix(width: int, height: int, props: Mapping[str, Any]) -> int:
    if props.get("_Transfer") in _HDR_TRANSFERS or props.get("_Primaries") == 9:
        return 9
    if width <= 1024 and height <= 576:
        return 5 if height == 576 else 6
    return 1


def _full_range(props: Mapping[str, Any]) -> bool | None:
    """Return whether the range is full, ``None`` if not known.

    ``_Range`` (H.273 order: 1 is full) replaces ``_ColorRange`` (1 is limited) since R74.
    """
    for key, full in (("_Range", 1), ("_ColorRange", 0)):
        value = int_prop(props, key, -1)
        if value in (0, 1):
            return value == full
    return None


def int_prop(props: Mapping[str, Any], key: str, default: int) -> int:
    """Return a property that should be one int, or ``default`` if it is missing or anything else."""
    value = props.get(key, default)
    return int(value) if isinstance(value, int) else default


def to_tensor(frame: vs.VideoFrame, colour: Colour, out: Tensor | None = None) -> Tensor:
    """Convert a frame to RGB.

    Args:
        frame: Any supported frame.
        colour: Meaning of its samples.
        out: Memory for the result, of its shape; rows may be farther apart.

    Returns:
        (1, 3, H, W) float32, nominally [0, 1]; GRAY is repeated in all three channels.
    """
    if out is None:
        out = torch.empty(1, frame.height, frame.width, 3).permute(0, 3, 1, 2)
    _to_rgb_in((slice(0, frame.height), slice(0, frame.width)), frame, colour, out[0].permute(1, 2, 0).numpy())
    return out


def part_to_rgb(part: tuple[slice, slice], frame: vs.VideoFrame, colour: Colour) -> NDArray[np.float32]:
    """Return a part of a frame as `to_tensor` does, (H, W, 3); its sides are multiples of `ALIGNED`, or the frame's."""
    picture = np.empty((part[0].stop - part[0].start, part[1].stop - part[1].start, 3), np.float32)
    _to_rgb_in(part, frame, colour, picture)
    return picture


def _to_rgb_in(part: tuple[slice, slice], frame: vs.VideoFrame, colour: Colour, picture: NDArray[np.float32]) -> None:
    planes = [np.asarray(frame[index]) for index in range(frame.format.num_planes)]
    blocks = [_block(frame, plane) for plane in planes]
    planes = [
        plane[part[0].start // y : part[0].stop // y, part[1].start // x : part[1].stop // x]
        for plane, (y, x) in zip(planes, blocks, strict=True)
    ]
    if planes[0].dtype == np.float16:  # which OpenCV does not know
        planes = [plane.astype(np.float32) for plane in planes]
    # RGB planes are not mixed: one sample that is no number would spoil three.
    is_gbr = colour.family == vs.YUV and colour.matrix == _RGB
    is_rgb = colour.is_float and (is_gbr or colour.family != vs.YUV)
    if is_rgb and is_gbr:
        planes = [planes[2], planes[0], planes[1]]
    for top in range(0, len(picture), _BAND):
        rows = slice(top, min(top + _BAND, len(picture)))
        parts = [_rows(plane, rows, block) for plane, block in zip(planes, blocks, strict=True)]
        samples = np.asarray(cv2.merge(parts if len(parts) == 3 else parts * 3), np.float32)
        picture[rows] = samples if is_rgb else cv2.transform(samples, _to_rgb(colour))


def _rows(plane: NDArray[Any], rows: slice, block: tuple[int, int]) -> NDArray[Any]:
    """Return rows of a frame from one of its planes, with subsampled samples repeated over their blocks."""
    y, x = block
    part = plane[rows.start // y : rows.stop // y]
    if x > 1:
        part = np.asarray(cv2.merge([part] * x)).reshape(len(part), -1)  # several times as fast as repeat
    return part if y == 1 else part.repeat(y, 0)


def luma(frame: vs.VideoFrame, colour: Colour) -> Plane:
    """Return the brightness of a frame, float32, nominally [0, 1], shrunk to at most 256x144.

    For RGB it is the green plane. Values above white, as in linear HDR, are compressed: 1 stays 1, 100 becomes 2.15.
    """
    plane = np.asarray(frame[1 if colour.family == vs.RGB else 0])
    return _shrunk(plane, (min(plane.shape[1], 256), min(plane.shape[0], 144)), colour, *colour.luma)


def grey(frame: vs.VideoFrame, colour: Colour, width: int, height: int) -> NDArray[np.uint8]:
    """Return the brightness of a frame in another size, 0 to 255; for RGB it is the mean of the planes."""
    count = 3 if colour.family == vs.RGB else 1
    planes = [_grey(np.asarray(frame[index]), (width, height), colour) for index in range(count)]
    return planes[0] if count == 1 else np.asarray(cv2.transform(cv2.merge(planes), np.full((1, 3), 1 / 3)), np.uint8)


def _grey(plane: NDArray[Any], size: tuple[int, int], colour: Colour) -> NDArray[np.uint8]:
    scale, offset = colour.luma
    if colour.is_float:
        values = np.nan_to_num(_shrunk(plane, size, colour, scale, offset), nan=0.0)
        return np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    # Means over areas take long where a pixel is no whole number of samples, and are not needed above half the size.
    way = cv2.INTER_AREA if 2 * size[0] <= plane.shape[1] else cv2.INTER_LINEAR
    small = plane if plane.shape[::-1] == size else np.asarray(cv2.resize(plane, size, interpolation=way))
    return np.asarray(
        cv2.convertScaleAbs(cv2.subtract(small, np.array((offset, 0, 0, 0))), alpha=255 / scale), np.uint8
    )


def small_planes(frame: vs.VideoFrame, colour: Colour, width: int, height: int) -> Plane:
    """Return all planes of a frame, shrunk to one size and one below the other, (planes * height, width) float32.

    Luma, GRAY and RGB as `luma` has them; chroma nominally in [-1/2, 1/2].
    """
    parts = []
    for index in range(frame.format.num_planes):
        scaling = colour.chroma if index and colour.family == vs.YUV and colour.matrix != _RGB else colour.luma
        parts.append(_shrunk(np.asarray(frame[index]), (width, height), colour, *scaling))
    return np.concatenate(parts)


def _shrunk(plane: NDArray[Any], size: tuple[int, int], colour: Colour, scale: float, offset: float) -> Plane:
    """Return a plane in another (width, height), values above white compressed."""
    if plane.dtype == np.float16:
        plane = plane.astype(np.float32)
    # In the samples' own type, many times faster than making floats of all of them first.
    small = np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)
    small = (small - np.float32(offset)) * np.float32(1 / scale)
    return np.where(small > 1, 1 + np.log(np.maximum(small, 1)) / 4, small) if colour.is_float else small


def equal(first: vs.VideoFrame, second: vs.VideoFrame) -> bool:
    """Return whether two frames of one format have the same samples in all planes."""
    for plane in range(first.format.num_planes):
        a, b = np.asarray(first[plane]), np.asarray(second[plane])
        # Moving pictures differ in the middle rows, so most pairs are told apart without reading the rest.
        middle = slice(a.shape[0] // 2, a.shape[0] // 2 + 1)
        if not np.array_equal(a[middle], b[middle]) or not np.array_equal(a, b):
            return False
    return True


def blend(first: vs.VideoFrame, second: vs.VideoFrame, t: float | Plane, core: vs.Core) -> vs.VideoFrame:
    """Return (1 - t) * first + t * second, sample by sample, with a copy of the first one's properties.

    ``t`` may be a map of the frame's size; where it is 0 or 1, samples are those of one frame, bit for bit.
    """
    frame = core.create_video_frame(first.format, first.width, first.height)
    for plane in range(first.format.num_planes):
        a, b, target = (np.asarray(f[plane]) for f in (first, second, frame))
        share = _average(t, *_block(frame, target)) if isinstance(t, np.ndarray) else t
        mixed = a.astype(np.float32) * np.float32(1 - share) + b.astype(np.float32) * np.float32(share)
        np.copyto(target, np.rint(mixed) if target.dtype.kind == "u" else mixed, casting="unsafe")
    frame.props.update(first.props)
    return frame


def _block(frame: vs.VideoFrame, plane: NDArray[Any]) -> tuple[int, int]:
    """Return the height and width in pixels of what a sample of a plane stands for."""
    return frame.height // plane.shape[0], frame.width // plane.shape[1]


def from_tensor(image: Tensor, like: vs.VideoFrame, colour: Colour, core: vs.Core) -> vs.VideoFrame:
    """Convert RGB to a new frame of the format, size and properties of another.

    Args:
        image: (1, 3, H, W) float32, nominally [0, 1], on the CPU.
        like: Frame whose format, size and properties to take.
        colour: Meaning of the samples of ``like``.
        core: Core that makes the frame.
    """
    frame = core.create_video_frame(like.format, like.width, like.height)
    planes = [np.asarray(frame[index]) for index in range(like.format.num_planes)]
    for top in range(0, like.height, _BAND):
        rgb = interleaved(image[0, :, top : top + _BAND])
        for plane, weights in zip(planes, _from_rgb(colour), strict=True):
            y, x = _block(like, plane)
            # Not all planes in one go: to take them apart would cost more.
            values = _average(np.asarray(cv2.transform(rgb, weights[None]), np.float32), y, x)
            _store(values, plane[top // y : (top + _BAND) // y], colour)
    frame.props.update(like.props)
    return frame


def _average(plane: Plane, y: int, x: int) -> Plane:
    """Return means of blocks of y * x samples, (H, W) to (H/y, W/x); the plane itself for blocks of 1 * 1."""
    if y * x == 1:
        return plane
    height, width = plane.shape
    return np.asarray(cv2.resize(plane, (width // x, height // y), interpolation=cv2.INTER_AREA), np.float32)


def _store(values: Plane, target: NDArray[np.generic], colour: Colour) -> None:
    """Write sample values, which are changed in place, into rows of a plane."""
    if not colour.is_float:
        # Half to even, like the rounding that made an 8-bit source: truncation would darken every new frame.
        np.rint(values, out=values)
        cv2.patchNaNs(values, 0)
        np.clip(values, 0, 2**colour.bits - 1, out=values)
    np.copyto(target, values, casting="unsafe")


def require_supported(video_format: vs.VideoFormat) -> None:
    """Check that a format is supported.

    Raises:
        ArgumentError: It is not GRAY, YUV or RGB of 8 to 16 bit, half or float.
    """
    bits, is_float = video_format.bits_per_sample, video_format.sample_type == vs.FLOAT
    if video_format.color_family not in (vs.GRAY, vs.YUV, vs.RGB) or (not is_float and bits > 16):
        raise ArgumentError(
            f"clip has the format {video_format.name}; GRAY, YUV and RGB of 8 to 16 bit, half or float are "
            "allowed: convert it with resize first"
        )
