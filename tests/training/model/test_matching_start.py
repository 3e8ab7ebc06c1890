"""Weights with which a U-Net that finds flow begins."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from tests.conftest import texture
from training.errors import RecipeError
from training.model.aids import NormalisedConv, normalise, plain
from training.model.matching_start import start_matching
from vsrrin.nets import rrin, rrin_lite
from vsrrin.nets.rrin import RRIN
from vsrrin.nets.rrin_lite import RRINLite

LEFT, RIGHT, UP, DOWN = range(4)
"""Shifts, as they are ordered."""


def matching(width: int) -> RRIN:
    torch.manual_seed(2)
    net = RRIN("exact", width=width)
    normalise(net)
    start_matching(net, rrin.SPEC)
    return net


def seen(net: RRIN, img0: Tensor, img1: Tensor) -> list[Tensor]:
    """What each level of the way down makes, normalised by these pictures."""
    levels: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _, __, out: levels.append(out.detach())) for block in net.Flow_L.down_path
    ]
    net.estimate(img0, img1)
    for hook in hooks:
        hook.remove()
    return levels


@pytest.mark.parametrize(
    ("width", "level", "shifts"),
    [(32, 0, 13), (32, 1, 25), (32, 2, 25), (16, 0, 5), (16, 1, 13), (16, 2, 25), (20, 0, 9)],
)
def test_the_shift_that_brings_the_frames_together_costs_least(width: int, level: int, shifts: int) -> None:
    # A picture moves by a pixel of the level.
    step = 2.0**level
    ways = {LEFT: (-step, 0.0), RIGHT: (step, 0.0), UP: (0.0, -step), DOWN: (0.0, step)}
    img0 = torch.cat([texture(96, 96, (0.0, 0.0)) for _ in ways])
    img1 = torch.cat([texture(96, 96, way) for way in ways.values()])
    maps = seen(matching(width), img0, img1)[level][..., 4:-4, 4:-4]
    # Each cost against itself for the other pictures: they are normalised one by one.
    costs = maps[:, 3 : 3 + 4].mean((2, 3))
    assert costs.argmin(0).tolist() == [LEFT, RIGHT, UP, DOWN]
    # Left less right and the opposite, up less down likewise.
    signed = maps[:, 2 + shifts : 2 + shifts + 4].mean((2, 3))
    assert signed[LEFT, 0] < signed[RIGHT, 0] and signed[LEFT, 1] > signed[RIGHT, 1]
    assert signed[UP, 2] < signed[DOWN, 2] and signed[UP, 3] > signed[DOWN, 3]


def test_shifts_of_two_pixels_are_told_apart_where_there_is_room() -> None:
    ways = [(-2.0, 0.0), (2.0, 0.0), (0.0, -2.0), (0.0, 2.0)]
    img0 = torch.cat([texture(96, 96, (0.0, 0.0)) for _ in ways])
    img1 = torch.cat([texture(96, 96, way) for way in ways])
    maps = seen(matching(32), img0, img1)[0][..., 4:-4, 4:-4]
    costs = maps[:, 2 + 9 : 2 + 13].mean((2, 3))
    assert costs.argmin(0).tolist() == [0, 1, 2, 3]
    # Not as nearly as where it is the shift itself.
    assert (costs.diagonal() < maps[:, 3:7].mean((2, 3)).diagonal()).all()


def test_small_costs_are_not_cut_off() -> None:
    maps = seen(matching(16), texture(96, 96, (0.0, 0.0)), texture(96, 96, (1.0, 0.0)))[1]
    costs = maps[:, 2 : 2 + 13].flatten(2)
    # As many below the mean as normal numbers have, at their full size: the leaky ReLU makes them a tenth from two
    # standard deviations on.
    assert (costs - 2).amin() < -1.2 and ((costs - 2).mean(2).abs() < 0.2).all()


def test_brightness_of_both_frames_is_carried_down() -> None:
    img0, img1 = texture(64, 64, (0.0, 0.0)), texture(64, 64, (5.0, 3.0), seed=7)
    for level, maps in enumerate(seen(matching(16), img0, img1)[:4]):
        for frame, image in enumerate((img0, img1)):
            small = nn.functional.avg_pool2d(image.mean(1, keepdim=True), 2**level)
            both = torch.stack((maps[0, frame].flatten(), small.flatten()))
            assert torch.corrcoef(both)[0, 1] > 0.97, (level, frame)


def test_channels_that_are_left_stay_random_and_differ() -> None:
    first = matching(32).Flow_L.down_path[0].block[0]  # type: ignore[index, union-attr]
    assert isinstance(first, NormalisedConv)
    left = first.weight[28:]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(left, 2)) and left.std() > 0.05


def test_what_is_too_narrow_or_has_no_such_u_net_is_refused() -> None:
    narrow = RRIN("exact", width=8)
    normalise(narrow)
    with pytest.raises(RecipeError, match=r"model\.matching: .* begins with 8 channels, and matching needs 12"):
        start_matching(narrow, rrin.SPEC)
    with pytest.raises(RecipeError, match=r"model\.matching needs model\.normalise"):
        start_matching(RRIN("exact", width=16), rrin.SPEC)
    with pytest.raises(RecipeError, match=r"model\.matching: this network finds no flow by a U-Net"):
        start_matching(RRINLite(), rrin_lite.SPEC)


def test_its_weights_are_those_of_the_network() -> None:
    assert plain(matching(16)).state_dict().keys() == RRIN(width=16).state_dict().keys()
