"""Which network a state dict belongs to, and what is said when it belongs to none."""

import pytest
import torch

from vsrrin.errors import UnknownNetError
from vsrrin.nets import NETS, identify, registry, rrin, rrin_lite


def test_nets_in_order():
    assert [spec.name for spec in NETS] == ["rrin", "rrin_lite"]


def test_each_net_is_found_by_its_keys_and_by_no_other(spec, live_net):
    state = live_net(spec).state_dict()
    assert identify(state) is spec
    assert [other.name for other in NETS if other.detect(state)] == [spec.name]


def test_a_net_of_the_usual_sizes_is_found_and_differs_in_nothing(spec):
    with torch.device("meta"):
        state = spec.default().state_dict()
    assert identify(state) is spec
    assert registry.differences(spec, state) == ([], [], [])


def test_by_name(spec):
    assert registry.by_name(spec.name) is spec
    with pytest.raises(UnknownNetError, match="no network is called 'rife'; there are rrin, rrin_lite"):
        registry.by_name("rife")


def test_softmax_rrin_is_not_taken_for_rrin(live_net):
    """It has RRIN's keys and one more."""
    state = {**live_net(rrin.SPEC).state_dict(), "beta": torch.ones(1)}
    with pytest.raises(UnknownNetError, match=r"resemble rrin most: keys missing: 0; left over: 1 \(beta\)"):
        identify(state)


def test_unknown_weights_are_compared_with_the_nearest_net(live_net):
    state = dict(live_net(rrin_lite.SPEC).state_dict())
    del state["correct.stem.0.weight"], state["synth.last.bias"]
    state["refine.out.weight"] = torch.zeros(1)
    state |= {f"extra.{i}": torch.zeros(1) for i in range(6)}
    with pytest.raises(UnknownNetError) as caught:
        identify(state)
    text = str(caught.value)
    assert "resemble rrin_lite most" in text
    assert "missing: 2 (correct.stem.0.weight, synth.last.bias)" in text
    assert "left over: 6 (extra.0, extra.1, extra.2, extra.3, ...)" in text
    assert "of another shape: 1 (refine.out.weight)" in text


def test_weights_of_nothing_known():
    with pytest.raises(UnknownNetError, match=r"share no key with any of rrin, rrin_lite; they have 1 \(fc\.weight\)"):
        identify({"fc.weight": torch.zeros(1)})
    with pytest.raises(UnknownNetError, match="they have 0 of their own"):
        identify({})


def test_first_few():
    assert registry.first_few([]) == "0"
    assert registry.first_few(["a"]) == "1 (a)"
    assert registry.first_few(list("abcde")) == "5 (a, b, c, d, ...)"
