"""Saving checkpoints: what the files hold, and that they appear whole or not at all."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch

from vsrrin.checkpoint import loader
from vsrrin.errors import ArgumentError, CheckpointError
from vsrrin.nets import rrin

SIDECAR = {"training_data": "d", "metrics": "m", "licence": "l", "source": "s", "created_with": "c"}


@pytest.fixture(scope="module")
def net() -> rrin.RRIN:
    """A narrow RRIN, so that files are small."""
    torch.manual_seed(0)
    return rrin.RRIN(width=4).eval()


@pytest.fixture
def saved(net, tmp_path) -> Path:
    """A file of ours with its side-car."""
    path = tmp_path / "mine.safetensors"
    loader.save(net, rrin.SPEC, path, arithmetic="exact", sidecar=SIDECAR)
    return path


def test_saved_files_say_everything(saved):
    data = saved.read_bytes()
    content = json.loads(saved.with_suffix(".json").read_text())
    assert content == {
        **SIDECAR,
        "architecture": "rrin",
        "arithmetic": "exact",
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    with safetensors.safe_open(saved, "pt") as file:
        assert file.metadata() == {"vsrrin.net": "rrin", "vsrrin.arithmetic": "exact"}


def test_saved_tensors_are_those_of_the_net(net, saved):
    loaded = safetensors.torch.load_file(saved)
    assert loaded.keys() == net.state_dict().keys()
    assert all(torch.equal(loaded[key], value) for key, value in net.state_dict().items())


def test_equal_weights_give_equal_bytes(net, saved, tmp_path):
    files = [tmp_path / f"{i}.safetensors" for i in range(8)]
    for path in files:
        loader.save(net, rrin.SPEC, path, arithmetic="exact", sidecar=SIDECAR)
    assert {path.read_bytes() for path in files} == {saved.read_bytes()}
    assert int.from_bytes(saved.read_bytes()[:8], "little") % 8 == 0


def test_saving_in_half_precision(net, tmp_path):
    path = tmp_path / "half.safetensors"
    loader.save(net, rrin.SPEC, path, arithmetic="exact", sidecar=SIDECAR, dtype=torch.float16)
    loaded = loader.load(path).net.state_dict()
    assert all(torch.equal(loaded[key], value.half().float()) for key, value in net.state_dict().items())
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_saving_replaces_and_leaves_nothing_else(net, saved):
    loader.save(net, rrin.SPEC, saved, arithmetic="fork", sidecar=SIDECAR)
    assert loader.load(saved).arithmetic == "fork"
    assert {path.name for path in saved.parent.iterdir()} == {"mine.safetensors", "mine.json"}


def test_failed_saving_leaves_the_old_file(net, saved, monkeypatch):
    before = saved.read_bytes()

    def fail(_file: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError, match=r"mine\.safetensors cannot be written: disk full"):
        loader.save(net, rrin.SPEC, saved, arithmetic="fork", sidecar=SIDECAR)
    assert saved.read_bytes() == before
    assert {path.name for path in saved.parent.iterdir()} == {"mine.safetensors", "mine.json"}


@pytest.mark.parametrize("calls", [0, 1])
def test_what_ends_saving_between_the_files_leaves_weights_that_load(net, saved, monkeypatch, calls):
    replace, left = os.replace, [None] * calls

    def die(old: Path, new: Path) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        replace(old, new)

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        loader.save(net, rrin.SPEC, saved, arithmetic="fork", sidecar=SIDECAR)
    monkeypatch.undo()
    assert [path.name for path in saved.parent.iterdir()] == ["mine.safetensors"]
    assert loader.load(saved).arithmetic == ("fork" if calls else "exact")


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("x.pth", {}, "path must end with .safetensors"),
        ("no/x.safetensors", {}, "there is no folder"),
        ("x.safetensors", {"arithmetic": "sharp"}, "rrin has no arithmetic 'sharp'; it has published, exact, fork"),
        ("x.safetensors", {"sidecar": {"licence": "l", "source": "s"}}, "lacks training_data, metrics, created_with"),
    ],
)
def test_saving_checks_what_it_is_given(net, tmp_path, name, options, text):
    arguments = {"arithmetic": "exact", "sidecar": SIDECAR, **options}
    with pytest.raises(ArgumentError, match=text):
        loader.save(net, rrin.SPEC, tmp_path / name, **arguments)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("value", "dtype"), [(float("nan"), None), (1e6, torch.float16)])
def test_saving_refuses_values_that_are_not_finite(tmp_path, value, dtype):
    net = rrin.RRIN(width=4)
    net.Mask.midconv.bias.data[0] = value
    with pytest.raises(CheckpointError, match=r"not finite: 1 \(Mask\.midconv\.bias\)"):
        loader.save(net, rrin.SPEC, tmp_path / "x.safetensors", arithmetic="exact", sidecar=SIDECAR, dtype=dtype)
    assert not any(tmp_path.iterdir())
