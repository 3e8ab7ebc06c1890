"""The command that measures quality: its tables, files and messages."""

import csv
from fractions import Fraction
from pathlib import Path

import cv2
import pytest

from tests.training.moving import write_video
from training import evaluate
from training.measure import methods
from training.measure.score_tables import read_csv
from training.measure.triplets import Picture
from vsrrin.checkpoint.loader import bundled


def cells(text: str) -> list[list[list[str]]]:
    """The tables of Markdown in a text."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in block] for block in blocks]


def test_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "shot.mp4", 6, 4.0)
    results, picture = tmp_path / "results.csv", tmp_path / "worst.png"
    arguments = ["--data", str(tmp_path), "--format", "RGB24", "YUV420P8", "--limit", "1", "--markdown"]
    assert evaluate.main([*arguments, "--csv", str(results), "--sheet", str(picture)]) == 0
    out, err = capsys.readouterr()
    methods = ["blend", "dis", "mvtools", "vsrrin rrin_lite", "vsrrin rrin_lite YUV420P8"]
    summary, *details = cells(out)
    assert [line[0] for line in summary] == ["method", "---", *methods]
    assert summary[0][5:8] == ["slow (0)", "medium (1)", "fast (0)"]
    assert [line[5:8] for line in summary[2:]] == [["-", line[1], "-"] for line in summary[2:]]
    assert [table[0][0] for table in details] == ["PSNR dB", "SSIM", "SSIMULACRA2", "tOF px"]
    assert details[0][0][-1] == "t=1/2 (1)"
    assert "shot.mp4 1+2 t=1/2 medium: blend " in err
    rows = list(csv.DictReader(results.read_text("utf-8").splitlines()))
    assert [(row["method"], row["t"]) for row in rows] == [(name, "1/2") for name in methods]
    assert [f"{float(row['psnr']):.2f}" for row in rows] == [line[1] for line in summary[2:]]
    psnr = {row["method"]: float(row["psnr"]) for row in rows}
    assert psnr["dis"] > psnr["blend"] + 3
    assert psnr["vsrrin rrin_lite"] > psnr["dis"]
    tof = {row["method"]: float(row["motion_error"]) for row in rows}
    assert tof["dis"] < tof["blend"]
    sheet = cv2.imread(str(picture))
    assert sheet is not None and sheet.shape[1] > 8 * 160


def test_a_path_through_the_bare_network_beside_earlier_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "shot.mp4", 6, 4.0)
    data, before, after = ["--data", str(tmp_path)], str(tmp_path / "before.csv"), tmp_path / "after.csv"
    assert evaluate.main([*data, "--all", "--model", "--methods", "blend", "--csv", before]) == 0
    assert "vsrrin" not in capsys.readouterr().out
    path = str(bundled()["rrin_lite"])
    arguments = [*data, "--all", "--through", "net", "--model", path, "--methods", "", "--merge", before]
    assert evaluate.main([*arguments, "--csv", str(after)]) == 0
    rows = list(csv.DictReader(after.read_text("utf-8").splitlines()))
    assert [(row["method"], row["t"]) for row in rows] == [
        ("blend", "1/2"),
        ("blend", "1/4"),
        (f"vsrrin {path}", "1/2"),
        (f"vsrrin {path}", "1/4"),
    ]
    assert float(rows[2]["psnr"]) > float(rows[0]["psnr"]) + 3
    capsys.readouterr()
    assert evaluate.main([*data, "--model", "--methods", "", "--merge", str(after), "--markdown"]) == 0
    assert [line[0] for line in cells(capsys.readouterr().out)[0]] == ["method", "---", "blend", f"vsrrin {path}"]


def test_what_was_measured_is_kept_whatever_ends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "shot.mp4", 12, 4.0)
    results = tmp_path / "results.csv"
    data = ["--data", str(tmp_path), "--all", "--model", "--csv", str(results)]
    calls: list[object] = []

    def tires(left: Picture, right: Picture, t: Fraction) -> Picture:
        calls.append(t)
        if len(calls) == 3:  # one of them before the first triplet, to load
            raise KeyboardInterrupt
        return left

    with monkeypatch.context() as patched:
        patched.setattr(methods, "make", lambda name, device: tires)
        assert evaluate.main([*data, "--methods", "tires"]) == 130
    assert f"interrupted; what was measured is in {results}" in capsys.readouterr().err
    assert [score.method for score in read_csv(results)] == ["tires"]

    (tmp_path / "sheet.png").mkdir()
    sheet = ["--sheet", str(tmp_path / "sheet.png")]
    assert evaluate.main([*data, "--methods", "blend,dis", *sheet]) == 2
    assert "Is a directory" in capsys.readouterr().err
    kept = results.read_text()
    assert {score.method for score in read_csv(results)} == {"blend", "dis"}
    assert evaluate.main([*data, "--methods", "blend,nothing"]) == 2
    assert results.read_text() == kept


def test_wrong_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(tmp_path)]
    for arguments, said in (
        (["--data", str(tmp_path / "none")], "is not a folder"),
        ([*data, "--limit", "0"], "--limit must be at least 1, not 0"),
        ([*data, "--cases", "0"], "--cases must be at least 1, not 0"),
        ([*data, "--through", "net", "--format", "YUV420P8"], "--format is for --through filter"),
        ([*data, "--sheet", "worst.jpg"], "--sheet must end with .png, not worst.jpg"),
        ([*data, "--csv", str(tmp_path / "no" / "x.csv")], "there is no folder"),
    ):
        with pytest.raises(SystemExit) as caught:
            evaluate.main(arguments)
        assert caught.value.code == 2
        assert said in capsys.readouterr().err


def test_what_is_missing_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(tmp_path), "--methods", "blend"]
    short = ["--data", str(tmp_path), "--model"]
    for arguments, said in (
        (data, "has no video file"),
        ([*data, "--format", "YUV9"], "YUV9 is not a format of VapourSynth"),
        ([*data, "--through", "net", "--model", "nothing"], "no model is called 'nothing'"),
        ([*short, "--methods", "tea"], "there is no method 'tea'"),
        ([*short, "--methods", ""], "nothing to measure"),
        ([*short, "--methods", "blend", "--sheet", "x.png"], "--sheet compares"),
        ([*short, "--methods", "blend,dis", "--sheet", "x.png", "--against", "dis"], "--against: dis is not among"),
        ([*data, "--merge", str(tmp_path / "none.csv")], "none.csv cannot be read"),
    ):
        assert evaluate.main(arguments) == 2
        err = capsys.readouterr().err
        assert err.startswith("training.evaluate: ") and err.count("\n") == 1
        assert said in err
    write_video(tmp_path / "shot.mp4", 5, 1.0)
    assert evaluate.main([*data, "--model", "nothing"]) == 2
    assert "training.evaluate: vsrrin.interpolate:" in capsys.readouterr().err
