"""Training aids, and that nothing of them is left."""

import copy
import hashlib

import pytest
import torch
from torch import Tensor, nn

from training.errors import RecipeError
from training.losses.flow import flow_levels
from training.model.aids import KeptInput, NormalisedConv, normalise, plain, shown_by, teach_levels
from vsrrin.nets import rrin, rrin_lite
from vsrrin.nets.parts.unet import UNet
from vsrrin.nets.rrin import RRIN
from vsrrin.nets.rrin_lite import RRINLite


def pair() -> tuple[Tensor, Tensor]:
    torch.manual_seed(5)
    img0, img1 = torch.rand(2, 2, 3, 32, 48)
    return img0, img1


def normalised() -> RRIN:
    """A small network whose layers have seen pictures, with gains and shifts of their own."""
    torch.manual_seed(6)
    net = RRIN("exact", width=4)
    normalise(net)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    for _ in range(30):
        net.estimate(*pair())
    return net


def test_hidden_layers_make_channels_of_mean_0_and_variance_1_and_output_layers_do_not() -> None:
    net = RRIN("exact", width=4)
    normalise(net)
    made: dict[str, Tensor] = {}
    for name, module in net.Flow_L.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, __, out, name=name: made.__setitem__(name, out.detach().clone()))
    net.estimate(*pair())
    assert len(made) == 2 * 5 + 1 + 3 * 4 + 1
    for name, out in made.items():
        if name == "last":
            assert type(net.Flow_L.last) is nn.Conv2d
            continue
        assert out.mean((0, 2, 3)).abs().max() < 1e-4, name
        assert (out.var((0, 2, 3), unbiased=False) - 1).abs().max() < 0.05, name


def test_folded_weights_make_the_same_without_a_trace_of_normalisation() -> None:
    net = normalised().eval()
    before = copy.deepcopy(net.state_dict())
    made = plain(net)
    assert made.state_dict().keys() == RRIN(width=4).state_dict().keys()
    assert [type(a) for a in made.modules()] == [type(b) for b in RRIN(width=4).modules()]
    with torch.no_grad():
        expected, found = net.estimate(*pair()), made.estimate(*pair())
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())  # a copy was folded


def test_what_is_frozen_is_not_normalised() -> None:
    net = RRIN("exact", width=4)
    net.Mask.requires_grad_(False)
    weights = copy.deepcopy(net.Mask.state_dict())
    normalise(net)
    assert not any(isinstance(module, NormalisedConv) for module in net.Mask.modules())
    assert all(torch.equal(value, weights[name]) for name, value in net.Mask.state_dict().items())
    assert any(isinstance(module, NormalisedConv) for module in net.final.modules())


def test_a_network_without_such_layers_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"model\.normalise: the network has no convolutions"):
        normalise(nn.Linear(2, 2))


def test_levels_show_flow_from_the_coarsest_on_and_the_result_is_as_before() -> None:
    net = RRIN("exact", width=4).eval()
    with torch.no_grad():
        expected = net.estimate(*pair())
        teach_levels(net, rrin.SPEC)
        assert torch.equal(net.estimate(*pair()), expected)
    assert isinstance(net.Flow_L.up_path[0].up, KeptInput) and type(net.Mask.up_path[0].up) is nn.Sequential
    assert [tuple(flow.shape) for flow in shown_by(net)] == [(2, 4, 2, 3), (2, 4, 4, 6), (2, 4, 8, 12), (2, 4, 16, 24)]
    assert shown_by(net) == []
    assert type(plain(net)) is RRIN and type(plain(net).Flow_L) is UNet
    assert plain(net).state_dict().keys() == RRIN(width=4).state_dict().keys()


def test_what_levels_are_told_reaches_the_layers_before_them_and_no_others() -> None:
    net = RRIN("exact", width=4)
    teach_levels(net, rrin.SPEC)
    net.estimate(*pair())
    shown_by(net)[0].square().sum().backward()
    assert net.Flow_L.midconv.weight.grad is not None and net.Flow_L.heads[0].weight.grad is not None
    assert net.Flow_L.up_path[0].up[1].weight.grad is None and net.Flow_L.last.weight.grad is None


def test_names_and_their_order_are_those_of_runs_that_were_made_before() -> None:
    """States of interrupted runs hold weights by name, and what the optimiser knows by their order."""
    net = RRIN("exact", width=4)
    normalise(net)
    teach_levels(net, rrin.SPEC)
    for names, count, digest in (
        (list(net.state_dict()), 555, "ca6ebbc819842c62"),
        ([name for name, _ in net.named_parameters()], 324, "b0be3e4a858d8464"),
    ):
        assert len(names) == count and hashlib.sha256("\n".join(names).encode()).hexdigest()[:16] == digest


def test_what_is_frozen_is_not_taught() -> None:
    net = RRIN("exact", width=4)
    net.Flow_L.requires_grad_(False)
    with pytest.raises(RecipeError, match=r"loss\.flow_levels: model\.frozen holds the U-Net"):
        teach_levels(net, rrin.SPEC)


def test_networks_without_a_u_net_for_flow_have_no_levels() -> None:
    with pytest.raises(RecipeError, match=r"loss\.flow_levels: this network finds no flow by a U-Net"):
        teach_levels(RRINLite(), rrin_lite.SPEC)


def test_the_error_of_levels_is_that_of_the_mean_of_what_counts() -> None:
    truth = torch.zeros(1, 4, 4, 4)
    truth[:, 0, :, :2], truth[:, 0, :, 2:] = 3, 100
    trust = torch.ones(1, 2, 4, 4)
    trust[..., 2:] = 0
    fine, coarse = torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 1, 1)
    # Left 3 px wrong, a share of 3/4; right without weight; the other direction right. At 1/4, half of the pixels below
    # count.
    error = flow_levels([fine], truth, trust).item()
    assert error == pytest.approx(0.75 * 2 / 4, abs=0.01)
    assert flow_levels([coarse], truth, trust).item() == pytest.approx(0.75 * 0.5 / 1, abs=0.01)
    right = coarse.clone()
    right[:, 0] = 3
    assert flow_levels([right], truth, trust).item() == pytest.approx(0, abs=1e-4)
