"""Detector of damaged frames on small pictures, without state.

A damaged frame stands alone: the frames before and after it show one scene in one light, and it is like none of them.
`find` looks for runs of at most `LONGEST` such frames, and is strict, as most pictures that look damaged are meant.
Black between two scenes is an edit, in changing light a fade; light that comes more than once, or fades, is lightning
or a strobe. A repeat is a lost frame only if all frames around it move, and if the step after it makes up for what was
missed.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from . import scene_score

Picture = npt.NDArray[np.float32]
Kind = Literal["black", "flash", "green", "torn", "frozen"]

LARGEST = 240
"""Longest side of the pictures."""
LONGEST = 4
"""Frames of the longest run that is damage: what is longer was probably meant."""
RADIUS = 8
"""Frames before and after a frame that decide about it."""

_LONGEST_OF: Mapping[Kind, int] = {"flash": 2, "frozen": 3, "torn": 3}
_CELL = 8  # side of the blocks whose brightness is compared
_BLOCK = 4  # side of the blocks that are looked at for motion

_DARK, _DULL = 0.05, 0.05  # luma and chroma that no pixel of a black frame exceeds
_VISIBLE = 0.15  # luma that something in the frames around a black one reaches
_STEADY = 0.2  # part of the step to a black or bright frame by which the light around it may change
_BRIGHTER, _NEARLY_ALL = 0.05, 95  # percentage of the blocks that a flash makes brighter, by so much
_WHITE = 0.85  # what is as bright as this cannot become brighter
_LOST_GREEN, _LOST_GREY = 0.005, 0.015  # part of the picture that has the colour of missing data
_OTHER = 0.06  # difference from the frames around in such parts
_FADES, _MOSTLY = 0.04, 0.3  # change of light in which less than this part of the picture may be fading
_STILL, _CALM, _MOVES = 0.08, 0.35, 0.03  # change of a repeat, at most; the same as a part of motion; change by motion
_JUMP = 0.6, 1.6  # length of the step after a repeat, over the steps that it must make up for
_LARGER = 1.2  # change by that step, over the change by those around
_FLOW_SIDE, _SLOWEST = 160, 0.3  # longest side of pictures for optical flow; pixels that count as motion
_SIDE, _REACH = 12, 6  # blocks that are looked for in the frames around, and how far away
_FOREIGN, _FOREIGN_AREA = 0.06, 0.06  # unlikeness of what is not found there, and part of the picture


class Found(NamedTuple):
    """Run of damaged frames."""

    kind: Kind
    first: int
    last: int


class Sight(NamedTuple):
    """Facts about one picture."""

    mean: float
    """Mean luma."""
    is_dark: bool
    """True if nothing is visible."""
    has_lost: bool
    """True if a part has the colour that decoders give to missing data."""


def picture(planes: Picture, *, is_rgb: bool) -> Picture:
    """Return planes (1 or 3, H, W) of RGB, YUV or GRAY, black about 0 and white about 1, as YUV (3, H, W)."""
    planes = np.nan_to_num(planes, posinf=1, neginf=0)
    if len(planes) == 1:
        return np.concatenate([planes, np.zeros((2, *planes.shape[1:]), np.float32)])
    if not is_rgb:
        return planes
    red, green, blue = planes
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return np.stack([luma, (blue - luma) / 1.8556, (red - luma) / 1.5748]).astype(np.float32)


def sight(yuv: Picture) -> Sight:
    """Return facts about a picture (3, H, W)."""
    small = [_shrunk(plane, 2) for plane in yuv]
    dark = float(np.percentile(small[0], 99)) < _DARK and float(np.abs(small[1:]).max()) < _DULL
    return Sight(float(yuv[0].mean()), dark, any(map(np.any, _lost(yuv))))


def change(first: Picture, second: Picture) -> Picture:
    """Return the change between two pictures (3, H, W) in each row of blocks of 4x4: that of the largest in it.

    What nine of ten blocks have is grain, and taken off.
    """
    apart = np.max([np.abs(cv2.blur(cv2.subtract(a, b), (3, 3))) for a, b in zip(first, second, strict=True)], axis=0)
    blocks = _shrunk(apart, _BLOCK)
    changes: Picture = (blocks.max(axis=1) - np.percentile(blocks, 10)).astype(np.float32)
    return changes


class Window:
    """Frames that decide about one of them.

    Args:
        pictures: Pictures (3, H, W) by the numbers of the frames.
        sights: Facts about them, from `sight`.
        changes: Results of `change` from the frame before to each frame.
    """

    def __init__(
        self, pictures: Mapping[int, Picture], sights: Mapping[int, Sight], changes: Mapping[int, Picture]
    ) -> None:
        self.pictures, self.sights, self.changes = pictures, sights, changes

    @cached_property
    def backwards(self) -> "Window":
        """The same frames in the reverse order, with their numbers negated."""
        return Window(
            {-n: each for n, each in self.pictures.items()},
            {-n: each for n, each in self.sights.items()},
            {1 - n: each for n, each in self.changes.items()},
        )

    def has(self, first: int, last: int) -> bool:
        """Return whether a range of frames is there."""
        return first in self.pictures and last in self.pictures

    def luma(self, n: int, by: int) -> Picture:
        """Return the luma of a frame, shrunk."""
        return _shrunk(self.pictures[n][0], by)

    def is_cut(self, left: int, right: int) -> bool:
        """Return whether a scene ends between two frames, if those between them were not there."""
        reach = range(scene_score.RADIUS + 1)
        around = [*(left - by for by in reversed(reach)), *(right + by for by in reach)]
        thumbnails = [scene_score.thumbnail(self.pictures[n][0]) if n in self.pictures else None for n in around]
        return scene_score.cut_score(thumbnails) >= scene_score.THRESHOLD


def find(window: Window, n: int) -> Found | None:
    """Return the run of damaged frames that a frame is part of; ``None`` if it is not damaged.

    Args:
        window: The frames from ``n - RADIUS`` to ``n + RADIUS``, as far as they are there.
        n: Number of the frame.
    """
    for kind, test in _TESTS:
        longest = _LONGEST_OF.get(kind, LONGEST)
        for length in range(1, longest + 1):
            for first in range(n - length + 1, n + 1):
                if window.has(first, first + length - 1) and test(window, first, first + length - 1):
                    return Found(kind, first, first + length - 1)
    return None


def _is_green(window: Window, first: int, last: int) -> bool:
    """Return whether parts of all frames of a run, and not of those around it, are missing data."""
    around = [window.pictures[n] for n in (first - 1, last + 1) if n in window.pictures]
    if not around or not all(window.sights[n].has_lost for n in range(first, last + 1)):
        return False
    # Beside a flash or a black frame all that is healthy differs from it: a little farther away it does not.
    near = [window.pictures[n] for n in range(first - 3, last + 4) if n in window.pictures and not first <= n <= last]
    known = [np.any(masks, axis=0) for masks in zip(*map(_lost, near), strict=True)]
    beside = ((first - 2, first - 1), (first - 1, last + 1), (last + 1, last + 2))
    steps = [window.sights[a].mean - window.sights[b].mean for a, b in beside if window.has(a, b)]
    fades = max(map(abs, steps), default=0.0) > _FADES
    for n in range(first, last + 1):
        here = window.pictures[n]
        other = np.min([np.abs(here - each).max(axis=0) for each in around], axis=0) > _OTHER
        # What fades passes through grey: it lies between the frames around.
        other &= (here[0] - around[0][0]) * (here[0] - around[-1][0]) > -((_OTHER / 2) ** 2)
        green, grey = (float((m & other & ~k).mean()) for m, k in zip(_lost(here), known, strict=True))
        if green < (_MOSTLY if fades else _LOST_GREEN) and (fades or grey < _LOST_GREY):
            return False
    return True


def _lost(yuv: Picture) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return masks of flat parts in the green of samples that are all 0, as YUV or once they were RGB, and in grey."""
    luma, u, v = yuv
    red, green, blue = luma + 1.5748 * v, luma - 0.1873 * u - 0.4681 * v, luma + 1.8556 * u
    greens = (red < 0.08) & (blue < 0.08) & (green > 0.2) & (green < 0.65)
    greys = (np.abs(u) < 0.02) & (np.abs(v) < 0.02) & (np.abs(luma - 0.506) < 0.02)
    if not greens.any() and not greys.any():
        return greens, greys
    if not u.any() and not v.any():  # a picture without colour may well have grey parts
        greys = np.zeros_like(greys)
    near = np.ones((3, 3), np.uint8)
    rough = np.max([cv2.dilate(plane, near) - cv2.erode(plane, near) for plane in yuv], axis=0)
    return greens & (rough < 0.04), greys & (rough < 0.02)


