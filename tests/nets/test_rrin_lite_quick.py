"""RRIN-lite, quick: what it starts from, what its one network moves, and its sizes."""

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.nets.test_rrin_lite import PLANES, STEADY, constant_flow, time
from vsrrin.errors import ArgumentError, FrameSizeError
from vsrrin.nets.parts.warp import SHARP, backward_warp
from vsrrin.nets.registry import identify
from vsrrin.nets.rrin_lite_quick import SPEC, QuickLite

LOGITS = 16 * len(PLANES)


@pytest.fixture
def fresh() -> QuickLite:
    torch.manual_seed(3)
    return QuickLite().eval()


@pytest.fixture
def live(live_net) -> QuickLite:
    return copy.deepcopy(live_net(SPEC))


def bias_of(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias.data


def test_fresh_net_follows_known_motion(fresh, pair):
    for t in (0.25, 0.5, 0.75):
        error = (pair.run(fresh, SPEC, t) - pair.at(t))[..., 4:-4, 4:-4].abs().max()
        blend = ((1 - t) * pair.img0 + t * pair.img1 - pair.at(t))[..., 4:-4, 4:-4].abs().max()
        assert error < 0.01
        assert blend > 0.03


@pytest.mark.parametrize("t", [0.25, 0.75])
@pytest.mark.parametrize("plane", PLANES)
def test_each_candidate_can_be_chosen_alone(fresh, plane, t):
    torch.manual_seed(0)
    img0, img1 = torch.rand(2, 1, 3, 48, 64)
    bias_of(fresh.weigher.weigh).fill_(-60)[16 * PLANES.index(plane) :][:16] = 60
    result = fresh(img0, img1, time(t), constant_flow(4, -2))
    image, shift = (img0, -t) if plane.startswith("0") else (img1, 1 - t)
    move = (shift * torch.tensor((4.0, -2.0))).view(1, 2, 1, 1).expand(1, 2, 48, 64)
    expected = backward_warp(image, move, SHARP) if "projected" in plane else backward_warp(image, move)
    assert (result - expected)[..., 4:-4, 8:-8].abs().max() < 1e-4


@pytest.mark.parametrize("plane", STEADY)
def test_each_steady_candidate_can_be_chosen_alone(plane):
    torch.manual_seed(0)
    img0, img1 = torch.rand(2, 1, 3, 48, 64)
    flow = constant_flow(4, -2)
    flow[..., :8] = 30.0  # most moves otherwise
    net = QuickLite().eval()
    bias_of(net.weigher.weigh).fill_(-60)[16 * (len(PLANES) + STEADY.index(plane)) :][:16] = 60
    result = net(img0, img1, time(0.25), flow)
    image, shift = (img0, -0.25) if plane.startswith("0") else (img1, 0.75)
    move = (shift * torch.tensor((4.0, -2.0))).view(1, 2, 1, 1).expand(1, 2, 48, 64)
    expected = image if "still" in plane else backward_warp(image, move)
    assert (result - expected).abs().max() < 1e-4
    found = SPEC.build(net.state_dict(), "exact")
    assert isinstance(found, QuickLite)
    assert found.planes == 10
    assert SPEC.detect(net.state_dict())


def test_every_pixel_of_sixteen_has_its_own_weight(fresh, pair):
    """Frame 1 alone, projected, at the pixel in row 1 and column 2 of each square of four by four."""
    before = pair.run(fresh, SPEC)
    for plane in range(len(PLANES)):
        bias_of(fresh.weigher.weigh)[16 * plane + 4 * 1 + 2] = 60.0 if plane == 1 else -60.0
    result = pair.run(fresh, SPEC)
    chosen = torch.zeros(64, 96, dtype=torch.bool)
    chosen[1::4, 2::4] = True
    assert torch.allclose(result[..., ~chosen], before[..., ~chosen], atol=1e-5)
    alone = backward_warp(pair.img1, torch.tensor([1.5, -1.0]).view(1, 2, 1, 1).expand(1, 2, 64, 96), SHARP)
    assert torch.allclose(result[..., chosen], alone[..., chosen], atol=1e-4)


def test_the_projected_flow_is_moved_and_no_other(fresh, pair):
    """By one pixel of half size to the right in frame 0: two pixels of the frame."""
    bias_of(fresh.weigher.move)[:4] = 1.0
    bias_of(fresh.weigher.weigh).fill_(-60)[:16] = 60
    still = torch.zeros_like(pair.flow)
    moved = fresh(pair.img0, pair.img1, time(0.5), still)
    assert torch.allclose(moved[..., :-4], pair.img0[..., 2:-2], atol=1e-4)
    bias_of(fresh.weigher.weigh).fill_(-60)[2 * 16 :][:16] = 60
    assert torch.allclose(fresh(pair.img0, pair.img1, time(0.5), still), pair.img0, atol=1e-4)


def test_every_part_moves_the_result(live, pair):
    result = pair.run(live, SPEC, 0.3)
    for part in ("weigher.weigh", "weigher.move"):
        silenced = copy.deepcopy(live)
        layer = silenced.get_submodule(part)
        assert isinstance(layer, nn.Conv2d)
        nn.init.zeros_(layer.weight)
        bias_of(layer).zero_()
        assert (pair.run(silenced, SPEC, 0.3) - result).abs().max() > 1e-3


def test_training_gives_the_same_values_as_inference(live, pair):
    quick = pair.run(live, SPEC, 0.3)
    with torch.enable_grad():
        slow = pair.run(live.train(), SPEC, 0.3)
    assert torch.allclose(quick, slow, atol=1e-4)


def test_logits_and_flow_are_results_of_their_own(live):
    weighed, change = live.weigher(torch.rand(2, 4 * (3 * live.planes + 11), 8, 12))
    assert weighed.shape == (2, 16 * live.planes, 8, 12)
    assert change.shape == (2, 16, 8, 12)
    assert weighed.dtype == change.dtype == torch.float32


@pytest.mark.parametrize(
    "sizes",
    [{}, {"widths": (8,), "blocks": (2,)}, {"widths": (8, 16), "blocks": (0, 1)}],
)
def test_sizes_are_read_from_the_shapes(sizes):
    state = QuickLite(**sizes).state_dict()
    assert identify(state) is SPEC
    built = SPEC.build(state, "exact")
    assert isinstance(built, QuickLite)
    built.load_state_dict(state)


def test_detects_only_its_own_keys(live):
    state, key = live.state_dict(), "weigher.first.0.weight"
    assert SPEC.detect(state)
    assert not SPEC.detect({k: v for k, v in state.items() if k != key})
    assert not SPEC.detect({**state, key: torch.zeros(40, 17, 3, 3)})
    assert not SPEC.detect({**state, key: torch.zeros(1)})


def test_wrong_sizes_are_refused(fresh):
    image = torch.rand(1, 3, 48, 64)
    with pytest.raises(FrameSizeError, match=r"QuickLite.estimate: .*multiples of 16, got 40x64"):
        fresh.estimate(image[..., :40, :], image[..., :40, :], constant_flow(0, 0, 40))
    with pytest.raises(ArgumentError, match=r"QuickLite: widths must be those of 1 to 3 levels, got \(8, 8, 8, 8\)"):
        QuickLite(widths=(8,) * 4, blocks=(1,) * 4)
    with pytest.raises(ArgumentError, match=r"QuickLite: widths must be those of 1 to 3 levels, got \(\)"):
        QuickLite(widths=(), blocks=())
