"""Objects that have moved further than they are wide, matched as wholes where the rest of the picture is at rest.

A patch of the ground fits best where it is, so flow of patches hardly ever leads there: in a game or a drawing a sprite
fades out in one place and in at another. But where the rest is at rest, or moves as one, all that has changed is where
such a thing was and where it has come to. Two changed regions of the same shape, with an edge around them in one frame
each, are the same thing if it looks alike.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .block_matching import Flow, Grey

type _Mask = NDArray[np.uint8]
type _Pixels = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows and columns of some pixels."""

_CHANGED = 16
"""Grey levels from which on a pixel has changed."""
_MOST = 0.4
"""Share of the picture that may have changed: of more it cannot be said that the rest is at rest."""
_REGIONS = 64
"""Changed regions that are looked at, the largest first."""
_PAIRS = 128
"""Pairs of regions that are compared, the nearest first, so that the time is bounded."""
_SMALLEST = 10
"""Pixels of a region."""
_LARGEST = 0.1
"""Share of the picture."""
_EDGE, _FLAT = 1.5, 2.0
"""How many times as strong the edge around a region is in the frame that has the object, and by how much more."""
_AREAS = 1.67
"""Ratio of the areas of two regions that may be the same thing."""
_SIDES = 0.3, 3
"""Share of a side, and pixels, by which the sides of their rectangles may differ."""
_FARTHEST = 0.35
"""Share of the longer side of the picture that a thing may move by."""
_SLACK = 3
"""Pixels around the other region in which a thing is looked for."""
_ALIKE = 0.2, 8.0
"""Share of what the ground leaves of the squared difference that an object may leave, and grey levels more."""
_LENGTH_COST = 0.001
"""Share of what the ground leaves by which a motion must fit better for each pixel that it is longer: of several
objects that look alike the nearest is the same."""
_BETTER = 0.5, 20.0
"""Share of what flow leaves that it may leave, and grey levels by which it must be less."""
_EDGE_PIXELS = 2
"""Pixels around an object that move with it: its soft edge."""
_MOVES = 0.25
"""Pixels from which on the picture as a whole is taken to move."""
_SPARSE = 4
_NEAR = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class _Region:
    """A changed region: its rectangle, and which pixels of that are in it."""

    x: int
    y: int
    mask: _Mask

    @property
    def area(self) -> int:
        return int(np.count_nonzero(self.mask))

    def cut(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        height, width = self.mask.shape
        return picture[self.y : self.y + height, self.x : self.x + width].astype(np.float32)

    def pixels(self, shape: tuple[int, ...], motion: tuple[int, int], wider: int) -> _Pixels:
        """Return the pixels of the picture that it takes after some motion, and some around it."""
        wide = cv2.copyMakeBorder(self.mask, *(wider,) * 4, cv2.BORDER_CONSTANT)
        rows, columns = np.nonzero(cv2.dilate(wide, _NEAR, iterations=wider))
        rows, columns = rows + (self.y + motion[1] - wider), columns + (self.x + motion[0] - wider)
        seen = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        return rows[seen], columns[seen]


@dataclass(frozen=True)
class _Match:
    """Regions that an object has left and reached, its motion, and its misfit as a share of that of the ground."""

    left: int
    reached: int
    motion: tuple[int, int]
    misfit: float


def with_whole_objects(grey0: Grey, grey1: Grey, forth: Flow, back: Flow) -> tuple[Flow, Flow]:
    """Return the flow of a pair with the motion of objects that it has missed.

    Args:
        grey0: Frame 0, (H, W).
        grey1: Frame 1, likewise.
        forth: Flow 0->1, (H, W, 2).
        back: Flow 1->0, likewise.

    Returns:
        Both, the given ones where nothing was found.
    """
    whole = (_median(forth) - _median(back)) / 2
    if np.hypot(*whole) < _MOVES:
        whole = np.zeros(2, np.float32)
        beside = grey1
    else:  # frame 1 as if the whole had not moved
        place = np.array(((1, 0, whole[0]), (0, 1, whole[1])), np.float64)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = grey1.shape[1], grey1.shape[0]
        beside = np.asarray(cv2.warpAffine(grey1, place, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    left, reached = _regions(grey0, beside)
    matches = _matches(grey0, beside, left, reached)
    if not matches:
        return forth, back
    steps = round(float(whole[0])), round(float(whole[1]))
    new_forth, new_back = forth.copy(), back.copy()
    for match in matches:
        motion = np.array(match.motion) + whole
        there = match.motion[0] + steps[0], match.motion[1] + steps[1]
        old, new = left[match.left], reached[match.reached]
        in_0, in_1 = old.pixels(grey0.shape, (0, 0), 1), old.pixels(grey1.shape, there, 1)
        before = _left_over(grey0, grey1, forth[in_0], in_0) + _left_over(grey1, grey0, back[in_1], in_1)
        after = _left_over(grey0, grey1, motion, in_0) + _left_over(grey1, grey0, -motion, in_1)
        if after + _BETTER[1] >= _BETTER[0] * before:
            continue
        # Each frame has nothing but ground where the other one has the object.
        new_forth[new.pixels(grey0.shape, (0, 0), _EDGE_PIXELS)] = whole
        new_back[old.pixels(grey1.shape, steps, _EDGE_PIXELS)] = -whole
        new_forth[old.pixels(grey0.shape, (0, 0), _EDGE_PIXELS)] = motion
        new_back[old.pixels(grey1.shape, there, _EDGE_PIXELS)] = -motion
    return new_forth, new_back


def _median(flow: Flow) -> NDArray[np.float32]:
    return np.asarray(np.median(flow[::_SPARSE, ::_SPARSE].reshape(-1, 2), axis=0), np.float32)


def _regions(grey0: Grey, grey1: Grey) -> tuple[list[_Region], list[_Region]]:
    """Changed regions with an object in frame 0 alone, and with one in frame 1 alone."""
    left: list[_Region] = []
    reached: list[_Region] = []
    changed = (cv2.absdiff(grey0, grey1) > _CHANGED).astype(np.uint8)
    if not 0 < cv2.countNonZero(changed) <= _MOST * changed.size:
        return left, reached
    height, width = changed.shape
    closed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, _NEAR)
    _, labels, found, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    edges = [np.asarray(cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, _NEAR)) for grey in (grey0, grey1)]
    for label in 1 + np.argsort(-found[1:, cv2.CC_STAT_AREA], kind="stable")[:_REGIONS]:
        x, y, across, down, area = (int(number) for number in found[label])
        if not _SMALLEST <= area <= _LARGEST * changed.size:
            continue
        top, start = max(y - 1, 0), max(x - 1, 0)
        around = slice(top, min(y + down + 1, height)), slice(start, min(x + across + 1, width))
        inside = (labels[around] == label).astype(np.uint8)
        outline = cv2.dilate(inside, _NEAR) != cv2.erode(inside, _NEAR)
        edge0, edge1 = (float(edge[around][outline].mean()) for edge in edges)
        region = _Region(x, y, np.ascontiguousarray(inside[y - top :, x - start :][:down, :across]))
        if edge0 > _EDGE * edge1 + _FLAT:
            left.append(region)
        elif edge1 > _EDGE * edge0 + _FLAT:
            reached.append(region)
    return left, reached


def _matches(grey0: Grey, grey1: Grey, left: list[_Region], reached: list[_Region]) -> list[_Match]:
    """Pairs of regions that the same object has left and reached; each is of one pair."""
    found: list[_Match] = []
    farthest = _FARTHEST * max(grey0.shape)
    apart = [(_distance(old, new), k, n) for k, old in enumerate(left) for n, new in enumerate(reached)]
    near = [(k, n) for far, k, n in sorted(apart) if far <= farthest and _may_be_one(left[k], reached[n])]
    for k, n in near[:_PAIRS]:
        old = left[k]
        here, inside = old.cut(grey0), old.mask > 0
        ground = np.square(here - old.cut(grey1))[inside].mean()
        place, misfit = _looked_for(here, old.mask, grey1, reached[n])
        if misfit < _ALIKE[0] * ground + _ALIKE[1]:
            found.append(_Match(k, n, (place[0] - old.x, place[1] - old.y), float(misfit / ground)))
    found.sort(key=lambda match: match.misfit + _LENGTH_COST * float(np.hypot(*match.motion)))
    olds: set[int] = set()
    news: set[int] = set()
    matches = []
    for match in found:
        if match.left not in olds and match.reached not in news:
            olds.add(match.left)
            news.add(match.reached)
            matches.append(match)
    return matches


def _distance(old: _Region, new: _Region) -> float:
    return float(np.hypot(new.x - old.x, new.y - old.y))


def _may_be_one(old: _Region, new: _Region) -> bool:
    return 1 / _AREAS < new.area / old.area < _AREAS and all(
        abs(after - before) <= max(_SIDES[0] * before, _SIDES[1])
        for before, after in zip(old.mask.shape, new.mask.shape, strict=True)
    )


def _looked_for(here: NDArray[np.float32], mask: _Mask, grey: Grey, near: _Region) -> tuple[tuple[int, int], float]:
    """Place (x, y) of what looks most like an object at a region, and the mean squared difference there."""
    spans = []
    for at, size, side, limit in zip((near.y, near.x), near.mask.shape, mask.shape, grey.shape, strict=True):
        first = max(min(at, at + size - side) - _SLACK, 0)
        spans.append((first, min(max(at + size, at + side) + _SLACK, limit)))
    (top, bottom), (first, last) = spans
    within = grey[top:bottom, first:last].astype(np.float32)
    if within.shape[0] < mask.shape[0] or within.shape[1] < mask.shape[1]:
        return (0, 0), np.inf
    squares = cv2.matchTemplate(within, here, cv2.TM_SQDIFF, mask=mask.astype(np.float32))
    least, _, (x, y), _ = cv2.minMaxLoc(squares)
    return (first + x, top + y), max(least, 0.0) / np.count_nonzero(mask)


def _left_over(here: Grey, there: Grey, flow: NDArray[np.floating], at: _Pixels) -> float:
    """Mean squared difference that flow, of each pixel or of all, leaves in some pixels."""
    rows, columns = at
    if not len(rows):
        return 0.0
    x = np.clip(np.rint(columns + flow[..., 0]), 0, here.shape[1] - 1).astype(np.intp)
    y = np.clip(np.rint(rows + flow[..., 1]), 0, here.shape[0] - 1).astype(np.intp)
    return float(np.square(here[at].astype(np.float32) - there[y, x]).mean())
