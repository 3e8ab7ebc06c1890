"""VideoFrame planes <-> RGB tensor: the one definition of the way to RGB and back.

The two directions are exact inverses up to rounding, so that a new frame between two equal frames is that frame, and
source and new frames never differ in colour. That is why the conversion is done here and not by two resizers: a
smooth chroma resampler loses a little each time it goes up and down. Subsampled chroma is repeated on the way to RGB
and averaged over the same block on the way back, wherever its samples are sited. Values outside [0, 1] (superwhite,
out-of-gamut colours) are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch
import vapoursynth as vs
from torch import Tensor

from .errors import ArgumentError

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


@dataclass(frozen=True)
class Colour:
    """How the sample values of a frame are to be read.

    Attributes:
        family: VapourSynth's colour family.
        matrix: H.273 matrix coefficients (YUV only).
        full_range: Whether integer samples use the whole range.
        bits: Bits per sample.
        is_float: Whether samples are floating point.
        guessed: What the frame does not say and was guessed, in words; empty if nothing.
    """

    family: vs.ColorFamily
    matrix: int
    full_range: bool
    bits: int
    is_float: bool
    guessed: str = ""

    @classmethod
    def of(cls, video_format: vs.VideoFormat, width: int, height: int, props: Mapping[str, Any]) -> "Colour":
        """Reads the frame's properties; what they leave open is guessed by the usual rule.

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
            family,
            matrix,
            full,
            video_format.bits_per_sample,
            video_format.sample_type == vs.FLOAT,
            " and ".join(guesses),
        )

    @cached_property
    def luma(self) -> tuple[float, float]:
        """(scale, offset) so that [0, 1] = (sample - offset) / scale for luma, GRAY and RGB planes."""
        if self.is_float:
            return 1.0, 0.0
        if self.full_range:
            return float(2**self.bits - 1), 0.0
        return 219.0 * 2 ** (self.bits - 8), 16.0 * 2 ** (self.bits - 8)

    @cached_property
    def chroma(self) -> tuple[float, float]:
        """(scale, offset) so that [-1/2, 1/2] = (sample - offset) / scale for chroma planes."""
        if self.is_float:
            return 1.0, 0.0
        if self.full_range:
            return float(2**self.bits - 1), float(2 ** (self.bits - 1))
        span = 219.0 if self.matrix == _YCGCO else 224.0
        return span * 2 ** (self.bits - 8), float(2 ** (self.bits - 1))

    @cached_property
    def luma_weights(self) -> tuple[float, float]:
        """(Kr, Kb); an unknown or reserved matrix is read as BT.709."""
        return _LUMA_WEIGHTS.get(self.matrix, _LUMA_WEIGHTS[1])


_BAND = 128
"""Chroma rows converted at a time: what is in between stays in the cache."""


def _guess_matrix(width: int, height: int, props: Mapping[str, Any]) -> int:
    if props.get("_Transfer") in _HDR_TRANSFERS or props.get("_Primaries") == 9:
        return 9
    if width <= 1024 and height <= 576:
        return 5 if height == 576 else 6
    return 1


def _full_range(props: Mapping[str, Any]) -> bool | None:
    """``_Range`` (H.273 order: 1 is full) replaces ``_ColorRange`` (1 is limited) since R74."""
    for key, full in (("_Range", 1), ("_ColorRange", 0)):
        value = int_prop(props, key, -1)
        if value in (0, 1):
            return value == full
    return None


def int_prop(props: Mapping[str, Any], key: str, default: int) -> int:
    """A property that should be one int; anything else counts as not being there."""
    value = props.get(key, default)
    return int(value) if isinstance(value, int) else default


