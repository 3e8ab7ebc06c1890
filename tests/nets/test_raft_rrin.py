"""RAFT_RRIN: its keys, its halves, and the files it is put together from. RAFT itself is in test_raft.py."""

import pytest
import torch

from vsrrin.nets import NETS, identify, rrin
from vsrrin.nets.parts.raft import RAFT
from vsrrin.nets.raft_rrin import RAFTRRIN, SPEC
from vsrrin.nets.rrin import RRIN


@pytest.fixture(scope="module")
def net(live_net) -> RAFTRRIN:
    return live_net(SPEC)


def test_keys_are_those_of_raft_and_of_rrin_without_its_flow(net):
    expected = [f"raft.{key}" for key in RAFT(small=True).state_dict()]
    expected += [key for key in RRIN(width=8).state_dict() if not key.startswith("Flow_L.")]
    assert sorted(net.state_dict()) == sorted(expected)


def test_estimate_is_the_flow_of_raft_both_ways(net, pair):
    flow = net.estimate(pair.img0, pair.img1)
    assert flow.shape == (1, 4, 64, 96)
    assert torch.equal(flow, net.raft.bidirectional(pair.img0, pair.img1))
    assert torch.equal(net.estimate(pair.img1, pair.img0), flow[:, [2, 3, 0, 1]])


@pytest.mark.parametrize("arithmetic", SPEC.arithmetics)
def test_the_rest_is_that_of_rrin(net, pair, arithmetic):
    """With the same flow and the same weights, RRIN and RAFT_RRIN make the same picture."""
    state = net.state_dict()
    with_raft = RAFTRRIN(arithmetic, small=True, width=8).eval()
    with_raft.load_state_dict(state)
    plain = RRIN(arithmetic, width=8).eval()
    missing = plain.load_state_dict({k: v for k, v in state.items() if not k.startswith("raft.")}, strict=False)
    assert all(key.startswith("Flow_L.") for key in missing.missing_keys)
    flow, t = net.estimate(pair.img0, pair.img1), pair.time(0.3)
    expected = plain.synthesize(pair.img0, pair.img1, flow, t)
    assert torch.equal(with_raft.synthesize(pair.img0, pair.img1, flow, t), expected)


def test_known_flow_brings_a_moving_picture_to_its_place(pair):
    """With the output layers of the U-Nets zero, the true flow makes the true picture in between."""
    net = RAFTRRIN(small=True, width=4).eval()
    for part in (net.Mask, net.refine_flow, net.final):
        torch.nn.init.zeros_(part.last.weight)
        torch.nn.init.zeros_(part.last.bias)
    flow = torch.tensor([3.0, -2.0, -3.0, 2.0]).view(1, 4, 1, 1).expand(1, 4, 64, 96)
    inner = (..., slice(4, -4), slice(4, -4))
    for t in (0.25, 0.5):
        made = net.synthesize(pair.img0, pair.img1, flow, pair.time(t))[inner]
        assert (made - pair.at(t)[inner]).abs().max() < 0.02
        assert (made - pair.img0[inner]).abs().max() > 0.05


def test_fewer_iterations_give_another_flow(net, pair):
    before = net.estimate(pair.img0, pair.img1)
    net.raft.iterations = 3
    try:
        fewer = net.estimate(pair.img0, pair.img1)
    finally:
        net.raft.iterations = 12
    assert RAFTRRIN(small=True, width=4).raft.iterations == 12
    assert RAFTRRIN(small=True, width=4, iterations=3).raft.iterations == 3
    assert (fewer - before).abs().max() > 0.05


def test_detects_only_its_own_keys(net):
    state = net.state_dict()
    assert [spec.name for spec in NETS if spec.detect(state)] == ["raft_rrin"]
    assert not SPEC.detect({key: value for key, value in state.items() if key != "final.last.weight"})
    assert not SPEC.detect({key: value for key, value in state.items() if not key.startswith("raft.cnet.")})
    assert not SPEC.detect(RAFT(small=True).state_dict())
    assert not SPEC.detect(RRIN(width=4).state_dict())


@pytest.mark.parametrize("small", [True, False])
def test_sizes_come_from_the_shapes(small):
    with torch.device("meta"):
        state = RAFTRRIN(small=small, width=8).state_dict()
        built = SPEC.build(state, "exact").state_dict()
    assert {key: value.shape for key, value in built.items()} == {key: value.shape for key, value in state.items()}


@pytest.mark.parametrize("small", [True, False])
def test_published_files_make_the_net(small):
    torch.manual_seed(0)
    flow, residue = RAFT(small=small), RRIN(width=4)
    files = ({f"module.{key}": value for key, value in flow.state_dict().items()}, residue.state_dict())
    assert [[part.name for part in SPEC.parts if part.take(file) is not None] for file in files] == [["RAFT"], ["RRIN"]]
    state = {key: value for part, file in zip(SPEC.parts, files, strict=True) for key, value in part.take(file).items()}
    assert identify(state) is SPEC
    net = SPEC.build(state, "published")
    net.load_state_dict(state)
    assert torch.equal(net.raft.fnet.conv1.weight, flow.fnet.conv1.weight)
    assert torch.equal(net.Mask.last.weight, residue.Mask.last.weight)


def test_other_files_are_no_part(net):
    with_beta = {**RRIN(width=4).state_dict(), "beta": torch.ones(1)}
    for state in (with_beta, net.state_dict(), {}, {"fc.weight": torch.zeros(1)}):
        assert all(part.take(state) is None for part in SPEC.parts)


def test_parts_of_rrin_keep_the_arithmetic_they_were_trained_with():
    assert [part.arithmetic for part in SPEC.parts] == [None, rrin.SPEC.arithmetics[0]]
