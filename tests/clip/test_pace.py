"""vsrrin.clip.pace: what a machine has time for."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from vsrrin.clip import pace
from vsrrin.clip.pace import Pace, affordable
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
    assert pace.cache_file().is_relative_to(tmp_path)
    return pace.cache_file()


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


def test_what_was_measured_is_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(model="auto")
    first = affordable(options, (36, 64), Fraction(24), Fraction(48), 1e-9)
    written = kept.read_text()
    assert all(seconds > 0 for seconds in json.loads(written).values())
    kept.write_text(json.dumps({key: 77.0 for key in json.loads(written)}))
    assert affordable(options, (36, 64), Fraction(24), Fraction(48), 1e-9) == first  # by this process
    monkeypatch.setattr(pace, "_known", {})
    assert affordable(options, (36, 64), Fraction(24), Fraction(48), 1e-9)[1] == 77 * 24  # by the next


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": "b"}', '{"a": null}', "\udcff"], ids=repr)
def test_a_damaged_file_is_measured_anew(kept: Path, text: str) -> None:
    kept.parent.mkdir(parents=True)
    kept.write_bytes(text.encode(errors="surrogateescape"))
    affordable(Options(model="auto"), (36, 64), Fraction(24), Fraction(48), 1e-9)
    assert len(json.loads(kept.read_text())) == 2


def test_a_folder_that_cannot_be_written_is_no_error(kept: Path) -> None:
    kept.parent.parent.mkdir(parents=True, exist_ok=True)
    kept.parent.write_text("a file in the folder's place")
    assert affordable(Options(model="auto"), (36, 64), Fraction(24), Fraction(48), 1e-9)[1] > 0
