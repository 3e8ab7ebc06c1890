"""vsrrin.nets.parts.tracing: networks that are recorded leave their shortcuts out."""

import threading

import cv2
import pytest
import torch

from vsrrin.nets import NETS
from vsrrin.nets.parts.tracing import is_traced, may_take_shortcuts, tracing


def test_shortcuts_are_taken_unless_gradients_or_a_graph_are_recorded():
    assert may_take_shortcuts()
    with torch.enable_grad():
        assert not may_take_shortcuts() and not is_traced()
    with tracing():
        assert not may_take_shortcuts() and is_traced()
        with tracing():
            pass
        assert is_traced()
    with torch.inference_mode():
        assert may_take_shortcuts()


def test_the_switch_is_put_back_after_an_error():
    with pytest.raises(ValueError, match="inside"), tracing():
        raise ValueError("inside")
    assert not is_traced()


def test_other_threads_go_on_as_before():
    found = []
    with tracing():
        other = threading.Thread(target=lambda: found.append(is_traced()))
        other.start()
        other.join()
    assert found == [False]


def test_a_compiler_is_noticed():
    def ask(x: torch.Tensor) -> torch.Tensor:
        return x + (1 if is_traced() else 0)

    program = torch.export.export(torch.nn.Sequential(Asking(ask)), (torch.zeros(2),), strict=False)
    assert program.module()(torch.zeros(2)).tolist() == [1, 1]
    assert ask(torch.zeros(2)).tolist() == [0, 0]


class Asking(torch.nn.Module):
    """Calls a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        """What the function returns."""
        return self.function(x)


@pytest.mark.parametrize("spec", NETS, ids=lambda spec: spec.name)
def test_a_traced_network_does_not_use_opencv_and_gives_the_same(spec, live_net, pair, monkeypatch):
    net = live_net(spec)
    quick = pair.run(net, spec, 0.3)
    used = []
    for name in ("remap", "resize", "merge", "addWeighted"):
        monkeypatch.setattr(cv2, name, lambda *_, name=name, **__: used.append(name))
    with tracing():
        traced = pair.run(net, spec, 0.3)
    assert not used
    assert torch.allclose(traced, quick, atol=1e-4)
