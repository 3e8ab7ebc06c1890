"""``vsrrin tune`` and ``vsrrin models quantize``."""

import shutil
from pathlib import Path

import pytest

from tests.commands import vsrrin_command
from tests.conftest import BUNNY
from vsrrin.checkpoint import loader


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_tune_says_how_fast_and_how_good_each_way_is(tmp_path: Path) -> None:
    status, out, err = vsrrin_command(["tune", BUNNY, "--frames", "1", "--model", "draft", "balanced"], tmp_path)
    assert status == 0, err
    rows = [line.split() for line in out.splitlines()[2:]]
    assert {row[0] for row in rows} == {"draft", "balanced"}
    speeds = [float(row[3]) for row in rows]
    assert speeds == sorted(speeds)
    assert all(20 < float(row[5]) < 50 for row in rows)
    for name in ("draft", "balanced"):
        assert sum(row[0] == name and row[-1] == "auto" for row in rows) == 1


def test_quantize_makes_8_bit_usable_for_a_checkpoint_of_ones_own(tmp_path: Path) -> None:
    path, source = tmp_path / "mine.safetensors", loader.bundled()["balanced"]
    shutil.copy(source, path)
    command = ["models", "quantize", path, BUNNY, "--pairs", "3"]
    status, out, err = vsrrin_command(command, tmp_path)
    assert status == 0, err
    assert "mine.int8.json: ranges of 10 convolutions, measured on 3 frame pairs" in out
    exact, rounded = (
        float(word) for word in out.replace(",", "").split() if word.count(".") == 1 and word[0].isdigit()
    )
    assert abs(exact - rounded) < 0.3
    status, _, err = vsrrin_command(command, tmp_path)
    assert status == 2 and "mine.int8.json exists: --overwrite replaces it" in err
    convert = ["convert", BUNNY, "out.mkv", "--end", "2f", "--precision", "int8", "--model", path]
    assert vsrrin_command(convert, tmp_path)[0] == 0


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["tune", BUNNY, "--frames", "0"], "--frames must be at least 1, not 0"),
        (["tune", BUNNY, "--model", "rrin_lit"], "no model is called 'rrin_lit'"),
        (["tune", "nothing.mkv"], "nothing.mkv"),
        (["models", "quantize", "draft", BUNNY, "--pairs", "0"], "--pairs must be at least 1, not 0"),
        (["models", "quantize", "draft", BUNNY, "--pairs", "1"], "no convolutions that run in 8 bit"),
    ],
)
def test_what_is_wrong_is_said(command: list[str | Path], said: str, tmp_path: Path) -> None:
    status, _, err = vsrrin_command(command, tmp_path)
    assert status in (1, 2) and said in err and "Traceback" not in err
