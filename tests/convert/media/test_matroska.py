"""Matroska files that have been cut off."""

import subprocess
from pathlib import Path

import pytest

from tests.convert.media.files import ffmpeg
from vsrrin import ConvertError
from vsrrin.convert.media.matroska import missing_bytes
from vsrrin.convert.video import Settings, convert

CLIP = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-frames:v", "8")


@pytest.fixture(params=[("mkv", "libx264"), ("webm", "libvpx")], ids=["mkv", "webm"])
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A third of a second: less than the length that a file states may be wrong by."""
    suffix, codec = request.param
    ffmpeg(tmp_path, *CLIP, "-c:v", codec, f"whole.{suffix}")
    return tmp_path / f"whole.{suffix}"


@pytest.mark.parametrize("lost", [1, 100, 3000])
def test_a_file_that_is_cut_off_is_refused(whole: Path, tmp_path: Path, lost: int) -> None:
    cut = tmp_path / f"cut{whole.suffix}"
    cut.write_bytes(whole.read_bytes()[:-lost])
    assert missing_bytes(cut) == lost
    target = tmp_path / "out.mkv"
    with pytest.raises(ConvertError, match=f"incomplete: its last {lost} bytes are missing. Get the file again"):
        convert(Settings(cut, target, model="draft"))
    assert not target.exists()


def test_a_whole_file_is_converted(whole: Path, tmp_path: Path) -> None:
    assert missing_bytes(whole) == 0
    assert convert(Settings(whole, tmp_path / "out.mkv", model="draft")).frames == 16


def test_more_behind_the_end_is_no_harm(whole: Path) -> None:
    with whole.open("ab") as file:
        file.write(bytes(1000))
    assert missing_bytes(whole) == 0


def test_a_live_stream_says_nothing_and_is_converted(tmp_path: Path) -> None:
    command = ("ffmpeg", "-v", "error", *CLIP, "-c:v", "libx264", "-f", "matroska", "-")
    stream = subprocess.run(command, capture_output=True, check=True).stdout
    live = tmp_path / "live.mkv"
    live.write_bytes(stream)
    assert missing_bytes(live) == 0
    assert convert(Settings(live, tmp_path / "out.mkv", model="draft")).frames == 16


@pytest.mark.parametrize(
    "data", [b"", b"\x1a", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\x81", bytes(64), b"RIFF    AVI "]
)
def test_what_is_no_matroska_says_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    assert missing_bytes(tmp_path / "file") == 0
