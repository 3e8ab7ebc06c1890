"""vsrrin.motion"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tests.conftest import texture
from vsrrin.motion import PRESETS, DisFlow, Preset, brightness, greys


@pytest.mark.parametrize("preset", ["fast", "medium"])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_finds_a_known_motion_in_both_directions(preset: Preset, scale: float) -> None:
    img0, img1 = texture(144, 192), texture(144, 192, (5.0, -3.0))
    flow = DisFlow(preset, scale)(brightness(img0), brightness(img1))
    assert flow.shape == (1, 4, 144, 192)
    inner = flow[..., 24:-24, 24:-24].median(-1).values.median(-1).values[0]
    torch.testing.assert_close(inner, torch.tensor([5.0, -3.0, -5.0, 3.0]), atol=0.3 if scale == 1 else 0.5, rtol=0)


def test_concurrent_calls_of_different_sizes_do_not_disturb_each_other() -> None:
    motion = DisFlow("fast")
    pairs = [
        (brightness(texture(h, w)), brightness(texture(h, w, (1.0, 2.0)))) for h, w in ((48, 64), (96, 64), (64, 128))
    ] * 6
    alone = [DisFlow("fast")(*pair) for pair in pairs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pair: motion(*pair), pairs))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 3), (17, 33), (11, 11)])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_any_size_has_a_flow(size: tuple[int, int], scale: float) -> None:
    flow = DisFlow("medium", scale)(brightness(texture(*size)), brightness(texture(*size, (1.0, 0.0))))
    assert flow.shape == (1, 4, *size)
    assert torch.isfinite(flow).all()


def test_equal_frames_do_not_move() -> None:
    image = brightness(texture(64, 64))
    assert DisFlow()(image, image).abs().max() < 1e-3


def test_brightness_is_the_mean_of_the_channels() -> None:
    image = torch.tensor([[0.0, 0.5, 1.0], [2.0, 2.0, 2.0], [-1.0, 0.0, 0.0]]).view(1, 3, 3, 1).transpose(1, 2)
    np.testing.assert_allclose(brightness(image)[:, 0], [0.5, 2.0, -1 / 3])


def test_greys_are_rounded_and_clipped_to_8_bit() -> None:
    first, second = greys(np.float32([[0.0, 0.5, 1.0]]), np.float32([[1.1, -0.2, 100.4 / 255]]))
    assert (first.tolist(), second.tolist()) == ([[0, 128, 255]], [[255, 0, 100]])


def test_one_map_serves_both_frames_of_a_pair() -> None:
    bright = np.float32([[0.0, 1.0, 10.0, 100.0]])
    first, second = greys(bright, bright / 2)
    assert first[0, 0] == 0
    assert first[0, 3] == 255
    assert np.all(np.diff(first[0].astype(int)) > 50)
    assert second[0, 3] < 255
    dim, dimmer = greys(np.float32([[0.0, 0.004]]), np.float32([[0.0, 0.002]]))
    assert (dim[0, 1], dimmer[0, 1]) == (255, 128)


def test_samples_that_are_no_numbers_count_as_black() -> None:
    first, _ = greys(np.float32([[np.nan, np.inf, 1.0]]), np.float32([[0.0, 0.0, 1.0]]))
    assert first.tolist() == [[0, 0, 255]]


def test_presets_are_opencvs() -> None:
    assert list(PRESETS.values()) == [0, 1, 2]
