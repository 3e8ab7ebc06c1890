"""Pixel formats by VapourSynth's and FFmpeg's names, and frames from the one to the other."""

import re
from dataclasses import dataclass, replace
from typing import Literal

import av
import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

Family = Literal["gray", "yuv", "rgb"]

# FFmpeg's digits of a subsampling by (horizontal, vertical) shift.
_SUBSAMPLINGS = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (0, 1): "440", (2, 0): "411", (2, 2): "410"}
_SHIFTS = {digits: shifts for shifts, digits in _SUBSAMPLINGS.items()}
# 8 bit in one plane: byte positions of R, G and B, or of grey, and of alpha if there is any; and bytes per pixel.
_PACKED = {
    "bgr0": ((2, 1, 0), 4),
    "rgb24": ((0, 1, 2), 3),
    "bgr24": ((2, 1, 0), 3),
    "bgra": ((2, 1, 0, 3), 4),
    "argb": ((1, 2, 3, 0), 4),
    "ya8": ((0, 1), 2),
}


@dataclass(frozen=True)
class Pixels:
    """A layout of samples, whoever names it.

    Attributes:
        family: Gray, YUV or RGB.
        bits: Bits per sample.
        shifts: Chroma subsampling as (horizontal, vertical) shift; (0, 0) without chroma.
        is_float: Whether samples are floating point.
        alpha: Whether there is alpha, of the same depth.
    """

    family: Family
    bits: int
    shifts: tuple[int, int] = (0, 0)
    is_float: bool = False
    alpha: bool = False

    @classmethod
    def of_clip(cls, video_format: vs.VideoFormat) -> "Pixels":
        """Return the layout of a VapourSynth format."""
        families: dict[int, Family] = {vs.GRAY: "gray", vs.YUV: "yuv", vs.RGB: "rgb"}
        shifts = (video_format.subsampling_w, video_format.subsampling_h)
        family, is_float = families[video_format.color_family], video_format.sample_type == vs.FLOAT
        return cls(family, video_format.bits_per_sample, shifts, is_float)

    @classmethod
    def of_frame(cls, frame: vs.VideoFrame) -> "Pixels":
        """Return the layout of a VapourSynth frame, with alpha if it carries one."""
        return replace(cls.of_clip(frame.format), alpha="_Alpha" in frame.props)

    @classmethod
    def of_name(cls, name: str) -> "Pixels | None":
        """Return the layout of an FFmpeg format with integer samples; ``None`` for others."""
        if name in _PACKED:
            places, _ = _PACKED[name]
            return cls("rgb" if len(places) > 2 else "gray", 8, alpha=len(places) in (2, 4))
        base, bits = _split_bits(name)
        if base == "gray":
            return cls("gray", bits)
        if base in ("gbrp", "gbrap"):
            return cls("rgb", bits, alpha=base == "gbrap")
        found = re.fullmatch(r"yuv(a?)(\d{3})p", base)
        if found and found[2] in _SHIFTS:
            return cls("yuv", bits, _SHIFTS[found[2]], alpha=bool(found[1]))
        return None

    @property
    def name(self) -> str | None:
        """FFmpeg's name of the layout in planes, without alpha; ``None`` if it has none."""
        base = f"yuv{_SUBSAMPLINGS.get(self.shifts)}p" if self.family == "yuv" else self.family.replace("rgb", "gbrp")
        name = base if self.bits == 8 else f"{base}{self.bits}le"
        return name if not self.is_float and known_name(name) else None

    def vapoursynth(self) -> int:
        """Return the id of VapourSynth's format; alpha is a clip of its own."""
        family = {"gray": vs.GRAY, "yuv": vs.YUV, "rgb": vs.RGB}[self.family]
        kind = vs.FLOAT if self.is_float else vs.INTEGER
        return int(vs.core.query_video_format(family, kind, self.bits, *self.shifts).id)

    def __str__(self) -> str:
        kind = "-bit float" if self.is_float else " bit"
        chroma = f" {':'.join(_SUBSAMPLINGS.get(self.shifts, '?'))}" if self.family == "yuv" else ""
        return f"{self.family.upper()}{chroma} {self.bits}{kind}{' with alpha' if self.alpha else ''}"


def _split_bits(name: str) -> tuple[str, int]:
    """Return ("yuv420p", 10) for "yuv420p10le"."""
    if not name.endswith("le"):
        return name, 8
    digits = name[:-2]
    base = digits.rstrip("0123456789")
    return base, int(digits[len(base) :] or 8)


def known_name(name: str) -> bool:
    """Return whether FFmpeg has a pixel format of this name."""
    try:
        av.VideoFormat(name)
    except ValueError:
        return False
    return True


def to_av(frame: vs.VideoFrame, name: str) -> av.VideoFrame:
    """Return a copy of a VapourSynth frame for an encoder.

    Args:
        frame: A frame of the family, subsampling and depth of ``name``, with an ``_Alpha`` if that has alpha.
        name: FFmpeg's pixel format, one that :meth:`Pixels.of_name` knows.
    """
    picture = av.VideoFrame(frame.width, frame.height, name)
    planes = [np.asarray(frame[number]) for number in range(frame.format.num_planes)]
    layout, alpha = Pixels.of_name(name), frame.props.get("_Alpha")
    added = [np.asarray(alpha[0])] if layout and layout.alpha and isinstance(alpha, vs.VideoFrame) else []
    if name in _PACKED:
        _pack(planes + added, picture, *_PACKED[name])
        return picture
    if frame.format.color_family == vs.RGB:
        planes = [planes[1], planes[2], planes[0]]  # FFmpeg's order is G, B, R
    planes += added
    for samples, plane in zip(planes, picture.planes, strict=True):
        _rows(plane, samples.dtype)[: samples.shape[0], : samples.shape[1]] = samples
    return picture


def from_av(picture: av.VideoFrame, like: vs.VideoFormat) -> list[NDArray[np.generic]]:
    """Return the samples of a picture by planes, in VapourSynth's order; they are valid as long as the picture.

    Args:
        picture: A picture in planes.
        like: VapourSynth's format of the same layout.
    """
    kind = np.dtype(np.uint8 if like.bytes_per_sample == 1 else np.uint16)
    planes = [_rows(plane, kind)[: plane.height, : plane.width] for plane in picture.planes]
    return [planes[2], planes[0], planes[1]] if like.color_family == vs.RGB else planes


def _pack(planes: list[NDArray[np.generic]], picture: av.VideoFrame, places: tuple[int, ...], size: int) -> None:
    height, width = planes[0].shape
    rows = _rows(picture.planes[0], planes[0].dtype)[:height, : width * size].reshape(height, width, size)
    if size > len(places):
        rows[:, :, len(places) :] = 0
    for place, samples in zip(places, planes, strict=True):
        rows[:, :, place] = samples


def _rows(plane: av.video.plane.VideoPlane, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Return the plane's writable memory, with the padding at the end of each line."""
    return np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
