"""Sums of losses by name."""

import math

import pytest
import torch

from tests.training.losses.pairs import batch_of, pictures
from training.errors import RecipeError
from training.losses.pictures import census, l1
from training.losses.weighted import make_loss


def test_a_sum_of_losses_by_name() -> None:
    prediction, target = pictures()
    loss = make_loss({"l1": 2.0, "census": 0.5, "ssim": 0.0})
    expected = 2 * float(l1(prediction, target)) + 0.5 * float(census(prediction, target))
    total, parts = loss(prediction.requires_grad_(), batch_of(target))
    assert list(parts) == ["l1", "census"]
    assert total.item() == pytest.approx(expected)
    assert total.requires_grad
    assert not parts["l1"].requires_grad


def test_flow_is_one_of_them() -> None:
    _, target = pictures()
    estimate = torch.full((2, 4, 16, 16), 3.0)
    total, parts = make_loss({"l1": 1.0, "flow": 0.1})(target, batch_of(target), flow=estimate)
    assert float(parts["flow"]) == pytest.approx(3 * math.sqrt(2), abs=0.01)
    assert float(total) == pytest.approx(0.1 * float(parts["flow"]))
    with pytest.raises(RecipeError, match=r"loss\.flow: this network gives no flow"):
        make_loss({"flow": 0.1})(target, batch_of(target))


def test_losses_are_float32_also_in_autocast() -> None:
    prediction, target = pictures()
    loss = make_loss({"laplacian": 1.0, "ssim": 1.0})
    plain, _ = loss(prediction, batch_of(target))
    with torch.autocast("cpu", torch.bfloat16):
        cast, _ = loss(prediction, batch_of(target))
        half, _ = loss(prediction.bfloat16(), batch_of(target))
    assert cast.dtype == half.dtype == torch.float32
    assert torch.equal(cast, plain)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"lapacian": 1.0}, r"loss\.lapacian: there is no loss of this name; there are l1, charbonnier, log_mse"),
        ({"l1": -1.0}, r"loss\.l1: the weight is -1\.0; give a number from 0 on"),
        ({"l1": math.nan}, r"loss\.l1: the weight is nan"),
        ({}, "no loss has a weight above 0"),
        ({"l1": 0.0}, "no loss has a weight above 0"),
    ],
)
def test_weights_that_make_no_loss_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make_loss(weights)
