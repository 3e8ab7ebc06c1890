"""RRIN-lite: what it starts from, what it can choose, and its sizes."""

import copy

import pytest
import torch
from torch import Tensor, nn

from vsrrin.errors import ArgumentError, FrameSizeError
from vsrrin.nets.parts.warp import SHARP, backward_warp
from vsrrin.nets.registry import identify
from vsrrin.nets.rrin_lite import SPEC, RRINLite

PLANES = ("0 projected", "1 projected", "0 by forth", "1 by forth", "0 by back", "1 by back")

STEADY = ("0 still", "1 still", "0 as a whole", "1 as a whole")

CONTEXT = ("refine_context_widths", "refine_context_blocks", "choose_context_widths", "choose_context_blocks")
NO_CONTEXT: dict[str, tuple[int, ...]] = dict.fromkeys(CONTEXT, ())


@pytest.fixture
def fresh() -> RRINLite:
    torch.manual_seed(3)
    return RRINLite().eval()


@pytest.fixture
def live(live_net) -> RRINLite:
    return copy.deepcopy(live_net(SPEC))


def choose_only(net: RRINLite, plane: str) -> RRINLite:
    """Let the weights of all but one of the candidates vanish."""
    assert isinstance(net.choose.out.bias, Tensor)
    planes = (*PLANES, *STEADY)[: net.planes]
    bias = torch.full((len(planes), 4), -60.0)
    bias[planes.index(plane)] = 60.0
    net.choose.out.bias.data[: bias.numel()] = bias.flatten()
    return net


def constant_flow(dx: float, dy: float, height: int = 48, width: int = 64) -> Tensor:
    """Flow of half size of a plane that moves as a whole."""
    forth = torch.tensor((dx, dy)).view(1, 2, 1, 1).expand(1, 2, height // 2, width // 2)
    return torch.cat((forth, -forth), 1) / 2


def time(t: float) -> Tensor:
    return torch.full((1, 1, 1, 1), t)


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


def test_only_the_projected_flow_is_refined(live, pair):
    estimate = live.estimate(pair.img0, pair.img1, pair.flow)
    projected, by_forth, by_back = live.flows(pair.img0, pair.img1, estimate, time(0.25))
    assert (projected[1] - projected[0] - pair.flow[:, :2]).abs().max() > 0.05
    for to_0, to_1 in (by_forth, by_back):
        assert torch.allclose(to_1 - to_0, pair.flow[:, :2], atol=1e-5)


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
    assert (result - expected)[..., 4:-4, 8:-8].abs().max() < 1e-4


@pytest.mark.parametrize("t", [0.25, 0.75])
@pytest.mark.parametrize("plane", STEADY)
def test_each_steady_candidate_can_be_chosen_alone(plane, t):
    torch.manual_seed(0)
    img0, img1 = torch.rand(2, 1, 3, 48, 64)
    flow = constant_flow(4, -2)
    flow[..., :8] = 30.0  # most moves otherwise
    result = choose_only(RRINLite().eval(), plane)(img0, img1, time(t), flow)
    image, shift = (img0, -t) if plane.startswith("0") else (img1, 1 - t)
    move = (shift * torch.tensor((4.0, -2.0))).view(1, 2, 1, 1).expand(1, 2, 48, 64)
    expected = image if "still" in plane else backward_warp(image, move)
    assert (result - expected).abs().max() < 1e-4


def test_steady_candidates_change_little_at_first_and_are_known_by_the_weights(pair):
    torch.manual_seed(3)
    net = RRINLite().eval()
    plain = RRINLite(steady=False).eval()
    assert (pair.run(net, SPEC) - pair.run(plain, SPEC)).abs().mean() < 0.01
    found = SPEC.build(net.state_dict(), "exact")
    assert isinstance(found, RRINLite)
    assert found.planes == 10
    assert SPEC.detect(net.state_dict())


def test_a_residue_is_added_where_it_belongs(fresh, pair):
    """One of the channels of the output layer that hold the residue: green, the lower left of every four pixels."""
    before = pair.run(fresh, SPEC)
    assert isinstance(fresh.choose.out.bias, Tensor)
    fresh.choose.out.bias.data[4 * fresh.planes + 4 + 2] = 0.25
    difference = pair.run(fresh, SPEC) - before
    expected = torch.zeros_like(difference)
    expected[:, 1, 1::2, ::2] = 0.25
    assert torch.allclose(difference, expected, atol=1e-5)


def test_every_part_moves_the_result(live, pair):
    result = pair.run(live, SPEC, 0.3)
    for part in ("refine.out", "choose.out"):
        silenced = copy.deepcopy(live)
        layer = silenced.get_submodule(part)
        assert isinstance(layer, nn.Conv2d) and layer.bias is not None
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        assert (pair.run(silenced, SPEC, 0.3) - result).abs().max() > 1e-3


def test_training_gives_the_same_values_as_inference(live, pair):
    quick = pair.run(live, SPEC, 0.3)
    with torch.enable_grad():
        slow = pair.run(live.train(), SPEC, 0.3)
    assert torch.allclose(quick, slow, atol=1e-4)


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        NO_CONTEXT,
        {"refine_width": 8, "refine_blocks": 1, "choose_widths": (8, 16), "choose_blocks": (0, 1)},
        {
            **NO_CONTEXT,
            "refine_width": 16,
            "refine_blocks": 2,
            "choose_widths": (8, 12, 16, 24),
            "choose_blocks": (1, 0, 2, 3),
        },
        {"refine_context_widths": (12,), "refine_context_blocks": (2,)},
        {"refine_context_widths": (12, 20), "refine_context_blocks": (2, 0)},
        {
            "choose_widths": (8, 16),
            "choose_blocks": (1, 1),
            "choose_context_widths": (24, 12),
            "choose_context_blocks": (1, 3),
        },
    ],
)
def test_sizes_are_read_from_the_shapes(sizes):
    state = RRINLite(**sizes).state_dict()
    assert identify(state) is SPEC
    built = SPEC.build(state, "exact")
    assert isinstance(built, RRINLite)
    built.load_state_dict(state)


