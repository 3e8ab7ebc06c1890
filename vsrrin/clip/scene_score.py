"""Detector of scene cuts on small luma thumbnails, without state.

`change` matches eight blocks of a thumbnail with another thumbnail, each within a search range of a
fifth of the picture, and measures two things that motion leaves small and a cut makes large: how much of the
structure was not found again (whatever the contrast and brightness), and how much the brightness of the blocks
differs from what they were matched with. A pan or a shake raises neither by much, a flash that leaves the picture
visible only the second. `cut_score` takes the product of both. It compares that of a pair with those around it, on
the calmer side (the other side may hold the next cut); where a frame is brighter than its surroundings, as in a
flash, the pictures before and after it must differ, too.

The numbers of the decision (`_RATIO`, `_POWER`, `_WILD`, `_LUMA_PER_LOST`) were fitted on spliced sequences;
`python -m scripts.benchmarks.scenes` makes such sequences and measures the detector on them.

A dissolve or a fade is no cut: it changes each pair by little more than its neighbours, and its pictures do blend.
Not found: a jump to nearly the same picture; a shot of one or two frames that is brighter than an equal picture on
both sides (it is taken for a flash); a cut between two pictures without any structure. A flash that bleaches the
picture right beside a cut may be taken for a shot of its own.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vsrrin.errors import ArgumentError

Thumbnail = npt.NDArray[np.float32]
_Picture = npt.NDArray[np.integer | np.floating]  # what OpenCV's annotations say that it returns

THRESHOLD = 0.5
"""A pair with a `cut_score` of at least this is a cut: its change is larger than the motion around it explains."""

RADIUS = 3
"""Frames before and after its pair that `cut_score` looks at: animation on threes moves once in three pairs."""

_WIDTH, _HEIGHT = 64, 36
_BLOCK_W, _BLOCK_H = 16, 18
_REACH_X, _REACH_Y = 12, 8

_NOISE_SD = 0.004  # a structure of about one 8-bit step is noise: blocks that have no more are alike
_FLOOR_LOST, _FLOOR_LUMA = 0.01, 0.004  # below these a difference says nothing
_FLOOR = math.sqrt(_FLOOR_LOST * _FLOOR_LUMA)  # the size of the change of two equal thumbnails
_LUMA_PER_LOST = 0.7  # brightness that changes by more than this part of the lost structure is a change of light

_REPEATED = 0.0005  # mean difference up to which a frame is a repetition of the one before and tells no motion
_STILL_AHEAD = 0.002  # one pair after the cut tells the motion there if its mean difference is larger
_FLASH = 0.02  # by how much (of white) the mean of a flash exceeds that of the frames on both sides
_FLASH_FRAMES = 2  # the longest flash
_UNKNOWN = 0.03  # motion assumed where no neighbour tells it
_WILD = 0.05  # motion never counts as wilder than this: beyond, the neighbours are cuts themselves
_RATIO, _POWER = 2.8, 0.9  # a change is a cut if its size is at least _RATIO * motion ** _POWER


class Change(NamedTuple):
    """Difference between two thumbnails after their blocks were shifted to the best place."""

    lost: float
    """Part of the structure that was not found again, 0 to 1: 0.02 to 0.3 by motion, 0.2 to 0.9 by a cut."""
    luma: float
    """Mean absolute difference of the brightness of the blocks, 1 from black to white."""

    @property
    def size(self) -> float:
        """Size of the change, from 0.006; motion makes 0.01 to 0.05."""
        return math.sqrt((self.lost + _FLOOR_LOST) * (self.luma + _FLOOR_LUMA))

    @property
    def without_light(self) -> float:
        """Size of the change if brightness counts only as far as structure was lost as well."""
        return Change(self.lost, min(self.luma, _LUMA_PER_LOST * self.lost)).size


def thumbnail(luma: npt.NDArray[np.uint8] | npt.NDArray[np.floating]) -> Thumbnail:
    """Return the thumbnail of a frame, for the other functions; keep it, as several pairs need it.

    Args:
        luma: A luma plane, (H, W), of any size from 1x1 on; uint8, or floating with black at 0 and white at 1
            (values a little beyond are kept).

    Returns:
        The whole plane, whatever its shape, as (36, 64) float32, black about 0, white about 1.

    Raises:
        ArgumentError: The array is not two-dimensional, is empty, or is of another type.
    """
    if luma.ndim != 2 or luma.size == 0:
        raise ArgumentError(f"thumbnail: luma must be one plane of shape (height, width), not {luma.shape}")
    if luma.dtype != np.uint8 and not np.issubdtype(luma.dtype, np.floating):
        raise ArgumentError(f"thumbnail: luma must be uint8, or floating values from 0 to 1, not {luma.dtype}")
    scale = 1 / 255 if luma.dtype == np.uint8 else 1.0
    shrunk = min(_WIDTH, luma.shape[1]), min(_HEIGHT, luma.shape[0])  # INTER_AREA averages only if it enlarges no side
    small = cv2.resize(luma.astype(np.float32, copy=False), shrunk, interpolation=cv2.INTER_AREA)
    small = cv2.resize(small, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_LINEAR)
    finite = np.nan_to_num(small * np.float32(scale), nan=0.0, posinf=1.0, neginf=0.0)
    bounded: Thumbnail = np.clip(finite, -1.0, 2.0).astype(np.float32, copy=False)
    return bounded


def cut_score(thumbnails: Sequence[Thumbnail | None], changes: Sequence[Change | None] = ()) -> float:
    """Return how much more the picture changes between two frames than the motion around them explains.

    Args:
        thumbnails: Thumbnails of the frames k - RADIUS to k + 1 + RADIUS, for the pair (k, k + 1) in the middle; None
            for frames beyond the ends of the clip.
        changes: Results of `change` for the pairs of neighbours among them, 2 * RADIUS + 1 values, None where not known
            yet. They save time, as a pair takes part in several windows; the score is the same without.

    Returns:
        change / (change + limit), from 0 (the two frames are equal) up to 1: 0.5 (`THRESHOLD`) where the change is
        as large as the limit that follows from the motion around, 0.25 at a third of the limit, 0.75 at three times
        the limit. Moving pictures without cuts mostly stay below 0.3, most cuts lie between 0.6 and 0.9.

    Raises:
        ArgumentError: Not 2 * RADIUS + 2 thumbnails or 2 * RADIUS + 1 changes, or None for a frame of the pair itself.
    """
    window = list(thumbnails)
    if len(window) != 2 * RADIUS + 2:
        raise ArgumentError(
            f"cut_score: thumbnails must be {2 * RADIUS + 2}, of the frames k - {RADIUS} to k + {1 + RADIUS} with None "
            f"beyond the ends of the clip, not {len(window)}"
        )
    if len(changes) not in (0, len(window) - 1):
        raise ArgumentError(
            f"cut_score: changes must be {len(window) - 1}, one for each pair, or none, not {len(changes)}"
        )
    left, right = window[RADIUS], window[RADIUS + 1]
    if left is None or right is None:
        raise ArgumentError("cut_score: thumbnails must not be None for the pair in the middle")
    if np.array_equal(left, right):
        return 0.0
    known = list(changes) or [None] * (len(window) - 1)
    own = known[RADIUS] or change(left, right)
    seen = min(each.without_light for each in (own, *_changes_across_flash(window)))
    limit = _RATIO * float(_motion_around(window, known) ** _POWER)
    beyond = max(seen - _FLOOR, 0.0)
    return beyond / (beyond + limit - _FLOOR)


def early_cut_score(thumbnails: Sequence[Thumbnail | None], changes: Sequence[Change | None] = ()) -> float:
    """Return a score as `cut_score` does, from one frame after the pair instead of `RADIUS`.

    A single pair tells the motion after the cut badly where frames are repeated; then it must be a cut by the motion
    before it, too. A flash of two frames may be taken for a cut.

    Args:
        thumbnails: Thumbnails of the frames k - RADIUS to k + 2, for the pair (k, k + 1); None beyond the ends.
        changes: Results of `change` for the pairs of neighbours among them, RADIUS + 2 values, or none.
    """
    unseen = [None] * (RADIUS - 1)
    known = [*changes, *unseen] if changes else []
    score = cut_score([*thumbnails, *unseen], known)
    right, after = thumbnails[-2:]
    if right is None or after is None or float(np.abs(after - right).mean()) > _STILL_AHEAD:
        return score
    return min(score, cut_score([*thumbnails[:-1], None, *unseen], known))


def change(first: Thumbnail, second: Thumbnail) -> Change:
    """Return the change between two thumbnails that a shift of their blocks does not explain.

    The blocks of one half of a chequerboard are taken from the first and looked for in the second picture, those
    of the other half the other way round, so that what enters the picture counts like what leaves it.
    """
    wide = [
        cv2.copyMakeBorder(picture, _REACH_Y, _REACH_Y, _REACH_X, _REACH_X, cv2.BORDER_REPLICATE)
        for picture in (first, second)
    ]
    lost, weights, luma, blocks = 0.0, 0.0, 0.0, 0
    for row, y in enumerate(range(0, _HEIGHT, _BLOCK_H)):
        for column, x in enumerate(range(0, _WIDTH, _BLOCK_W)):
            here, there = ((first, wide[1]), (second, wide[0]))[(row + column) % 2]
            block = here[y : y + _BLOCK_H, x : x + _BLOCK_W]
            area = there[y : y + _BLOCK_H + 2 * _REACH_Y, x : x + _BLOCK_W + 2 * _REACH_X]
            unlike, weight, difference = _match(block, area)
            lost, weights, luma, blocks = lost + weight * unlike, weights + weight, luma + difference, blocks + 1
    return Change(lost / weights, luma / blocks)


def _match(block: Thumbnail, area: _Picture) -> tuple[float, float, float]:
    """Find a block again in an area.

    Returns:
        The unlikeness of structure at the best place (0 to 1), its weight (the stronger structure of the two), and
        the difference of the mean brightness there.
    """
    likeness = cv2.matchTemplate(area, block, cv2.TM_CCOEFF_NORMED)
    _, best, _, (x, y) = cv2.minMaxLoc(likeness)
    mean_a, sd_a = cv2.meanStdDev(block)
    mean_b, sd_b = cv2.meanStdDev(area[y : y + block.shape[0], x : x + block.shape[1]])
    a, b = float(sd_a[0, 0]), float(sd_b[0, 0])
    noise = _NOISE_SD**2
    like = (min(max(best, 0.0), 1.0) * a * b + noise) / (a * b + noise)
    return 1.0 - like, max(a, b) + _NOISE_SD / 2, abs(float(mean_a[0, 0]) - float(mean_b[0, 0]))


def _motion_around(window: list[Thumbnail | None], known: list[Change | None]) -> float:
    """Return the change that motion makes around the pair: the largest on the calmer side, without repeats."""
    sides = (range(RADIUS), range(RADIUS + 1, 2 * RADIUS + 1))
    largest = [max(moving) for side in sides if (moving := _moving(window, known, side))]
    return min(min(largest, default=_UNKNOWN), _WILD)


def _moving(window: list[Thumbnail | None], known: list[Change | None], pairs: range) -> list[float]:
    found = []
    for i in pairs:
        a, b, value = window[i], window[i + 1], known[i]
        if a is not None and b is not None and float(np.abs(a - b).mean()) > _REPEATED:
            found.append((value or change(a, b)).size)
    return found


def _changes_across_flash(window: list[Thumbnail | None]) -> list[Change]:
    """Return the changes across each run of frames that may be a flash and includes a frame of the pair."""
    means = [None if picture is None else float(picture.mean()) for picture in window]
    found = []
    for length in range(1, _FLASH_FRAMES + 1):
        for before in range(RADIUS - length, RADIUS + 1):
            after = before + length + 1
            a, b = window[before], window[after]
            flash = [mean for mean in means[before + 1 : after] if mean is not None]
            if a is not None and b is not None and min(flash) > max(float(a.mean()), float(b.mean())) + _FLASH:
                found.append(change(a, b))
    return found
