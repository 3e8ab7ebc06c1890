"""The command training.train: what it prints, how it stops, and how it goes on; with real processes and signals."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import psutil
import pytest
import torch

from tests.training.moving import picture
from tests.training.tiny import SIDE, SMALL, write_recipe
from training.train import command, main

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "training.train"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
ENDLESS = 10**6


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a folder of frames to train on and a recipe; signals as they were, afterwards."""
    monkeypatch.chdir(tmp_path)
    for number in range(6):
        path = tmp_path / "moving" / "shot" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture(2.5 * number))
    data = {"shots": ["moving"], "crop": SIDE, "candidates": 1, "margin": 0}
    write_recipe(tmp_path, data=data, optim={"schedule": "constant"}, log={"every": 1, "state": 2})
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield tmp_path
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
        signal.signal(number, handler)


def run(*arguments: str) -> int:
    """The command in this process."""
    return main(["tiny.toml", "--device", "cpu", *arguments])


def begin(place: Path, *arguments: str, program: Sequence[str] = PROGRAM) -> subprocess.Popen[str]:
    """The command in a process of its own, without end, once it has taken some steps."""
    process = subprocess.Popen(
        [*program, "tiny.toml", "--device", "cpu", "--set", f"optim.steps={ENDLESS}", *arguments],
        cwd=place,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = place / "runs/tiny/log.csv"
    until = time.monotonic() + 60
    while not (log.exists() and log.read_text().count("\n") > 3):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
    return process


def state(folder: str) -> dict[str, Any]:
    """The newest state of a run, but for what depends on the clock and on the length asked for."""
    newest = max(Path(folder).glob("state-*.pt"))
    found: dict[str, Any] = torch.load(newest, weights_only=True)
    return {key: value for key, value in found.items() if key not in ("meter", "recipe")}


def equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(equal, first, second))
    return bool(first == second)


def check_that_it_goes_on_as_if_nothing_had_been(stopped_at: int) -> None:
    """Three more steps, against as many from the start in one go."""
    steps = f"optim.steps={stopped_at + 3}"
    assert run("--resume", "--set", steps) == 0
    assert run("--out", "runs/whole", "--set", steps) == 0
    first, second = state("runs/tiny"), state("runs/whole")
    assert first["step"] == stopped_at + 3 and equal(first, second)
    weights = [Path(f"runs/{name}/last.safetensors").read_bytes() for name in ("tiny", "whole")]
    assert weights[0] == weights[1]


def test_sigterm_stops_a_run_in_order_and_it_goes_on_to_the_very_same_weights(place: Path) -> None:
    process = begin(place)
    process.send_signal(signal.SIGTERM)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    first, *others = said.splitlines()
    step = int(first.removeprefix("stopped after step ").partition(";")[0])
    assert f"to go on: python -m training.train tiny.toml --device cpu --set optim.steps={ENDLESS} --resume" in others
    assert state("runs/tiny")["step"] == step
    check_that_it_goes_on_as_if_nothing_had_been(step)


def test_a_killed_run_goes_on_from_its_newest_state(place: Path) -> None:
    process = begin(place)
    process.kill()
    process.communicate(timeout=60)
    check_that_it_goes_on_as_if_nothing_had_been(state("runs/tiny")["step"])


def test_minutes_end_a_run_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--minutes", "0.0001") == 0
    said = capsys.readouterr().out
    assert "stopped after step 1; weights: runs/tiny/last.safetensors" in said
    assert "to go on: python -m training.train tiny.toml --device cpu --minutes 0.0001 --resume" in said
    assert run("--resume") == 0
    assert "finished after step 6" in capsys.readouterr().out
    assert run("--resume") == 0
    assert "finished after step 6" in capsys.readouterr().out


def test_resuming_what_has_not_begun_begins_it_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--resume", "--set", "optim.steps=2") == 0
    assert "no state in runs/tiny yet: a new run begins" in capsys.readouterr().err


def test_a_run_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--set", "optim.steps=2") == 0
    assert run("--set", "optim.steps=2") == 2
    assert "training.train: runs/tiny holds a run already: resume it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--set", "optim.bach=3"], "there is no optim.bach. Did you mean optim.batch?"),
        (["--set", 'data.shots=["nowhere"]'], "nowhere"),
        (["--set", "loss={ perceptual = 1.0 }"], "perceptual"),
        (["--set", "optim.precision=fp16"], 'optim.precision = "fp16" is for CUDA, not cpu'),
        (["--set", "model.from=runs/no.safetensors"], "there is no file runs/no.safetensors"),
        (["--set", "model.settings.width=3"], "rrin_lite has no setting model.settings.width"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("training.train: ") and said.count("\n") == 1 and expected in said


def test_usage_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("--minutes", "soon")
    assert caught.value.code == 2
    assert "must be a number of minutes above 0, not 'soon'" in capsys.readouterr().err


def test_the_command_to_go_on_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["my recipe.toml", "--set", 'data.shots=["a", "b"]']
    assert shlex.split(command(given)) == ["python", "-m", "training.train", *given, "--resume"]
    assert command([*given, "--resume"]) == command(given)
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert command(["a.toml"]) == "torchrun --nnodes=2 --nproc-per-node=2 -m training.train a.toml --resume"


def test_two_processes_are_one_with_twice_the_batch_and_stop_together_when_one_is_told_to(place: Path) -> None:
    # Not rrin_lite: where gradients are next to zero, as behind its output layers at first, Adam enlarges rounding.
    network = ["--set", "model.name=rrin", "--set", f"model.settings={{ width = {SMALL['rrin']['width']} }}"]
    torchrun = [str(Path(sys.executable).with_name("torchrun")), "--standalone", "--nproc-per-node=2", *PROGRAM[1:]]
    process = begin(place, *network, program=torchrun)
    ranks = {child.environ()["RANK"]: child for child in psutil.Process(process.pid).children()}
    assert set(ranks) == {"0", "1"}
    ranks["1"].send_signal(signal.SIGTERM)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert said.count("stopped after step") == 1
    assert "to go on: torchrun --nproc-per-node=2 -m training.train tiny.toml --device cpu" in said
    two = state("runs/tiny")
    assert two["world"] == 2
    assert run("--out", "runs/one", "--set", "optim.batch=4", "--set", f"optim.steps={two['step']}", *network) == 0
    one = state("runs/one")
    for kind in ("model", "mean"):
        for name, value in one[kind].items():
            torch.testing.assert_close(two[kind][name], value, rtol=0, atol=1e-5)
    assert any(not torch.equal(one["model"][name], one["mean"][name]) for name in one["model"])
