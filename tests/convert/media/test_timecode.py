"""Timecodes: of frames between frames, of parts, and in files."""

from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.convert.media.files import bunny, ffprobe
from vsrrin.convert import video as video_module
from vsrrin.convert.media.timecode import renumbered
from vsrrin.convert.video import VideoConversion, convert

Settings = partial(video_module.Settings, model="draft", preset="ultrafast")
NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("timecode", "source", "rate", "later", "expected"),
    [
        ("01:02:03:04", 25, 50, 0, "01:02:03:08"),
        ("01:02:03:04", 25, 25, 2, "01:02:05:04"),
        ("23:59:59:24", 25, 100, Fraction(1, 25), "00:00:00:00"),
        ("00:00:00:05", Fraction(24000, 1001), Fraction(48000, 1001), 0, "00:00:00:10"),
        ("00:00:59;29", NTSC, NTSC, 1 / NTSC, "00:01:00;02"),  # two numbers are left out each minute
        ("00:09:59;29", NTSC, NTSC, 1 / NTSC, "00:10:00;00"),  # but every tenth
        ("00:01:00;02", NTSC, 2 * NTSC, 0, "00:01:00;04"),
        ("00:00:59;29", NTSC, 2 * NTSC, 1 / (2 * NTSC), "00:00:59;59"),
        ("10:00:00:00", 25, 60, 0, None),
        ("10:00:00:00", None, 50, 0, None),
        ("00:00:00;00", 25, 50, 0, None),
        ("Take 3", 25, 50, 0, None),
    ],
)
def test_the_first_frame_of_an_output(
    timecode: str, source: Fraction | None, rate: Fraction, later: Fraction, expected: str | None
) -> None:
    assert renumbered(timecode, source and Fraction(source), Fraction(rate), Fraction(later)) == expected


def written(path: Path) -> set[str]:
    """The timecodes in a file, of whatever it has."""
    found = ffprobe(path, "-show_format", "-show_streams")
    tags = [entry.get("tags", {}) for entry in (found["format"], *found["streams"])]
    return {value for tag in tags for key, value in tag.items() if key.lower() == "timecode"}


@pytest.mark.parametrize("source", ["in.mov", "in.mkv"])
@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov", "webm"])
def test_timecodes_are_kept(tmp_path: Path, source: str, ending: str) -> None:
    path = bunny(tmp_path, source, "-timecode", "01:02:03:04", "-metadata", "timecode=01:02:03:04", frames=3)
    settings = Settings(path, tmp_path / f"out.{ending}", **({"preset": None} if ending == "webm" else {}))
    assert convert(settings).notes == ()
    assert written(settings.target) == {"01:02:03:08"}
    tracks = [entry.get("codec_tag_string") for entry in ffprobe(settings.target, "-show_streams")["streams"]]
    assert ("tmcd" in tracks) == (ending in ("mp4", "mov"))


def test_a_part_begins_with_its_own_timecode(tmp_path: Path) -> None:
    path = bunny(tmp_path, "in.mov", "-timecode", "01:02:03:04", frames=6)
    convert(Settings(path, tmp_path / "out.mov", start=4))
    assert written(tmp_path / "out.mov") == {"01:02:03:16"}


@pytest.mark.parametrize("speed", [{"fps": Fraction(60)}, {"factor": Fraction(2), "rate_out": Fraction(25)}], ids=str)
def test_frames_that_have_none_are_said(tmp_path: Path, speed: dict[str, Any]) -> None:
    path = bunny(tmp_path, "in.mov", "-timecode", "01:02:03:04", frames=3)
    conversion = VideoConversion(Settings(path, tmp_path / "out.mov", **speed))
    assert conversion.losses == ["the timecode 01:02:03:04 is left out: the new frames cannot be numbered by it"]
