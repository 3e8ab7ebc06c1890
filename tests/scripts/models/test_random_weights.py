"""Random weights: the same everywhere, none of them zero, their output layers scaled."""

from pathlib import Path

import torch

from scripts.models.random_weights import random_model, save_model
from vsrrin.checkpoint import loader
from vsrrin.nets import rrin_lite_quick
from vsrrin.nets.cain import SPEC as CAIN


def test_weights_are_the_same_each_time_and_leave_the_seed_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, second = (random_model(CAIN).net.state_dict() for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_no_layer_is_zero() -> None:
    assert not all(torch.any(value) for value in rrin_lite_quick.SPEC.default().state_dict().values())
    state = random_model(rrin_lite_quick.SPEC).net.state_dict()
    assert all(torch.any(value) for key, value in state.items() if key.endswith("weight"))


def test_output_layers_are_scaled_and_no_others() -> None:
    plain, scaled = (random_model(CAIN, output_scale=scale).net.state_dict() for scale in (1.0, 0.5))
    changed = {key for key, value in plain.items() if not torch.equal(value, scaled[key])}
    assert changed == {f"encoder.interpolate.tailConv.{part}" for part in ("weight", "bias")}
    assert all(torch.equal(scaled[key], 0.5 * plain[key]) for key in changed)


def test_a_written_checkpoint_loads(tmp_path: Path) -> None:
    model = random_model(rrin_lite_quick.SPEC)
    path = save_model(model, tmp_path)
    loaded = loader.load(path)
    assert loaded.spec is rrin_lite_quick.SPEC
    assert all(torch.equal(value, loaded.net.state_dict()[key]) for key, value in model.net.state_dict().items())
    written = path.stat().st_mtime_ns
    assert save_model(model, tmp_path) == path and path.stat().st_mtime_ns == written
