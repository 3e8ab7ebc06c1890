"""Search for overlays of a frame pair: logos, subtitles, HUDs, which stand still while what is around them moves.

Edges that are the same in both frames at the same place are seeds. In a still picture all edges are; in a moving one
some are by chance or because they lie along the motion. Where seeds are dense and their surroundings change much more
than they do, there may be an overlay; in most pairs there is no such place, and the search ends. Else the seeds are
taken out of both frames, motion is found on what is left, and a seed is confirmed if that motion would have changed
it. Seeds are put into groups; a group is an overlay if it has many, enough of them are confirmed, its edges run along
both axes, it ends within the part that is looked at, and its surroundings move and change on all sides. What is still
because it has moved by its period is none: it is also where its surroundings have gone. A still background with
something moving over it is none as a rule: it goes on where nothing moves.

The numbers were chosen on training videos with overlays drawn on them (`scripts.benchmarks.overlays` draws the same).
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .holes import Mask, Part, filled, merged, motion_in, places
from .masks import Areas, ends_within, groups, grown, halved, opened, part_around, square, where

type Grey = NDArray[np.uint8]
"""(H, W), 8 bit."""
type _Slopes = NDArray[np.int16]
"""(H, W), gradients."""
type _Motion = NDArray[np.float32]
"""(H, W, 2), (dx, dy) in pixels."""
type _Field = NDArray[np.float32]
"""(H, W)."""
type _Sums = NDArray[np.float64]
"""One for each group."""

LONGEST = 640
"""Pixels of the longer side of the pictures that are searched, at most: strokes of subtitles have two of them."""

_SMALLEST = 32
"""Pixels of the shorter side below which there is no room for overlays."""
_LARGEST = 4
"""Part of the picture that the box of an overlay takes at most, as a divisor."""
_LONGEST_SIDE = 0.9
"""Part of a side of the picture that it takes at most."""
_EDGE = 128
"""Sum of the absolute Sobel gradients of both frames from which there is an edge: a step of 16 levels."""
_UNLIKE = 2
"""Halvings of this sum to the part by which a seed's gradients may differ."""
_SURE = 48
"""Sum of gradients by which motion must change a seed, beyond twice the difference between the frames."""
_SEEDS, _AMONG_EDGES = np.uint8(3), np.uint8(5)
"""Edges in 7x7 pixels, of so many, that must be seeds, so that those by chance are none."""
_FEWEST, _FEWEST_SEEDS = 12, 150
"""Confirmed seeds of a group, and seeds of an overlay: a smaller still thing is rather a gap in what passes by."""
_NEAR, _MOVING_NEAR, _MOVES = 40, 0.1, 10
"""Radius around seeds in which this part of the pixels must differ by more than this many levels."""
_AMONG_MOTION = 0.5
"""Part of a group's seeds with such surroundings."""
_STILL = 3
"""Levels by which the inner pixels of an opaque overlay differ at most, as compression makes them; its edges by 8."""
_BORDERED = 0.7
"""Part of the border of such pixels that must lie at edges: smooth parts of a moving picture end in nothing."""
_EVEN = 0.15
"""How evenly slopes must point along all directions: 0 for parallel lines, 1 for a circle."""
_RING = 10
"""Pixels around a group that are its surroundings."""
_LIVELY, _LIVELY_SIDE = 0.4, 0.05
"""Part of them, and of each side of them, that must lie at changes of more than 8 levels."""
_SAME, _SLACK = 0.7, (3, 8)
"""Difference, as part of a group's contrast, below which the group is found again at a place, and how many pixels
that may lie from where motion leads, at least and, where motion is long, at most."""
_SHORTEST = 0.7
"""Length of motion below which nothing needs to be taken out, pixels."""
_SHORTEST_AROUND = 1
"""Median motion of a ring below which what is around does not move as a whole."""
_CONTEXT = 36
"""Pixels around a candidate in which more of it may lie."""


