"""The folder in which backends.openvino_backend keeps compiled stacks."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.engine.backends.test_torch_backend import inputs, make_net
from vsrrin.engine.backends import openvino_backend
from vsrrin.engine.backends.openvino_backend import OpenVinoBackend
from vsrrin.nets import rrin

CPU = torch.device("cpu")


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Tensor]:
    """Makes a backend that keeps even the smallest stacks in a folder of its own, and a picture with it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(openvino_backend, "_WORTH_KEEPING", 0)
    net = make_net(rrin.SPEC)

    def make() -> Tensor:
        backend = OpenVinoBackend(net, rrin.SPEC, CPU, torch.float32)
        img0, img1, _ = inputs(rrin.SPEC)
        return backend.synthesize(img0, img1, backend.estimate(img0, img1, None), torch.full((1, 1, 1, 1), 0.5))

    return make


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "vsrrin" / "openvino").iterdir())


def test_compiled_stacks_are_kept_and_used_again(cached: Callable[[], Tensor], tmp_path: Path) -> None:
    first = cached()
    files = kept(tmp_path)
    assert len(files) == 4
    written = [file.stat().st_mtime_ns for file in files]
    assert torch.equal(cached(), first)
    assert kept(tmp_path) == files
    assert [file.stat().st_mtime_ns for file in files] == written


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "folder"])
def test_a_damaged_folder_does_no_harm(cached: Callable[[], Tensor], tmp_path: Path, damage: str) -> None:
    first = cached()
    for file in kept(tmp_path):
        data = file.read_bytes()
        if damage == "folder":
            file.unlink()
            file.mkdir()
        else:
            file.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "noise": os.urandom(len(data))}[damage])
    assert torch.equal(cached(), first)


def test_a_folder_that_cannot_be_made_does_no_harm(cached: Callable[[], Tensor], tmp_path: Path) -> None:
    (tmp_path / "vsrrin").write_text("in the way")
    cached()
    assert (tmp_path / "vsrrin").read_text() == "in the way"


def test_the_folder_is_bounded(cached: Callable[[], Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "vsrrin" / "openvino"
    folder.mkdir(parents=True)
    for age in range(5):
        (folder / f"{age}.blob").write_bytes(bytes(1000))
        os.utime(folder / f"{age}.blob", ns=(10**9 * (100 - age),) * 2)
    monkeypatch.setattr(openvino_backend, "_CACHE_BYTES", 3000)
    openvino_backend._cache_folder()
    assert [file.name for file in kept(tmp_path)] == ["0.blob", "1.blob", "2.blob"]
