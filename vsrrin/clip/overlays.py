"""Overlays of a frame pair: taken out of both frames before they are interpolated, put back into new frames.

What is behind them is taken from the other frame where motion has uncovered it there, and filled in from around
elsewhere.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray
from torch import Tensor

from . import frames
from .frames import Colour
from .overlay_search import LONGEST, Found, Grey, Mask, Picture, filled, find, places

_MARGIN = 24
"""Pixels around an overlay from which what is behind it is filled in, on the picture that is searched."""
_LOCAL = 4
"""How much what is near counts for this, see `filled`."""
_SAME_COLOUR = 0.08
"""Difference up to which a pixel beside an overlay has its colour."""
_AGREE = 0.08
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
    """Part that the source frames have in a new one, (H, W, 1)."""


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
            source = left + (right - left) * np.float32(t)
            new += (source - new) * region.weight


def overlays_of(left: vs.VideoFrame, right: vs.VideoFrame) -> Overlays:
    """Return the overlays of a pair."""
    found = find(_grey(left), _grey(right))
    if found is None:
        return Overlays()
    both = [_picture(frames.to_tensor(frame, Colour.of_frame(frame))) for frame in (left, right)]
    if not all(np.isfinite(picture).all() for picture in both):
        return Overlays()
    return Overlays(tuple(_regions(found, (both[0], both[1]))))


def _picture(image: Tensor) -> Picture:
    """Return (1, 3, H, W) as (H, W, 3), a view."""
    return np.asarray(image[0].permute(1, 2, 0).numpy())


def _grey(frame: vs.VideoFrame) -> Grey:
    ratio = min(1.0, LONGEST / max(frame.width, frame.height))
    size = max(round(frame.width * ratio), 1), max(round(frame.height * ratio), 1)
    brightness = np.nan_to_num(frames.brightness(frame, Colour.of_frame(frame), *size), nan=0.0)
    return np.rint(brightness.clip(0, 1) * 255).astype(np.uint8)


def _regions(found: Found, both: _Two) -> Iterator[_Region]:
    height, width = both[0].shape[:2]
    scale = width / found.mask.shape[1]
    mask = _enlarged(found.mask, width, height)
    count, _, boxes, _ = cv2.connectedComponentsWithStats(cv2.dilate(mask, _disk(round(_MARGIN * scale))))
    for x, y, w, h in boxes[1:count, :4]:
        part = np.s_[y : y + h, x : x + w]
        sources = both[0][part].copy(), both[1][part].copy()
        whole = _same_colour(mask[part], sources, round(2 * scale))
        # Wider than the overlay: its edge is a mix with what is behind it.
        hole = np.asarray(cv2.dilate(whole, _disk(round(2 * scale))), np.uint8)
        motion = cv2.resize(found.motion, (width, height), interpolation=cv2.INTER_LINEAR)[part]
        clean = _uncovered(sources, hole, np.asarray(motion, np.float32) * np.float32(scale))
        yield _Region(part, sources, clean, _weight(whole, hole, sources, scale)[..., None])


def _same_colour(mask: Mask, sources: _Two, reach: int) -> Mask:
    """Return a mask with the pixels around it whose colour in both frames is that of its nearest pixel."""
    distance, nearest = cv2.distanceTransformWithLabels(1 - mask, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    inside = mask > 0
    places_of = np.zeros(int(nearest.max()) + 1, np.intp)
    places_of[nearest[inside]] = np.flatnonzero(inside)
    around = (distance <= reach) & ~inside
    at = places_of[nearest[around]]
    apart = [np.abs(source[around] - source.reshape(-1, 3)[at]).max(-1) for source in sources]
    result = mask.copy()
    result[around] = np.maximum(*apart) <= _SAME_COLOUR
    return result


def _weight(mask: Mask, hole: Mask, sources: _Two, scale: float) -> Picture:
    """Return the part of the sources in a new frame, (H, W): all of an opaque overlay, less at its edge.

    At the rim of the hole they are better than what was filled in, where they agree.
    """
    soft = cv2.dilate(mask, _disk(round(scale))).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(soft, (0, 0), scale / 2), np.float32)
    apart = np.abs(sources[0] - sources[1]).max(-1)
    rim = cv2.dilate(hole, _disk(round(scale))) * np.clip(2 - apart * (2 / _AGREE), 0, 1)
    return np.asarray(np.maximum(np.maximum(soft, rim), mask), np.float32)


def _uncovered(sources: _Two, hole: Mask, motion: NDArray[np.float32]) -> _Two:
    """Return both frames with a hole filled, from the other frame where motion leads out of the hole."""

    def fill(side: int) -> Picture:
        at = places(motion if side == 0 else -motion)
        other = cv2.remap(sources[1 - side], *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        known = cv2.remap((1 - hole).astype(np.float32), *at, cv2.INTER_LINEAR, borderValue=(0.0,))
        seen = (known > 0.999) & (hole > 0)
        result = sources[side].copy()
        result[seen] = other[seen]
        return filled(result, (hole > seen).astype(np.uint8), _LOCAL)

    return fill(0), fill(1)


def _enlarged(mask: Mask, width: int, height: int) -> Mask:
    if mask.shape == (height, width):
        return mask
    return (cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.4).astype(np.uint8)


@cache
def _disk(radius: int) -> Mask:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)
