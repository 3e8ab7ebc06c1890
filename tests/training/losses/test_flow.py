"""Losses of flow."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)

from training.errors import RecipeError
from training.losses.flow import flow, flow_relative


def test_a_flow_error_is_the_mean_length_where_the_truth_counts() -> None:
    truth = torch.zeros(1, 4, 8, 8)
    trust = torch.zeros(1, 2, 8, 8)
    trust[:, 0, :4] = 1
    estimate = torch.zeros(1, 4, 8, 8)
    estimate[:, 0], estimate[:, 1] = 3, 4
    estimate[:, 2] = 100  # 1->0, not trusted anywhere
    estimate[:, :, 4:] = 100
    assert float(flow(estimate, truth, trust)) == pytest.approx(5, abs=0.01)
    assert float(flow(estimate, truth, torch.zeros_like(trust))) == 0


def test_a_share_of_the_flow_lets_small_motion_count_as_much_as_large() -> None:
    truth = torch.zeros(1, 4, 8, 8)
    truth[:, 0, :4], truth[:, 0, 4:] = 1.0, 31.0
    still, trust = torch.zeros_like(truth), torch.ones(1, 2, 8, 8)
    trust[:, 1] = 0
    assert flow_relative(still, truth, trust).item() == pytest.approx((1 / 2 + 31 / 32) / 2, abs=2e-3)
    assert flow_relative(truth, truth, trust).item() == 0
    with pytest.raises(RecipeError, match=r"loss.flow_relative: the network's flow is 4x4 for pictures of 8x8"):
        flow_relative(still[..., ::2, ::2], truth, trust)


def test_flow_at_half_size_is_compared_in_its_own_pixels() -> None:
    truth = torch.rand(1, 4, 8, 8).repeat_interleave(1, 0) * 4
    half = F.avg_pool2d(truth, 2) / 2
    trust = torch.ones(1, 2, 8, 8)
    assert float(flow(half, truth, trust)) < 1e-5
    assert float(flow(half + torch.tensor([0.6, 0.8, 0.6, 0.8]).view(1, 4, 1, 1), truth, trust)) == pytest.approx(
        1, abs=0.01
    )
    trust[:, :, 0, 0] = 0  # one of four pixels
    wrong = half.clone()
    wrong[..., 0, 0] += 50
    assert float(flow(wrong, truth, trust)) < 1e-5


def test_right_flow_has_a_finite_gradient() -> None:
    truth = torch.rand(1, 4, 8, 8)
    estimate = truth.clone().requires_grad_()
    (found,) = torch.autograd.grad(flow(estimate, truth, torch.ones(1, 2, 8, 8)), estimate)
    assert torch.isfinite(found).all()


def test_flow_of_another_size_is_an_error() -> None:
    with pytest.raises(RecipeError, match=r"loss\.flow: the network's flow is 3x3 for pictures of 8x8"):
        flow(torch.zeros(1, 4, 3, 3), torch.zeros(1, 4, 8, 8), torch.ones(1, 2, 8, 8))
