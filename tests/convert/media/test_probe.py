"""What a file holds: kinds, exact times, rotation, and the mistakes of files that are none."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.conftest import BUNNY
from tests.convert.media.files import bunny, ffmpeg
from vsrrin.clip.retiming import Pace
from vsrrin.convert.media.probe import parse_clock, probe
from vsrrin.convert.media.streams import plan_streams
from vsrrin.errors import ConvertError


def test_the_bundled_clip() -> None:
    info = probe(BUNNY)
    assert (info.video.codec, info.video.kind, info.video_track) == ("h264", "video", 0)
    assert (info.start, info.video_start, info.duration) == (0, 0, 2)
    assert (info.rotation, info.sample_aspect, info.others, info.chapters) == (0, 1, (), ())


def test_streams_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "texts.srt").write_text("1\n00:00:00,100 --> 00:00:00,500\nHello\n")
    (tmp_path / "font.ttf").write_bytes(b"font")
    inputs = ("-f", "lavfi", "-i", "sine=440:d=1:r=44100", "-i", "texts.srt")
    attached = ("-attach", "font.ttf", "-metadata:s:t:0", "mimetype=font/ttf")
    labels = ("-metadata", "title=A film", "-metadata:s:a:0", "language=deu", "-metadata:s:a:0", "title=Ton")
    maps = ("-map", "1:a", "-map", "0:v", "-map", "2", "-c:a", "flac", "-c:s", "srt")
    info = probe(bunny(tmp_path, "all.mkv", *maps, *attached, *labels, inputs=inputs))
    assert info.video_track == info.video.index == 1
    assert [(s.index, s.kind, s.codec) for s in info.others] == [
        (0, "audio", "flac"),
        (2, "subtitle", "subrip"),
        (3, "attachment", "font/ttf"),
    ]
    audio = info.others[0]
    assert (audio.language, audio.metadata["title"], audio.rate, audio.layout) == ("deu", "Ton", 44100, "mono")
    assert (audio.start, audio.duration) == (0, 1)
    assert info.metadata["title"] == "A film"
    assert "matroska" in info.format


def test_times_count_from_the_beginning_of_the_file(tmp_path: Path) -> None:
    """A transport stream begins at 1.4 s by its own clock."""
    info = probe(bunny(tmp_path, "clip.ts"))
    assert info.start > 1
    assert info.video_start == info.video.start == 0


def test_programmes_of_a_transport_stream(tmp_path: Path) -> None:
    """The second one begins earlier, by a clock of its own."""
    late, tone = ("-itsoffset", "3", "-i", "one.mkv"), ("-f", "lavfi", "-i", "sine=d=0.4")
    bunny(tmp_path, "one.mkv", frames=5)
    maps = ("-map", "0", "-map", "1", "-map", "2", "-c:v", "copy", "-c:a", "aac")
    names = ("-program", "title=One:program_num=7:st=0", "-program", "title=Two:program_num=9:st=1:st=2")
    ffmpeg(tmp_path, *late, "-i", "one.mkv", *tone, *maps, *names, "two.ts")
    info = probe(tmp_path / "two.ts")
    assert (info.video.programme, [stream.programme for stream in info.others]) == (7, [9, 9])
    assert info.metadata["service_name"] == "One"
    assert info.start > 4 and info.video_start == 0
    plan = plan_streams(info, Path("out.mkv"), audio="keep", pace=Pace(1))
    assert plan.kept == ()
    assert all("is left out: it belongs to another programme, 9: ffmpeg" in note for note in plan.losses)


@pytest.mark.parametrize("offset", [Fraction(1, 2), Fraction(1)])
def test_a_video_that_starts_late(tmp_path: Path, offset: Fraction) -> None:
    bunny(tmp_path, "plain.mkv", "-map", "0:v", "-map", "1:a", "-c:a", "flac", inputs=("-f", "lavfi", "-i", "sine=d=1"))
    late = ("-itsoffset", str(float(offset)), "-i", "plain.mkv", "-i", "plain.mkv", "-map", "0:v", "-map", "1:a")
    ffmpeg(tmp_path, *late, "-c", "copy", "late.mkv")
    assert probe(tmp_path / "late.mkv").video_start == offset


@pytest.mark.parametrize(("flag", "turn"), [("90", 90), ("180", 180), ("270", 270)])
def test_rotation_is_what_the_decoder_says(tmp_path: Path, flag: str, turn: int) -> None:
    bunny(tmp_path, "plain.mp4", frames=3)
    ffmpeg(tmp_path, "-i", "plain.mp4", "-c", "copy", "-metadata:s:v:0", f"rotate={flag}", "turned.mp4")
    info = probe(tmp_path / "turned.mp4")
    assert info.rotation == turn
    assert info.display_matrix is not None


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    bunny(tmp_path, "plain.mkv", frames=3)
    ffmpeg(tmp_path, "-i", "plain.mkv", "-vf", "setsar=16/15", "-c:v", "libx264", "-preset", "ultrafast", "wide.mkv")
    assert probe(tmp_path / "wide.mkv").sample_aspect == Fraction(16, 15)


def test_a_cover_is_not_the_video(tmp_path: Path) -> None:
    ffmpeg(tmp_path, "-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", "cover.png")
    bunny(tmp_path, "plain.mp4", frames=3)
    maps = ("-map", "1", "-map", "0", "-c", "copy", "-disposition:v:0", "attached_pic")
    ffmpeg(tmp_path, "-i", "plain.mp4", "-i", "cover.png", *maps, "covered.mp4")
    info = probe(tmp_path / "covered.mp4")
    assert info.video.codec == "h264"
    assert [(stream.codec, stream.is_picture) for stream in info.others] == [("png", True)]


def test_chapters_and_hdr_facts(tmp_path: Path) -> None:
    (tmp_path / "facts.txt").write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/3\nSTART=1\nEND=3\ntitle=One\n")
    info = probe(bunny(tmp_path, "c.mkv", "-map", "0:v", "-map_chapters", "1", inputs=("-i", "facts.txt")))
    assert len(info.chapters) == 1
    assert abs(info.chapters[0].start - Fraction(1, 3)) < Fraction(1, 10**6)
    assert (info.chapters[0].end, info.chapters[0].metadata["title"]) == (1, "One")


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match=r"absent\.mkv does not exist"):
        probe(tmp_path / "absent.mkv")
    with pytest.raises(ConvertError, match="is a folder"):
        probe(tmp_path)
    (tmp_path / "text.mkv").write_text("not a video at all")
    with pytest.raises(ConvertError, match=r"text\.mkv cannot be read as a video"):
        probe(tmp_path / "text.mkv")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(ConvertError, match="cannot be read as a video"):
        probe(tmp_path / "empty.mp4")
    ffmpeg(tmp_path, "-f", "lavfi", "-i", "sine=d=1", "tone.flac")
    with pytest.raises(ConvertError, match=r"has no video stream; it holds: audio \(flac\)"):
        probe(tmp_path / "tone.flac")


def test_a_video_that_cannot_be_decoded(tmp_path: Path) -> None:
    path = bunny(tmp_path, "plain.mp4", frames=3)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    end = data.index(b"moov")
    data[start : end - 4] = bytes(end - 4 - start)
    path.write_bytes(data)
    with pytest.raises(ConvertError, match="no picture can be decoded"):
        probe(path)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00:02.500000000", Fraction(5, 2)), ("01:02:03", Fraction(3723)), ("soon", None), ("1:2", None)],
)
def test_clock(text: str, seconds: Fraction | None) -> None:
    assert parse_clock(text) == seconds
