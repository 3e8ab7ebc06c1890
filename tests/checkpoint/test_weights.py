"""The weights that come with vsrrin: complete side-cars, right sums, the network they say, reproducible."""

import hashlib
import json
import sys

import pytest

import vsrrin
from scripts.models import draft_weights
from vsrrin.checkpoint import loader
from vsrrin.nets import identify

NAMES = sorted(loader.bundled())


def test_bundled_names():
    assert NAMES == ["balanced", "draft", "rrin_half", "rrin_lite", "srrin_half"]
    assert loader.locate("best") == loader.locate("rrin_lite")


@pytest.mark.parametrize("name", NAMES)
def test_sidecar_is_complete_and_true(name):
    path = loader.bundled()[name]
    sidecar = json.loads(path.with_suffix(".json").read_text("utf-8"))
    for key in (*loader.SIDECAR_WRITTEN, *loader.SIDECAR_GIVEN):
        assert sidecar[key], key
    assert sidecar["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    spec = identify(loader.read(path))
    assert sidecar["architecture"] == spec.name
    assert sidecar["arithmetic"] in spec.arithmetics


@pytest.mark.parametrize("name", NAMES)
def test_loads_by_name(name):
    model = loader.load(name)
    assert (model.name, model.path) == (name, loader.bundled()[name])
    assert model.spec.name == model.metadata["architecture"]
    assert model.arithmetic == model.metadata["arithmetic"]


def test_every_file_belongs_to_a_name():
    stems = {path.stem.removesuffix(".int8") for path in next(iter(loader.bundled().values())).parent.iterdir()}
    assert stems == set(NAMES)


def test_draft_is_plain_flow_and_says_so():
    model = loader.load("draft")
    assert (model.spec.name, model.spec.flow_preset) == ("plain", "fast")
    assert not list(model.net.parameters())
    assert "fast DIS optical flow" in model.metadata["description"]


def test_the_script_writes_the_very_same_bytes(tmp_path, monkeypatch, capsys):
    path = tmp_path / "again.safetensors"
    monkeypatch.setattr(sys, "argv", ["draft_weights.py", str(path)])
    draft_weights.main()
    original = loader.bundled()["draft"]
    assert path.read_bytes() == original.read_bytes()
    again, first = (json.loads(p.with_suffix(".json").read_text("utf-8")) for p in (path, original))
    assert again["sha256"] in capsys.readouterr().out
    assert again.pop("created_with") == f"vsrrin {vsrrin.__version__}"
    assert first.pop("created_with").startswith("vsrrin ")  # of any version: the weights stay as they are
    assert again == first
