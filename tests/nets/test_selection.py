"""RRIN-lite, second generation: what it starts from, what it can choose, its sizes and its range."""

import copy

import pytest
import torch
from torch import Tensor, nn

from vsrrin.errors import FrameSizeError
from vsrrin.nets import rrin_lite, selection
from vsrrin.nets.registry import identify
from vsrrin.nets.rrin_lite import SPEC
from vsrrin.nets.selection import SelectionLite
from vsrrin.nets.unet import to_precision
from vsrrin.nets.warp import SHARP, backward_warp

PLANES = ("0 projected", "1 projected", "0 by forth", "1 by forth", "0 by back", "1 by back")


@pytest.fixture
def fresh() -> SelectionLite:
    torch.manual_seed(3)
    return SelectionLite().eval()


@pytest.fixture
def live(live_net) -> SelectionLite:
    return copy.deepcopy(live_net(SPEC))


def choose_only(net: SelectionLite, plane: str) -> SelectionLite:
    """Let the weights of all but one of the candidates vanish."""
    assert isinstance(net.choose.out.bias, Tensor)
    bias = torch.full((len(PLANES), 4), -60.0)
    bias[PLANES.index(plane)] = 60.0
    net.choose.out.bias.data[: bias.numel()] = bias.flatten()
    return net


