"""Loading checkpoints: every wrapping that is known, every kind of damage, the arithmetic, the side-car."""

import argparse
import hashlib
import json
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from tests.checkpoint.conftest import write
from vsrrin.checkpoint import loader
from vsrrin.errors import ArgumentError, CheckpointError, UnknownNetError, VsrrinError
from vsrrin.nets import NETS, plain, rrin, rrin_lite


def refused(model: Any, *, kind: type[VsrrinError] = CheckpointError, **options: Any) -> str:
    """The text of the error that loading raises."""
    with pytest.raises(kind) as caught:
        loader.load(model, **options)
    assert type(caught.value) is kind
    return str(caught.value)


# What loads


def test_bundled_model_is_ready_to_use():
    model = loader.load("rrin_lite")
    assert model.spec is rrin_lite.SPEC
    assert (model.arithmetic, model.name) == ("exact", "rrin_lite")
    assert model.path == loader.bundled()["rrin_lite"]
    assert model.metadata["sha256"] == hashlib.sha256(model.path.read_bytes()).hexdigest()
    assert not model.net.training
    assert {p.dtype for p in model.net.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in model.net.parameters())


def test_draft_is_ready_to_use():
    model = loader.load("draft")
    assert model.spec is plain.SPEC
    assert (model.arithmetic, model.name, model.net.training) == ("exact", "draft", False)


def under_module(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"module.{key}": value for key, value in state.items()}


def named_flow(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.replace("Flow_L.", "Flow."): value for key, value in state.items()}


WRAPPINGS = {
    "bare": lambda s: s,
    "model, optim, epoch": lambda s: {"model": named_flow(s), "optim": {"state": {}, "lr": 0.1}, "epoch": 7},
    "state_dict of DataParallel": lambda s: {"state_dict": under_module(s), "epoch": 3, "arch": "RRIN"},
    "model_state_dict": lambda s: {"model_state_dict": s, "loss": 0.5},
    "twice": lambda s: {"model": {"state_dict": under_module(named_flow(s))}},
    "compiled, then DataParallel": lambda s: under_module({f"_orig_mod.{key}": value for key, value in s.items()}),
    "DataParallel, then compiled": lambda s: {f"_orig_mod.{key}": value for key, value in under_module(s).items()},
    "compiled": lambda s: {f"_orig_mod.{key}": value for key, value in s.items()},
    "Flow": named_flow,
    "parameters": lambda s: {key: torch.nn.Parameter(value) for key, value in s.items()},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_wrapping_gives_the_same_weights(state, tmp_path, wrapping):
    model = loader.load(write(tmp_path / "x.pth", WRAPPINGS[wrapping](state)))
    assert model.spec is rrin.SPEC
    assert (model.name, model.arithmetic) == ("x.pth", "published")
    loaded = model.net.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


@pytest.mark.parametrize("suffix", ["pth", "pt", "pth.tar", "tar"])
@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch(state, tmp_path, suffix, zipped):
    path = write(tmp_path / f"x.{suffix}", state, _use_new_zipfile_serialization=zipped)
    for model in (path, str(path), os.fspath(path)):
        assert loader.load(model).path == path


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_become_float32(state, tmp_path, dtype):
    path = write(tmp_path / "x.pth", {key: value.to(dtype) for key, value in state.items()})
    loaded = loader.load(path).net.state_dict()
    assert {value.dtype for value in loaded.values()} == {torch.float32}
    assert all(torch.equal(loaded[key], value.to(dtype).float()) for key, value in state.items())


def test_a_file_is_what_it_holds_not_what_it_is_called(state, tmp_path):
    assert loader.load(write(tmp_path / "x.safetensors", state)).spec is rrin.SPEC
    path = tmp_path / "y.pth"
    path.write_bytes(safetensors.torch.save(state))
    assert loader.load(path).spec is rrin.SPEC


def test_relative_path_and_name_are_told_apart(saved, tmp_path, monkeypatch):
    """A file called like a bundled name is reached by path only."""
    monkeypatch.chdir(tmp_path)
    saved.rename(tmp_path / "rrin_lite")
    saved.with_suffix(".json").unlink()
    assert loader.load("rrin_lite").spec is rrin_lite.SPEC
    assert loader.load(f".{os.sep}rrin_lite").spec is rrin.SPEC
    assert loader.load(Path("rrin_lite")).spec is rrin.SPEC


# The arithmetic


def test_arithmetic_of_a_file_that_does_not_say(state, tmp_path):
    path = write(tmp_path / "x.pth", state)
    assert loader.load(path).arithmetic == "published"
    model = loader.load(path, arithmetic="fork")
    assert model.arithmetic == "fork"
    assert model.net.warp == rrin.FORK


def test_arithmetic_comes_from_argument_then_metadata_then_sidecar(saved, state, tmp_path):
    assert loader.load(saved).arithmetic == "exact"
    assert loader.load(saved, arithmetic="fork").arithmetic == "fork"
    saved.with_suffix(".json").unlink()
    assert loader.load(saved).arithmetic == "exact"
    path = write(tmp_path / "x.pth", state)
    path.with_suffix(".json").write_text('{"arithmetic": "fork"}')
    assert loader.load(path).arithmetic == "fork"
    assert loader.load(path, arithmetic="exact").arithmetic == "exact"


def test_unknown_arithmetic_is_refused(saved, state, tmp_path):
    text = refused(saved, kind=ArgumentError, arithmetic="sharp")
    assert text == "load: rrin has no arithmetic 'sharp'; it has published, exact, fork."
    path = write(tmp_path / "x.pth", state)
    path.with_suffix(".json").write_text('{"arithmetic": "sharp"}')
    assert "made for arithmetic 'sharp', which this version does not know for rrin" in refused(path)


def test_disagreeing_arithmetics_are_refused(saved):
    sidecar = saved.with_suffix(".json")
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "arithmetic": "fork"}))
    assert "says arithmetic 'exact', its side-car 'fork'" in refused(saved)


