"""Subtitles: texts, times, kinds."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.convert.media.files import bunny, ffmpeg, remux, steady, streams
from vsrrin.convert.media.mux import Cut


@pytest.mark.parametrize(
    ("ending", "codec"), [("mkv", "subrip"), ("mp4", "mov_text"), ("mov", "mov_text"), ("webm", "webvtt")]
)
def test_subtitles_keep_text_and_times(rich: Path, tmp_path: Path, ending: str, codec: str) -> None:
    target = tmp_path / f"out.{ending}"
    remux(rich, target, times=steady(50))
    assert [s["codec_name"] for s in streams(target) if s["codec_type"] == "subtitle"] == [codec]
    ffmpeg(tmp_path, "-copyts", "-i", target.name, "-map", "0:s", "-c:s", "srt", "texts.srt")
    found = (tmp_path / "texts.srt").read_text()
    assert "00:00:00,200 --> 00:00:00,700\nOne <i>moment</i>" in found
    assert "00:00:01,000 --> 00:00:01,500\nTwo" in found


@pytest.mark.parametrize("ending", ["mkv", "mp4", "webm"])
def test_styled_subtitles(rich: Path, tmp_path: Path, ending: str) -> None:
    ffmpeg(tmp_path, "-i", str(rich), "-map", "0:v:0", "-map", "0:s", "-c:v", "copy", "-c:s", "ass", "styled.mkv")
    plan, _ = remux(tmp_path / "styled.mkv", tmp_path / f"out.{ending}", times=steady(50))
    assert bool(plan.notes) == (ending != "mkv")
    ffmpeg(tmp_path, "-copyts", "-i", f"out.{ending}", "-map", "0:s", "-c:s", "srt", "texts.srt")
    assert "00:00:01,000 --> 00:00:01,500\nTwo" in (tmp_path / "texts.srt").read_text()


@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov", "webm"])
def test_captions_of_television_become_text_where_they_cannot_stay(tmp_path: Path, ending: str) -> None:
    """Their texts are known once the next one replaces them; the last one only at the end."""
    lines = ("00:05 9420 9420 9470 9470 c8e9 942f 942f", "00:15 942c 942c", "01:00 9420 9420 9470 9470 c8ef 942f 942f")
    lines = (*lines, "01:15 942c 942c")  # FFmpeg drops the last line of a file
    scenarist = "".join(f"\n\n00:00:{line[:5]}\t{line[6:]}" for line in lines)
    (tmp_path / "texts.scc").write_text(f"Scenarist_SCC V1.0{scenarist}\n")
    maps = ("-map", "0:v", "-map", "1", "-c:s", "copy")
    remux(bunny(tmp_path, "in.mov", *maps, inputs=("-i", "texts.scc"), frames=50), tmp_path / f"out.{ending}")
    ffmpeg(tmp_path, "-copyts", "-i", f"out.{ending}", "-map", "0:s", "-c:s", "srt", "texts.srt")
    found = (tmp_path / "texts.srt").read_text()
    for time, text in (("00:00:00,165 --> 00:00:00,495", "Hi"), ("00:00:01,000 --> ", "Ho")):
        assert text in found.partition(time)[2].split("\n\n")[0], found


def test_subtitles_follow_a_cut_and_a_change_of_speed(rich: Path, tmp_path: Path) -> None:
    cut = Cut(Fraction(1, 2), Fraction(6, 5))
    remux(rich, tmp_path / "out.mkv", audio="drop", tempo=Fraction(2), cut=cut, times=steady(35))
    ffmpeg(tmp_path, "-i", "out.mkv", "-map", "0:s", "-c:s", "srt", "texts.srt")
    found = (tmp_path / "texts.srt").read_text()
    assert "00:00:00,000 --> 00:00:00,400\nOne" in found
    assert "00:00:01,000 --> 00:00:01,400\nTwo" in found