def constant_flow(dx: float, dy: float, height: int = 48, width: int = 64) -> Tensor:
    """Flow of half size of a plane that moves as a whole."""
    forth = torch.tensor((dx, dy)).view(1, 2, 1, 1).expand(1, 2, height // 2, width // 2)
    return torch.cat((forth, -forth), 1) / 2


def time(t: float) -> Tensor:
    return torch.full((1, 1, 1, 1), t)


def test_default_network_is_this_one():
    assert isinstance(SPEC.default(), SelectionLite)


def test_fresh_net_follows_known_motion(fresh, pair):
    for t in (0.25, 0.5, 0.75):
        error = (pair.run(fresh, SPEC, t) - pair.at(t))[..., 4:-4, 4:-4].abs().max()
        blend = ((1 - t) * pair.img0 + t * pair.img1 - pair.at(t))[..., 4:-4, 4:-4].abs().max()
        assert error < 0.01
        assert blend > 0.03


def test_fresh_net_leaves_the_projected_flow_as_it_is(fresh, pair):
    estimate = fresh.estimate(pair.img0, pair.img1, pair.flow)
    (to_0, to_1), *_ = fresh.flows(pair.img0, pair.img1, estimate, time(0.25))
    assert torch.allclose(to_1 - to_0, (pair.flow[:, :2] * 0.75 - pair.flow[:, 2:] * 0.25), atol=1e-5)


@pytest.mark.parametrize("t", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("plane", PLANES)
def test_each_candidate_can_be_chosen_alone(fresh, plane, t):
    torch.manual_seed(0)
    img0, img1 = torch.rand(2, 1, 3, 48, 64)
    flow = constant_flow(4, -2)
    result = choose_only(fresh, plane)(img0, img1, time(t), flow)
    image, shift = (img0, -t) if plane.startswith("0") else (img1, 1 - t)
    move = (shift * torch.tensor((4.0, -2.0))).view(1, 2, 1, 1).expand(1, 2, 48, 64)
    expected = backward_warp(image, move, SHARP) if "projected" in plane else backward_warp(image, move)
    assert (result - expected.clamp(0, 1))[..., 4:-4, 8:-8].abs().max() < 1e-4


def test_candidates_read_flow_where_the_point_comes_from(fresh):
    """The left half moves right by 8 px over a still right half: at t = 1/2 the edge has moved by 4 px, which flow read
    at the pixel itself misses."""
    forth, back = torch.zeros(1, 2, 24, 64), torch.zeros(1, 2, 24, 64)
    forth[:, 0, :, :32] = 4.0
    back[:, 0, :, :36] = -4.0
    estimate = torch.cat((forth, back, torch.zeros(1, 2, 24, 64)), 1)
    images = torch.rand(2, 1, 3, 48, 128)
    projected, by_forth, _ = fresh.flows(*images, estimate, time(0.5))
    at = 32  # just right of where the edge was: what is there now came from the left
    assert by_forth[0][0, 0, 12, at] == pytest.approx(0.0)  # flow at the pixel itself is still zero: read once
    assert projected[0][0, 0, 12, at] == pytest.approx(-1.0)  # half of one, half of the other
    assert fresh.flows(*images, estimate, time(0.5))[2][0][0, 0, 12, at] == pytest.approx(-2.0)


def test_every_part_moves_the_result(live, pair):
    result = pair.run(live, SPEC, 0.3)
    for layer in (live.refine.out, live.choose.out):
        silenced = copy.deepcopy(live)
        found = silenced.refine.out if layer is live.refine.out else silenced.choose.out
        nn.init.zeros_(found.weight)
        nn.init.zeros_(found.bias)
        assert (pair.run(silenced, SPEC, 0.3) - result).abs().max() > 1e-3


def test_training_gives_the_same_values_as_inference(live, pair):
    quick = pair.run(live, SPEC, 0.3)
    with torch.enable_grad():
        slow = pair.run(live.train(), SPEC, 0.3)
    assert torch.allclose(quick, slow, atol=1e-5)


def test_gradients_reach_every_parameter(live, pair):
    live.requires_grad_(True)
    with torch.enable_grad():
        result = live(pair.img0, pair.img1, pair.time(0.3), pair.flow)
        (result - pair.at(0.3)).abs().mean().backward()
    for name, parameter in live.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_wide_range_video_is_not_clipped(fresh, pair):
    wide0, wide1 = pair.img0 * 4 - 1.5, pair.img1 * 4 - 1.5
    result = fresh(wide0, wide1, pair.time(0.3), pair.flow)
    assert result.min() < -1 and result.max() > 2


@pytest.mark.parametrize("peak", [100.0, 4.0, 0.01])
def test_unusual_ranges_are_treated_as_the_usual_one(live, pair, peak):
    """Linear HDR and dim pictures give the same picture, brighter or darker; a batch is not mixed up."""
    top = max(float(pair.img0.max()), float(pair.img1.max()))
    frames = pair.img0 / top, pair.img1 / top
    usual = live(*frames, pair.time(0.3), pair.flow).clamp(0, 1)
    both = [torch.cat((frame * peak, frame)) for frame in frames]
    result = live(*both, torch.full((2, 1, 1, 1), 0.3), pair.flow.repeat(2, 1, 1, 1))
    assert (result[:1].clamp(0, peak) / peak - usual).abs().max() < 1e-4
    assert (result[1:].clamp(0, 1) - usual).abs().max() < 1e-4


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"refine_width": 8, "refine_blocks": 1, "choose_widths": (8, 16), "choose_blocks": (0, 1)},
        {"refine_width": 16, "refine_blocks": 2, "choose_widths": (8, 12, 16, 24), "choose_blocks": (1, 0, 2, 3)},
    ],
)
def test_sizes_are_read_from_the_shapes(sizes):
    state = SelectionLite(**sizes).state_dict()
    assert identify(state) is SPEC
    built = SPEC.build(state, "exact")
    assert isinstance(built, SelectionLite)
    built.load_state_dict(state)


def test_both_generations_are_told_apart():
    assert not selection.detect(rrin_lite.RRINLite().state_dict())
    assert isinstance(SPEC.build(rrin_lite.RRINLite().state_dict(), "exact"), rrin_lite.RRINLite)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close(live, pair, dtype):
    exact = pair.run(live, SPEC, 0.3)
    half = pair.run(to_precision(live, dtype), SPEC, 0.3)
    assert (half - exact).abs().max() < 0.05
    assert (half - exact).abs().mean() < 0.005


def test_wrong_sizes_are_refused(fresh):
    image = torch.rand(1, 3, 48, 64)
    with pytest.raises(FrameSizeError, match=r"SelectionLite.estimate: .*multiples of 16, got 40x64"):
        fresh.estimate(image[..., :40, :], image[..., :40, :], constant_flow(0, 0, 40))
