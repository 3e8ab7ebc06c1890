"""The script that says what a checkpoint holds."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

from vsrrin.nets import rrin


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return dict(rrin.RRIN(width=4).state_dict())


def write(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def inspect(path: Path, monkeypatch, capsys) -> tuple[int, str, str]:
    """Exit code, output and error output of scripts/inspect_checkpoint.py."""
    script = Path(__file__).resolve().parent.parent / "scripts" / "inspect_checkpoint.py"
    monkeypatch.setattr(sys, "argv", [script.name, str(path)])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(script), run_name="__main__")
    assert isinstance(caught.value.code, int)
    return caught.value.code, *capsys.readouterr()


def test_inspection_names_the_network_and_why_not_the_others(state, tmp_path, monkeypatch, capsys):
    code, out, err = inspect(write(tmp_path / "x.pth", {"model": state}), monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert "Flow_L.last.bias " in out
    assert f"{len(state)} tensors" in out
    assert "network: rrin (" in out
    assert "not rrin_lite: keys missing: 61 (correct.stem.0.weight, " in out


def test_inspection_of_what_is_unknown_or_damaged(state, tmp_path, monkeypatch, capsys):
    unknown = write(tmp_path / "x.pth", {**state, "beta": torch.ones(1)})
    code, out, _ = inspect(unknown, monkeypatch, capsys)
    assert code == 0
    assert "network: none." in out
    assert "not rrin: keys missing: 0; left over: 1 (beta)" in out
    code, out, err = inspect(tmp_path / "nothing.pth", monkeypatch, capsys)
    assert (code, out) == (1, "")
    assert "there is no file" in err
