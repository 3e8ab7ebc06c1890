"""Several inputs, and where names may stand."""

import os
from pathlib import Path

import pytest

from tests.cli.conversions import mistake, probe, run
from tests.image_files import ffmpeg


def test_several_files_go_into_a_folder_and_one_failure_does_not_stop_the_rest(folder: Path) -> None:
    (folder / "more").mkdir()
    ffmpeg("-i", "in.mp4", "-c", "copy", "more/film.avi")
    (folder / "bad.mkv").write_bytes(b"no video" * 100)
    command = ("bad.mkv", "--model", "draft", "in.mp4", "--out-dir", "out", "more", "--log", "log.txt")
    status, out, err = run(*command)
    assert (status, out) == (1, "")
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["film.mkv", "in.mp4"]
    assert probe("out/film.mkv")["nb_read_frames"] == probe("out/in.mp4")["nb_read_frames"] == "24"
    assert probe("out/in.mp4")["streams"] == ["audio aac", "video h264"]
    assert "2 of 3 done, 1 failed: bad.mkv" in err.splitlines()[-1]
    assert "bad.mkv" in (folder / "log.txt").read_text()

    before = (folder / "out" / "in.mp4").stat()
    status, out, err = run(*command, "--resume", "--quiet")
    assert status == 1
    assert (folder / "out" / "in.mp4").stat() == before
    assert len(err.splitlines()) == 2  # why bad.mkv fails, and that it did
    assert "0 of 3 done, 2 were there already, 1 failed: bad.mkv" in err


def test_a_dry_run_of_several_files_leaves_nothing(folder: Path) -> None:
    status, out, _ = run("in.mp4", "--out-dir", "out", "--dry-run", "--model", "draft")
    assert status == 0
    assert "out/in.mp4" in out
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["in.mp4"], "IN and OUT are needed, two names, and 1 is given; with --out-dir DIR all names are IN"),
        (["in.mp4", "a.mkv", "b.mkv"], "two names, and 3 are given"),
        (["in.mp4", "--out-dir", "in.mp4"], "--out-dir must be a folder, not the file in.mp4"),
    ],
)
def test_wrong_numbers_of_names(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: str
) -> None:
    assert wanted in mistake(capsys, *arguments)


def test_names_may_stand_anywhere_among_the_flags(folder: Path) -> None:
    os.rename("in.mp4", "-in.mp4")
    assert run("--quiet", "--fps", "2x", "--model", "draft", "--", "-in.mp4", "out.mp4")[0] == 0
    assert run("./-in.mp4", "--quiet", "--model", "draft", "--", "-out.mp4")[0] == 0
    assert probe("./-out.mp4")["nb_read_frames"] == "24"
