"""Search for overlays of a frame pair: logos, subtitles, HUDs, which stand still while what is around them moves.

Edges that are the same in both frames at the same place are seeds. In a still picture all edges are; in a moving one
some are by chance or because they lie along the motion. So the seeds are taken out of both frames, motion is found on
what is left, and a seed is confirmed if that motion would have changed it. Seeds are put into groups; a group is an
overlay if enough of its seeds are confirmed, if its edges run along both axes, and if its surroundings change much
more than its own pixels. A still background with something moving over it does not: it is still around its own edges.

The numbers were chosen on training videos with overlays drawn on them (`scripts.benchmarks.overlays` draws the same).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

type Grey = NDArray[np.uint8]
"""(H, W), 8 bit."""
type Mask = NDArray[np.uint8]
"""(H, W), 0 or 1."""
type Picture = NDArray[np.float32]
"""(H, W), or (H, W, C)."""
type _Bools = NDArray[np.bool_]

LONGEST = 640
"""Pixels of the longer side of the pictures that are searched, at most: strokes of subtitles have two of them."""

_SMALLEST = 32
"""Pixels of the shorter side below which there is no room for overlays."""
_EDGE = 128
"""Sum of the absolute Sobel gradients of both frames from which there is an edge: a step of 16 levels."""
_UNLIKE = 4
"""Part of this sum by which a seed's gradients may differ, as a divisor."""
_SURE = 48
"""Sum of gradients by which motion must change a seed, beyond twice the difference between the frames."""
_SEEDS_AMONG_EDGES = 0.6
"""Part of the edges in 7x7 pixels that must be seeds, so that those by chance are none."""
_FEWEST = 12
"""Confirmed seeds of a group."""
_NEAR, _MOVING_NEAR, _MOVES = 40, 0.1, 10
"""Radius around seeds in which this part of the pixels must differ by more than this many levels."""
_STILL = 3
"""Levels by which the inner pixels of an opaque overlay differ at most, as compression makes them; its edges by 8."""
_BORDERED = 0.7
"""Part of the border of such pixels that must lie at edges: smooth parts of a moving picture end in nothing."""
_SHORTEST = 0.7
"""Length of motion below which nothing needs to be taken out, pixels."""


class Found(NamedTuple):
    """Overlays of a pair, at the size of the pictures that were searched."""

    mask: Mask
    """Pixels of overlays."""
    motion: NDArray[np.float32]
    """Motion of the picture without them from frame 0 to frame 1, (H, W, 2), (dx, dy) in pixels."""


@dataclass(frozen=True, kw_only=True)
class _Maps:
    """What is known of each pixel of a pair, (H, W)."""

    change: Grey
    edges: _Bools
    seeds: _Bools
    confirmed: _Bools
    still: _Bools
    """Inner pixels of what may be opaque."""
    slopes: tuple[NDArray[np.int16], NDArray[np.int16]]
    """Gradients of frame 0 along x and y."""
    motion: NDArray[np.float32]


