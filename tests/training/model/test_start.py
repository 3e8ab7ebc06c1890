"""The network a run starts with."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.tiny import recipe
from training.errors import RecipeError
from training.model.start import Start, start
from vsrrin.checkpoint import loader
from vsrrin.errors import CheckpointError
from vsrrin.nets import rrin


def begin(seed: int = 1, **model: Any) -> Start:
    data = {"times": "middle"} if model.get("name") == "cain" else {}
    return start(recipe(model=model, data=data).model, seed, "tiny")


def save(path: Path, net: nn.Module, spec: Any, arithmetic: str) -> str:
    loader.save(net, spec, path, arithmetic=arithmetic, sidecar=dict.fromkeys(loader.SIDECAR_GIVEN, "a test"))
    return str(path)


@pytest.fixture
def small_rrin(tmp_path: Path) -> str:
    torch.manual_seed(5)
    return save(tmp_path / "rrin.safetensors", rrin.RRIN("exact", width=4), rrin.SPEC, "exact")


def test_fresh_weights_follow_from_the_seed() -> None:
    first, again, other = (begin(seed).net.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert not all(torch.equal(value, other[key]) for key, value in first.items())
    assert begin().net.training and begin().said == "fresh weights"


def test_settings_and_arithmetic_reach_the_network() -> None:
    found = begin(name="rrin", settings={"width": 4}, arithmetic="exact")
    assert found.arithmetic == "exact" and found.net.Mask.last.in_channels == 4  # type: ignore[union-attr]
    assert found.net.warp.outside == "border"  # type: ignore[union-attr]
    assert begin(name="rrin", settings={"width": 4}).arithmetic == "published"


def test_start_weights_of_the_same_network_bring_their_sizes_and_arithmetic(small_rrin: str) -> None:
    found = begin(name="rrin", settings={}, **{"from": small_rrin})
    expected = loader.load(small_rrin).net.state_dict()
    assert found.arithmetic == "exact" and all(value.requires_grad for value in found.net.parameters())
    assert all(torch.equal(value, expected[key]) for key, value in found.net.state_dict().items())
    assert "fresh: 0; not used: 0" in found.said


def test_start_weights_of_another_network_give_what_has_the_same_name(small_rrin: str) -> None:
    found = begin(name="srrin", settings={"width": 4}, arithmetic="exact", **{"from": small_rrin})
    expected = loader.load(small_rrin).net.state_dict()
    state = found.net.state_dict()
    assert state["beta"].item() == 1.0
    assert all(torch.equal(value, expected[key]) for key, value in state.items() if key != "beta")
    assert "fresh: 1 (beta); not used: 0" in found.said


def test_bundled_weights_can_be_started_from_by_name() -> None:
    found = begin(settings={}, **{"from": "rrin_lite"})
    expected = loader.load("rrin_lite").net.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in found.net.state_dict().items())


def test_narrower_weights_are_widened_and_compute_the_same(small_rrin: str) -> None:
    found = begin(name="rrin", settings={"width": 8}, arithmetic="exact", widen=True, **{"from": small_rrin})
    img0, img1, t = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32), torch.full((1, 1, 1, 1), 0.5)
    assert found.net.Mask.last.in_channels == 8  # type: ignore[union-attr]
    with torch.no_grad():
        assert torch.allclose(found.net(img0, img1, t), loader.load(small_rrin).net(img0, img1, t), atol=1e-5)
    assert "rrin.safetensors, widened: " in found.said
    # Without settings it gets the network's own size, not that of the weights.
    assert begin(name="rrin", settings={}, widen=True, **{"from": small_rrin}).net.Mask.last.in_channels == 32  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (4, "is as wide already as model.settings say"),
        (6, r"Mask.down_path.0.block.0.weight is .* and cannot become .*\."),
    ],
)
def test_widening_that_cannot_be_is_refused(small_rrin: str, width: int, expected: str) -> None:
    with pytest.raises(RecipeError, match=rf"^tiny: model\.widen: .*rrin\.safetensors.* {expected}"):
        begin(name="rrin", settings={"width": width}, arithmetic="exact", widen=True, **{"from": small_rrin})


def test_zeroed_parts_are_zero_and_nothing_else(small_rrin: str) -> None:
    state = begin(name="rrin", settings={}, zeroed=["final.last", "Mask.last.bias"], **{"from": small_rrin}).net
    before = loader.load(small_rrin).net.state_dict()
    zero = {"final.last.weight", "final.last.bias", "Mask.last.bias"}
    for name, value in state.state_dict().items():
        assert not value.any() if name in zero else torch.equal(value, before[name]), name


def test_frozen_parts_are_named_from_the_left() -> None:
    net = begin(frozen=["refine", "choose.out.bias"]).net
    frozen = {name for name, value in net.named_parameters() if not value.requires_grad}
    below = {name for name, _ in net.named_parameters() if name.startswith("refine.")}
    assert below and frozen == below | {"choose.out.bias"}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"settings": {"widht": 4}}, "rrin_lite has no setting model.settings.widht; it has refine_width, "),
        ({"settings": {"refine_width": "wide"}}, "model.settings do not make a rrin_lite: "),
        ({"arithmetic": "fork"}, "model.arithmetic must be one of exact, not 'fork'."),
        ({"frozen": ["chose"]}, "model.frozen: no part is called 'chose'; there are refine, choose, and those below."),
        ({"frozen": ["cho"]}, "model.frozen: no part is called 'cho'"),
        ({"zeroed": ["chose"]}, "model.zeroed: no part is called 'chose'; there are refine, choose, and those below."),
        (
            {"name": "srrin", "settings": {"width": 2}, "splatting": True},
            "model.splatting needs networks of at least 4 channels, this one begins with 2.",
        ),
        ({"frozen": ["refine", "choose"]}, "model.frozen leaves nothing to train."),
        ({"name": "cain", "settings": {}, "from": "rrin_lite"}, "model.name and settings (they share no name)"),
    ],
)
def test_what_does_not_fit_is_named(model: dict[str, Any], expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        begin(**model)
    assert str(caught.value).startswith("tiny: ") and expected in str(caught.value)


def test_start_weights_of_other_sizes_are_refused(small_rrin: str) -> None:
    with pytest.raises(
        RecipeError, match=r"weights of model.from, .*, do not fit model.name and settings \(of another"
    ):
        begin(name="rrin", settings={"width": 8}, **{"from": small_rrin})


def test_start_weights_that_are_not_there_are_named() -> None:
    with pytest.raises(CheckpointError, match=r"there is no file runs/x/best.safetensors"):
        begin(**{"from": "runs/x/best.safetensors"})
