"""Files of checkpoints and their side-cars: what is read from them, and when they are refused."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from tests.checkpoint.conftest import SIDECAR, write
from vsrrin.checkpoint import files, loader, names
from vsrrin.errors import CheckpointError
from vsrrin.nets import cain, rrin, srrin


def refused(model: Any) -> str:
    """The text of the error that loading raises."""
    with pytest.raises(CheckpointError) as caught:
        loader.load(model)
    assert type(caught.value) is CheckpointError
    return str(caught.value)


def change_sidecar(path: Path, **changes: Any) -> None:
    sidecar = path.with_suffix(".json")
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **changes}))


# The side-car


def test_sidecar_of_a_users_file_is_read(saved):
    model = loader.load(saved)
    assert (model.metadata["licence"], model.metadata["architecture"]) == ("l", "rrin")
    with pytest.raises(TypeError):
        model.metadata["licence"] = "mine"


def test_changed_file_is_refused(saved):
    data = bytearray(saved.read_bytes())
    data[-1] ^= 1
    saved.write_bytes(data)
    text = refused(saved)
    assert "is not the file that its side-car mine.json describes" in text
    assert hashlib.sha256(data).hexdigest() in text


def test_sidecar_of_another_network_is_refused(saved):
    change_sidecar(saved, architecture="cain")
    assert "holds weights of rrin, but its metadata says rrin and its side-car cain" in refused(saved)


def test_metadata_of_another_network_is_refused(state, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors.torch.save(state, metadata={"vsrrin.net": "cain"}))
    assert "its metadata says cain" in refused(path)


@pytest.mark.parametrize(("text", "complaint"), [("{", "cannot be read"), ("[1]", "must hold a JSON object, got list")])
def test_unreadable_sidecar_is_refused(saved, text, complaint):
    saved.with_suffix(".json").write_text(text)
    assert complaint in refused(saved)


@pytest.fixture
def own_bundle(tmp_path, monkeypatch) -> Path:
    """A folder of bundled weights with one file in it."""
    monkeypatch.setattr(names, "_WEIGHTS", tmp_path)
    path = tmp_path / "small.safetensors"
    loader.save(rrin.RRIN(width=4), rrin.SPEC, path, arithmetic="exact", sidecar=SIDECAR)
    assert loader.load("small").name == "small"
    return path


def test_bundled_file_needs_its_sidecar(own_bundle):
    own_bundle.with_suffix(".json").unlink()
    assert "bundled small.safetensors lacks its side-car small.json. Install vsrrin again." in refused("small")
    assert loader.load(own_bundle).name == "small.safetensors"


@pytest.mark.parametrize("key", [*loader.SIDECAR_WRITTEN, *loader.SIDECAR_GIVEN])
def test_bundled_file_needs_a_complete_sidecar(own_bundle, key):
    sidecar = own_bundle.with_suffix(".json")
    content = json.loads(sidecar.read_text())
    del content[key]
    sidecar.write_text(json.dumps(content))
    assert f"lacks {key}. Install vsrrin again." in refused("small")


# Reading without asking for the network


def test_read_gives_the_canonical_state_dict(state, tmp_path):
    wrapped = {f"module.{key.replace('Flow_L.', 'Flow.')}": value for key, value in state.items()}
    path = write(tmp_path / "x.pth", {"state_dict": wrapped})
    found = loader.read(path)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], value) for key, value in state.items())


def test_what_was_removed_is_told(state, tmp_path):
    wrapped = {f"module.{key.replace('Flow_L.', 'Flow.')}": value.half() for key, value in state.items()}
    file = files.read_file(write(tmp_path / "x.pth", {"epoch": 3, "state_dict": wrapped, "best": 1.5}))
    assert file.wrapping == (
        "in a dict under 'state_dict', beside epoch, best",
        "'module.' before every key",
        "keys Flow.* for Flow_L.*",
    )
    assert file.dtypes == {"float16": len(state)}
    assert file.state.keys() == state.keys()
    assert files.read_file(write(tmp_path / "y.pth", state)).wrapping == ()


def test_format_is_told_by_the_contents(state, saved, tmp_path):
    old = write(tmp_path / "a.safetensors", state, _use_new_zipfile_serialization=False)
    for path, container in (
        (old, "torch (old format)"),
        (write(tmp_path / "b.pth", state), "torch (zip)"),
        (saved, "safetensors"),
    ):
        file = files.read_file(path)
        assert file.container == container
        assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("begin", [b"\x80", b"PK"])
def test_a_header_may_have_any_length(begin, tmp_path):
    data = files.serialise({"weight": torch.ones(3)}, {"about": ""})
    length = int.from_bytes(data[:8], "little")
    longer = next(n for n in range(length, 1 << 17, 8) if n.to_bytes(8, "little").startswith(begin))
    path = tmp_path / "x.safetensors"
    path.write_bytes(longer.to_bytes(8, "little") + data[8 : 8 + length].ljust(longer) + data[8 + length :])
    assert path.read_bytes().startswith(begin)
    file = files.read_file(path)
    assert (file.container, file.header) == ("safetensors", {"about": ""})
    assert torch.equal(file.state["weight"], torch.ones(3))


def test_a_changed_file_can_be_read_when_asked_for(saved):
    change_sidecar(saved, sha256="0" * 64)
    file = files.read_file(saved, verify=False)
    assert not file.fits_sidecar
    with pytest.raises(CheckpointError, match="is not the file that its side-car"):
        files.read_file(saved)
    change_sidecar(saved, sha256=file.sha256)
    assert files.read_file(saved).fits_sidecar


def test_integers_stay_integers(tmp_path):
    state = {"count": torch.tensor(3), "weight": torch.ones(2, dtype=torch.float64)}
    file = files.read_file(write(tmp_path / "x.pth", state))
    assert {key: value.dtype for key, value in file.state.items()} == {"count": torch.int64, "weight": torch.float32}
    assert file.dtypes == {"int64": 1, "float64": 1}


# Folders


def test_files_in_a_folder_are_those_with_the_suffixes_of_checkpoints(tmp_path):
    names = ["b.pth", "a.safetensors", "c.pth.tar", "d.pt", "README.txt", ".e.pth", "a.json", "f.PTH.bak"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "g.pth").mkdir()
    found = [path.name for path in files.files_in(tmp_path)]
    assert found == ["a.safetensors", "b.pth", "c.pth.tar", "d.pt"]
    assert files.files_in(tmp_path / "README.txt") == [tmp_path / "README.txt"]


def test_versions_follow_every_file_and_side_car(tmp_path):
    for name in ("a.pth", "b.pth", "notes.txt"):
        (tmp_path / name).write_bytes(b"12")
    seen = [files.versions(tmp_path)]
    assert [(name, size) for name, _, size in seen[0]] == [("a.pth", 2), ("b.pth", 2)]
    (tmp_path / "notes.txt").write_bytes(b"changed")
    assert files.versions(tmp_path) == seen[0]
    changes = (
        lambda: (tmp_path / "b.pth").write_bytes(b"123"),
        lambda: os.utime(tmp_path / "a.pth", ns=(5, 5)),
        lambda: (tmp_path / "a.json").write_text("{}"),
        lambda: (tmp_path / "b.pth").rename(tmp_path / "c.pth"),
    )
    for change in changes:
        change()
        seen.append(files.versions(tmp_path))
    assert len(set(seen)) == 5
    assert files.versions(tmp_path / "nothing.pth") == ()


# As the networks' own trainers write them


def test_file_of_the_trainer_of_cain(tmp_path):
    torch.manual_seed(0)
    net = cain.CAIN(groups=2, blocks=2, features=32)
    state = {f"module.{key}": value for key, value in net.state_dict().items()}
    path = write(tmp_path / "pretrained_cain.pth", {"epoch": 1, "state_dict": state, "optimizer": {}, "best_psnr": 3.5})
    model = loader.load(path)
    assert model.spec is cain.SPEC
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in model.net.state_dict().items())


def test_file_of_the_trainer_of_srrin(tmp_path):
    torch.manual_seed(0)
    net = srrin.SRRIN(width=4)
    state = {key.replace("Flow_L.", "Flow."): value for key, value in net.state_dict().items()}
    assert "Flow.last.bias" in state
    model = loader.load(write(tmp_path / "srrin0007.pth", {"model": state, "optim": {}, "epoch": 7}))
    assert model.spec is srrin.SPEC
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in model.net.state_dict().items())
