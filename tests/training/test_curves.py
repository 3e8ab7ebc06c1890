"""Learning curves."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.curves import Curve, curve, main
from training.run.logs import CsvLog, read_log

COLUMNS = ("step", "samples", "loss", "samples_per_s", "psnr")


def write(folder: Path, losses: list[float]) -> Path:
    folder.mkdir()
    log = CsvLog(folder / "log.csv", COLUMNS, after=0)
    log.write({"step": 0, "samples": 0, "psnr": 30.0})
    for number, loss in enumerate(losses, 1):
        log.write({"step": 10 * number, "samples": 80 * number, "loss": loss, "samples_per_s": 8.0})
    log.write({"step": 10 * len(losses), "samples": 80 * len(losses), "psnr": 31.5})
    log.close()
    return folder


def test_columns_are_taken_where_they_have_values(tmp_path: Path) -> None:
    lines = read_log(write(tmp_path / "a", [0.4, 0.2]) / "log.csv")
    assert curve(lines, "loss", "step") == Curve([10.0, 20.0], [0.4, 0.2])
    assert curve(lines, "psnr", "samples") == Curve([0.0, 160.0], [30.0, 31.5])
    hours = curve(lines, "psnr", "hours")
    assert hours.places == pytest.approx([0.0, 160 / 8 / 3600])


def test_losses_are_smoothed_over_a_twentieth_of_the_run() -> None:
    raw = Curve([float(n) for n in range(40)], [0.0, 2.0] * 20)
    assert raw.smoothed().values == [0.0] + [1.0] * 39
    assert Curve([1.0], [3.0]).smoothed() == Curve([1.0], [3.0])


def test_the_picture_shows_every_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [write(tmp_path / name, losses) for name, losses in (("a", [0.4, 0.3]), ("b", [0.5, 0.1]))]
    pictures = []
    for shown in (runs[:1], runs):
        out = tmp_path / f"{len(shown)}.png"
        assert main([*map(str, shown), "--out", str(out), "--over", "samples"]) == 0
        pictures.append(cv2.imread(str(out)))
    assert str(tmp_path / "2.png") in capsys.readouterr().out
    assert pictures[0].shape == pictures[1].shape == (540, 1440, 3)
    assert not np.array_equal(*pictures)


def test_without_psnr_there_is_no_pane_for_it(tmp_path: Path) -> None:
    log = CsvLog(tmp_path / "log.csv", COLUMNS, after=0)
    log.write({"step": 10, "samples": 80, "loss": 0.3, "samples_per_s": 8.0})
    log.close()
    assert main([str(tmp_path), "--out", str(tmp_path / "out.png")]) == 0
    assert cv2.imread(str(tmp_path / "out.png")).shape == (540, 720, 3)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere", "--out", "x.png"], "nowhere/log.csv cannot be read"),
        (["a", "--out", "x.png", "--loss", "census"], "has no column census; it has step, samples, loss,"),
        (["a", "--out", "x.xyz"], "x.xyz cannot be written"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path,
    arguments: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a", [0.4])
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("training.curves: ") and expected in said and said.count("\n") == 1
