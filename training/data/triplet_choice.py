"""Choice of the frames that samples are made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.errors import DatasetError

from .shots import Shot

Times = Literal["any", "middle"]

_LEAST, _BEST, _MOST = 2.0, 10.0, 40.0
"""Mean motion between the two frames of a pair, pixels: what lies below the first or above the second is drawn less
often, above the third only if there is nothing slower."""
_ENOUGH = 4.0
"""Motion between two frames, pixels, above which a shot is not drawn more often for it."""
_SELDOM = 0.2
"""Weight of a shot without motion, relative to one with enough of it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Place of a triplet: two frames of a shot and the true frame between them."""

    shot: int
    start: int
    """Number of the frame at time 0."""
    gap: int
    """Frames from it to the frame at time 1."""
    middle: int
    """Frames from it to the true one, above 0 and below ``gap``."""

    @property
    def t(self) -> float:
        """Time of the true frame."""
        return self.middle / self.gap

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Numbers of the frames at the times 0, t and 1."""
        return self.start, self.start + self.middle, self.start + self.gap


class Places:
    """Random triplets: shots drawn by length and motion, wide gaps where motion is slow.

    Args:
        shots: Shots to draw from; those of fewer than three frames or smaller than ``side`` are left out.
        largest_gap: Frames from the left to the right frame, at most.
        times: Whether the true frame is any between the two, or the middle one.
        side: Pixels that height and width must have.

    Raises:
        DatasetError: No shot is left.
    """

    def __init__(self, shots: Sequence[Shot], *, largest_gap: int, times: Times, side: int) -> None:
        self.shots = shots
        self._gaps = [gap_weights(shot.motion, shot.frames, largest_gap, times) for shot in shots]
        self._times = times
        usable = [
            bool(found) and min(shot.height, shot.width) >= side for shot, found in zip(shots, self._gaps, strict=True)
        ]
        if not any(usable):
            largest = max((min(shot.height, shot.width) for shot in shots), default=0)
            longest = max((shot.frames for shot in shots), default=0)
            raise DatasetError(
                f"none of the {len(shots)} shots has three frames of at least {side}x{side} pixels (the longest has "
                f"{longest} frames, the largest {largest} pixels on its short side); give others, or a smaller crop"
            )
        weights = np.array([_weight(shot, found) for shot, found in zip(shots, self._gaps, strict=True)])
        weights *= usable
        self._chances = np.cumsum(weights / weights.sum())
        self._last = int(np.flatnonzero(weights)[-1])

    def shot(self, rng: np.random.Generator) -> int:
        """Draw the number of a shot."""
        return min(int(np.searchsorted(self._chances, rng.random(), side="right")), self._last)

    def draw(self, shot: int, rng: np.random.Generator) -> Place:
        """Draw a place in the shot of that number."""
        gaps, weights = zip(*self._gaps[shot].items(), strict=True)
        gap = int(rng.choice(gaps, p=np.array(weights) / sum(weights)))
        start = int(rng.integers(self.shots[shot].frames - gap))
        middle = gap // 2 if self._times == "middle" else int(rng.integers(1, gap))
        return Place(shot, start, gap, middle)


def gap_weights(motion: float, frames: int, largest_gap: int, times: Times) -> dict[int, float]:
    """Return how often each gap is drawn; those of interesting motion are drawn more often.

    Args:
        motion: Pixels a frame; nan if unknown, then all gaps weigh the same.
        frames: Length of the shot.
        largest_gap: Largest gap, as in :class:`Places`.
        times: Times, likewise; even gaps alone have a middle frame.

    Returns:
        Weights by gap, of some of 2 to ``largest_gap``; empty for fewer than three frames.
    """
    possible = [gap for gap in range(2, min(largest_gap, frames - 1) + 1) if times == "any" or gap % 2 == 0]
    if math.isnan(motion):
        return dict.fromkeys(possible, 1.0)
    slow_enough = [gap for gap in possible if motion * gap <= _MOST] or possible[:1]
    # A shot without any motion is taken as one of little.
    moved = {gap: max(motion, 0.01) * gap for gap in slow_enough}
    return {gap: min(1.0, pixels / _LEAST, _BEST / pixels) for gap, pixels in moved.items()}


def _weight(shot: Shot, found: Mapping[int, float]) -> float:
    """Return how often a shot is drawn; less than in proportion to its length, as neighbouring frames are alike."""
    if not found:
        return 0.0
    moved = 1.0 if math.isnan(shot.motion) else min(shot.motion * max(found) / _ENOUGH, 1.0)
    return math.sqrt(shot.frames - 2) * (_SELDOM + (1 - _SELDOM) * moved)