class Sketch(NamedTuple):
    """What is needed of one frame; keep it, as two pairs need it."""

    grey: Grey
    """Brightness."""
    x: _Slopes
    """Gradients along x."""
    y: _Slopes
    """Gradients along y."""
    strength: _Slopes
    """Sum of both, without signs."""

    @property
    def bytes(self) -> int:
        """Bytes of its pictures, and some for itself."""
        return 256 + sum(picture.nbytes for picture in self)


class Found(NamedTuple):
    """Overlays of a pair."""

    mask: Mask
    """Pixels of overlays, at the size of the pictures that were searched."""
    boxes: list[Part]
    """Rectangles of that mask that overlays are in; they may overlap."""
    motion: _Motion
    """Motion of the picture without them from frame 0 to frame 1, of another size and in its pixels."""


@dataclass(frozen=True, kw_only=True)
class _Maps:
    """What is known of each pixel of a pair, or of a part of it, (H, W)."""

    change: Grey
    unlike: _Slopes
    """Sum of the absolute differences of the gradients."""
    edges: Mask
    seeds: Mask
    sharp: Mask
    """Edges in both frames."""
    x: _Slopes
    """Gradients of frame 0."""
    y: _Slopes

    def at(self, part: Part) -> "_Maps":
        """Return the maps of a part."""
        return _Maps(**{name: value[part] for name, value in vars(self).items()})


class _Window(NamedTuple):
    """A part of a pair in which there may be overlays."""

    part: Part
    greys: tuple[Grey, Grey]
    """Both frames as a whole."""
    maps: _Maps
    motion: tuple[_Field, _Field]
    speed: _Field
    """Length of the motion."""


def sketch(grey: Grey) -> Sketch:
    """Return what `find` needs of a frame, from its brightness."""
    x, y = _slopes(grey)
    return Sketch(grey, x, y, np.abs(x) + np.abs(y))


def find(first: Sketch, second: Sketch) -> Found | None:
    """Return the overlays of a pair of frames of one size, ``None`` if there are none."""
    if min(first.grey.shape) < _SMALLEST:
        return None
    change = np.asarray(cv2.absdiff(first.grey, second.grey), np.uint8)
    near = _near_motion(change)
    if not near.any():
        return None
    maps = _maps(first, second, change)
    parts = _candidates(maps, near)
    if not parts:
        return None
    hole = grown(maps.seeds, 2)
    stills = [_enclosed(maps.at(part), part, change.shape) for part in parts]
    for part, (still, _) in zip(parts, stills, strict=True):
        hole[part] |= grown(still, 1)
    motion = _motion(first.grey, second.grey, hole)
    mask = np.zeros_like(hole)
    boxes: list[Part] = []
    for part, enclosed in zip(parts, stills, strict=True):
        here = maps.at(part)
        x, y = motion_in(motion, part, (change.shape[0], change.shape[1]))
        speed = np.asarray(cv2.magnitude(x, y), np.float32)
        confirmed = _confirmed(here, second.grey, places(x, y, part), speed)
        top, left = part[0].start, part[1].start
        window = _Window(part, (first.grey, second.grey), here, (x, y), speed)
        for rows, columns in _overlays(window, confirmed, *enclosed, mask):
            boxes.append(np.s_[top + rows.start : top + rows.stop, left + columns.start : left + columns.stop])
    return Found(mask, boxes, motion) if boxes else None


def _near_motion(change: Grey) -> Mask:
    """Return where pixels around have changed, at half the size."""
    moving = halved(where(change > _MOVES))
    return where(np.asarray(cv2.blur(moving, (_NEAR + 1, _NEAR + 1))) > 255 * _MOVING_NEAR)


