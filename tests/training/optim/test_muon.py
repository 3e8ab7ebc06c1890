"""training.optim.muon"""

import copy

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from training.optim.muon import MuonAdamW, orthogonal


@pytest.mark.parametrize("shape", [(16, 6, 3, 3), (64, 3, 1, 1), (4, 2), (1, 5, 3, 3)])
def test_singular_values_are_about_one_and_directions_stay(shape: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    weight = torch.randn(shape)
    found = orthogonal(weight)
    assert found.shape == weight.shape
    values = torch.linalg.svdvals(found.flatten(1))
    assert values.min() > 0.6 and values.max() < 1.25
    left, _, right = torch.linalg.svd(weight.flatten(1), full_matrices=False)
    nearest = left @ right
    alike = (found.flatten(1) * nearest).sum() / (found.norm() * nearest.norm())
    assert alike > 0.97
    assert torch.allclose(orthogonal(7 * weight), found, atol=1e-4)


def test_a_gradient_of_zero_moves_nothing() -> None:
    assert not orthogonal(torch.zeros(4, 3, 3, 3)).any()


def two_layers() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 3))


def make(net: nn.Sequential, muon: float) -> MuonAdamW:
    hidden = [net[0].weight]
    others = [net[0].bias, *net[1].parameters()]
    groups = [
        {"params": others, "weight_decay": 0.0},
        {"params": hidden, "weight_decay": 0.1, "muon": muon},
    ]
    return MuonAdamW(groups, lr=0.01)


def step(net: nn.Sequential, optimiser: AdamW, seed: int) -> None:
    x = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(seed))
    optimiser.zero_grad()
    net(x).square().mean().backward()
    optimiser.step()


def test_what_muon_moves_goes_by_its_rate_and_the_rest_is_adamw() -> None:
    net = two_layers()
    twin = copy.deepcopy(net)
    step(net, make(net, 4.0), 1)
    step(twin, AdamW(twin.parameters(), lr=0.01, weight_decay=0.0), 1)
    for found, expected in zip([net[0].bias, *net[1].parameters()], [twin[0].bias, *twin[1].parameters()], strict=True):
        assert torch.equal(found, expected)
    before = two_layers()[0].weight
    moved = net[0].weight - before * (1 - 0.04 * 0.1)
    values = torch.linalg.svdvals(moved.flatten(1)) / 0.04
    assert values.min() > 0.6 and values.max() < 1.25
    optimiser = make(net, 4.0)
    step(net, optimiser, 1)
    assert len(optimiser.param_groups) == 2


def test_it_goes_on_from_its_state() -> None:
    net = two_layers()
    optimiser = make(net, 4.0)
    step(net, optimiser, 1)
    other = copy.deepcopy(net)
    resumed = make(other, 4.0)
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    for seed in (2, 3):
        step(net, optimiser, seed)
        step(other, resumed, seed)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


def test_without_its_state_it_goes_elsewhere() -> None:
    net = two_layers()
    optimiser = make(net, 4.0)
    step(net, optimiser, 1)
    other = copy.deepcopy(net)
    step(net, optimiser, 2)
    step(other, make(other, 4.0), 2)
    assert not torch.allclose(net[0].weight, other[0].weight, atol=1e-3)


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (16, 3, 1, 1)], ids=["wide", "tall"])
def test_steps_are_those_of_the_method(shape: tuple[int, ...]) -> None:
    """Momentum 0.95, Nesterov, a decay of its own, tall matrices by the root of their ratio; three steps by hand."""
    random = torch.Generator().manual_seed(4)
    weight = torch.randn(shape, generator=random)
    gradients = [torch.randn(shape, generator=random) for _ in range(3)]
    value = nn.Parameter(weight.clone())
    optimiser = MuonAdamW([{"params": [value], "weight_decay": 0.1, "muon": 4.0}], lr=0.01)
    momentum, scale = torch.zeros(shape), max(1.0, shape[0] / weight[0].numel()) ** 0.5
    for gradient in gradients:
        value.grad = gradient.clone()
        optimiser.step()
        momentum = 0.95 * momentum + gradient
        moved = 0.04 * scale * orthogonal(gradient + 0.95 * momentum)
        weight = weight * (1 - 0.04 * 0.1) - moved
        assert torch.allclose(value.detach(), weight, atol=1e-5)
    assert (scale > 2) == (shape[0] == 16)


def test_a_closure_is_evaluated_before_anything_moves() -> None:
    net = two_layers()
    twin = copy.deepcopy(net)
    x = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))

    def loss() -> float:
        for value in net.parameters():
            value.grad = None
        found = net(x).square().mean()
        found.backward()
        return float(found.detach())

    expected = float(twin(x).square().mean().detach())
    assert make(net, 4.0).step(loss) == pytest.approx(expected)
    step(twin, make(twin, 4.0), 1)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), twin.parameters(), strict=True))


def test_weights_without_a_gradient_stay() -> None:
    net = two_layers()
    net[0].weight.requires_grad_(False)
    before = net[0].weight.clone()
    step(net, make(net, 4.0), 1)
    assert torch.equal(net[0].weight, before)