def _is_black(window: Window, first: int, last: int) -> bool:
    return (
        all(window.sights[n].is_dark for n in range(first, last + 1))
        and _is_alone(window, first, last, lambda n: window.sights[n].is_dark)
        and min(float(window.pictures[n][0].max()) for n in (first - 1, last + 1)) > _VISIBLE
        and _is_steady(window, first, last)
    )


def _is_flash(window: Window, first: int, last: int) -> bool:
    """Return whether nearly all blocks of a run are brighter than in the frames around it."""
    if not window.has(first - 2, last + 2):
        return False
    base = max(window.sights[n].mean for n in (first - 1, last + 1))
    top = min(window.sights[n].mean for n in range(first, last + 1))
    if top < base + _BRIGHTER / 2:
        return False
    before = np.maximum(np.maximum(window.luma(first - 1, _CELL), window.luma(last + 1, _CELL)), 0)
    free = before < _WHITE
    for n in range(first, last + 1):
        more = (window.luma(n, _CELL) - before)[free]
        if free.mean() < 0.3 or np.percentile(more, 100 - _NEARLY_ALL) < _BRIGHTER:
            return False
    return _is_alone(window, first, last, lambda n: window.sights[n].mean > base + (top - base) / 3) and _is_steady(
        window, first, last
    )


