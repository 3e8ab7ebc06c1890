"""vsrrin.flow.resampling beside OpenCV."""

import cv2
import numpy as np
import pytest
import torch

from vsrrin.flow.resampling import area_reduced, resized, sampled, whole_levels


@pytest.mark.parametrize(
    ("old", "new"),
    [((48, 64), (24, 32)), ((48, 64), (12, 16)), ((47, 63), (23, 31)), ((30, 50), (7, 50)), ((9, 1), (2, 1))],
)
def test_reduction_is_the_mean_over_areas(old: tuple[int, int], new: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random(old, np.float32)
    expected = cv2.resize(picture, new[::-1], interpolation=cv2.INTER_AREA)
    found = area_reduced(torch.from_numpy(np.stack([picture, picture + 1])), *new)
    np.testing.assert_allclose(found[0].numpy(), expected.reshape(new), atol=1e-5)
    np.testing.assert_allclose(found[1].numpy(), expected.reshape(new) + 1, atol=1e-5)


@pytest.mark.parametrize("new", [(24, 32), (12, 16), (23, 31)])
def test_levels_are_rounded_as_opencv_rounds_them(new: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (48, 64), np.uint8)
    found = whole_levels(area_reduced(torch.from_numpy(picture).float()[None], *new), new == (24, 32))
    expected = cv2.resize(picture, new[::-1], interpolation=cv2.INTER_AREA)
    missed = np.abs(found[0].numpy() - expected)
    # Weights that are no powers of two leave what lies half way to rounding errors.
    assert missed.max() <= (new == (23, 31))
    assert (missed == 0).mean() > 0.99


def test_enlargement_is_bilinear() -> None:
    picture = np.random.default_rng(2).random((9, 14), np.float32)
    expected = cv2.resize(picture, (33, 25), interpolation=cv2.INTER_LINEAR)
    found = resized(torch.from_numpy(picture)[None, None], 25, 33)
    np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=1e-5)


def test_samples_lie_between_pixels_and_repeat_the_border() -> None:
    picture = torch.arange(4.0)[:, None] * 10 + torch.arange(3.0)
    found = sampled(picture[None], torch.tensor([-5.0, 0.5, 9.0]), torch.tensor([0.25, 1.5, 7.0]))
    assert found[0].tolist() == [[0.25, 1.5, 2.0], [5.25, 6.5, 7.0], [30.25, 31.5, 32.0]]
