"""vsrrin.clip.repeat_score: does a frame repeat the one before?"""

import math

import numpy as np
import pytest

from vsrrin.clip.repeat_score import BEYOND, Change, change, is_repeat, shrink

MOVES = [Change(0.5, 0.01)]


def test_a_change_is_that_of_the_worst_block_and_of_the_usual_one() -> None:
    first = np.full((96, 160), 0.25, np.float32)
    second = first + np.float32(0.01)
    second[40:52, 80:92] += np.float32(0.5)
    found = change(first, second, 1)
    assert found.usual == pytest.approx(0.01, abs=1e-5)
    assert found.largest == pytest.approx(0.51, abs=1e-5)
    assert change(first, first, 1) == (0, 0)
    assert change(first, second, 2) == pytest.approx([2 * part for part in found])


def test_samples_that_are_no_numbers_count_as_little_or_as_white() -> None:
    first, second = np.zeros((2, 30, 40), np.float32)
    first[3, 3], second[3, 3], first[20, 20] = np.nan, 0.5, np.inf
    found = change(first, second, 1)
    assert 0 < found.largest <= 1
    assert found.usual == 0


@pytest.mark.parametrize(
    ("size", "by"), [((1, 1), 1), ((480, 270), 1), ((854, 480), 2), ((720, 1280), 3), ((7680, 2), 16)]
)
def test_large_frames_are_shrunk(size: tuple[int, int], by: int) -> None:
    assert shrink(*size) == by


@pytest.mark.parametrize(
    ("own", "before", "after", "answer"),
    [
        (Change(0.02, 0.001), MOVES, MOVES, True),
        (Change(0.12, 0.001), MOVES, MOVES, False),  # a block stands out
        (Change(0.12, 0.06), MOVES, MOVES, True),  # grain
        (Change(0.02, 0.001), MOVES, [Change(0.02, 0.001)] * 3, False),  # nothing moves behind it
        (Change(0.02, 0.001), [Change(0.02, 0.001), *MOVES], MOVES, True),
        (Change(0.02, 0.01), [Change(0.03, 0.01)], [Change(0.03, 0.01)], False),  # a slow pan
        (Change(0.02, 0.001), [BEYOND], MOVES, True),
        (Change(0.0, 0.0), [Change(0.0, 0.0)], [BEYOND], True),
    ],
)
def test_a_repeat_differs_little_between_frames_that_differ_much(
    own: Change, before: list[Change], after: list[Change], answer: bool
) -> None:
    assert is_repeat(own, before, after) is answer
    assert is_repeat(own, after, before) is answer
    assert math.isinf(BEYOND.largest)
