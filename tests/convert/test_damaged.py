"""Damaged files that trials have found: each is converted, or refused with a reason."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.convert.media.files import bunny, ffmpeg
from vsrrin import ConvertError
from vsrrin.convert.convert_file import convert_file


def test_headers_that_no_decoder_opens(tmp_path: Path) -> None:
    film = bunny(tmp_path, "film.ogv", "-c:v", "libtheora", frames=4)
    data = bytearray(film.read_bytes())
    tables = data.index(b"\x82theora") + 7
    data[tables : tables + 64] = bytes(64)
    film.write_bytes(data)
    with pytest.raises(ConvertError, match=r"film\.ogv: no picture can be decoded from its video"):
        convert_file(film, tmp_path / "out.mkv", model="draft")
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize(("begins", "ends"), [(7, 10), (8, 11), (9, 11)])
def test_a_hole_before_the_last_frames(begins: int, ends: int, tmp_path: Path) -> None:
    """A packet's duration in MP4 is that until the next is decoded, which is not the next that is shown."""
    whole = bunny(tmp_path, "whole.mkv", frames=12)
    ffmpeg(tmp_path, "-i", whole.name, "-vf", f"select='lt(n,{begins})+gte(n,{ends})'", "-fps_mode", "vfr", "film.mkv")
    result = convert_file(tmp_path / "film.mkv", tmp_path / "out.mp4", model="draft")
    assert (result.frames, result.duration) == (2 * (12 + begins - ends), Fraction(12, 25))


def test_sound_whose_times_jump_by_days(tmp_path: Path) -> None:
    late = ("-itsoffset", "100000", "-f", "lavfi", "-i", "sine=d=0.2")
    film = bunny(tmp_path, "film.mkv", "-map", "0:v", "-map", "1:a", "-c:a", "aac", inputs=late, frames=4)
    message = r'stream 1 .*its times jump from \d+ to 100000 s, .*: leave it out \(audio="drop"\), or write an \.mkv'
    with pytest.raises(ConvertError, match=message):
        convert_file(film, tmp_path / "out.webm", model="draft")
    assert convert_file(film, tmp_path / "out.webm", model="draft", audio="drop").frames == 8


def test_sound_that_a_recording_names_and_does_not_have(tmp_path: Path) -> None:
    film = bunny(tmp_path, "film.ts", "-c:a", "mp2", inputs=("-f", "lavfi", "-i", "sine=d=0.2"), frames=4)
    data = film.read_bytes()
    packets = [data[start : start + 188] for start in range(0, len(data), 188)]
    film.write_bytes(b"".join(packet for packet in packets if int.from_bytes(packet[1:3]) & 0x1FFF != 0x101))
    result = convert_file(film, tmp_path / "out.mkv", model="draft")
    assert result.frames == 8
    assert any("audio stream 1" in note and "no sound of it was found" in note for note in result.notes)


def test_a_hole_that_is_read_over_is_said(tmp_path: Path) -> None:
    """FFmpeg goes on behind broken elements of Matroska, and says so nowhere else."""
    film = bunny(tmp_path, "film.mkv", "-c:v", "rawvideo", frames=12)
    data = film.read_bytes()
    middle = len(data) // 2
    film.write_bytes(data[:middle] + data[middle - 300 : middle] + data[middle:-300])
    notes = convert_file(film, tmp_path / "out.mkv", model="draft").notes
    assert any(note.startswith("the file is damaged, frames or sound may be missing: ") for note in notes), notes
    whole = bunny(tmp_path, "whole.mkv", frames=4)
    assert convert_file(whole, tmp_path / "whole_out.mkv", model="draft").notes == ()
