"""training.data.triplet_choice"""

import math
from collections import Counter

import numpy as np
import pytest

from tests.training.pictures import ArrayShot
from training.data.triplet_choice import Place, Places, Times, gap_weights
from training.errors import DatasetError


def shot(frames: int, motion: float, side: int = 64) -> ArrayShot:
    return ArrayShot(np.zeros((frames, side, side, 3), np.uint8), motion)


@pytest.mark.parametrize(
    ("motion", "frames", "times", "wanted"),
    [
        (1.5, 50, "any", {2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 10 / 10.5}),
        (0.5, 50, "any", {2: 0.5, 3: 0.75, 4: 1, 5: 1, 6: 1, 7: 1}),  # too little moves in less
        (0.0, 50, "any", {gap: gap / 200 for gap in range(2, 8)}),
        (8.0, 50, "any", {2: 10 / 16, 3: 10 / 24, 4: 10 / 32, 5: 10 / 40}),  # too much moves in more
        (25.0, 50, "any", {2: 10 / 50}),
        (math.nan, 50, "any", dict.fromkeys(range(2, 8), 1)),
        (1.5, 50, "middle", {2: 1, 4: 1, 6: 1}),
        (1.5, 4, "any", {2: 1, 3: 1}),
        (1.5, 2, "any", {}),
    ],
)
def test_gaps_follow_the_motion(motion: float, frames: int, times: Times, wanted: dict[int, float]) -> None:
    assert gap_weights(motion, frames, 7, times) == pytest.approx(wanted)


def test_places_lie_inside_the_shot_and_all_of_them_occur() -> None:
    places = Places([shot(9, 3.0)], largest_gap=5, times="any", side=32)
    rng = np.random.default_rng(0)
    found = {places.draw(0, rng) for _ in range(3000)}
    assert found == {
        Place(0, start, gap, middle) for gap in range(2, 6) for start in range(9 - gap) for middle in range(1, gap)
    }


def test_gaps_are_drawn_by_their_weight() -> None:
    places = Places([shot(30, 8.0)], largest_gap=7, times="any", side=32)
    rng = np.random.default_rng(0)
    counts = Counter(places.draw(0, rng).gap for _ in range(4000))
    assert set(counts) == {2, 3, 4, 5}
    assert counts[2] / counts[5] == pytest.approx(2.5, abs=0.4)


def test_the_middle_frame_is_in_the_middle() -> None:
    places = Places([shot(9, 3.0)], largest_gap=7, times="middle", side=32)
    rng = np.random.default_rng(0)
    assert {places.draw(0, rng).t for _ in range(50)} == {0.5}
    assert Place(0, 4, 6, 3).numbers == (4, 7, 10)


def test_shots_with_motion_and_long_ones_are_drawn_more_often_but_not_in_proportion() -> None:
    places = Places([shot(27, 0.05), shot(27, 3.0), shot(102, 3.0)], largest_gap=7, times="any", side=32)
    rng = np.random.default_rng(0)
    counts = Counter(places.shot(rng) for _ in range(4000))
    assert 3 < counts[1] / counts[0] < 5
    assert 1.7 < counts[2] / counts[1] < 2.3


def test_shots_too_short_or_too_small_are_left_out() -> None:
    places = Places([shot(2, 3.0), shot(9, 3.0), shot(9, 3.0, 16)], largest_gap=7, times="any", side=32)
    rng = np.random.default_rng(0)
    assert {places.shot(rng) for _ in range(100)} == {1}
    with pytest.raises(DatasetError, match=r"none of the 2 shots has three frames of at least 128x128.*2 frames.*64"):
        Places([shot(2, 3.0), shot(2, 3.0, 16)], largest_gap=7, times="any", side=128)
