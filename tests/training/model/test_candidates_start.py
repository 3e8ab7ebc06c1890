"""training.model.candidates_start"""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from training.model.candidates_start import with_steady
from vsrrin.nets.parts.candidates import PLANES, STEADY
from vsrrin.nets.rrin_lite import RRINLite
from vsrrin.nets.rrin_lite_quick import QuickLite


@pytest.mark.parametrize(
    ("make", "made", "seen"),
    [
        (RRINLite, ("choose.out", "refine.out"), "choose.first.0.weight"),
        (QuickLite, ("weigher.weigh", "weigher.move"), "weigher.first.0.weight"),
    ],
)
def test_a_network_gets_steady_candidates_and_computes_nearly_the_same(
    make: Callable[..., nn.Module], made: tuple[str, str], seen: str
) -> None:
    torch.manual_seed(0)
    few, many = make(steady=False).eval(), make().eval()
    with torch.no_grad():
        for name in made:
            few.get_parameter(f"{name}.weight").normal_(std=0.02)
    many.load_state_dict(with_steady(few.state_dict(), many.state_dict()))
    img0, img1 = torch.rand(2, 1, 3, 48, 64)
    flow, t = torch.randn(1, 4, 24, 32), torch.full((1, 1, 1, 1), 0.25)
    with torch.inference_mode():
        assert (few(img0, img1, t, flow) - many(img0, img1, t, flow)).abs().mean() < 0.01
    # What sees the others is what it was, and sees nothing of the new ones.
    before, after = (net.get_parameter(seen) for net in (few, many))
    first = 12 * PLANES
    assert torch.equal(after[:, :first], before[:, :first])
    assert torch.equal(after[:, first + 12 * STEADY :], before[:, first:])
    assert not after[:, first : first + 12 * STEADY].any()


def test_what_has_them_already_and_what_is_another_network_stays_as_it_is() -> None:
    state = RRINLite().state_dict()
    assert all(torch.equal(value, state[name]) for name, value in with_steady(state, state).items())
    other = {"layer.weight": torch.ones(3)}
    assert with_steady(other, state) == other
