"""training.data.pair_flow"""

import pickle

import numpy as np
import pytest
import torch

from tests.training.pictures import picture
from training.data.difficulty import changes_light, difficulty, half_brightness, lengths, plain_error, worth
from training.data.pair_flow import PairFlow, brightness
from vsrrin.flow.dis import DisFlow, greys, half_flow
from vsrrin.flow.dis import brightness as engine_brightness


def test_brightness_gives_the_grey_levels_that_the_engine_sees() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    image = torch.from_numpy(noise.transpose(2, 0, 1).copy())[None].float() / 255
    own, engine = brightness(noise), engine_brightness(image)
    np.testing.assert_allclose(own, engine, atol=1e-6)
    for mine, theirs in zip(greys(own, own), greys(engine, engine), strict=True):
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("size", [(64, 96), (61, 75)])
def test_flow_is_what_the_engine_gives_to_networks(size: tuple[int, int]) -> None:
    first, second = picture(*size), picture(*size, (3.0, 2.0))
    images = [torch.from_numpy(each.transpose(2, 0, 1).copy())[None].float() / 255 for each in (first, second)]
    wanted = torch.empty(1, 4, -(-size[0] // 2), -(-size[1] // 2))
    half_flow(DisFlow("fast")(*(engine_brightness(image) for image in images)), *size, wanted)
    found = PairFlow("fast")(first, second)
    np.testing.assert_array_equal(found, wanted[0].permute(1, 2, 0).numpy())
    assert abs(float(np.median(found[..., 0])) - 1.5) < 0.1


@pytest.mark.parametrize("size", [(64, 96), (61, 75)])
def test_flow_may_be_found_on_smaller_pictures_as_in_the_engine(size: tuple[int, int]) -> None:
    first, second = picture(*size), picture(*size, (3.0, 2.0))
    images = [torch.from_numpy(each.transpose(2, 0, 1).copy())[None].float() / 255 for each in (first, second)]
    wanted = torch.empty(1, 4, -(-size[0] // 2), -(-size[1] // 2))
    half_flow(DisFlow("fine")(*(engine_brightness(image, 0.5) for image in images)), *size, wanted)
    found = PairFlow("fine", 0.5)(first, second)
    np.testing.assert_array_equal(found, wanted[0].permute(1, 2, 0).numpy())
    assert abs(float(np.median(found[..., 0])) - 1.5) < 0.2
    assert not np.array_equal(found, PairFlow("fine")(first, second))


def test_flow_can_go_to_other_processes() -> None:
    flow = PairFlow("fast", 0.5)
    pair = picture(48, 64), picture(48, 64, (2.0, 0.0))
    expected = flow(*pair)
    assert np.array_equal(pickle.loads(pickle.dumps(flow))(*pair), expected)


def test_right_flow_leaves_no_error_and_wrong_flow_does() -> None:
    frames = np.stack([picture(64, 96, (shift, 0.0)) for shift in (0.0, 2.0, 8.0)])
    bright = half_brightness(frames)
    flow = np.zeros((32, 48, 4), np.float32)
    flow[..., 0], flow[..., 2] = 4, -4
    right = plain_error(bright, flow, 0.25)[:, 8:-8].mean()
    assert right < 0.003
    assert plain_error(bright, flow, 0.75)[:, 8:-8].mean() > 5 * right
    assert plain_error(bright, -flow, 0.25)[:, 8:-8].mean() > 5 * right


def test_flashes_and_cuts_are_changes_of_light_and_fades_are_none() -> None:
    frame = picture(32, 48)
    light = [half_brightness(np.stack([frame] * 3))[0] + np.float32(lift) for lift in (0, 0.05, 0.1, 0.3)]
    assert not changes_light((light[0], light[1], light[2]))
    assert changes_light((light[0], light[2], light[0]))
    assert changes_light((light[0], light[1], light[3]))


def test_difficulty_tells_what_can_be_learned_from() -> None:
    flow = PairFlow("fast")
    still = np.stack([picture(96, 96)] * 3)
    assert difficulty(still, 0.5, flow) < 0.001
    hidden = np.stack([picture(96, 96)] * 3)
    hidden[1, 20:70, 20:70] = picture(50, 50, seed=3)
    assert 0.01 < difficulty(hidden, 0.5, flow) <= 0.03
    flash = np.stack([still[0] // 2, still[0], still[0] // 2])
    assert difficulty(flash, 0.5, flow) == 0


def test_beyond_what_is_hard_errors_are_worth_no_more_and_in_the_end_nothing() -> None:
    errors = np.array([0.0, 0.02, 0.04, 0.07, 0.09])
    np.testing.assert_allclose(worth(errors, np.full(5, 19.0)), [0, 0.02, 0.03, 0.03, 0])
    np.testing.assert_allclose(worth(errors, np.full(5, 21.0)), 0)


def test_lengths_of_flow_are_means_of_both_directions() -> None:
    np.testing.assert_allclose(lengths(np.full((2, 3, 4), (3, 4, 0, 1), np.float32)), np.full((2, 3), 3))
