"""Search for overlays on drawn pictures: what is one, and what only looks like one."""

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vsrrin.clip import overlay_search
from vsrrin.clip.holes import motion_in
from vsrrin.clip.overlay_search import Found, Grey, sketch

SIZE = 180, 320


def find(first: Grey, second: Grey) -> Found | None:
    return overlay_search.find(sketch(first), sketch(second))


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
    motion = motion_in(found.motion, np.s_[0 : SIZE[0], 0 : SIZE[1]], SIZE)
    assert [np.median(way[beside]) for way in motion] == pytest.approx([-9, 0], abs=1)
    boxed = np.zeros(SIZE, np.bool_)
    for box in found.boxes:
        boxed[box] = True
    assert boxed[found.mask > 0].all()
    assert boxed[~wider(text, 12)].mean() < 0.02


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


def test_a_still_thing_that_something_passes_by_is_none() -> None:
    pair = [np.full(SIZE, 30, np.uint8) for _ in range(2)]
    for n, grey in enumerate(pair):
        cv2.circle(grey, (120, 106), 6, (140,), -1)
        passing = cv2.circle(np.zeros(SIZE, np.uint8), (115 + 6 * n, 40), 52, (1,), -1) > 0
        grey[passing] = np.roll(noise(3, SIZE[1]), 6 * n, 1)[passing]
    assert find(pair[0], pair[1]) is None


def test_overlays_apart_from_each_other_are_found_together() -> None:
    pair = panned(9)
    texts = [shape_of("AB", (20, 50)), shape_of("CD", (230, 165))]
    for grey in pair:
        for text in texts:
            grey[wider(text, 2)] = 0
            grey[text] = 250
    found = find(*pair)
    assert found is not None
    for text in texts:
        assert found.mask[text].mean() > 0.7
    assert found.mask[~wider(texts[0] | texts[1], 5)].mean() < 0.02


def test_an_opaque_disk_is_found_with_its_inside() -> None:
    pair = panned(9)
    disk = cv2.circle(np.zeros(SIZE, np.uint8), (200, 90), 24, (1,), -1) > 0
    for grey in pair:
        grey[disk] = 90
        cv2.putText(grey, "TV", (184, 98), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (250,), 3)
    found = find(*pair)
    assert found is not None
    assert found.mask[disk].mean() > 0.9


def test_a_pattern_that_moves_by_its_period_is_none() -> None:
    first, second = (x.copy() for x in panned(12))
    for grey, left in ((first, 120), (second, 108)):
        house = grey[60:124, left : left + 84]
        house[:] = 150
        for y, x in itertools.product(range(4, 64, 12), range(4, 84, 12)):
            house[y : y + 6, x : x + 5] = 60
    assert find(first, second) is None


def test_a_still_background_around_what_moves_is_none() -> None:
    pair = [noise(0, SIZE[1]) for _ in range(2)]
    ring = cv2.circle(np.zeros(SIZE, np.uint8), (160, 90), 60, (1,), 36) > 0
    for n, grey in enumerate(pair):
        grey[ring] = np.roll(noise(4, SIZE[1]), 10 * n, 1)[ring]
    found = find(pair[0], pair[1])
    around = cv2.circle(np.zeros(SIZE, np.uint8), (160, 90), 80, (1,), -1) == 0
    assert found is None or not found.mask[around].any()
