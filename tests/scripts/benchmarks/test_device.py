"""The check of a device, on the CPU: what it finds right, what it finds wrong, and that it goes on then."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from scripts.benchmarks.device import __main__ as check_device
from scripts.benchmarks.device import pictures
from scripts.benchmarks.device.report import ABSENT, FAILED, NOTE, PASSED
from tests.fake_programs import write_program
from vsrrin.engine.backends.graph_backend import GraphBackend

ROOT = Path(__file__).parents[3]
SMALLEST = ["--device", "cpu", "--nets", "draft", "--size", "128x96", "--frames", "2"]
ALIEN = ("av", "openvino", "pytest", "onnx", "matplotlib")
"""What it must do without."""


def found_in(file: Path) -> dict[str, dict[str, Any]]:
    """What was found, by check."""
    return {each["check"]: each for each in json.loads(file.read_text())}


def test_a_good_device_passes_with_few_packages(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    timed = ["--time", "--time-nets", "draft", "--time-sizes", "128x96", "--seconds", "0.1"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({ALIEN})); from scripts.benchmarks.device.__main__ import main; "
        f"sys.exit(main({[*SMALLEST, '--json', str(file), *timed]}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = found_in(file)
    assert {each["network"] for each in found.values()} == {"draft"}
    assert {each["verdict"] for each in found.values()} == {PASSED, ABSENT, NOTE}
    for backend in ("torch", "graphs"):
        for check in ("picture, factor 2", "picture, factor 5/2", "any order"):
            assert found[f"{backend} fp32: {check}"]["verdict"] == PASSED
        assert found[f"{backend}: tiles"]["verdict"] == PASSED
        assert "new frames/s" in found[f"{backend}, 128x96: filter"]["text"]
        assert "ms per pair" in found[f"{backend}, 128x96: network"]["text"]
    assert found["graphs fp32: against torch"]["text"] == "the same bits"
    assert "2 recordings" in found["graphs fp32: picture, factor 2"]["text"]
    assert found["memory given back"]["verdict"] == ABSENT
    rows = [line for line in done.stdout.splitlines() if line.startswith("| draft |")]
    assert len(rows) == len(found)
    assert f"{len(found)} checks: " in done.stdout and " 0 FAILED" in done.stdout


def test_wrong_pictures_fail_and_so_does_what_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    original = GraphBackend.synthesize
    calls = 0

    def broken(self: GraphBackend, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if img0.shape[-1] < 128:
            raise RuntimeError("narrow frames are refused on purpose")
        return original(self, img0, img1, estimate, t) + 0.01 * calls

    monkeypatch.setattr(GraphBackend, "synthesize", broken)
    file = tmp_path / "found.json"
    assert check_device.main([*SMALLEST, "--json", str(file)]) == 1
    found = found_in(file)
    failed = {check for check, each in found.items() if each["verdict"] == FAILED}
    assert all(check.startswith("graphs") for check in failed)
    assert {"graphs fp32: picture, factor 2", "graphs fp32: any order", "graphs: two sizes at once"} <= failed
    assert found["graphs fp32: any order"]["text"].startswith("NOT the same bits")
    assert "narrow frames are refused on purpose" in found["graphs: two sizes at once"]["text"]
    out, err = capfd.readouterr()
    assert "Traceback" in err and "narrow frames are refused on purpose" in err
    assert out.count("| graphs: two sizes at once | FAILED |") == 2  # in its place and at the end


def test_a_process_that_dies_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "python"
    write_program(program, "exit 9")
    monkeypatch.setattr(sys, "executable", str(program))
    assert check_device.main([*SMALLEST, "--jobs", "1"]) == 1
    assert "| draft | process | FAILED | ended with status 9 |" in capsys.readouterr().out


def test_a_process_that_hangs_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "python"
    write_program(program, "echo 'ok     draft: first: fine'; exec sleep 600")
    monkeypatch.setattr(sys, "executable", str(program))
    assert check_device.main([*SMALLEST, "--jobs", "1", "--limit", "0.5"]) == 1
    out = capsys.readouterr().out
    assert "ok     draft: first: fine\n" in out
    assert "| draft | process | FAILED | ended with status -9 |" in out


def test_a_device_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_device.main(["--device", "cuda:99"]) == 1
    assert "device 'cuda:99' is not available" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--frames", "1"], ["--size", "127x96"], ["--size", "64x64"], ["--nets", "rife"]]
)
def test_what_cannot_be_checked_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        check_device.parse(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_without_the_bundled_clip_a_picture_moves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pictures, "CLIP", tmp_path / "none.mp4")
    first, second = pictures.pictures(2, (128, 96))
    assert first.shape == (96, 128, 3) and first.std() > 10
    difference = np.abs(first[4:, :-6].astype(int) - second[:-4, 6:].astype(int))
    assert difference.max() <= 1
    assert np.abs(first.astype(int) - second.astype(int)).mean() > 5


@pytest.mark.parametrize(("kind", "step"), [(np.uint8, 2), (np.uint16, 512), (np.float32, 2 / 255)])
def test_difference_is_in_levels_of_8_bits(kind: type[np.generic], step: float) -> None:
    first, second = (np.zeros((4, 4), kind) for _ in range(2))
    assert pictures.difference([[first]], [[second]]) == (0.0, float("inf"))
    second[1, 2] = step  # type: ignore[call-overload]
    largest, psnr = pictures.difference([[first]], [[second]])
    assert largest == pytest.approx(2, rel=1e-6)
    assert psnr == pytest.approx(10 * np.log10(255**2 * 16 / 4))
