"""Search for overlays on drawn pictures: what is one, and what only looks like one."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vsrrin.clip.overlay_search import Grey, filled, find

SIZE = 180, 320


def noise(seed: int = 0, width: int = 400) -> Grey:
    """Return a picture of blots of all sizes."""
    random = np.random.default_rng(seed)
    total = np.zeros((SIZE[0], width), np.float32)
    for side in (10, 24, 60):
        small = random.uniform(-1, 1, (SIZE[0] // side + 2, width // side + 2)).astype(np.float32)
        total += cv2.resize(small, (width, SIZE[0]), interpolation=cv2.INTER_CUBIC)
    return np.clip(110 + 55 * total, 0, 255).astype(np.uint8)


def panned(by: int) -> tuple[Grey, Grey]:
    wide = noise()
    return wide[:, 20 : 20 + SIZE[1]].copy(), wide[:, 20 + by : 20 + by + SIZE[1]].copy()


def shape_of(words: str, place: tuple[int, int]) -> NDArray[np.bool_]:
    shape = np.zeros(SIZE, np.uint8)
    cv2.putText(shape, words, place, cv2.FONT_HERSHEY_SIMPLEX, 1.2, (1,), 5)
    return shape > 0


def wider(shape: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    return cv2.dilate(shape.astype(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)) > 0


def test_text_over_a_pan_is_found_and_hardly_anything_else() -> None:
    pair, text = panned(9), shape_of("TEXT", (100, 150))
    for grey in pair:
        grey[wider(text, 2)] = 0
        grey[text] = 250
    found = find(*pair)
    assert found is not None
    assert found.mask[text].mean() > 0.7
    assert found.mask[~wider(text, 5)].mean() < 0.02
    beside = wider(text, 15) & ~text
    assert np.median(found.motion[beside], 0) == pytest.approx((-9, 0), abs=1)


@pytest.mark.parametrize("by", [0, 1, 4, 9, 20])
def test_there_is_none_in_a_picture_that_moves_as_a_whole(by: int) -> None:
    assert find(*panned(by)) is None


def test_there_is_none_in_a_still_picture_that_something_crosses() -> None:
    pair = [noise(), noise()]
    for n, grey in enumerate(pair):
        cv2.circle(grey, (120 + 40 * n, 90), 30, (250,), -1)
    assert find(pair[0], pair[1]) is None


def test_lines_along_the_motion_are_none() -> None:
    first, second = panned(9)
    for grey in (first, second):
        grey[60:64] = 250
        grey[100:104] = 5
    assert find(first, second) is None


def test_there_is_none_in_credits_that_scroll_or_in_a_fade() -> None:
    credits = shape_of("NAMES", (60, 100))
    page = np.where(credits, 240, 10).astype(np.uint8)
    assert find(page, np.roll(page, -5, 0)) is None
    assert find(noise(), (noise() * 0.8).astype(np.uint8)) is None


def test_text_that_changes_is_no_overlay() -> None:
    first, second = panned(9)
    first[shape_of("ABOVE", (80, 150))] = 250
    second[shape_of("MICKY", (80, 150))] = 250
    found = find(first, second)
    assert found is None or found.mask.mean() < 0.005


@pytest.mark.parametrize("size", [(1, 1), (1, 640), (31, 200), (32, 32), (33, 47)])
def test_any_size_is_searched(size: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    assert find(*(random.integers(0, 256, size, np.uint8) for _ in range(2))) is None


def test_holes_are_filled_with_what_is_around_them() -> None:
    slope = np.linspace(0, 1, 64, dtype=np.float32) + np.zeros((48, 1), np.float32)
    hole = np.zeros((48, 64), np.uint8)
    hole[12:36, 20:40] = 1
    spoilt = np.where(hole, np.float32(9), slope)
    for local in (1, 4):
        result = filled(spoilt, hole, local)
        assert np.array_equal(result[hole == 0], slope[hole == 0])
        assert np.abs(result - slope).max() < 0.1
    assert np.allclose(filled(np.dstack([spoilt] * 3), hole)[..., 1], filled(spoilt, hole), atol=1e-6)
    assert np.isfinite(filled(spoilt, np.ones_like(hole))).all()
