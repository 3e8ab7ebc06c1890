"""How every network of the registry is run in a training step."""

import pytest
import torch
from torch import nn

from tests.training.tiny import SMALL, MovingTexture
from training.data.batch import Batch, collate
from training.errors import RecipeError
from training.model.precision import Weights, check_precision
from training.model.stepper import Stepper
from vsrrin.nets import NETS
from vsrrin.nets.registry import by_name

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def batch() -> Batch:
    return collate([MovingTexture(64).sample(number) for number in range(2)])


def build(name: str) -> nn.Module:
    torch.manual_seed(1)
    net: nn.Module = by_name(name).default(**SMALL.get(name, {}))  # type: ignore[call-arg]
    for key, value in net.named_parameters():
        if value.dim() == 4 and not value.any():  # output layers of rrin_lite: they let no gradient through
            nn.init.normal_(value, std=0.01)
        assert value.numel(), key
    return net.train()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", [spec.name for spec in NETS if spec.trainable])
def test_a_step_gives_a_picture_flow_and_gradients_to_all_weights(name: str, precision: str, batch: Batch) -> None:
    spec = by_name(name)
    weights = Weights(build(name), precision, channels_last=True)
    picture, flow, shown = Stepper(weights.running, spec)(batch.img0, batch.img1, batch.t, batch.flow)
    assert picture.shape == batch.target.shape and picture.dtype == torch.float32 and shown == []
    if not spec.estimates_flow:
        assert flow is None
    else:
        assert flow.shape == (2, 4, 64, 64) and flow.dtype == torch.float32
    ((picture - batch.target).square().mean() + (0 if flow is None else flow.square().mean())).backward()
    weights.collect()
    found = {key: value.grad for key, value in weights.net.named_parameters()}
    assert {key for key, value in found.items() if value is None} == {
        key for key in found if key.startswith(spec.unused)
    }
    gradients = [value for value in found.values() if value is not None]
    assert all(value.dtype == torch.float32 and torch.isfinite(value).all() for value in gradients)
    assert sum(value.abs().sum() > 0 for value in gradients) > 0.5 * len(gradients)


def test_without_a_picture_only_what_finds_flow_is_run(batch: Batch) -> None:
    net = build("rrin")
    picture, flow, _ = Stepper(net, by_name("rrin"), picture=False)(batch.img0, batch.img1, batch.t, batch.flow)
    assert picture is None
    flow.square().mean().backward()
    moved = {key.partition(".")[0] for key, value in net.named_parameters() if value.grad is not None}
    assert moved == {"Flow_L"}


def test_the_picture_of_cain_is_not_clamped_in_training(batch: Batch) -> None:
    net = build("cain")
    nn.init.constant_(net.encoder.interpolate.tailConv.bias, 3.0)  # type: ignore[union-attr, arg-type]
    picture, *_ = Stepper(net, by_name("cain"))(batch.img0, batch.img1, batch.t, batch.flow)
    assert picture.max() > 1
    assert net.synthesize(batch.img0, batch.img1, batch.img0[:, :0], batch.t).max() <= 1  # type: ignore[operator]


def test_hidden_layers_are_run_in_half_precision_and_output_layers_are_not() -> None:
    weights = Weights(build("rrin_lite"), "bf16", channels_last=True)
    types = {key: value.dtype for key, value in weights.running.named_parameters()}
    assert types["refine.stem.0.weight"] == types["refine.body.0.beta"] == torch.bfloat16
    outputs = ("refine.out.", "choose.out.")
    assert {key for key, dtype in types.items() if dtype == torch.float32} == {
        key for key in types if key.startswith(outputs)
    }
    assert all(value.dtype == torch.float32 for value in weights.net.parameters())


def test_what_is_learned_is_kept_in_float32_and_given_to_the_copy() -> None:
    weights = Weights(build("rrin_lite"), "bf16", channels_last=False)
    with torch.no_grad():
        for value in weights.trained:
            value += 1e-4  # less than half precision can tell from 1
    kept = weights.net.get_parameter("refine.body.0.beta")
    run = weights.running.get_parameter("refine.body.0.beta")
    assert (kept == 0.5001).all() and (run == 0.5).all()
    with torch.no_grad():
        kept += 0.25
    weights.spread()
    assert (run == 0.75).all()
    weights.load({key: torch.ones_like(value) for key, value in weights.net.state_dict().items()})
    assert all((value == 1).all() for value in weights.running.parameters())


def test_gradients_of_several_batches_add_up() -> None:
    weights = Weights(build("rrin_lite"), "bf16", channels_last=True)
    for value in (1.0, 2.0):
        for each in weights.running.parameters():
            each.grad = torch.full_like(each, value)
        weights.collect()
    assert all((value.grad == 3).all() for value in weights.trained)
    weights.begin()
    assert all(value.grad is None for value in weights.net.parameters())


def test_memory_is_laid_out_as_asked() -> None:
    for channels_last in (True, False):
        weights = Weights(build("rrin_lite"), "bf16", channels_last=channels_last)
        layer = weights.running.get_parameter("refine.stem.0.weight")
        assert layer.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_precisions_that_cannot_be_trained_are_refused() -> None:
    spec = by_name("rrin_lite")
    check_precision("bf16", CPU, spec)
    check_precision("fp16", torch.device("cuda"), spec)
    with pytest.raises(RecipeError, match=r'optim.precision = "fp16" is for CUDA, not cpu; give "bf16" or "fp32"'):
        check_precision("fp16", CPU, spec)
