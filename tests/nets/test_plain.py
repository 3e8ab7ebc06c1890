"""The network that is none: projection, two sharp warps and a blend."""

import pytest
import torch

from vsrrin.checkpoint import loader
from vsrrin.errors import FrameSizeError
from vsrrin.nets.parts.warp import EXACT, SHARP, backward_warp
from vsrrin.nets.plain import SPEC, Plain
from vsrrin.nets.rrin_lite import RRINLite


@pytest.mark.parametrize("t", [0.25, 0.5, 0.75])
def test_follows_known_motion(pair, t):
    inside = (..., slice(4, -4), slice(4, -4))
    assert (pair.run(Plain(), SPEC, t) - pair.at(t))[inside].abs().max() < 0.01
    assert ((1 - t) * pair.img0 + t * pair.img1 - pair.at(t))[inside].abs().max() > 0.03


@pytest.mark.parametrize("t", [0.25, 0.8])
def test_both_frames_count_by_time_wherever_the_flow_leads(t):
    chooser = torch.Generator().manual_seed(1)
    img0, img1 = torch.rand(2, 1, 3, 32, 48, generator=chooser)
    flow = torch.tensor([2.0, -1.0, -3.0, 0.5]).view(1, 4, 1, 1).expand(1, 4, 16, 24)
    forth, back = 2 * torch.tensor([2.0, -1.0]), 2 * torch.tensor([-3.0, 0.5])
    to_0 = t * t * back - (1 - t) * t * forth
    to_1 = (1 - t) ** 2 * forth - t * (1 - t) * back
    warped = [
        backward_warp(image, move.view(1, 2, 1, 1).expand(1, 2, 32, 48), SHARP)
        for image, move in ((img0, to_0), (img1, to_1))
    ]
    result = Plain()(img0, img1, torch.full((1, 1, 1, 1), t), flow)
    assert torch.allclose(result, (1 - t) * warped[0] + t * warped[1], atol=1e-4)


def test_sharp_sampling_keeps_detail_that_bilinear_loses(pair):
    """A motion of one pixel puts the middle half a pixel away from both frames."""
    x = torch.arange(96.0)
    stripes = [(0.5 + 0.4 * torch.sin(2.0 * (x - at))).expand(1, 3, 64, 96).contiguous() for at in (0.0, 0.5, 1.0)]
    flow = torch.tensor([0.5, 0.0, -0.5, 0.0]).view(1, 4, 1, 1).expand(1, 4, 32, 48)
    result = Plain()(stripes[0], stripes[2], pair.time(0.5), flow)
    half = torch.tensor([0.5, 0.0]).view(1, 2, 1, 1).expand(1, 2, 64, 96)
    blurred = (backward_warp(stripes[0], -half, EXACT) + backward_warp(stripes[2], half, EXACT)) / 2
    inside = (..., slice(4, -4))
    ours, bilinear = ((image - stripes[1])[inside].abs().max() for image in (result, blurred))
    assert ours < 0.4 * bilinear


@pytest.mark.parametrize("t", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("shift", [(40, -16), (44, 12)])
def test_a_fast_thing_is_in_one_place_and_bares_the_ground(shift, t):
    chooser = torch.Generator().manual_seed(2)
    ground, thing = torch.rand(1, 3, 96, 160, generator=chooser), torch.rand(1, 3, 12, 12, generator=chooser)
    dx, dy = shift

    def frame(share):
        x, y = 40 + round(share * dx), 40 + round(share * dy)
        picture = ground.clone()
        picture[..., y : y + 12, x : x + 12] = thing
        return picture

    flow = torch.zeros(1, 4, 48, 80)
    flow[0, :2, 20:26, 20:26] = torch.tensor(shift)[:, None, None] / 2
    y, x = 20 + dy // 2, 20 + dx // 2
    flow[0, 2:, y : y + 6, x : x + 6] = -torch.tensor(shift)[:, None, None] / 2
    with torch.inference_mode():
        result = Plain()(frame(0), frame(1), torch.full((1, 1, 1, 1), t), flow)
    missed = (result - frame(t)).abs().amax((0, 1))
    # Flow between that of the thing and that of the ground leads nowhere: around the edges, at each of three places.
    places = ((40, 40), (40 + round(t * dx), 40 + round(t * dy)), (40 + dx, 40 + dy))
    for x, y in places:
        assert missed[y + 3 : y + 9, x + 3 : x + 9].max() < 0.05
        missed[y - 4 : y + 16, x - 4 : x + 16] = 0
    assert missed.max() < 1e-5


def test_begins_as_rrin_lite_does(pair):
    fresh = RRINLite().eval()
    difference = pair.run(Plain(), SPEC, 0.3) - pair.run(fresh, SPEC, 0.3)
    assert difference[..., 4:-4, 4:-4].abs().max() < 0.005


def test_the_flow_is_taken_as_it_is(pair):
    assert torch.equal(Plain().estimate(pair.img0, pair.img1, pair.flow), pair.flow)


def test_has_nothing_to_learn_and_a_key_to_tell_it_by():
    net = Plain()
    assert not list(net.parameters())
    assert {key: value.tolist() for key, value in net.state_dict().items()} == {"plain": [1.0]}
    assert SPEC.detect(net.state_dict())
    assert not SPEC.detect({})
    assert not SPEC.detect({**net.state_dict(), "more": torch.ones(1)})
    assert isinstance(SPEC.build(net.state_dict(), "exact"), Plain)


def test_the_bundled_draft_is_it():
    model = loader.load("draft")
    assert model.spec is SPEC and isinstance(model.net, Plain)


def test_odd_sizes_are_refused():
    image = torch.rand(1, 3, 33, 48)
    with pytest.raises(FrameSizeError, match=r"Plain.estimate: .*multiples of 2, got 33x48"):
        Plain().estimate(image, image, torch.zeros(1, 4, 16, 24))