def _is_alone(window: Window, first: int, last: int, alike: Callable[[int], bool]) -> bool:
    """Return whether no other frame near is like those of a run."""
    near = [n for n in range(last - RADIUS, first + RADIUS + 1) if n in window.pictures and not first <= n <= last]
    return window.has(first - 2, last + 2) and not any(map(alike, near))


def _is_steady(window: Window, first: int, last: int) -> bool:
    """Return whether scene and light are the same before and after a run."""
    a, b, c, d = (window.sights[n].mean for n in (first - 2, first - 1, last + 1, last + 2))
    step = min(abs(window.sights[first].mean - b), abs(window.sights[last].mean - c))
    return max(abs(a - b), abs(b - c), abs(c - d)) < _STEADY * step and not window.is_cut(first - 1, last + 1)


def _is_frozen(window: Window, first: int, last: int) -> bool:
    """Return whether a run repeats the frame before while all others around it move."""
    if not window.has(first - 3, last + 3):
        return False
    moves = min(float(window.changes[n].max()) for n in (first - 2, first - 1, last + 1, last + 2, last + 3))
    still = max(float(window.changes[n].max()) for n in range(first, last + 1))
    return moves > _MOVES and still <= min(_STILL, _CALM * moves) and _makes_up(window, first, last)


def _makes_up(window: Window, first: int, last: int, part: tuple[float, float] = (0, 1)) -> bool:
    """Return whether motion after a run of repeats makes up for what it missed.

    ``part`` is the part of the height that is looked at, from and to.
    """
    pairs = (first - 2, first - 1), (last, last + 1), (last + 1, last + 2)
    before, over, after = (_in_part(_flow(window, *pair), part) for pair in pairs)
    usual = (before + after) / 2
    size = np.hypot(usual[..., 0], usual[..., 1])
    moving = size > max(_SLOWEST, float(np.percentile(size, 95)) / 2)
    if moving.mean() < 0.01:
        return False
    square = float((usual[moving] ** 2).sum())
    steps = float((usual[moving] * over[moving]).sum()) / square / (last - first + 2)
    even = float((before[moving] * after[moving]).sum()) / square
    a, b, c = (_in_part(cv2.absdiff(*(window.pictures[n][0] for n in pair)), part).mean() for pair in pairs)
    is_longer = _JUMP[0] < steps < _JUMP[1] and even > 0.3 and bool(b > _LARGER * (a + c) / 2)
    return is_longer and not window.is_cut(first - 1, last + 1)


def _in_part[A: np.generic](rows: npt.NDArray[A], part: tuple[float, float]) -> npt.NDArray[A]:
    begin, end = (int(edge * len(rows)) for edge in part)
    return rows[begin : max(end, begin + 1)]


def _flow(window: Window, first: int, second: int) -> Picture:
    pair = [window.pictures[n][0] for n in (first, second)]
    height, width = pair[0].shape
    by = min(_FLOW_SIDE / max(height, width), 1)
    size = max(round(width * by), 1), max(round(height * by), 1)
    if min(size) < 24:  # too small for the search
        return np.zeros((size[1], size[0], 2), np.float32)
    small = [cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in pair]
    first8, second8 = (np.clip(each * 255, 0, 255).astype(np.uint8) for each in small)
    flow: Picture = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(first8, second8, None)  # type: ignore[call-overload]
    return flow


def _is_torn(window: Window, first: int, last: int) -> bool:
    # The lower or upper part may still be that of the frame before, or already that of the one after.
    both = ((window, first), (window.backwards, -first)) if first == last and window.has(first - 3, first + 3) else ()
    return any(_repeats_in_part(each, n) for each, n in both) or _is_foreign(window, first, last)


