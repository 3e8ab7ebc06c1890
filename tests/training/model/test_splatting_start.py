"""training.model.splatting_start"""

import pytest
import torch

from tests.conftest import texture
from training.errors import RecipeError
from training.model.splatting_start import start_splatting
from vsrrin.nets.parts.warp import project_flow
from vsrrin.nets.srrin import SRRIN


def test_the_flow_to_frame_0_is_turned_round_and_nothing_else() -> None:
    torch.manual_seed(1)
    net = SRRIN("exact", width=4)
    start_splatting(net)
    img0, img1 = torch.rand(1, 3, 48, 64), torch.rand(1, 3, 48, 64)
    estimate, t = torch.randn(1, 4, 48, 64) * 9, torch.full((1, 1, 1, 1), 0.25)
    projected0, projected1 = project_flow(estimate[:, :2], estimate[:, 2:], t)
    with torch.no_grad():
        found0, found1 = net.flow_at(img0, img1, estimate, t)
    assert torch.allclose(found0, -projected0, atol=1e-5)
    assert torch.allclose(found1, projected1, atol=1e-5)


def test_frame_0_is_splatted_to_where_it_is_at_t() -> None:
    torch.manual_seed(1)
    net = SRRIN("exact", width=8)
    img0, img1, middle = (texture(64, 96, (move, 0.0)) for move in (0.0, 8.0, 4.0))
    estimate = torch.zeros(1, 4, 64, 96)
    estimate[:, 0], estimate[:, 2] = 8, -8
    t = torch.full((1, 1, 1, 1), 0.5)
    inner = (..., slice(8, -8), slice(12, -12))

    def error() -> float:
        with torch.no_grad():
            carried0, _ = net.carry(img0, img1, *net.flow_at(img0, img1, estimate, t))
        return float((carried0 - middle)[inner].abs().mean())

    net.refine_flow.last.weight.data.zero_()
    net.refine_flow.last.bias.data.zero_()  # type: ignore[union-attr]
    wrong = error()
    start_splatting(net)
    assert wrong > 0.03 and error() < 0.2 * wrong


def test_a_network_that_is_too_narrow_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"model\.splatting needs networks of at least 4 channels, .* begins with 2"):
        start_splatting(SRRIN("exact", width=2))
