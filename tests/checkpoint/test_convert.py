"""Conversion to the canonical form: what is written, what is kept of what was known, and that nothing is half done."""

import json
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from vsrrin.checkpoint import loader
from vsrrin.checkpoint.convert import convert
from vsrrin.checkpoint.loader import Model
from vsrrin.errors import ArgumentError, CheckpointError, VsrrinError
from vsrrin.nets import rrin

SIDECAR = {"training_data": "d", "metrics": "m", "licence": "ours", "source": "s", "created_with": "c"}


@pytest.fixture(scope="module")
def net() -> rrin.RRIN:
    """A narrow RRIN, so that files are small."""
    torch.manual_seed(0)
    return rrin.RRIN(width=4).eval()


@pytest.fixture
def published(net: rrin.RRIN, tmp_path: Path) -> Path:
    """A file as a trainer writes it."""
    path = tmp_path / "x.pth"
    torch.save({"state_dict": {f"module.{key}": value for key, value in net.state_dict().items()}}, path)
    return path


def to(path: Path, out: str = "y.safetensors", **options: object) -> Model:
    return convert(path, path.parent / out, created_with="test 1", **options)  # type: ignore[arg-type]


def names(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def test_what_is_written_is_canonical_and_described(net: rrin.RRIN, published: Path) -> None:
    done = to(published)
    stored = safetensors.torch.load_file(done.path)
    assert stored.keys() == net.state_dict().keys()
    assert all(torch.equal(stored[key], value) for key, value in net.state_dict().items())
    sidecar = json.loads(done.path.with_suffix(".json").read_text())
    origin = sidecar.pop("converted_from")
    assert origin == {"name": "x.pth", "sha256": loader.load(published).metadata["sha256"]}
    assert sidecar == {
        "architecture": "rrin",
        "arithmetic": "published",
        "created_with": "test 1",
        "licence": rrin.SPEC.weights_licence,
        "metrics": "not stated",
        "sha256": done.metadata["sha256"],
        "source": f"converted from x.pth; published implementation: {rrin.SPEC.upstream}",
        "training_data": "not stated",
    }
    assert (done.spec.name, done.arithmetic, len(done.net.state_dict())) == ("rrin", "published", 162)
    assert names(published) == ["x.pth", "y.json", "y.safetensors"]


def test_what_was_known_of_the_weights_is_kept(net: rrin.RRIN, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    loader.save(net, rrin.SPEC, path, arithmetic="exact", sidecar={**SIDECAR, "note": "n"})
    sidecar = json.loads(to(path, facts={"metrics": "better"}).path.with_suffix(".json").read_text())
    kept = {key: sidecar[key] for key in ("training_data", "metrics", "licence", "source", "note", "arithmetic")}
    assert kept == {
        "training_data": "d",
        "metrics": "better",
        "licence": "ours",
        "source": "s",
        "note": "n",
        "arithmetic": "exact",
    }
    assert sidecar["created_with"] == "test 1"


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)]
)
def test_types_to_store(net: rrin.RRIN, published: Path, name: str, dtype: torch.dtype) -> None:
    stored: dict[str, Tensor] = safetensors.torch.load_file(to(published, dtype=name).path)
    assert {value.dtype for value in stored.values()} == {dtype}
    assert all(torch.equal(stored[key], value.to(dtype)) for key, value in net.state_dict().items())


def test_overwriting_needs_to_be_allowed(published: Path) -> None:
    first = to(published).path.read_bytes()
    with pytest.raises(CheckpointError, match=r"y\.safetensors and y\.json exists; give overwrite=True to replace"):
        to(published, arithmetic="fork")
    assert published.with_name("y.safetensors").read_bytes() == first
    assert to(published, arithmetic="fork", overwrite=True).arithmetic == "fork"
    assert loader.load(published.with_name("y.safetensors")).arithmetic == "fork"
    assert to(published, arithmetic="exact", overwrite=True).path.read_bytes() != first


def test_a_file_can_be_converted_onto_itself(published: Path) -> None:
    path = to(published).path
    assert to(path, path.name, dtype="fp16", overwrite=True).path == path
    assert json.loads(path.with_suffix(".json").read_text())["converted_from"]["name"] == "y.safetensors"
    assert loader.load(path).spec is rrin.SPEC


@pytest.mark.parametrize(
    ("out", "options", "kind", "text"),
    [
        ("y.pth", {}, ArgumentError, "must end with .safetensors"),
        ("no/y.safetensors", {}, ArgumentError, "there is no folder"),
        ("y.safetensors", {"dtype": "fp8"}, ArgumentError, "dtype must be one of fp32, fp16, bf16, got 'fp8'"),
        ("y.safetensors", {"arithmetic": "sharp"}, ArgumentError, "rrin has no arithmetic 'sharp'"),
        ("folder.safetensors", {"overwrite": True}, CheckpointError, "it is a folder"),
    ],
)
def test_what_is_refused_leaves_nothing(
    published: Path, out: str, options: dict[str, object], kind: type[VsrrinError], text: str
) -> None:
    published.with_name("folder.safetensors").mkdir()
    with pytest.raises(kind, match=text):
        to(published, out, **options)
    assert names(published) == ["folder.safetensors", "x.pth"]


def test_weights_too_large_for_the_type_leave_nothing(tmp_path: Path) -> None:
    net = rrin.RRIN(width=4)
    net.Mask.midconv.bias.data[0] = 1e6
    torch.save(net.state_dict(), tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"not finite: 1 \(Mask\.midconv\.bias\)"):
        to(tmp_path / "x.pth", dtype="fp16")
    assert names(tmp_path / "x.pth") == ["x.pth"]


def test_a_folder_that_takes_no_files(published: Path) -> None:
    with pytest.raises(CheckpointError, match=r"y\.safetensors cannot be written: "):
        convert(published, Path("/proc/self/y.safetensors"), created_with="test 1")


def test_a_full_disk_leaves_the_old_file(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = to(published).path.read_bytes()

    def fail(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError, match="cannot be written: No space left on device"):
        to(published, arithmetic="exact", overwrite=True)
    assert published.with_name("y.safetensors").read_bytes() == before
    assert names(published) == ["x.pth", "y.json", "y.safetensors"]
