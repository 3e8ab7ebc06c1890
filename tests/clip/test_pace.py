"""vsrrin.clip.pace: what a machine has time for."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from tests.machine import real_fastest
from vsrrin.checkpoint import loader
from vsrrin.clip import pace
from vsrrin.clip.pace import Pace, affordable
from vsrrin.engine import measurements
from vsrrin.engine.backends import calibration
from vsrrin.engine.backends.calibration import Way
from vsrrin.engine.options import Options


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def shown(
    lasting: Callable[[int], float], idle: Callable[[int], float] = lambda n: 0.0, count: int = 600
) -> list[bool]:
    """Whether each frame at 50 per second is held, if making one takes so long and asking for it is put off so long."""
    clock = Clock()
    machine = Pace(1 / 50, clock)
    held = []
    for number in range(count):
        clock.now += idle(number)
        with machine.frame():
            held.append(machine.behind)
            clock.now += 0.001 if held[-1] else lasting(number)
    return held


def test_frames_made_in_time_are_never_held() -> None:
    assert not any(shown(lambda n: 0.019))


def test_so_many_are_held_that_the_rest_are_in_time() -> None:
    held = shown(lambda n: 0.06)
    assert held[:12] == [False] * 11 + [True]
    made = held[50:].count(False) / len(held[50:])
    assert made * 0.06 + (1 - made) * 0.001 == pytest.approx(1 / 50, rel=0.02)
    assert not any(not a and not b for a, b in pairwise(held[50:]))  # single ones are made


def test_a_pause_is_no_delay() -> None:
    assert not any(shown(lambda n: 0.01, lambda n: 60.0 if n % 50 == 49 else 0.0))


def test_a_long_start_does_not_count() -> None:
    assert not any(shown(lambda n: 5.0 if n < 2 else 0.015))


def test_one_delay_is_made_up_for_in_a_moment() -> None:
    held = shown(lambda n: 30.0 if n == 100 else 0.01)
    assert held[101]
    assert held.count(True) <= 15


def test_frames_made_at_once_count_once() -> None:
    clock = Clock()
    machine = Pace(1 / 50, clock)
    for _ in range(8):
        with machine.frame():
            pass
    for _ in range(200):
        with machine.frame(), machine.frame():
            clock.now += 0.039  # two frames in less than 0.04 s
    assert not machine.behind
    for _ in range(20):
        with machine.frame(), machine.frame():
            clock.now += 0.06
    assert machine.behind


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which what was measured is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(pace, "_known", {})
    assert measurements.path().is_relative_to(tmp_path)
    return measurements.path()


def test_time_without_end_buys_the_best_model_and_none_the_quickest(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "_SECONDS", 1e9)  # a slow machine measures to the end
    plenty, taken = affordable(Options(model="auto"), (36, 64), Fraction(1, 1000), Fraction(1, 500), 1.0)
    assert plenty.model == "rrin_lite"
    assert 0 < taken <= 1
    nothing, needed = affordable(Options(model="auto"), (36, 64), Fraction(24), Fraction(48), 1e-9)
    assert (nothing.model, nothing.scale) == ("draft", 0.5)
    assert needed > 1e-9
    own, _ = affordable(Options(model="auto", scale=0.75), (36, 64), Fraction(24), Fraction(48), 1e-9)
    assert own.scale == 0.75


CHOICE = (Options(model="auto"), (36, 64), Fraction(24), Fraction(48), 1e-9)


def started_again(monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds of a pair with draft at half the size, as the next process takes them for."""
    monkeypatch.setattr(pace, "_known", {})
    return affordable(*CHOICE)[1] / 24


def test_what_was_measured_is_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = affordable(*CHOICE)
    entries = json.loads(kept.read_text())["entries"]
    assert len(entries) == 2  # at both sizes
    assert all(entry["seconds of a pair"][0] > 0 for entry in entries.values())
    monkeypatch.setattr(pace, "_measure", lambda *_: pytest.fail("measured again"))
    assert affordable(*CHOICE) == first


def test_a_measurement_that_was_disturbed_does_not_count_for_long(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([77.0, 77.0, 2.0, 2.0, 3.0, 3.0])
    monkeypatch.setattr(pace, "_measure", lambda *_: next(answers))
    assert [started_again(monkeypatch) for _ in range(5)] == [77, 2, 2, 2, 2]
    assert list(answers) == []  # the fourth and the fifth start have enough of them
    tomorrow = time.time() + 25 * 3600
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    monkeypatch.setattr(pace, "_measure", lambda *_: 5.0)
    assert [started_again(monkeypatch) for _ in range(2)] == [2, 2]
    for _ in range(2):  # a machine that has become slower, after as many days
        tomorrow += 25 * 3600
        last = started_again(monkeypatch)
    assert last == 5


@pytest.mark.parametrize("entry", [{}, [], None, {"seconds of a pair": [1.0]}, {"seconds of a pair": ["1"], "at": 1}])
def test_a_damaged_entry_is_measured_anew(entry: object, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    affordable(*CHOICE)
    content = json.loads(kept.read_text())
    kept.write_text(json.dumps({**content, "entries": dict.fromkeys(content["entries"], entry)}))
    monkeypatch.setattr(pace, "_measure", lambda *_: 5.0)
    assert started_again(monkeypatch) == 5


def test_a_folder_that_cannot_be_written_is_no_error(kept: Path) -> None:
    kept.parent.parent.mkdir(parents=True, exist_ok=True)
    kept.parent.write_text("a file in the folder's place")
    assert affordable(*CHOICE)[1] > 0


def test_both_kinds_of_measurements_are_in_one_file(kept: Path) -> None:
    affordable(*CHOICE)
    ways = [Way("torch", "fp32")]
    real_fastest(loader.load("balanced").net, ways)
    affordable(*CHOICE)
    assert len(json.loads(kept.read_text())["entries"]) == 3
    assert [record["chosen"] for record in calibration.records()] == ["torch fp32"]
