"""training.data.augment"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.training.pictures import picture
from training.data.augment import (
    Window,
    augmented,
    cropped,
    flipped_x,
    flipped_y,
    pseudo_label,
    reversed_in_time,
    to_sample,
    transposed,
    with_channels,
)
from training.data.batch import Sample
from training.data.moving_layers import Layer, Motion, flow_of, motions, render
from training.errors import TrainingError
from vsrrin.nets.parts.warp import backward_warp

HEIGHT, WIDTH = 48, 64
CHANGES: dict[str, Callable[[Window], Window]] = {
    "cropped": lambda window: cropped(window, 4, 10, 32, 40),
    "flipped_x": flipped_x,
    "flipped_y": flipped_y,
    "transposed": transposed,
    "reversed_in_time": reversed_in_time,
    "with_channels": partial(with_channels, order=(2, 0, 1)),
}


@pytest.fixture(scope="module")
def window() -> Window:
    """A texture that turns, grows and moves, with its exact flow."""
    layers = [
        Layer(
            picture(96, 96),
            Motion(x=WIDTH / 2, y=HEIGHT / 2, dx=3.0, dy=-2.0, angle=0.2, turn=0.05, scale=1.0, growth=0.04),
        )
    ]
    views = [render(layers, time, (0, 0, WIDTH, HEIGHT)) for time in (0.0, 0.25, 1.0)]
    there, back = flow_of(views[0].owner, motions(layers, 0, 1)), flow_of(views[2].owner, motions(layers, 1, 0))
    truth = np.concatenate((there, back), -1)
    half = truth.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 4).mean((1, 3)) / 2
    frames = np.stack([np.rint(view.frame).astype(np.uint8) for view in views])
    return Window(
        frames=frames, t=0.25, flow=half.astype(np.float32), truth=truth, trust=np.ones((HEIGHT, WIDTH, 2), np.uint8)
    )


def warp_error(image: Tensor, flow: Tensor, wanted: Tensor) -> float:
    """Mean error, of 255, of what flow makes of a picture; away from the border."""
    warped = backward_warp(image[None], flow[None])[0]
    return float((warped - wanted)[:, 8:-8, 8:-8].abs().mean()) * 255


def assert_consistent(sample: Sample) -> None:
    """Flow, exact and at half size, leads from each frame to the other."""
    doubled = torch.nn.functional.interpolate(sample.flow[None], scale_factor=2, mode="bilinear")[0] * 2
    for flow in (sample.truth, doubled):
        assert warp_error(sample.img1, flow[:2], sample.img0) < 0.6
        assert warp_error(sample.img0, flow[2:], sample.img1) < 0.6
        # By linear motion to t: a time that was not exchanged would be off by pixels.
        part = sample.t * flow[2:]
        assert warp_error(sample.img0, part, sample.target) < 2.5


def test_the_window_itself_is_consistent_and_the_test_can_fail(window: Window) -> None:
    sample = to_sample(window)
    assert_consistent(sample)
    assert warp_error(sample.img1, -sample.truth[:2], sample.img0) > 8
    assert warp_error(sample.img1, sample.truth[:2].flip(0), sample.img0) > 8


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_changes_frames_and_flow_alike(window: Window, name: str) -> None:
    changed = CHANGES[name](window)
    assert not np.array_equal(changed.frames, window.frames)
    assert_consistent(to_sample(changed))


@pytest.mark.parametrize("change", [flipped_x, flipped_y, transposed, reversed_in_time])
def test_a_change_made_twice_is_none(window: Window, change: Callable[[Window], Window]) -> None:
    again = change(change(window))
    assert again.t == window.t
    for name in ("frames", "flow", "truth", "trust"):
        assert np.array_equal(getattr(again, name), getattr(window, name))


def test_flips_turn_the_flow_across_them_round(window: Window) -> None:
    np.testing.assert_array_equal(flipped_x(window).truth[:, ::-1], window.truth * [-1, 1, -1, 1])
    np.testing.assert_array_equal(flipped_y(window).truth[::-1], window.truth * [1, -1, 1, -1])


def test_trust_goes_with_its_pixels_and_its_direction(window: Window) -> None:
    trust = np.zeros_like(window.trust)
    trust[1, 2, 0] = 1
    marked = Window(frames=window.frames, t=window.t, flow=window.flow, truth=window.truth, trust=trust)
    for change, place in (
        (flipped_x, (1, WIDTH - 3, 0)),
        (flipped_y, (HEIGHT - 2, 2, 0)),
        (transposed, (2, 1, 0)),
        (reversed_in_time, (1, 2, 1)),
    ):
        assert [tuple(map(int, found)) for found in np.argwhere(change(marked).trust)] == [place]


def test_time_is_reversed_with_the_frames(window: Window) -> None:
    reversed_window = reversed_in_time(window)
    assert reversed_window.t == 0.75
    assert np.array_equal(reversed_window.frames[0], window.frames[2])
    assert np.array_equal(reversed_window.truth[..., :2], window.truth[..., 2:])


def test_channels_keep_their_pixels(window: Window) -> None:
    np.testing.assert_array_equal(with_channels(window, (2, 0, 1)).frames[..., 0], window.frames[..., 2])


@pytest.mark.parametrize("place", [(1, 0, 32, 32), (0, 0, 32, 33), (18, 0, 32, 32), (-2, 0, 32, 32), (0, 0, 0, 0)])
def test_a_crop_that_is_odd_or_not_inside_is_refused(window: Window, place: tuple[int, int, int, int]) -> None:
    with pytest.raises(TrainingError, match=r"cannot be cut from a window of 64x48; give even numbers, inside"):
        cropped(window, *place)


def test_random_changes_are_consistent_and_all_of_them_occur(window: Window) -> None:
    times, orders, places = set(), set(), set()
    flow, truth, trust = _zeros()
    plain = Window(
        frames=np.broadcast_to(np.uint8([10, 20, 30]), (3, 48, 64, 3)), t=0.5, flow=flow, truth=truth, trust=trust
    )
    for seed in range(24):
        changed = augmented(window, 32, np.random.default_rng(seed))
        assert changed.frames.shape == (3, 32, 32, 3)
        assert_consistent(to_sample(changed))
        times.add(changed.t)
        orders.add(tuple(augmented(plain, 32, np.random.default_rng(seed)).frames[0, 0, 0].tolist()))
        places.add(changed.frames.tobytes())
    assert times == {0.25, 0.75}
    assert len(orders) == 6
    assert len(places) == 24


def _zeros() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    return np.zeros((24, 32, 4), np.float32), np.zeros((48, 64, 4), np.float32), np.ones((48, 64, 2), np.uint8)


def test_tensors_hold_the_window(window: Window) -> None:
    sample = to_sample(window)
    assert sample.img0.dtype == sample.flow.dtype == sample.trust.dtype == torch.float32
    np.testing.assert_allclose(sample.target.numpy(), window.frames[1].transpose(2, 0, 1) / np.float32(255), rtol=1e-6)
    np.testing.assert_array_equal(sample.flow.numpy(), window.flow.transpose(2, 0, 1))


def test_a_pseudo_label_is_trusted_where_both_directions_agree() -> None:
    flow = np.zeros((24, 32, 4), np.float32)
    flow[...] = (4, 0, -4, 0)
    flow[8:16, 8:16, 2:] = (4, 0)  # contradicts
    truth, trust = pseudo_label(flow)
    assert truth.shape == (48, 64, 4)
    np.testing.assert_allclose(truth[0, 0], (8, 0, -8, 0))
    assert trust[4, 10].tolist() == [1, 1]
    assert trust[24, 24, 1] == 0
    assert trust[24, 2 * (10 - 4), 0] == 0  # leads to where the other contradicts
    assert not trust[:, -8:, 0].any()  # leaves the window
    assert not trust[:, :8, 1].any()


def test_a_small_disagreement_is_allowed_and_grows_with_the_flow() -> None:
    for length, missed, trusted in ((1.0, 0.2, 1), (1.0, 0.4, 0), (8.0, 0.5, 1), (8.0, 0.8, 0)):
        flow = np.zeros((16, 64, 4), np.float32)
        flow[...] = (length, 0, -length + missed, 0)
        assert pseudo_label(flow)[1][16, 64, 0] == trusted
