"""training.model.candidates_start"""

import torch

from training.model.candidates_start import with_steady
from vsrrin.nets.parts.candidates import PLANES
from vsrrin.nets.rrin_lite import RRINLite
from vsrrin.nets.rrin_lite_quick import QuickLite


def test_a_network_gets_steady_candidates_and_computes_nearly_the_same() -> None:
    torch.manual_seed(0)
    few, many = RRINLite().eval(), RRINLite(steady=True).eval()
    with torch.no_grad():
        for layer in (few.choose.out, few.refine.out):
            torch.nn.init.normal_(layer.weight, std=0.02)
    many.load_state_dict(with_steady(few.state_dict(), many.state_dict()))
    img0, img1 = torch.rand(2, 1, 3, 48, 64)
    flow, t = torch.randn(1, 4, 24, 32), torch.full((1, 1, 1, 1), 0.25)
    with torch.inference_mode():
        assert (few(img0, img1, t, flow) - many(img0, img1, t, flow)).abs().mean() < 0.01
    # What sees the others, and what makes them, is what it was.
    before, seen = (net.state_dict()["choose.first.0.weight"] for net in (few, many))
    assert torch.equal(seen[:, : 12 * PLANES], before[:, : 12 * PLANES])
    assert torch.equal(seen[:, -9:], before[:, -9:])
    assert not seen[:, 12 * PLANES : -9].any()


def test_so_does_the_quick_one() -> None:
    torch.manual_seed(0)
    few, many = QuickLite().eval(), QuickLite(steady=True).eval()
    with torch.no_grad():
        for layer in (few.weigher.weigh, few.weigher.move):
            torch.nn.init.normal_(layer.weight, std=0.02)
    many.load_state_dict(with_steady(few.state_dict(), many.state_dict()))
    img0, img1 = torch.rand(2, 1, 3, 48, 64)
    flow, t = torch.randn(1, 4, 24, 32), torch.full((1, 1, 1, 1), 0.25)
    with torch.inference_mode():
        assert (few(img0, img1, t, flow) - many(img0, img1, t, flow)).abs().mean() < 0.01


def test_what_has_them_already_and_what_is_another_network_stays_as_it_is() -> None:
    state = RRINLite(steady=True).state_dict()
    assert all(torch.equal(value, state[name]) for name, value in with_steady(state, state).items())
    other = {"layer.weight": torch.ones(3)}
    assert with_steady(other, state) == other