# What is refused


def test_unknown_name_lists_and_suggests():
    text = refused("rrin_lit", kind=UnknownNetError)
    names = ", ".join(loader.bundled())
    assert f"no model is called 'rrin_lit'. Did you mean 'rrin_lite'? Bundled: {names}." in text
    assert "Did you mean" not in refused("zebra", kind=UnknownNetError)


def test_name_of_a_folder_says_how_to_mean_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zebra").mkdir()
    assert f"To mean the folder of that name, write '.{os.sep}zebra'." in refused("zebra", kind=UnknownNetError)


def test_known_net_without_weights_of_its_name_says_where_to_get_them():
    text = refused("rrin", kind=UnknownNetError)
    assert "no bundled weights are called rrin. Weights of half the paper's width come with vsrrin" in text
    assert "https://github.com/HopLee6/RRIN" in text


@pytest.mark.parametrize("model", [None, 3, b"rrin_lite", ["rrin_lite"]])
def test_model_of_another_type(model):
    assert f"must be a name or a path, got {type(model).__name__}" in refused(model, kind=ArgumentError)


def test_missing_file_names_what_there_is(saved):
    text = refused(saved.with_name("mime.safetensors"))
    assert "there is no file" in text
    assert f"In the same folder: mine.safetensors. Bundled names: {', '.join(loader.bundled())}." in text
    text = refused(saved.parent / "no" / "folder.pth")
    assert "there is no file" in text and "In the same folder" not in text


def test_folder_without_a_checkpoint(tmp_path):
    (tmp_path / "README.txt").write_text("nothing")
    (tmp_path / ".hidden.pth").write_text("nothing")
    (tmp_path / "inner.pth").mkdir()
    assert refused(tmp_path) == (
        f"load: the folder {tmp_path} holds no checkpoint (no file ends with .safetensors, .pth, .pt, .tar). Give a "
        "file, or the folder with the parts of a network."
    )


def test_empty_file(tmp_path):
    path = tmp_path / "x.pth"
    path.touch()
    assert "is empty. Get the file again." in refused(path)


@pytest.mark.parametrize("part", [0.001, 0.3, 0.999])
@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_truncated_file(state, tmp_path, kind, part):
    path = tmp_path / "x.pth"
    if kind == "safetensors":
        path.write_bytes(safetensors.torch.save(state))
    else:
        write(path, state, _use_new_zipfile_serialization=kind == "zip")
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    text = refused(path)
    assert str(path) in text and "is damaged or not a checkpoint" in text and "get the file again" in text


