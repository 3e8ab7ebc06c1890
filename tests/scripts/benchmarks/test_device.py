"""Speed on a device: its table, and the few packages that it and the tests of a device need."""

import subprocess
import sys

import pytest

from scripts.benchmarks import device
from scripts.benchmarks.clips import ROOT

SMALLEST = ["--device", "cpu", "--models", "draft", "--sizes", "128x96", "--seconds", "0.1"]
ALIEN = ("av", "openvino", "onnx", "matplotlib")
"""Packages that machines with a device may lack."""


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]


def test_few_packages_are_needed() -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({ALIEN})); import pytest; from scripts.benchmarks import device;"
        f"device.main({SMALLEST}); sys.exit(pytest.main(['-q', '--collect-only', '-p', 'no:cacheprovider', "
        "'tests/device']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    head, *found = rows(done.stdout)
    assert head == ["model", "size", "backend", "new frames/s", "ms per pair"]
    assert [row[:3] for row in found] == [["draft", "128x96", "torch"], ["draft", "128x96", "graphs"]]
    assert all(float(value) > 0 for row in found for value in row[3:])
    assert "tests/device/test_pictures.py::test_tiles[draft-graphs]" in done.stdout
    assert "test_cuda" not in done.stdout


def test_a_device_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    device.main([*SMALLEST, "--device", "cuda:99", "--backends", "torch"])
    _, (*_, found, each) = rows(capsys.readouterr().out)
    assert "device 'cuda:99' is not available" in found and each == "-"
