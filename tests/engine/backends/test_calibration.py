"""backends.calibration: what is measured, kept, and chosen by it."""

import json
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.machine import real_fastest
from vsrrin.checkpoint import loader
from vsrrin.engine import measurements
from vsrrin.engine.backends import calibration, openvino_backend
from vsrrin.engine.backends.calibration import Way
from vsrrin.errors import BackendError

WAYS = [Way("openvino", "fp32"), Way("openvino", "int8"), Way("torch", "fp32"), Way("torch", "bf16")]
BEST_OF_TWO = """
from vsrrin.checkpoint import loader
from vsrrin.engine.backends import calibration
from vsrrin.engine.backends.calibration import Way

ways = [Way("openvino", "fp32"), Way("torch", "fp32")]
print(calibration.fastest(loader.load("balanced").net, ways))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for what is kept; once said is not said for the next test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    measurements._once.cache_clear()
    return tmp_path / "vsrrin"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Way]]:
    """The ways of each measurement; the times are made up."""
    calls: list[Sequence[Way]] = []

    def measured(net: nn.Module, ways: Sequence[Way]) -> Mapping[Way, float]:
        calls.append(ways)
        return {way: 0.02 + 0.01 * number for number, way in enumerate(ways)}

    monkeypatch.setattr(calibration, "measured", measured)
    return calls


def net() -> nn.Module:
    return loader.load("balanced").net


def test_every_way_is_run_and_takes_some_time() -> None:
    found = calibration.measured(loader.load("rrin_lite").net, WAYS)
    assert set(found) == set(WAYS)
    assert all(0 < seconds < 60 for seconds in found.values())


def test_a_way_that_fails_is_not_among_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise BackendError("no such kernel")

    monkeypatch.setattr(openvino_backend, "compiled", broken)
    best, found = real_fastest(net(), WAYS)
    assert best.backend == "torch" and {way.backend for way in found} == {"torch"}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((1.0, 0.95, 2.0, 2.0), "openvino fp32"),  # what loses something must gain more than that
        ((1.0, 0.80, 2.0, 2.0), "openvino int8"),
        ((1.0, 0.80, 0.7, 2.0), "torch fp32"),
        ((1.0, 2.00, 2.0, 0.97), "openvino fp32"),
        ((1.0, 2.00, 2.0, 0.90), "torch bf16"),
        ((1.0, 0.70, 2.0, 0.72), "torch bf16"),
        ((1.0, 0.50, 2.0, 0.72), "openvino int8"),
    ],
)
def test_the_more_exact_way_is_kept_unless_another_is_clearly_faster(
    seconds: tuple[float, ...], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "measured", lambda *_: dict(zip(WAYS, seconds, strict=True)))
    assert str(real_fastest(net(), WAYS)[0]) == expected


def test_what_was_found_is_kept_until_something_changes(
    cache: Path, asked: list[Sequence[Way]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = real_fastest(net(), WAYS)
    assert real_fastest(net(), WAYS) == first and len(asked) == 1
    (entry,) = calibration.records()
    assert entry["chosen"] == "openvino fp32" and entry["threads"] == torch.get_num_threads()
    assert entry["seconds"] == {"openvino fp32": 0.02, "openvino int8": 0.03, "torch fp32": 0.04, "torch bf16": 0.05}
    real_fastest(loader.load("rrin_lite").net, WAYS)  # another network
    real_fastest(net(), WAYS[:2])  # other ways
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    real_fastest(net(), WAYS)
    monkeypatch.setattr(calibration, "processor", lambda: "another one")
    assert calibration.records() == []
    real_fastest(net(), WAYS)
    assert len(asked) == 5
    real_fastest(net(), WAYS, again=True)
    assert len(asked) == 6


@pytest.mark.parametrize("seconds", [{}, {"openvino fp32": -1}, {"openvino fp32": "0.1"}, [], None, {"another": 1}])
def test_a_damaged_entry_is_measured_again(seconds: object, cache: Path, asked: list[Sequence[Way]]) -> None:
    real_fastest(net(), WAYS)
    content = json.loads((cache / "calibration.json").read_text())
    (name,) = content["entries"]
    content["entries"][name]["seconds"] = seconds
    (cache / "calibration.json").write_text(json.dumps(content))
    real_fastest(net(), WAYS)
    assert len(asked) == 2


def test_a_folder_that_cannot_be_written_is_said_once(
    cache: Path, asked: list[Sequence[Way]], caplog: pytest.LogCaptureFixture
) -> None:
    cache.write_text("a file where the folder should be")
    with caplog.at_level(logging.INFO, "vsrrin"):
        for _ in range(3):
            assert str(real_fastest(net(), WAYS)[0]) == "openvino fp32"
    assert len(asked) == 3
    assert sum("cannot be written" in message for message in caplog.messages) == 1


def test_processes_that_start_together_choose_alike(cache: Path) -> None:
    command = [sys.executable, "-c", BEST_OF_TWO]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300)[0] for process in started]
    assert said[0] == said[1] and "Way" in said[0]
