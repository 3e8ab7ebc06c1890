"""vsrrin damage, and vsrrin convert --repair."""

from pathlib import Path

import pytest
import vapoursynth as vs

from tests.cli.conversions import mistake, probe, run
from tests.commands import vsrrin_command
from tests.image_files import ffmpeg

LIST = "8-9             # 0.320 s black\n15              # 0.600 s green\n"


@pytest.fixture
def spoilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bunny: vs.VideoNode) -> Path:
    """The current folder, with a video with sound of which three frames are damaged."""
    monkeypatch.chdir(tmp_path)
    damage = "drawbox=t=fill:color=black:enable='between(n,8,9)',drawbox=t=fill:color=0x004d00:enable='eq(n,15)'"
    source = ("-i", Path(__file__).parents[2] / "media" / "bunny_stretch.mp4")
    sound = ("-f", "lavfi", "-i", "sine=440:duration=0.96", "-c:a", "aac")
    ffmpeg(*source, *sound, "-frames:v", "24", "-vf", f"scale=256:144,{damage}", "-crf", "10", "tape.mp4")
    return tmp_path


def pictures(name: str) -> list[bytes]:
    clip = vs.core.bs.VideoSource(name, cachemode=0)
    return [bytes(frame[0]) for frame in clip.frames()]


def test_a_list_is_printed_that_convert_takes(spoilt: Path) -> None:
    status, out, err = vsrrin_command(["damage", "tape.mp4"])
    assert (status, out) == (0, LIST)
    assert "vsrrin: 3 of 24 frames are damaged: 2 black, 1 green" in err
    (spoilt / "list.txt").write_text(out)
    common = ("tape.mp4", "--fps", "1x", "--model", "draft", "--codec", "ffv1")
    status, _, err = run(*common, "listed.mkv", "--repair", "list.txt")
    assert status == 0
    assert "vsrrin: 3 of 24 frames are damaged, and replaced" in err
    status, _, err = run(*common, "found.mkv", "--repair", "auto")
    assert status == 0
    assert "vsrrin: frames 8 to 9 are damaged: black" in err
    assert probe("found.mkv")["streams"] == [*probe("tape.mp4")["streams"][:1], "video ffv1"]
    before, listed, found = (pictures(name) for name in ("tape.mp4", "listed.mkv", "found.mkv"))
    assert listed == found
    assert [n for n, pair in enumerate(zip(before, found, strict=True)) if pair[0] != pair[1]] == [8, 9, 15]


def test_numbers_are_those_of_the_file_whatever_part_is_used(spoilt: Path) -> None:
    part = ("--start", "5f", "--end", "22f")
    assert vsrrin_command(["damage", "tape.mp4", *part, "--quiet"]) == (0, LIST, "")
    (spoilt / "list.txt").write_text(LIST + "23\n")
    done = run("tape.mp4", "out.mkv", "--repair", "list.txt", *part, "--model", "draft", "--codec", "ffv1")
    assert done[0] == 0
    assert "3 of 17 frames are damaged, and replaced" in done[2]
    made, whole = pictures("out.mkv")[::2], pictures("tape.mp4")[5:22]
    assert [n + 5 for n, pair in enumerate(zip(made, whole, strict=True)) if pair[0] != pair[1]] == [8, 9, 15]


def test_a_folder_of_images(spoilt: Path) -> None:
    assert run("tape.mp4", "images/", "--fps", "1x", "--model", "draft", "--quiet")[0] == 0
    status, out, _ = vsrrin_command(["damage", "images", "--quiet"])
    assert (status, [line.split()[0] for line in out.splitlines()]) == (0, ["8-9", "15"])
    status, _, err = run("images", "mended/", "--fps", "1x", "--model", "draft", "--repair", "auto")
    assert (status, "frame 15 is damaged: green" in err) == (0, True)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("24", "line 1 of repair 'list.txt' is 24, but the clip has the frames 0 to 23"),
        ("8\nnine", "line 2 of repair 'list.txt' must be a frame number, or a range such as 20-25"),
        ("0-23", "names all 24 frames"),
    ],
)
def test_bad_lists(spoilt: Path, capsys: pytest.CaptureFixture[str], text: str, wanted: str) -> None:
    (spoilt / "list.txt").write_text(text)
    assert wanted in mistake(capsys, "tape.mp4", "out.mkv", "--repair", "list.txt", "--model", "draft")
    assert "repair 'none.txt' cannot be read" in mistake(capsys, "tape.mp4", "out.mkv", "--repair", "none.txt")
