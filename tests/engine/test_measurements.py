"""engine.measurements: what is kept between processes; tests/engine/backends/test_calibration.py has more."""

from pathlib import Path

import pytest

from vsrrin.engine import measurements


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for what is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    measurements._once.cache_clear()
    return tmp_path / "vsrrin"


def keep(name: str, seconds: float) -> None:
    with measurements.alone():
        measurements.keep(name, {"seconds": seconds})


def test_an_entry_takes_the_place_of_the_one_of_its_name_and_is_the_newest() -> None:
    for name, seconds in (("one", 1.0), ("two", 2.0), ("one", 3.0)):
        keep(name, seconds)
    assert list(measurements.kept().items()) == [("two", {"seconds": 2.0}), ("one", {"seconds": 3.0})]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"version": 1}',
        b'{"version": 1, "entries": []}',
        b'{"version": 1, "entries": {"one": 1}}',
        b"[" * 100_000,
        b'{"version": 0, "entries": {}}',
    ],
)
def test_a_damaged_file_is_made_anew(damage: bytes, cache: Path) -> None:
    cache.mkdir()
    measurements.path().write_bytes(damage)
    assert measurements.kept() == {}
    keep("two", 2.0)
    assert measurements.kept() == {"two": {"seconds": 2.0}}


def test_the_file_is_bounded() -> None:
    for number in range(140):
        keep(str(number), number)
    assert list(measurements.kept()) == [str(number) for number in range(12, 140)]


def test_who_cannot_write_keeps_nothing(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    keep("one", 1.0)
    assert measurements.kept() == {}