def to_tensor(frame: vs.VideoFrame, colour: Colour) -> Tensor:
    """A frame as RGB.

    Returns:
        (1, 3, H, W) float32, nominally [0, 1]; GRAY is repeated in all three channels.
    """
    planes = [_samples(frame, index) for index in range(frame.format.num_planes)]
    scale, offset = colour.luma
    if colour.family == vs.GRAY:
        return planes[0].sub_(offset).div_(scale).expand(3, -1, -1)[None].contiguous()
    if colour.family == vs.RGB or colour.matrix == _RGB:
        ordered = planes if colour.family == vs.RGB else [planes[2], planes[0], planes[1]]
        if colour.family != vs.RGB:
            ordered = [_enlarge(p, planes[0].shape) for p in ordered]
        return torch.stack(ordered).sub_(offset).div_(scale)[None]
    luma = planes[0].sub_(offset).div_(scale)
    scale, offset = colour.chroma
    u, v = (plane.sub_(offset).div_(scale) for plane in planes[1:])
    out = torch.empty(1, 3, *luma.shape)
    y = luma.shape[0] // u.shape[0]
    for top in range(0, u.shape[0], _BAND):
        band = slice(top, top + _BAND)
        differences = torch.stack(_differences(colour, u[band], v[band]))
        rows = slice(top * y, (top + _BAND) * y)
        _add_enlarged(luma[rows], differences, out[0, :, rows])
    return out


