"""What the measures say of pictures whose quality is known."""

import numpy as np
import pytest
import vapoursynth as vs

from tests.training.moving import picture
from training.measure import metrics


def test_psnr() -> None:
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert metrics.psnr(grey, grey + np.uint8(5)) == pytest.approx(20 * np.log10(255 / 5))
    assert metrics.psnr(grey + np.uint8(5), grey) == pytest.approx(20 * np.log10(255 / 5))
    assert metrics.psnr(grey, grey) == metrics.NO_ERROR


def test_ssim() -> None:
    grey = np.full((32, 32, 3), 100, np.uint8)
    c1 = (0.01 * 255) ** 2  # without structure only the means count
    expected = (2 * 100 * 110 + c1) / (100**2 + 110**2 + c1)
    assert metrics.ssim(grey, grey + np.uint8(10)) == pytest.approx(expected)
    assert metrics.ssim(picture(), picture()) == pytest.approx(1)
    assert metrics.ssim(picture(), 255 - picture()) < 0


def test_ssimulacra2_only_where_its_plugin_is() -> None:
    score = metrics.ssimulacra2(picture(), picture())
    assert (score is not None) == hasattr(vs.core, "vszip")
    assert score is None or score == pytest.approx(100, abs=0.5)


def test_ssimulacra2_falls_with_the_error() -> None:
    noise = np.random.default_rng(0).integers(0, 3, picture().shape, np.uint8)
    little, much = (metrics.ssimulacra2(np.minimum(picture(), 235) + k * noise, picture()) for k in (1, 10))
    assert (little is None) == (much is None) == (not hasattr(vs.core, "vszip"))
    assert little is None or much is None or 100 > little > much + 20


def test_motion_error_is_in_pixels() -> None:
    true = metrics.flows((picture(0), picture(2), picture(4)))
    assert len(true) == 2
    assert np.median(true[0][..., 0]) == pytest.approx(2, abs=0.2)
    assert metrics.motion_error(true, true) == 0
    held = metrics.flows((picture(0), picture(0), picture(4)))  # stops for a step, then jumps by two
    assert metrics.motion_error(held, true) == pytest.approx(2, rel=0.2)
    nearer = metrics.flows((picture(0), picture(1.5), picture(4)))
    assert metrics.motion_error(nearer, true) == pytest.approx(0.5, rel=0.3)
