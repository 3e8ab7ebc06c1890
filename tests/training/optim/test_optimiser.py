"""Learning rate by step, groups of parameters, running mean, clipping, guard."""

import math

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from tests.training.tiny import SETTINGS, recipe
from training.errors import TrainingError
from training.optim.guard import Guard
from training.optim.muon import MuonAdamW
from training.optim.optimiser import clip_gradient, make_optimiser
from training.optim.running_mean import RunningMean, decay_at
from training.optim.schedule import learning_rate, set_learning_rate
from vsrrin.nets.registry import by_name
from vsrrin.nets.rrin import RRIN


def rates(**table: object) -> list[float]:
    found = recipe(optim={"learning_rate": 1.0, **table}).optim
    return [learning_rate(step, found) for step in range(found.steps)]


def test_warm_up_rises_to_the_full_rate_and_cosine_falls_from_it_to_the_floor() -> None:
    found = rates(steps=12, warmup=4, floor=0.1)
    assert found[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert found[4:] == sorted(found[4:], reverse=True)
    assert found[8] == pytest.approx(0.55)  # the middle of its way
    assert 0.1 < found[-1] < 0.15


def test_multistep_falls_at_its_milestones_and_constant_never() -> None:
    assert rates(steps=6, warmup=0, schedule="multistep", milestones=[2, 5], gamma=0.1) == pytest.approx(
        [1, 1, 0.1, 0.1, 0.1, 0.01]
    )
    assert rates(steps=4, warmup=2, schedule="constant") == [0.5, 1.0, 1.0, 1.0]


def test_a_run_of_one_step_has_the_full_rate() -> None:
    assert rates(steps=1, warmup=0) == [1.0]


def test_gains_and_biases_do_not_decay() -> None:
    net = by_name("rrin_lite").default(**SETTINGS)  # type: ignore[call-arg]
    net.get_submodule("refine").requires_grad_(False)
    optimiser = make_optimiser(net, recipe().optim)
    decaying, others = (set(map(id, group["params"])) for group in optimiser.param_groups)
    names = {id(value): name for name, value in net.named_parameters()}
    assert {names[i].rpartition(".")[2] for i in decaying} == {"weight"}
    assert {names[i].rpartition(".")[2] for i in others} == {"bias", "beta"}
    assert len(decaying) + len(others) == sum(value.requires_grad for value in net.parameters())
    assert [group["weight_decay"] for group in optimiser.param_groups] == [1e-4, 0.0]


def test_muon_moves_hidden_convolutions_and_nothing_else() -> None:
    net = RRIN(width=4)
    net.Mask.requires_grad_(False)
    optimiser = make_optimiser(net, recipe(optim={"muon": 8.0}).optim)
    assert isinstance(optimiser, MuonAdamW)
    names = {id(value): name for name, value in net.named_parameters()}
    moved = {names[id(value)] for group in optimiser.param_groups if "muon" in group for value in group["params"]}
    hidden = {name for name, value in net.named_parameters() if value.dim() == 4 and ".last." not in name}
    assert moved == {name for name in hidden if not name.startswith("Mask.")}
    others = {names[id(value)] for group in optimiser.param_groups if "muon" not in group for value in group["params"]}
    trained = {name for name, value in net.named_parameters() if value.requires_grad}
    assert others == trained - moved and {"Flow_L.last.weight", "final.midconv.bias"} < others
    set_learning_rate(optimiser, 0.5)
    assert {group["lr"] for group in optimiser.param_groups} == {0.5}
    assert type(make_optimiser(net, recipe().optim)) is AdamW


def test_the_running_mean_forgets_the_start_soon_and_keeps_long_later() -> None:
    assert decay_at(0, 0.999) == pytest.approx(0.1)
    assert decay_at(90, 0.999) == pytest.approx(0.91)
    assert decay_at(10**6, 0.999) == 0.999
    net = nn.Linear(1, 1)
    nn.init.zeros_(net.weight)
    mean = RunningMean(net, 0.999)
    nn.init.ones_(net.weight)
    mean.update(net, 0)
    assert mean.net.weight.item() == pytest.approx(0.9)
    for step in range(1, 20):
        mean.update(net, step)
    assert mean.net.weight.item() == pytest.approx(1.0, abs=1e-6)
    assert not any(value.requires_grad for value in mean.net.parameters())


def test_a_gradient_is_shrunk_to_its_largest_norm_and_measured_before() -> None:
    net = nn.Linear(2, 1)
    optimiser = make_optimiser(net, recipe().optim)
    for largest, expected in ((0.0, 5.0), (10.0, 5.0), (1.0, 1.0)):
        net.weight.grad, net.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
        assert clip_gradient(optimiser, largest).item() == 5.0
        left = math.hypot(net.weight.grad.norm().item(), net.bias.grad.item())
        assert left == pytest.approx(expected, rel=1e-5)


def test_the_guard_lets_some_steps_fail_and_stops_when_all_do() -> None:
    guard = Guard(patience=3)
    assert guard.passes((1.0, 2.0), 0)
    assert not guard.passes((1.0, math.inf), 1)
    assert not guard.passes((math.nan, 1.0), 2)
    assert guard.passes((1.0, 1.0), 3)
    assert not guard.passes((math.nan,), 4)
    assert not guard.passes((math.nan,), 5)
    with pytest.raises(TrainingError, match=r"3 steps in a row, up to step 6. .* Try a lower optim.learning_rate"):
        guard.passes((math.nan,), 6)
    assert guard.skipped == 5