def _differences(colour: Colour, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What to add to luma for R, G and B, at the chroma planes' size."""
    if colour.matrix == _YCGCO:  # u is Cg, v is Co
        return v - u, u, -u - v
    kr, kb = colour.luma_weights
    kg = 1 - kr - kb
    red, blue = v * (2 * (1 - kr)), u * (2 * (1 - kb))
    return red, red * (-kr / kg) + blue * (-kb / kg), blue


def _add_enlarged(luma: Tensor, low: Tensor, out: Tensor) -> None:
    """out (3, H, W) = luma (H, W) + low (3, h, w), each value of low repeated over its block."""
    (height, width), (_, h, w) = luma.shape, low.shape
    y, x = height // h, width // w
    # Widened first: adding with a broadcast innermost dimension is slow.
    wide = low if x == 1 else low[..., None].expand(3, h, w, x).reshape(3, h, width)
    torch.add(luma.view(1, h, y, width), wide[:, :, None], out=out.view(3, h, y, width))


def _enlarge(plane: Tensor, shape: torch.Size) -> Tensor:
    y, x = shape[0] // plane.shape[0], shape[1] // plane.shape[1]
    return plane.repeat_interleave(y, 0).repeat_interleave(x, 1) if y * x > 1 else plane


def _samples(frame: vs.VideoFrame, plane: int) -> Tensor:
    """One plane as float32 (H, W), a copy."""
    return torch.from_numpy(np.asarray(frame[plane]).astype(np.float32))


def luma(frame: vs.VideoFrame, colour: Colour) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Brightness of a frame, float32, nominally [0, 1], shrunk to at most 256x144; for RGB the green plane.

    What is brighter than white, as in linear HDR, is compressed: 1 stays 1, 100 becomes 2.15.
    """
    plane = np.asarray(frame[1 if colour.family == vs.RGB else 0])
    if plane.dtype == np.float16:
        plane = plane.astype(np.float32)
    # In the samples' own type, which is many times faster than making floats of all of them first.
    size = (min(plane.shape[1], 256), min(plane.shape[0], 144))
    small = np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)
    scale, offset = colour.luma
    small = (small - np.float32(offset)) * np.float32(1 / scale)
    return np.where(small > 1, 1 + np.log(np.maximum(small, 1)) / 4, small) if colour.is_float else small


def equal(first: vs.VideoFrame, second: vs.VideoFrame) -> bool:
    """Whether two frames of one format have the same samples in all planes."""
    for plane in range(first.format.num_planes):
        a, b = np.asarray(first[plane]), np.asarray(second[plane])
        # Moving pictures differ in the middle rows, so most pairs are told apart without reading the rest.
        middle = slice(a.shape[0] // 2, a.shape[0] // 2 + 1)
        if not np.array_equal(a[middle], b[middle]) or not np.array_equal(a, b):
            return False
    return True


def blend(first: vs.VideoFrame, second: vs.VideoFrame, t: float, core: vs.Core) -> vs.VideoFrame:
    """(1 - t) * first + t * second, sample by sample, with a copy of the first one's properties."""
    frame = core.create_video_frame(first.format, first.width, first.height)
    for plane in range(first.format.num_planes):
        a, b, target = (np.asarray(f[plane]) for f in (first, second, frame))
        mixed = a.astype(np.float32) * np.float32(1 - t) + b.astype(np.float32) * np.float32(t)
        np.copyto(target, np.rint(mixed) if target.dtype.kind == "u" else mixed, casting="unsafe")
    frame.props.update(first.props)
    return frame


def from_tensor(image: Tensor, like: vs.VideoFrame, colour: Colour, core: vs.Core) -> vs.VideoFrame:
    """RGB as a new frame of ``like``'s format and size, with a copy of its properties.

    Args:
        image: (1, 3, H, W) float32, nominally [0, 1], on the CPU.
        like: Gives format, size and properties.
        colour: How samples are to be written; that of ``like``.
        core: Makes the frame.
    """
    frame = core.create_video_frame(like.format, like.width, like.height)
    for index, plane in enumerate(_planes(image[0], colour, like.format)):
        _store(frame, index, plane, colour)
    frame.props.update(like.props)
    return frame


def _planes(rgb: Tensor, colour: Colour, video_format: vs.VideoFormat) -> list[Tensor]:
    """(3, H, W) in [0, 1] to planes in sample units, not yet rounded."""
    scale, offset = colour.luma
    if colour.family == vs.GRAY:
        return [rgb.mean(0).mul_(scale).add_(offset)]
    y, x = 2**video_format.subsampling_h, 2**video_format.subsampling_w
    low = _average(rgb, y, x)
    if colour.family == vs.RGB or colour.matrix == _RGB:
        samples, low = rgb * scale + offset, low * scale + offset
        return list(samples) if colour.family == vs.RGB else [samples[1], low[2], low[0]]
    luma = _luma(rgb, colour).mul_(scale).add_(offset)
    scale, offset = colour.chroma
    return [luma, *(plane.mul_(scale).add_(offset) for plane in _chroma(low, colour))]


def _average(rgb: Tensor, y: int, x: int) -> Tensor:
    """Mean of blocks of y * x samples, (3, H, W) to (3, H/y, W/x); a third of the time of ``avg_pool2d``."""
    for axis, parts in ((1, y), (2, x)):
        if parts > 1:
            pieces = [rgb[:, i::parts] if axis == 1 else rgb[:, :, i::parts] for i in range(parts)]
            rgb = pieces[0] + pieces[1]
            for piece in pieces[2:]:
                rgb += piece
    return rgb * (1 / (y * x)) if y * x > 1 else rgb


def _luma(rgb: Tensor, colour: Colour) -> Tensor:
    if colour.matrix == _YCGCO:
        weights = (0.25, 0.5, 0.25)
    else:
        kr, kb = colour.luma_weights
        weights = (kr, 1 - kr - kb, kb)
    return (rgb[0] * weights[0]).add_(rgb[1], alpha=weights[1]).add_(rgb[2], alpha=weights[2])


def _chroma(rgb: Tensor, colour: Colour) -> tuple[Tensor, Tensor]:
    luma = _luma(rgb, colour)
    if colour.matrix == _YCGCO:
        return rgb[1] - luma, (rgb[0] - rgb[2]) * 0.5
    kr, kb = colour.luma_weights
    return (rgb[2] - luma).div_(2 * (1 - kb)), (rgb[0] - luma).div_(2 * (1 - kr))


def _store(frame: vs.VideoFrame, index: int, plane: Tensor, colour: Colour) -> None:
    target = np.asarray(frame[index])
    if not colour.is_float:
        # Half to even, like the rounding that made an 8-bit source: truncation would darken every new frame.
        plane = plane.round_().clamp_(0, 2**colour.bits - 1)
        plane = plane.byte() if colour.bits <= 8 else plane.to(torch.int32)
    np.copyto(target, plane.numpy(), casting="unsafe")


def require_supported(video_format: vs.VideoFormat) -> None:
    """Raises:
    ArgumentError: The format is not GRAY, YUV or RGB of 8 to 16 bit, half or float.
    """
    bits, is_float = video_format.bits_per_sample, video_format.sample_type == vs.FLOAT
    if video_format.color_family not in (vs.GRAY, vs.YUV, vs.RGB) or (not is_float and bits > 16):
        raise ArgumentError(
            f"clip has the format {video_format.name}; GRAY, YUV and RGB of 8 to 16 bit, half or float are "
            "allowed: convert it with resize first"
        )