def test_a_context_changes_nothing_until_it_has_learned(live, pair):
    narrow, wide = RRINLite(**NO_CONTEXT).eval(), RRINLite().eval()
    narrow.load_state_dict(live.state_dict(), strict=False)
    missing = wide.load_state_dict(narrow.state_dict(), strict=False)
    assert missing.missing_keys and all("context" in key for key in missing.missing_keys)
    assert torch.equal(pair.run(wide, SPEC, 0.3), pair.run(narrow, SPEC, 0.3))
    assert not torch.equal(pair.run(live, SPEC, 0.3), pair.run(narrow, SPEC, 0.3))


@pytest.mark.parametrize("part", ["refine.context", "refine.context.inner", "choose.context"])
def test_a_context_sees_further(part):
    """Where a change of the input can be seen: with the context up to pixels that it did not reach before."""
    torch.manual_seed(0)
    net = RRINLite()
    name, _, _ = part.partition(".")
    stack, channels = (net.refine, 52) if name == "refine" else (net.choose, 12 * net.planes + 9)
    nn.init.normal_(stack.out.weight, std=0.1)
    x = torch.rand(1, channels, 8, 256)
    changed = x.clone()
    changed[..., 128] += 1

    def reached() -> int:
        with torch.no_grad():
            return int((stack(changed) - stack(x)).abs().amax((0, 1, 2)).count_nonzero())

    before = reached()
    nn.init.normal_(net.get_submodule(part).out.weight, std=0.1)
    if part.endswith("inner"):  # it is seen through the level above it
        nn.init.normal_(net.refine.context.out.weight, std=0.1)
    assert reached() > before + 16


def test_a_context_that_does_not_fit_is_refused():
    with pytest.raises(ArgumentError, match=r"refine_context_widths and .*as many numbers, got \(8,\) and \(\)"):
        RRINLite(refine_context_widths=(8,), refine_context_blocks=())
    with pytest.raises(ArgumentError, match="1 to 4 levels"):
        RRINLite(refine_context_widths=(8, 8, 8), refine_context_blocks=(1, 1, 1))
    with pytest.raises(ArgumentError, match="1 to 4 levels"):
        RRINLite(choose_context_widths=(8, 8), choose_context_blocks=(1, 1))


def test_detects_only_its_own_keys(live):
    state = live.state_dict()
    assert SPEC.detect(state)
    for key in ("refine.stem.0.weight", "choose.first.0.weight"):
        assert not SPEC.detect({k: v for k, v in state.items() if k != key})
        assert not SPEC.detect({**state, key: torch.zeros(32, 17, 3, 3)})
        assert not SPEC.detect({**state, key: torch.zeros(1)})


def test_wrong_sizes_are_refused(fresh):
    image = torch.rand(1, 3, 48, 64)
    with pytest.raises(FrameSizeError, match=r"RRINLite.estimate: .*multiples of 16, got 40x64"):
        fresh.estimate(image[..., :40, :], image[..., :40, :], constant_flow(0, 0, 40))
    with pytest.raises(
        ArgumentError, match=r"RRINLite: widths must be those of 1 to 4 levels, got \(8, 8, 8, 8, 128\)"
    ):
        RRINLite(choose_widths=(8,) * 4, choose_blocks=(1,) * 4)
