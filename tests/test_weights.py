"""The weights that come with vsrrin: complete side-cars, right sums, the network they say, reproducible."""

import hashlib
import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

import vsrrin
from vsrrin import checkpoint
from vsrrin.nets import identify

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted(checkpoint.bundled())


def test_bundled_names():
    assert NAMES == ["rrin_lite"]


@pytest.mark.parametrize("name", NAMES)
def test_sidecar_is_complete_and_true(name):
    path = checkpoint.bundled()[name]
    sidecar = json.loads(path.with_suffix(".json").read_text("utf-8"))
    for key in (*checkpoint.SIDECAR_WRITTEN, *checkpoint.SIDECAR_GIVEN):
        assert sidecar[key], key
    assert sidecar["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    spec = identify(checkpoint.read(path))
    assert sidecar["architecture"] == spec.name
    assert sidecar["arithmetic"] in spec.arithmetics


@pytest.mark.parametrize("name", NAMES)
def test_loads_by_name(name):
    model = checkpoint.load(name)
    assert (model.name, model.path) == (name, checkpoint.bundled()[name])
    assert model.spec.name == model.metadata["architecture"]
    assert model.arithmetic == model.metadata["arithmetic"]


def test_every_file_belongs_to_a_name():
    stems = {path.stem for path in next(iter(checkpoint.bundled().values())).parent.iterdir()}
    assert stems == set(NAMES)


def test_rrin_lite_is_plain_flow_and_says_so():
    model = checkpoint.load("rrin_lite")
    state = model.net.state_dict()
    zero = {key for key in state if key.startswith(("correct.out.", "refine.out.", "synth.last."))}
    assert len(zero) == 6
    assert not any(state[key].any() for key in zero)
    assert all(state[key].any() for key in state if key.endswith(".weight") and key not in zero)
    assert "output layers are zero" in model.metadata["description"]
    assert "untrained" in model.metadata["training_data"]


def test_the_script_writes_the_very_same_bytes(tmp_path, monkeypatch, capsys):
    path = tmp_path / "again.safetensors"
    monkeypatch.setattr(sys, "argv", ["make_initial_weights.py", str(path)])
    runpy.run_path(str(ROOT / "scripts" / "make_initial_weights.py"), run_name="__main__")
    original = checkpoint.bundled()["rrin_lite"]
    assert path.read_bytes() == original.read_bytes()
    again, first = (json.loads(p.with_suffix(".json").read_text("utf-8")) for p in (path, original))
    assert again["sha256"] in capsys.readouterr().out
    assert again.pop("created_with") == f"vsrrin {vsrrin.__version__}"
    assert first.pop("created_with").startswith("vsrrin ")  # of any version: the weights stay as they are
    assert again == first


def test_hidden_layers_are_ready_to_train():
    """Activations keep their size through the hidden layers, so no part starts dead or exploding."""
    net = checkpoint.load("rrin_lite").net
    generator = torch.Generator().manual_seed(0)
    hidden = {
        "correct": net.correct.head(
            net.correct.body(net.correct.stem(torch.randn(1, 18, 32, 32, generator=generator)))
        ),
        "refine": net.refine.body(net.refine.stem(torch.randn(1, 80, 16, 16, generator=generator))),
        "synth": net.synth.down_path[0](torch.randn(1, 66, 16, 16, generator=generator)),
    }
    for part, x in hidden.items():
        assert 0.2 < x.std() < 5, part
