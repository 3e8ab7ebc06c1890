"""vsrrin.flow.dis"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.conftest import needs_numba, texture
from vsrrin.flow.dis import PRESETS, DisFlow, Preset, _dis, brightness, greys, half_flow, working_size


def motion_of(img0: Tensor, img1: Tensor, preset: Preset = "fine", scale: float = 1.0) -> Tensor:
    """Flow of a pair as networks take it."""
    height, width = img0.shape[-2:]
    out = torch.full((1, 4, -(-height // 2), -(-width // 2)), torch.nan)
    half_flow(DisFlow(preset)(brightness(img0, scale), brightness(img1, scale)), height, width, out)
    return out


@pytest.mark.usefixtures("either_search")
@pytest.mark.parametrize("preset", ["fast", "fine"])
@pytest.mark.parametrize("scale", [1.0, 0.7, 0.5, 0.25])
def test_finds_a_known_motion_in_both_directions(preset: Preset, scale: float) -> None:
    flow = motion_of(texture(144, 192), texture(144, 192, (5.0, -3.0)), preset, scale)
    assert flow.shape == (1, 4, 72, 96)
    inner = flow[..., 12:-12, 12:-12].median(-1).values.median(-1).values[0]
    tolerance = 0.15 if scale == 1 else 0.25 if scale >= 0.5 else 0.6
    torch.testing.assert_close(inner, torch.tensor([2.5, -1.5, -2.5, 1.5]), atol=tolerance, rtol=0)


@pytest.mark.usefixtures("either_search")
def test_concurrent_calls_of_different_sizes_do_not_disturb_each_other() -> None:
    motion = DisFlow("fast")
    pairs = [
        (brightness(texture(h, w)), brightness(texture(h, w, (1.0, 2.0)))) for h, w in ((48, 64), (96, 64), (64, 128))
    ] * 6
    alone = [DisFlow("fast")(*pair) for pair in pairs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pair: motion(*pair), pairs))
    assert all(
        np.array_equal(a, b)
        for one, other in zip(alone, together, strict=True)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.usefixtures("either_search")
@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 3), (17, 33), (11, 11)])
@pytest.mark.parametrize("scale", [1.0, 0.5, 0.25])
def test_any_size_has_a_flow(size: tuple[int, int], scale: float) -> None:
    assert torch.isfinite(motion_of(texture(*size), texture(*size, (1.0, 0.0)), scale=scale)).all()


def test_half_flow_is_in_pixels_of_half_the_frame_whatever_size_it_was_found_at() -> None:
    for found in ((19, 26), (10, 13), (5, 7)):
        share = [1 / 2, 1 / 2] if found == (19, 26) else [found[1] / 51, found[0] / 37]
        there = np.full((*found, 2), (4.0, -2.0), np.float32) * np.float32(share)
        out = torch.full((1, 4, 24, 32), torch.nan)  # half the frame is 19x26; the rest is border
        half_flow((there, -there), 37, 51, out)
        expected = torch.tensor([2.0, -1.0, -2.0, 1.0]).view(1, 4, 1, 1).expand_as(out)
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)


def test_half_flow_repeats_its_border() -> None:
    there = np.random.default_rng(0).normal(0, 3, (3, 4, 2)).astype(np.float32)
    out = torch.empty(1, 4, 8, 8)
    half_flow((there, there), 5, 7, out)
    assert np.array_equal(out[0, 0, :3, :4].numpy(), there[..., 0])
    assert torch.equal(out[..., 3:, :4], out[..., 2:3, :4].expand(1, 4, 5, 4))
    assert torch.equal(out[..., 4:], out[..., 3:4].expand(1, 4, 8, 4))


@pytest.mark.parametrize("scale", [0.25, 0.5, 0.7])
def test_brightness_is_made_at_the_scale_asked_for(scale: float) -> None:
    image = texture(90, 130)
    small = brightness(image, scale)
    assert small.shape == working_size(90, 130, scale)
    assert abs(float(small.mean()) - float(image.mean())) < 0.005
    assert brightness(image).shape == working_size(90, 130, 1) == (45, 65)
    odd = texture(7, 1)
    np.testing.assert_allclose(
        brightness(odd)[:, 0], [*odd[0, :, :6, 0].mean(0).view(3, 2).mean(1), odd[0, :, 6].mean()]
    )


@needs_numba
def test_flow_is_found_by_kernels_where_numba_is_installed(request: pytest.FixtureRequest) -> None:
    pair = brightness(texture(144, 192)), brightness(texture(144, 192, (5.0, -3.0)))
    by_kernels = DisFlow()(*pair)
    request.getfixturevalue("opencv")
    by_opencv = DisFlow()(*pair)
    assert not np.array_equal(by_kernels[0], by_opencv[0])
    assert np.median(np.linalg.norm(by_kernels[0] - by_opencv[0], axis=-1)) < 0.1


@pytest.mark.usefixtures("either_search")
def test_equal_frames_do_not_move() -> None:
    image = brightness(texture(64, 64))
    assert max(np.abs(flow).max() for flow in DisFlow()(image, image)) < 1e-3


def test_brightness_is_the_mean_of_the_channels() -> None:
    pixels = torch.tensor([[0.0, 0.5, 1.0], [2.0, 2.0, 2.0], [-1.0, 0.0, 0.0]]).view(3, 3, 1).transpose(0, 1)
    image = pixels.repeat_interleave(2, 1).repeat_interleave(2, 2)[None]
    np.testing.assert_allclose(brightness(image)[:, 0], [0.5, 2.0, -1 / 3], rtol=1e-6)


def test_what_lies_between_two_levels_goes_up_whatever_rounding_errors_say() -> None:
    halves = np.arange(255, dtype=np.float64) + 0.5
    for error in (-1e-5, 0, 1e-5):
        found, _ = greys(np.float32([(halves + error) / 255]), np.zeros((1, 255), np.float32))
        assert np.array_equal(found[0], np.arange(1, 256))
    twelfths = np.float32([[(100 + k / 12) / 255 for k in range(12)]])
    assert greys(twelfths, twelfths)[0][0].tolist() == [100] * 6 + [101] * 6


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


@pytest.mark.parametrize("preset", PRESETS)
def test_opencv_is_told_what_a_preset_says(preset: Preset) -> None:
    settings, dis = PRESETS[preset], _dis(PRESETS[preset])
    told = dis.getFinestScale(), dis.getPatchStride(), dis.getVariationalRefinementIterations()
    assert told == (settings.finest_scale, settings.patch_stride, settings.refinement)
    assert dis.getPatchSize() == 8  # which the smallest picture is for


@pytest.mark.usefixtures("either_search")
def test_fine_is_finer_than_fast() -> None:
    """Motion that grows from the middle: 6 px at the left and right end."""
    width, truth = 256, np.linspace(-6, 6, 256, dtype=np.float32)
    image = texture(144, width)
    places = torch.linspace(-1, 1, width).expand(1, 144, width) - torch.from_numpy(truth) * 2 / (width - 1)
    rows = torch.linspace(-1, 1, 144).view(1, 144, 1).expand(1, 144, width)
    grid = torch.stack((places, rows), -1)
    moved = torch.nn.functional.grid_sample(image, grid, padding_mode="border", align_corners=True)

    def miss(preset: Preset) -> float:
        back = DisFlow(preset)(brightness(image), brightness(moved))[1]
        return float(np.abs(2 * back[8:-8, 8:-8, 0] + truth[1::2][8:-8]).mean())

    assert miss("fine") < 0.8 * miss("fast") < 0.3
