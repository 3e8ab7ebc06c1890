"""GIF, APNG and WebP on the command line."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.cli.conversions import mistake, run
from tests.image_files import ffmpeg
from vsrrin.convert.animations.reading import load

DRY = """\
input      in.gif
           128x72, RGB 8 bit, 25 fps
           6 frames used, 0.240 s
output     out.gif
           50 fps, 12 frames, 0.240 s, played for ever
encoder    GIF
           128x72, 8 bits per sample, without alpha
note       a GIF has 256 colours, and times in hundredths of a second
"""


@pytest.fixture
def here(folder: Path) -> Path:
    ffmpeg("-i", "in.mp4", "-frames:v", "6", "in.gif")
    return folder


def test_a_loop(here: Path) -> None:
    command = ("in.gif", "out.gif", "--loop", "--model", "draft")
    assert run(*command, "--dry-run")[:2] == (0, DRY)
    assert not (here / "out.gif").exists()
    status, out, err = run(*command)
    assert (status, out) == (0, "")
    assert err.splitlines()[-1] == "vsrrin: verified: out.gif has 12 frames, 0.240 s, 0 cuts"
    made = load(here / "out.gif")
    assert ([part.duration for part in made.parts], made.plays) == ([Fraction(1, 50)] * 12, 0)


def test_what_is_lost_of_a_video(here: Path) -> None:
    lines = run("in.mp4", "out.webp", "--model", "draft", "--dry-run", "--crf", "30")[1].splitlines()
    assert "encoder    WebP, quality 70" in lines
    assert "lost       left out, as WebP holds none: audio" in lines


def test_several_keep_their_kinds(here: Path) -> None:
    assert run("in.gif", "in.mp4", "--out-dir", "new", "--model", "draft", "--quiet")[0] == 0
    assert sorted(path.name for path in (here / "new").iterdir()) == ["in.gif", "in.mp4"]


def test_too_many_frames_for_a_gif(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = "of less than 0.02 s in a GIF for 0.1 s: --fps 50 makes as many as a GIF can show; or write .webp or .apng"
    assert wanted in mistake(capsys, "in.gif", "out.gif", "--fps", "4x", "--model", "draft")
