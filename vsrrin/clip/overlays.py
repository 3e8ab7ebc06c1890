"""Overlays of a frame pair: taken out of both frames before they are interpolated, put back into new frames.

What is behind them is taken from the other frame where motion has uncovered it there, and filled in from around
elsewhere.
"""

import math
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import vapoursynth as vs
from torch import Tensor

from . import frames
from .frames import Colour
from .holes import Mask, Part, Picture, enlarged, fill_soft, merged, motion_in, places
from .overlay_search import LONGEST, Found, Sketch, find, sketch

_MARGIN = 10
"""Pixels around an overlay from which what is behind it is filled in, on the picture that is searched."""
_LOCAL = 4
"""How much what is near counts for this, see `filled`."""
_SAME_COLOUR = 0.08
"""Difference between frames, summed over colours, up to which a pixel beside an overlay belongs to it."""
_AGREE = 0.16
"""Difference from which frames do not agree; from half of it on they do."""

type _Two = tuple[Picture, Picture]
"""Something of frame 0 and of frame 1."""


class _Region(NamedTuple):
    """Rectangle with an overlay in it; pictures are (H, W, 3), RGB, nominally [0, 1]."""

    part: tuple[slice, slice]
    sources: _Two
    clean: _Two
    """The frames without the overlay."""
    weight: Picture
    """Part that the source frames have in a new one, (H, W)."""


class Overlays(NamedTuple):
    """Overlays of a pair."""

    regions: tuple[_Region, ...] = ()

    @property
    def bytes(self) -> int:
        """Bytes of its pictures, and some for itself."""
        return 256 + sum(x.nbytes for r in self.regions for x in (*r.sources, *r.clean, r.weight))

    def take_out(self, image: Tensor, side: int) -> None:
        """Put what may be behind overlays in their place, in frame 0 or 1, (1, 3, H, W) RGB."""
        for region in self.regions:
            _picture(image)[region.part] = region.clean[side]

    def put_back(self, image: Tensor, t: Fraction) -> None:
        """Put overlays into the new frame at t, (1, 3, H, W) RGB."""
        for region in self.regions:
            left, right = region.sources
            new = _picture(image)[region.part]
            source = cv2.scaleAdd(cv2.subtract(right, left), float(t), left)
            new += cv2.multiply(cv2.subtract(source, new), cv2.merge([region.weight] * 3))


def sketch_of(frame: vs.VideoFrame) -> Sketch:
    """Return what is needed of one frame to find the overlays of the pairs that it is in."""
    ratio = min(1.0, LONGEST / max(frame.width, frame.height))
    size = max(round(frame.width * ratio), 1), max(round(frame.height * ratio), 1)
    return sketch(frames.grey(frame, Colour.of_frame(frame), *size))


def overlays_of(left: vs.VideoFrame, right: vs.VideoFrame, sketches: tuple[Sketch, Sketch]) -> Overlays:
    """Return the overlays of a pair."""
    found = find(*sketches)
    if found is None:
        return Overlays()
    size = left.height, left.width
    scale = left.width / found.mask.shape[1]
    regions = []
    for part in _parts(found, size):
        before, after = (frames.part_to_rgb(part, frame, Colour.of_frame(frame)) for frame in (left, right))
        if np.isfinite(before).all() and np.isfinite(after).all():
            mask = np.asarray(enlarged(found.mask * np.uint8(255), part, size) > 0.4 * 255).view(np.uint8)
            regions.append(_region(part, (before, after), mask, motion_in(found.motion, part, size), scale))
    return Overlays(tuple(regions))


def _picture(image: Tensor) -> Picture:
    """Return (1, 3, H, W) as (H, W, 3), a view."""
    return np.asarray(image[0].permute(1, 2, 0).numpy())


def _parts(found: Found, size: tuple[int, int]) -> list[Part]:
    """Return the parts of a frame that overlays are in, apart from each other, with what is around them."""

    def side(box: slice, axis: int) -> slice:
        step = size[axis] / found.mask.shape[axis] / frames.ALIGNED
        first, last = math.floor((box.start - _MARGIN) * step), math.ceil((box.stop + _MARGIN) * step)
        return slice(max(first, 0) * frames.ALIGNED, min(last * frames.ALIGNED, size[axis]))

    return merged((side(rows, 0), side(columns, 1)) for rows, columns in found.boxes)


def _region(part: Part, sources: _Two, mask: Mask, motion: _Two, scale: float) -> _Region:
    apart = np.asarray(cv2.transform(cv2.absdiff(*sources), np.ones((1, 3), np.float32)), np.float32)
    whole = np.asarray(cv2.dilate(mask, _disk(round(2 * scale))), np.uint8) & (apart <= _SAME_COLOUR).view(np.uint8)
    whole |= mask
    # Wider than the overlay: its edge is a mix with what is behind it.
    hole = np.asarray(cv2.dilate(whole, _disk(round(2 * scale))), np.uint8)
    clean = _uncovered(sources, hole, motion)
    return _Region(part, sources, clean, _weight(whole, hole, apart, scale))


def _weight(mask: Mask, hole: Mask, apart: Picture, scale: float) -> Picture:
    """Return the part of the sources in a new frame, (H, W): all of an opaque overlay, less at its edge.

    At the rim of the hole they are better than what was filled in, where they agree.
    """
    soft = cv2.dilate(mask, _disk(round(scale))).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(soft, (0, 0), scale / 2), np.float32)
    rim = cv2.dilate(hole, _disk(round(scale))) * np.clip(2 - apart * np.float32(2 / _AGREE), 0, 1)
    return np.asarray(cv2.max(cv2.max(soft, rim), mask.astype(np.float32)), np.float32)


def _uncovered(sources: _Two, hole: Mask, motion: _Two) -> _Two:
    """Return both frames with a hole filled, from the other frame where motion leads out of the hole."""
    known = 1 - hole
    height, width = hole.shape
    whole = slice(0, height), slice(0, width)
    soft = fill_soft(sources, known, _LOCAL)

    def fill(side: int) -> Picture:
        at = places(*(motion if side == 0 else (-motion[0], -motion[1])), whole)
        seen = hole & np.asarray(cv2.remap(cv2.erode(known, _disk(1)), *at, cv2.INTER_NEAREST), np.uint8)
        other = cv2.remap(sources[1 - side], *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        result = sources[side].copy()
        cv2.copyTo(soft[side], hole, result)
        cv2.copyTo(other, seen, result)
        return result

    return fill(0), fill(1)


@cache
def _disk(radius: int) -> Mask:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)