def _repeats_in_part(window: Window, n: int) -> bool:
    """Return whether a part at the top or bottom of a frame repeats that of the frame before, and the rest moves."""
    moves = np.min([window.changes[k] for k in (n - 2, n - 1, n + 2, n + 3) if k in window.changes], axis=0)
    sure, own, rows = moves > _MOVES, window.changes[n], len(moves)
    if sure.mean() < 0.4:
        return False
    still, moved = own <= np.minimum(_STILL, _CALM * moves), own >= 0.6 * moves
    for y in range(rows // 8, rows - rows // 8 + 1):
        for repeated, rest in ((slice(y, rows), slice(y)), (slice(y), slice(y, rows))):
            if (
                min(sure[repeated].sum(), sure[rest].sum()) >= 0.12 * rows
                and still[repeated][sure[repeated]].mean() > 0.95
                and moved[rest][sure[rest]].mean() > 0.85
            ):
                begin, end, _ = repeated.indices(rows)
                return _makes_up(window, n, n, (begin / rows, end / rows))
    return False


def _is_foreign(window: Window, first: int, last: int) -> bool:
    """Return whether parts of all frames of a run are found in neither frame beside it, though those are alike."""
    run = range(first, last + 1)
    if not window.has(first - 2, last + 2) or not all(_differs(window, n, first - 1, last + 1) for n in run):
        return False
    if any(_is_lit(window, n, first - 1, last + 1) for n in run):
        return False
    before, left, right, after = (window.luma(n, 2) for n in (first - 2, first - 1, last + 1, last + 2))
    motion = np.max([_unlike(left, right), _unlike(left, before), _unlike(right, after)], axis=0)
    known = cv2.dilate(np.asarray(motion, np.float32), np.ones((3, 3)))
    for n in run:
        here = window.luma(n, 2)
        foreign = np.minimum(_unlike(here, left), _unlike(here, right)) - known > _FOREIGN
        means = [cv2.resize(each, foreign.shape[::-1], interpolation=cv2.INTER_AREA) for each in (here, left, right)]
        brighter = foreign & (means[0] > np.maximum(means[1], means[2]) + _BRIGHTER / 2)
        # Light only adds: a muzzle flash or an explosion is brighter wherever it is like nothing before.
        if foreign.mean() < _FOREIGN_AREA or brighter.sum() > 0.75 * foreign.sum():
            return False
    return not window.is_cut(first - 1, last + 1)


def _is_lit(window: Window, n: int, left: int, right: int) -> bool:
    """Return whether all of a frame is darker or brighter than both others, so that light explains the difference."""
    here, a, b = (window.luma(k, _CELL) for k in (n, left, right))
    visible = np.maximum(here, np.maximum(a, b)) > 2 * _DARK
    darker, brighter = (here < np.minimum(a, b) - 0.01)[visible], (here > np.maximum(a, b) + 0.01)[visible]
    return bool(max(darker.mean(), brighter.mean()) > 0.85) if visible.any() else True


def _differs(window: Window, n: int, left: int, right: int) -> bool:
    """Return whether blocks differ more from both frames than these from each other; quick."""
    here, a, b = (window.luma(k, _CELL) for k in (n, left, right))
    apart = np.minimum(np.abs(here - a), np.abs(here - b))
    return bool((apart > np.maximum(2 * cv2.dilate(np.abs(a - b), np.ones((3, 3))), 0.04)).mean() >= 0.03)


def _unlike(first: Picture, second: Picture) -> Picture:
    """Return for each block of one picture the difference from the place of another that is most like it, near."""
    wide = cv2.copyMakeBorder(second, _REACH, _REACH, _REACH, _REACH, cv2.BORDER_REPLICATE)
    height, width = (max(side // _SIDE, 1) for side in first.shape)
    found = np.zeros((height, width), np.float32)
    for row, column in np.ndindex(height, width):
        y, x = row * _SIDE, column * _SIDE
        block = first[y : y + _SIDE, x : x + _SIDE]
        area = wide[y : y + block.shape[0] + 2 * _REACH, x : x + block.shape[1] + 2 * _REACH]
        found[row, column] = max(float(cv2.matchTemplate(area, block, cv2.TM_SQDIFF).min()), 0) / block.size
    return np.sqrt(found)


def _shrunk(plane: Picture, by: int) -> Picture:
    size = max(plane.shape[1] // by, 1), max(plane.shape[0] // by, 1)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))


_TESTS: tuple[tuple[Kind, Callable[[Window, int, int], bool]], ...] = (
    ("green", _is_green),
    ("black", _is_black),
    ("flash", _is_flash),
    ("frozen", _is_frozen),
    ("torn", _is_torn),
)
