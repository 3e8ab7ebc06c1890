"""Which network a state dict belongs to, and what is said when it belongs to none."""

import json
from functools import reduce
from pathlib import Path

import pytest
import torch

from vsrrin.checkpoint import loader
from vsrrin.errors import UnknownNetError
from vsrrin.nets import NETS, identify, registry, rrin, rrin_lite, srrin

DATA = Path(__file__).resolve().parent.parent / "data"
NAMES = ", ".join(spec.name for spec in NETS)


def owners(state) -> list[str]:
    return [spec.name for spec in NETS if spec.detect(state)]


@pytest.mark.parametrize("name", loader.bundled())
def test_bundled_weights_are_found_by_their_own_net_alone(name):
    path = loader.bundled()[name]
    assert owners(loader.read(path)) == [json.loads(path.with_suffix(".json").read_text())["architecture"]]


@pytest.mark.parametrize("name", ["rrin", "srrin", "cain", "bmbc"])
def test_published_layouts_are_found_by_their_own_net_alone(name):
    layout = json.loads((DATA / f"{name}.layout.json").read_text())
    with torch.device("meta"):
        files = [{entry["key"]: torch.empty(entry["shape"]) for entry in file["keys"]} for file in layout["files"]]
    (spec,) = (spec for spec in NETS if spec.name == name)
    if spec.parts:
        assert [owners(file) for file in files] == [[]] * len(spec.parts)
        files = [part.take(file) for part, file in zip(spec.parts, files, strict=True)]
    # What the door does to keys, see vsrrin.checkpoint.files.
    rename = {"module.": "", "Flow.": "Flow_L."}
    state = {reduce(lambda k, r: k.replace(*r), rename.items(), key): v for file in files for key, v in file.items()}
    assert owners(state) == [name]
    assert registry.differences(spec, state) == ([], [], [])


def test_each_net_is_found_by_its_keys_and_by_no_other(spec, live_net):
    state = live_net(spec).state_dict()
    assert identify(state) is spec
    assert owners(state) == [spec.name]


def test_a_net_of_the_usual_sizes_is_found_and_differs_in_nothing(spec):
    with torch.device("meta"):
        state = spec.default().state_dict()
    assert owners(state) == [spec.name]
    assert registry.differences(spec, state) == ([], [], [])


def test_by_name(spec):
    assert registry.by_name(spec.name) is spec
    with pytest.raises(UnknownNetError, match=f"no network is called 'rife'; there are {NAMES}"):
        registry.by_name("rife")


def test_softmax_rrin_has_the_keys_of_rrin_and_one_more(live_net):
    state = live_net(rrin.SPEC).state_dict()
    assert identify({**state, "beta": torch.ones(1)}) is srrin.SPEC
    with pytest.raises(UnknownNetError, match=r"resemble srrin most: keys missing: 0; left over: 0"):
        identify({**state, "beta": torch.ones(2)})


def test_of_nets_that_share_all_keys_the_smaller_is_the_nearest(live_net):
    state = dict(live_net(rrin.SPEC).state_dict())
    del state["final.last.weight"]
    with pytest.raises(UnknownNetError, match=r"resemble rrin most: keys missing: 1 \(final\.last\.weight\)"):
        identify(state)


def test_unknown_weights_are_compared_with_the_nearest_net(live_net):
    state = dict(live_net(rrin_lite.SPEC).state_dict())
    del state["choose.first.0.weight"], state["choose.out.bias"]
    state["refine.out.weight"] = torch.zeros(1)
    state |= {f"extra.{i}": torch.zeros(1) for i in range(6)}
    with pytest.raises(UnknownNetError) as caught:
        identify(state)
    text = str(caught.value)
    assert "resemble rrin_lite most" in text
    assert "missing: 2 (choose.first.0.weight, choose.out.bias)" in text
    assert "left over: 6 (extra.0, extra.1, extra.2, extra.3, ...)" in text
    assert "of another shape: 1 (refine.out.weight)" in text


def test_weights_of_nothing_known():
    with pytest.raises(UnknownNetError, match=rf"share no key with any of {NAMES}; they have 1 \(fc\.weight\)"):
        identify({"fc.weight": torch.zeros(1)})
    with pytest.raises(UnknownNetError, match="they have 0 of their own"):
        identify({})


def test_first_few():
    assert registry.first_few([]) == "0"
    assert registry.first_few(["a"]) == "1 (a)"
    assert registry.first_few(list("abcde")) == "5 (a, b, c, d, ...)"