def _maps(first: Sketch, second: Sketch, change: Grey) -> _Maps:
    unlike = _unlike((first.x, first.y), (second.x, second.y))
    both = first.strength + second.strength
    edges = where(both > _EDGE)
    seeds = edges & where(unlike < both >> _UNLIKE)
    # Both counts in one sum, of 0 at an edge, 5 at one that is a seed and 3 elsewhere: at most 245 in 7x7 pixels.
    counts = _SEEDS - _SEEDS * edges + _AMONG_EDGES * seeds
    seeds &= where(np.asarray(cv2.boxFilter(counts, -1, (7, 7), normalize=False)) > 49 * int(_SEEDS))
    sharp = where(np.minimum(first.strength, second.strength) > _EDGE // 2)
    return _Maps(change=change, unlike=unlike, edges=edges, seeds=seeds, sharp=sharp, x=first.x, y=first.y)


# --- where to look -------------------------------------------------------------------------------------------------


def _candidates(maps: _Maps, near: Mask) -> list[Part]:
    """Return parts, apart from each other, with groups of seeds that may be overlays, whatever motion there is.

    Groups are found at half the size; `near` are the places there that seeds may be at.
    """
    labels, boxes = groups(where(halved(maps.seeds) > 0), 2)
    # A quarter of the seeds tells enough of directions.
    some = np.flatnonzero(maps.seeds.view(np.bool_)[::2, ::2])
    of = labels.ravel()[some]
    x, y = (slopes[::2, ::2].ravel()[some].astype(np.float64) for slopes in (maps.x, maps.y))
    xx, yy, xy = (np.bincount(of, each, len(boxes)) for each in (x * x, y * y, x * y))
    number = np.bincount(of, minlength=len(boxes))
    among = np.bincount(of, near.ravel()[some], len(boxes))
    many = (number >= _FEWEST // 4) & (among > _AMONG_MOTION * number)
    small = boxes[:, 2] * boxes[:, 3] <= labels.size // _LARGEST
    likely = _is_even(xx, yy, xy) & small & many
    # What is inside an opaque overlay is still, too, and none of its surroundings.
    taken = grown(maps.seeds, 3) | opened(where(maps.change <= _STILL), 2)
    parts = []
    for label in np.flatnonzero(likely[1:]) + 1:
        box = part_around(boxes[label], (_RING + 2) // 2, labels.shape)
        rows, columns = (
            slice(2 * side.start, min(2 * side.stop, size)) for side, size in zip(box, maps.seeds.shape, strict=True)
        )
        part = rows, columns
        group = where(labels[box] == label).repeat(2, 0).repeat(2, 1)
        group = group[: rows.stop - rows.start, : columns.stop - columns.start]
        if _stands_out(maps.at(part), group & maps.seeds[part], where(grown(group, _RING) > (taken[part] | group))):
            parts.append(part_around(2 * boxes[label], _CONTEXT, maps.seeds.shape))
    return merged(parts)


# --- what is there -------------------------------------------------------------------------------------------------


def _enclosed(maps: _Maps, part: Part, shape: tuple[int, ...]) -> tuple[Mask, Areas]:
    """Return the still pixels that are enclosed by edges and have seeds among them, and the area that each is in."""
    still = opened(where(maps.change <= _STILL), 1)
    count, found, boxes, _ = cv2.connectedComponentsWithStats(still, connectivity=4)
    areas = np.asarray(found, np.int32)
    border = still & (1 - np.asarray(cv2.erode(still, square(1)), np.uint8))
    borders, at_edges, on = (
        np.bincount(areas[where > 0], minlength=count) for where in (border, border & grown(maps.sharp, 2), maps.seeds)
    )
    w, h = boxes[:, 2:4].T
    enclosed = (w * h < shape[0] * shape[1] // _LARGEST) & (on >= 4) & (at_edges > _BORDERED * borders)
    enclosed &= ends_within(np.asarray(boxes, np.int32), part, shape)
    enclosed[0] = False
    return where(enclosed[areas]), areas


def _motion(grey0: Grey, grey1: Grey, hole: Mask) -> _Motion:
    """Return motion from frame 0 to frame 1, found on pictures of a quarter of the size with a hole filled."""
    height, width = grey0.shape
    small = max(width // 4, 32), max(height // 4, 32)  # what DIS needs for its patches
    half = 2 * small[0], 2 * small[1]

    def shrunk(picture: Grey) -> Grey:
        # Twice by two is several times as fast as by four.
        for size in (half, small):
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        return picture

    unknown = where(shrunk(hole * np.uint8(255)) > 127)
    both = filled(cv2.merge((shrunk(grey0), shrunk(grey1))), unknown)
    pictures = cv2.split(np.asarray(cv2.convertScaleAbs(both), np.uint8))
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    dis.setFinestScale(0)
    dis.setPatchStride(5)  # two thirds of the patches
    return np.asarray(dis.calc(pictures[0], pictures[1], None), np.float32)  # type: ignore[call-overload]


def _confirmed(maps: _Maps, grey1: Grey, at: tuple[_Field, _Field], speed: _Field) -> Mask:
    """Return the seeds that motion would have changed, from where it leads and its length."""
    moved = np.asarray(cv2.remap(grey1, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    changed = cv2.blur(_unlike((maps.x, maps.y), _slopes(moved)) - 2 * maps.unlike, (3, 3))
    return maps.seeds & where((np.asarray(changed) > _SURE) & (speed >= 1))


def _overlays(window: _Window, confirmed: Mask, still: Mask, areas: Areas, whole: Mask) -> Iterator[Part]:
    """Mark the pixels of overlays among a part's seeds and enclosed still pixels; yield rectangles of it with them."""
    if np.count_nonzero(confirmed) < _FEWEST:
        return
    maps = window.maps
    if still.any():
        sure, all_seeds = (np.bincount(areas[x > 0], minlength=areas.max() + 1) for x in (confirmed, maps.seeds))
        still = still & where((sure >= 4) & (sure > 0.4 * all_seeds))[areas]
    shown = maps.seeds | still
    labels, boxes = groups(shown, 4)
    sure = np.bincount(labels[confirmed > 0], minlength=len(boxes))
    mask, largest = whole[window.part], whole.size // _LARGEST
    possible = ends_within(boxes, window.part, whole.shape)
    possible &= (boxes[:, 2] < _LONGEST_SIDE * whole.shape[1]) & (boxes[:, 3] < _LONGEST_SIDE * whole.shape[0])
    taken = grown(shown, 3) | where(labels > 0)
    for label in range(1, len(boxes)):
        if not possible[label] or sure[label] < _FEWEST or boxes[label, 2] * boxes[label, 3] > largest:
            continue
        part = part_around(boxes[label], _RING + 2, mask.shape)
        group = where(labels[part] == label)
        own = maps.seeds[part] & group
        ring = where(grown(group, _RING) > taken[part])
        count = np.count_nonzero(own)
        if count < _FEWEST_SEEDS or sure[label] < 0.5 * count:
            continue
        if _is_overlay(maps.at(part), window.speed[part], own, ring) and not _has_gone_along(window, part, own, ring):
            strokes = grown(own, 1) & where(maps.change[part] <= 8)
            mask[part] |= strokes | (still[part] & group)
            yield part_around(boxes[label], 1, mask.shape)


def _is_overlay(maps: _Maps, speed: _Field, own: Mask, ring: Mask) -> bool:
    """Return whether a group of confirmed seeds, in the middle of the maps, is an overlay nothing shines through."""
    if not _stands_out(maps, own, ring) or cv2.mean(where(speed >= _SHORTEST), ring)[0] < 0.5:
        return False
    x, y = (slopes[own > 0].astype(np.float64) for slopes in (maps.x, maps.y))
    even = _is_even(*(np.array([first @ second]) for first, second in ((x, x), (y, y), (x, y))))
    return bool(even[0]) and _lively_around(maps.change, ring)


def _has_gone_along(window: _Window, part: Part, own: Mask, ring: Mask) -> bool:
    """Return whether a group is also where the motion of its ring leads: a pattern that has moved by its period.

    So it is taken for one if its ring does not move as a whole.
    """
    x, y, w, h = cv2.boundingRect(own)
    rows, columns = (side.start + outer.start for side, outer in zip(part, window.part, strict=True))
    top, left = rows + y, columns + x
    here, mask = window.greys[0][top : top + h : 2, left : left + w], own[y : y + h : 2, x : x + w]
    mean = np.full_like(here, round(cv2.mean(here, mask)[0]))
    most = _SAME * max(cv2.norm(here, mean, cv2.NORM_L1, mask), float(np.count_nonzero(mask)))
    right, down = (float(np.median(way[part][ring > 0])) for way in window.motion)
    if math.hypot(right, down) < _SHORTEST_AROUND:
        return True
    height, width = window.greys[1].shape
    for v, u in itertools.product(_around(down), _around(right)):
        y, x = top + v, left + u
        if max(abs(u), abs(v)) > 1 and 0 <= y <= height - h and 0 <= x <= width - w:
            there = window.greys[1][y : y + h : 2, x : x + w]
            if cv2.norm(here, there, cv2.NORM_L1, mask) < most:
                return True
    return False


def _around(way: float) -> range:
    slack = min(_SLACK[0] + round(abs(way) / 4), _SLACK[1])
    return range(round(way) - slack, round(way) + slack + 1)


def _stands_out(maps: _Maps, own: Mask, ring: Mask) -> bool:
    """Return whether seeds stand still, and are dense, where what is around them changes."""
    levels = np.cumsum(cv2.calcHist([maps.change], [0], own, [256], [0, 256]))
    count = levels[-1]
    if not count or not ring.any():
        return False
    median, most = np.searchsorted(levels, (count // 2, count * 4 // 5), "right")
    outside = cv2.mean(maps.change, ring)[0]
    if median > 0.12 * outside + 0.6 or cv2.mean(_lively(maps.change), ring)[0] < _LIVELY:
        return False
    dense = count / np.count_nonzero(maps.edges & grown(own, 2))
    score = dense + 0.12 * math.log((outside + 1) / (most + 2)) + 0.08 * math.log(count / 30)
    return bool(score >= 0.7)


def _lively_around(change: Grey, ring: Mask) -> bool:
    """Return whether a ring is lively on all its sides, three at least; what passes by a still thing is on some."""
    height, width = ring.shape
    row, column = np.nonzero(ring[::2])  # every second row tells enough
    v, u = (4 * row + 1 - height) / height, (2 * column + 1 - width) / width
    upright = np.abs(v) > np.abs(u)
    side = 2 * upright + (np.where(upright, v, u) > 0)
    number, lively = np.bincount(side, minlength=4), np.bincount(side, _lively(change)[::2][row, column], 4)
    seen = number >= _FEWEST // 2
    return bool(np.count_nonzero(seen) >= 3 and (lively >= _LIVELY_SIDE * number)[seen].all())


def _lively(change: Grey) -> Mask:
    return grown(where(change > 8), 2)


def _is_even(xx: _Sums, yy: _Sums, xy: _Sums) -> NDArray[np.bool_]:
    """Return whether slopes point along all directions, from the sums of their products."""
    both, apart = xx + yy, np.hypot(xx - yy, 2 * xy)
    return np.asarray(both - apart > _EVEN * (both + apart), np.bool_)


# --- pictures ------------------------------------------------------------------------------------------------------


def _slopes(grey: Grey) -> tuple[_Slopes, _Slopes]:
    x, y = cv2.spatialGradient(grey)
    return np.asarray(x, np.int16), np.asarray(y, np.int16)


def _unlike(slopes0: tuple[_Slopes, _Slopes], slopes1: tuple[_Slopes, _Slopes]) -> _Slopes:
    x, y = (np.asarray(cv2.absdiff(a, b), np.int16) for a, b in zip(slopes0, slopes1, strict=True))
    return x + y
