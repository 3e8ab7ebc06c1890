"""vsrrin.flow.matching_kernel: the same shifts as by convolutions."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import needs_numba
from vsrrin.flow import block_matching
from vsrrin.flow.block_matching import coarse_motion

from .frames import greys

pytestmark = needs_numba

RANDOM = np.random.default_rng(0)


def noise(height: int, width: int, least: int = 0, most: int = 256) -> NDArray[np.uint8]:
    return RANDOM.integers(least, most, (height, width), np.uint8)


def moved(picture: NDArray[np.uint8], x: int, y: int) -> NDArray[np.uint8]:
    return np.roll(picture, (y, x), (0, 1))


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(greys(10, 2), id="frames"),
        pytest.param(greys(10, 12), id="frames that are apart"),
        pytest.param((noise(240, 427), noise(240, 427)), id="noise"),
        pytest.param((moved(noise(270, 480), 40, -24), noise(270, 480)), id="noise that has moved"),
        pytest.param((noise(240, 320, 0, 2) * 255, noise(240, 320, 0, 2) * 255), id="black and white"),
        pytest.param((np.full((240, 320), 255, np.uint8),) * 2, id="white"),
        pytest.param((np.zeros((240, 320), np.uint8), np.full((240, 320), 255, np.uint8)), id="from black to white"),
        pytest.param((noise(300, 1200), noise(300, 1200)), id="wide"),
        pytest.param((noise(700, 180), noise(700, 180)), id="tall"),
        pytest.param((noise(64, 64), noise(64, 64)), id="small"),
    ],
)
def test_motion_is_the_same_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]
) -> None:
    found = coarse_motion(*pair)
    monkeypatch.setattr(block_matching, "kernels", lambda module: None)
    expected = coarse_motion(*pair)
    assert found is not None
    assert expected is not None
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other)
