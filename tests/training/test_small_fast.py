"""The command that makes triplets with small fast things."""

from pathlib import Path

import pytest

from tests.training.moving import write_video
from training.small_fast import main


def test_triplets_are_written_and_methods_are_measured_where_things_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "clip.mp4", 5, 4.0)
    arguments = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--count", "2", "--methods", "blend,dis"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["00_clip", "01_clip"]
    files = [path.name for path in (tmp_path / "out/01_clip").iterdir()]
    assert sorted(files) == ["frame10.png", "frame10i11.png", "frame11.png", "mask.png"]
    *table, folder = said.out.splitlines()
    assert folder == str(tmp_path / "out")
    assert table[0] == "method | things | hidden | all"
    rows = {name: list(map(float, values)) for name, *values in (line.split(" | ") for line in table[2:])}
    assert list(rows) == ["blend", "dis"]
    for things, _, whole in rows.values():
        assert 5 < things < whole
    assert rows["dis"][2] > rows["blend"][2]


def test_the_command_says_what_is_wrong_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("training.small_fast: ")
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--methods", "rave"]) == 2
    assert "there is no method 'rave'" in capsys.readouterr().err
    write_video(tmp_path / "clip.mp4", 3, 4.0)
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--model", "none"]) == 2
    assert "none" in capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--count", "0"])
    assert "must be at least 1, not 0" in capsys.readouterr().err