def find(grey0: Grey, grey1: Grey) -> Found | None:
    """Return the overlays of a pair, ``None`` if there are none.

    Args:
        grey0: Brightness of frame 0.
        grey1: Brightness of frame 1, of the same size.
    """
    if min(grey0.shape) < _SMALLEST:
        return None
    change = np.asarray(cv2.absdiff(grey0, grey1), np.uint8)
    near = cv2.blur((change > _MOVES).astype(np.uint8) * 255, (2 * _NEAR + 1, 2 * _NEAR + 1)) > 255 * _MOVING_NEAR
    if not near.any():
        return None
    slopes0, slopes1 = _slopes(grey0), _slopes(grey1)
    strength0, strength1 = _strength(*slopes0), _strength(*slopes1)
    unlike = _unlike(slopes0, slopes1)
    edges = cv2.add(strength0, strength1) > _EDGE
    seeds = edges & (unlike < cv2.add(strength0, strength1) // _UNLIKE)
    seeds &= _count(seeds, 3) > np.float32(_SEEDS_AMONG_EDGES) * _count(edges, 3)
    if np.count_nonzero(seeds & near) < _FEWEST:
        return None
    still, areas = _enclosed(change, seeds, np.minimum(strength0, strength1) > _EDGE // 2)
    hole = _grown(seeds, 2) | _grown(still, 1)
    motion = _motion(grey0, grey1, hole)
    moved = np.asarray(cv2.remap(grey1, *places(motion), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    changed = cv2.blur(_unlike(slopes0, _slopes(moved)), (3, 3))
    confirmed = (
        seeds & (changed > 2 * cv2.blur(unlike, (3, 3)) + _SURE) & (np.hypot(motion[..., 0], motion[..., 1]) >= 1)
    )
    if np.count_nonzero(confirmed) < _FEWEST:
        return None
    sure, all_seeds = (np.bincount(areas[x], minlength=areas.max() + 1) for x in (confirmed, seeds))
    still &= ((sure >= 4) & (sure > 0.4 * all_seeds))[areas]
    return _grouped(
        _Maps(
            change=change,
            edges=edges,
            seeds=seeds,
            confirmed=confirmed,
            still=still,
            slopes=slopes0,
            motion=motion,
        )
    )


def _enclosed(change: Grey, seeds: _Bools, sharp: _Bools) -> tuple[_Bools, NDArray[np.int32]]:
    """Return the still pixels that are enclosed by edges and have seeds among them, and the area that each is in."""
    still = cv2.morphologyEx((change <= _STILL).astype(np.uint8), cv2.MORPH_OPEN, _square(1))
    count, found, boxes, _ = cv2.connectedComponentsWithStats(still, connectivity=4)
    areas = np.asarray(found, np.int32)
    border = (still > 0) & (cv2.erode(still, _square(1)) == 0)
    borders, at_edges, on = (
        np.bincount(areas[where], minlength=count) for where in (border, border & (_grown(sharp, 2) > 0), seeds)
    )
    enclosed = (boxes[:, 2] * boxes[:, 3] < change.size // 4) & (on >= 4) & (at_edges > _BORDERED * borders)
    enclosed[0] = False
    return enclosed[areas], areas


def _grouped(maps: _Maps) -> Found | None:
    area = cv2.morphologyEx(_grown(maps.seeds | maps.still, 1), cv2.MORPH_CLOSE, _square(4))
    outlines, _ = cv2.findContours(area, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    area = cv2.drawContours(np.zeros_like(area), outlines, -1, (1,), -1)
    count, found, boxes, _ = cv2.connectedComponentsWithStats(area)
    labels = np.asarray(found, np.int32)
    sure = np.bincount(labels[maps.confirmed], minlength=count)
    mask = np.zeros(area.shape, np.uint8)
    taken = _grown(maps.seeds | maps.still, 3) | (labels > 0)
    for label in range(1, count):
        if sure[label] < _FEWEST:
            continue
        x, y, w, h = (int(value) for value in boxes[label, :4])
        part = np.s_[max(y - 12, 0) : y + h + 12, max(x - 12, 0) : x + w + 12]
        group = labels[part] == label
        own = maps.seeds[part] & group
        if _is_overlay(maps, part, own, _grown(group, 10) > taken[part], int(sure[label])):
            strokes = (_grown(own, 1) > 0) & (maps.change[part] <= 8)
            mask[part] |= strokes | (maps.still[part] & group)
    return Found(mask, maps.motion) if mask.any() else None


def _is_overlay(maps: _Maps, part: tuple[slice, slice], own: _Bools, ring: _Bools, sure: int) -> bool:
    """Return whether a group is an overlay that nothing shines through.

    Args:
        maps: Those of the pair.
        part: A rectangle around the group.
        own: Its seeds.
        ring: What is around it.
        sure: Number of its confirmed seeds.
    """
    change, motion, number = maps.change[part], maps.motion[part], np.count_nonzero(own)
    if not ring.any() or sure < 0.5 * number or np.median(np.hypot(*motion[ring].T)) < _SHORTEST:
        return False
    inside, outside = change[own], float(change[ring].mean())
    dense = number / np.count_nonzero(maps.edges[part] & (_grown(own, 2) > 0))
    score = dense + 0.12 * np.log((outside + 1) / (np.percentile(inside, 80) + 2)) + 0.08 * np.log(number / 30)
    lively = (_grown(change > 8, 2)[ring] > 0).mean() >= 0.35
    even = _evenness(*(slopes[part][own] for slopes in maps.slopes)) >= 0.15
    return bool(lively and even and score >= 0.7 and np.median(inside) <= 0.12 * outside + 0.6)


def _evenness(x: NDArray[np.int16], y: NDArray[np.int16]) -> float:
    """Return how evenly slopes point along all directions: 0 for parallel lines, 1 for a circle."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    low, high = np.linalg.eigvalsh([[x @ x, x @ y], [x @ y, y @ y]])
    return float(low / high) if high > 0 else 0.0


def filled(picture: NDArray[Any], hole: Mask, local: int = 1) -> Picture:
    """Return a picture with a hole filled from around it, by means over growing areas.

    Args:
        picture: (H, W) or (H, W, C).
        hole: 1 where nothing is known.
        local: How much means over small areas count more than those over large ones.
    """
    known = 1 - hole.astype(np.float32)
    levels = [(picture * _like(known, picture), known)]
    while min(levels[-1][1].shape) > 2 and levels[-1][1].min() < 1e-3:
        product, weight = (np.asarray(cv2.pyrDown(values), np.float32) for values in levels[-1])
        levels.append((product, weight))
    product, weight = levels[-1]
    result = product / np.maximum(_like(weight, picture), np.float32(1e-6))
    for product, weight in reversed(levels[:-1]):
        coarse = np.asarray(cv2.pyrUp(result, dstsize=weight.shape[::-1]), np.float32)
        weight = _like(weight, picture)
        share = np.minimum(weight * local, 1)
        result = product / np.maximum(weight, np.float32(1e-6)) * share + coarse * (1 - share)
    return np.asarray(result, np.float32)


def places(motion: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where pixels lie after motion (H, W, 2): x and y, (H, W) each."""
    height, width = motion.shape[:2]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(motion[..., 0] + x, np.float32), np.asarray(motion[..., 1] + y, np.float32)


def _motion(grey0: Grey, grey1: Grey, hole: Mask) -> NDArray[np.float32]:
    """Return motion from frame 0 to frame 1, found on pictures of half the size with a hole filled."""
    height, width = grey0.shape
    small = max(width // 2, 32), max(height // 2, 32)  # what DIS needs for its patches
    unknown = (cv2.resize(hole.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    pictures = (
        np.rint(filled(cv2.resize(grey, small, interpolation=cv2.INTER_AREA), unknown)).clip(0, 255).astype(np.uint8)
        for grey in (grey0, grey1)
    )
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    dis.setFinestScale(0)
    flow = np.asarray(dis.calc(*pictures, None), np.float32)  # type: ignore[call-overload]
    enlarged = np.asarray(cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return enlarged * np.array((width / small[0], height / small[1]), np.float32)


def _like(weight: NDArray[np.float32], picture: NDArray[Any]) -> NDArray[np.float32]:
    return weight if picture.ndim == 2 else weight[..., None]


def _slopes(grey: Grey) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    x, y = (np.asarray(cv2.Sobel(grey, cv2.CV_16S, *axis), np.int16) for axis in ((1, 0), (0, 1)))
    return x, y


def _strength(x: NDArray[np.int16], y: NDArray[np.int16]) -> NDArray[np.int16]:
    return np.abs(x) + np.abs(y)


def _unlike(
    slopes0: tuple[NDArray[np.int16], NDArray[np.int16]], slopes1: tuple[NDArray[np.int16], NDArray[np.int16]]
) -> NDArray[np.int16]:
    x, y = (np.abs(a - b) for a, b in zip(slopes0, slopes1, strict=True))
    return x + y


def _count(mask: _Bools, radius: int) -> NDArray[np.float32]:
    side = 2 * radius + 1
    counts = cv2.boxFilter(mask.astype(np.uint8), cv2.CV_32F, (side, side), normalize=False)
    return np.asarray(counts, np.float32)


def _square(radius: int) -> Mask:
    return np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)


def _grown(mask: NDArray[Any], radius: int) -> Mask:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), _square(radius)), np.uint8)
