"""Colours of GIFs."""

import numpy as np

from tests.conftest import psnr
from vsrrin.convert.animations.palette import TRANSPARENT, Palette, choose

Y, X = np.mgrid[0:90, 0:160]


def smooth(shift: int = 0) -> np.ndarray:
    colours = [128 + 120 * np.sin((X + shift) / 37 + n) * np.cos(Y / 29 + n) for n in range(3)]
    return np.stack([*colours, np.full(X.shape, 255)], -1).astype(np.uint8)


def drawn(palette: Palette, colours: np.ndarray, picture: np.ndarray) -> np.ndarray:
    table = np.zeros((256, 4), np.uint8)
    table[: len(colours)] = np.concatenate([colours, np.full((len(colours), 1), 255, np.uint8)], 1)
    return table[palette.numbers(picture)]


def test_the_colours_of_source_frames_stay_and_new_ones_are_added() -> None:
    few = np.random.default_rng(1).integers(0, 256, (200, 4), np.uint8)
    few[:, 3] = 255
    source = few[(X // 8 + 20 * (Y // 8)) % 200]
    colours = choose([(source, True), (smooth(), False), (source[::-1], True)], 3 * X.size)
    assert 200 < len(colours) <= 255
    palette = Palette(colours)
    assert np.array_equal(drawn(palette, colours, source), source)
    assert psnr(drawn(palette, colours, smooth()), smooth()) > 25


def test_a_smooth_picture_is_met_on_the_average_of_small_places() -> None:
    colours = choose([(smooth(n), True) for n in range(4)], 4 * X.size)
    assert len(colours) <= 255
    made = drawn(Palette(colours), colours, smooth())

    def blurred(picture: np.ndarray) -> np.ndarray:
        return picture[:88, :, :3].reshape(22, 4, 40, 4, 3).mean((1, 3))

    assert psnr(made, smooth()) > 30
    assert psnr(blurred(made), blurred(smooth())) > 38


def test_what_is_still_does_not_flicker() -> None:
    moved = smooth()
    moved[:, 80:] = smooth(9)[:, 80:]
    palette = Palette(choose([(smooth(), True), (moved, True)], 2 * X.size))
    assert np.array_equal(palette.numbers(smooth())[:, :80], palette.numbers(moved)[:, :80])


def test_transparency_has_a_number_of_its_own() -> None:
    picture = smooth()
    picture[..., 3] = np.where(X < 80, 255, np.where(X < 120, 128, 100))
    numbers = Palette(choose([(picture, True)], X.size)).numbers(picture)
    assert (numbers[:, :120] != TRANSPARENT).all()
    assert (numbers[:, 120:] == TRANSPARENT).all()
    picture[..., 3] = 0
    assert (Palette(choose([(picture, True)], X.size)).numbers(picture) == TRANSPARENT).all()