@pytest.mark.parametrize("data", [b"<!DOCTYPE html><html>sign in</html>", b"\x00" * 100, b"\x80", b"PK\x03\x04"])
def test_not_a_checkpoint_at_all(tmp_path, data):
    path = tmp_path / "x.pth"
    path.write_bytes(data)
    assert "is damaged or not a checkpoint" in refused(path)


def test_another_archive(tmp_path):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    assert "is damaged or not a checkpoint" in refused(path)


@pytest.mark.parametrize(
    ("content", "described"),
    [
        ([torch.zeros(1)], "got a list"),
        ({}, "got an empty dict"),
        ({"epoch": 3, "lr": 0.1}, r"got a dict of 2 entries, 2 (epoch, lr) of them no tensors"),
        ({"model": {"a": torch.zeros(1), "b": "text"}}, "got a dict of 2 entries, 1 (b) of them no tensors"),
        ({1: torch.zeros(1)}, "got a dict of 1 entries, 0 of them no tensors"),
        (torch.zeros(3), "got a Tensor"),
    ],
)
def test_contents_that_are_no_state_dict(tmp_path, content, described):
    text = refused(write(tmp_path / "x.pth", content))
    assert "is not a checkpoint: expected a dict of named tensors" in text
    assert described in text


class Trap:
    """Would leave a folder behind if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_checkpoint_is_not_run(state, tmp_path):
    trap = tmp_path / "sprung"
    path = write(tmp_path / "x.pth", {"model": state, "extra": Trap(trap)})
    text = refused(path)
    assert "holds a Python object beside tensors, " in text and ".mkdir, which vsrrin does not run" in text
    path.write_bytes(pickle.dumps(Trap(trap), protocol=2))
    refused(path)
    assert not trap.exists()


def test_objects_in_a_checkpoint_are_named(state, tmp_path):
    path = write(tmp_path / "x.pth", {"model": state, "args": argparse.Namespace(lr=1)})
    assert "holds a Python object beside tensors, argparse.Namespace, which vsrrin does not run" in refused(path)


def test_weights_of_another_network(tmp_path):
    path = write(tmp_path / "x.pth", torch.nn.Linear(2, 2).state_dict())
    text = refused(path, kind=UnknownNetError)
    assert str(path) in text
    names = ", ".join(spec.name for spec in NETS)
    assert f"share no key with any of {names}; they have 2 (weight, bias) of their own" in text


def spoiled(state: dict[str, Tensor], **changes: Tensor | None) -> Mapping[str, Tensor]:
    """The state dict with some entries replaced, added or (None) removed; `__` stands for a dot."""
    result: dict[str, Tensor | None] = {**state, **{k.replace("__", "."): v for k, v in changes.items()}}
    return {key: value for key, value in result.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"Mask__midconv__bias": None}, "does not fit rrin: keys missing: 1 (Mask.midconv.bias); left over: 0;"),
        ({"more": torch.zeros(1)}, "does not fit rrin: keys missing: 0; left over: 1 (more);"),
        ({"final__midconv__bias": torch.zeros(7)}, "1 (final.midconv.bias: float32 (7,), not float32 (32,))"),
        ({"final__midconv__bias": torch.zeros(32, dtype=torch.int8)}, "int8 (32,), not float32 (32,)"),
        ({"Flow__last__bias": torch.zeros(4)}, "left over: 1 (Flow.last.bias)"),
    ],
)
def test_keys_and_shapes_must_fit_exactly(state, tmp_path, changes, text):
    assert text in refused(write(tmp_path / "x.pth", spoiled(state, **changes)))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_must_be_finite(state, tmp_path, value):
    state["Mask.midconv.bias"][3] = value
    text = refused(write(tmp_path / "x.pth", state))
    assert "weights with values that are not finite: 1 (Mask.midconv.bias)" in text


def test_double_precision_beyond_float32_is_not_finite(state, tmp_path):
    state["Mask.midconv.bias"] = torch.full((32,), 1e300, dtype=torch.float64)
    assert "not finite: 1 (Mask.midconv.bias)" in refused(write(tmp_path / "x.pth", state))
