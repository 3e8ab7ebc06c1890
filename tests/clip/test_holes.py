"""Holes in pictures are filled; parts of pictures are enlarged."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vsrrin.clip.holes import enlarged, fill_soft, filled, motion_in, places


def slope_with_hole() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Return a slope, the same with a hole in it, and where that is."""
    slope = np.linspace(0, 1, 64, dtype=np.float32) + np.zeros((48, 1), np.float32)
    hole = np.zeros((48, 64), np.uint8)
    hole[12:36, 20:40] = 1
    return slope, np.where(hole, np.float32(9), slope), hole


def test_holes_are_filled_with_what_is_around_them() -> None:
    slope, spoilt, hole = slope_with_hole()
    for local in (1, 4):
        result = filled(spoilt, hole, local)
        assert np.array_equal(result[hole == 0], slope[hole == 0])
        assert np.abs(result - slope).max() < 0.1
    assert np.allclose(filled(np.dstack([spoilt] * 3), hole)[..., 1], filled(spoilt, hole), atol=1e-6)
    assert np.isfinite(filled(spoilt, np.ones_like(hole))).all()


@pytest.mark.parametrize("local", [1, 4])
def test_holes_of_several_pictures_are_filled_from_a_quarter_of_their_size(local: int) -> None:
    slope, spoilt, hole = slope_with_hole()
    for width in (64, 63):
        pictures = [np.dstack([values[:, :width]] * 3) for values in (spoilt, 2 * spoilt)]
        inside = hole[:, :width] > 0
        once, twice = fill_soft(pictures, 1 - hole[:, :width], local)
        assert once.shape == twice.shape == (48, width, 3)
        assert np.abs(once - slope[:, :width, None])[inside].max() < 0.1
        assert np.allclose(2 * once, twice, atol=1e-6)


def test_a_part_is_that_of_the_whole_picture_enlarged() -> None:
    x, y = np.meshgrid(np.arange(20, dtype=np.float32), np.arange(10, dtype=np.float32))
    whole = enlarged(x + 100 * y, np.s_[0:30, 0:40], (30, 40))
    assert whole[15, 21] == pytest.approx(10.25 + 100 * (15.5 / 3 - 0.5), abs=3.5)  # in steps of 1/32
    part = enlarged(x + 100 * y, np.s_[8:20, 16:32], (30, 40))
    assert np.allclose(part, whole[8:20, 16:32], atol=3.5)
    mask = (np.arange(12 * 16).reshape(12, 16) % 3 == 0).astype(np.uint8)
    assert np.array_equal(enlarged(mask, np.s_[3:9, 2:10], (12, 16)), mask[3:9, 2:10])


def test_motion_is_in_pixels_of_the_larger_picture() -> None:
    motion = np.full((10, 20, 2), (1, -2), np.float32)
    larger = motion_in(motion, np.s_[8:20, 16:32], (30, 40))
    assert [way.shape for way in larger] == [(12, 16)] * 2
    assert np.allclose(larger[0], 2)
    assert np.allclose(larger[1], -6)
    x, y = places(*larger, np.s_[8:20, 16:32])
    assert (x[0, 0], y[11, 15]) == (18, 13)
    ramp = np.dstack(np.meshgrid(np.arange(20, dtype=np.float32), np.arange(10, dtype=np.float32)))
    x, y = motion_in(ramp, np.s_[8:20, 16:32], (30, 40))
    assert np.abs(x / 2 - (np.arange(16, 32) / 2 - 0.25)).max() < 1
    assert np.abs(y / 3 - (np.arange(8, 20)[:, None] / 3 - 1 / 3)).max() < 1
