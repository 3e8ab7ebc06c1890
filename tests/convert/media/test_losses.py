"""What is lost is said, whatever it is: inputs with odd things, and what is said of them before the first frame."""

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest

from tests.convert.media.files import bunny, ffmpeg, ffprobe, streams
from tests.image_files import with_profile
from vsrrin import convert_file
from vsrrin.cli.arguments import in_flags
from vsrrin.convert import video as video_module
from vsrrin.convert.media.containers import CONTAINERS
from vsrrin.convert.media.losses import losses
from vsrrin.convert.media.matroska import VIDEO, added, element
from vsrrin.convert.media.probe import probe
from vsrrin.convert.media.streams import StreamPlan
from vsrrin.convert.video import VideoConversion, convert

Settings = partial(video_module.Settings, model="draft")
CHAPTER = "[CHAPTER]\nTIMEBASE=1/1000\nSTART={}\nEND={}\ntitle={}\n"
FACTS = ";FFMETADATA1\ntitle=Über 映画\nartist=Somebody\nfree_key=free\n"


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound before the video, in three languages, marks of all kinds, chapters, a font, two covers."""
    folder = tmp_path_factory.mktemp("rich")
    (folder / "font.ttf").write_bytes(bytes(500))
    (folder / "texts.srt").write_text("1\n00:00:00,050 --> 00:00:00,300\nHéllo\n")
    (folder / "facts.txt").write_text(FACTS + CHAPTER.format(0, 200, "Öffnung 第一章") + CHAPTER.format(200, 400, "☃"))
    for name in ("cover.png", "small_cover.jpg"):
        ffmpeg(folder, "-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", name)
    tone = ("-f", "lavfi", "-i", "sine=440:d=0.4:r=48000")
    options = """-map 1:a -map 0:v -map 2:a -map 3:a -map 4 -map 5 -map_metadata 6 -map_chapters 6 -c:a aac -c:s srt
        -metadata:s:a:0 language=jpn -metadata:s:a:0 title=日本語 -disposition:a:0 default+original
        -metadata:s:a:1 language=deu -disposition:a:1 dub
        -metadata:s:a:2 language=eng -metadata:s:a:2 title=Commentary -disposition:a:2 comment
        -metadata:s:s:0 language=fra -disposition:s:0 forced -disposition:s:1 hearing_impaired
        -metadata:s:v title=View -attach font.ttf -metadata:s:t:0 mimetype=font/ttf -metadata:s:t:0 title=Font
        -attach cover.png -metadata:s:t:1 mimetype=image/png -metadata:s:t:1 title=Front
        -attach small_cover.jpg -metadata:s:t:2 mimetype=image/jpeg"""
    texts = ("-i", "texts.srt", "-i", "texts.srt", "-i", "facts.txt")
    return bunny(folder, "rich.mkv", *options.split(), inputs=(*tone, *tone, *tone, *texts), frames=10)


def carried(path: Path) -> list[tuple[object, ...]]:
    """Kind, codec, tags and marks of each stream, in order."""
    found = []
    for stream in streams(path):
        tags = {key.lower(): value for key, value in stream["tags"].items()}
        marks = {name for name, is_set in stream["disposition"].items() if is_set}
        found.append((stream["codec_type"], tags.get("language"), tags.get("title"), tags.get("filename"), marks))
    return found


def test_matroska_keeps_everything_in_its_order(rich: Path, tmp_path: Path) -> None:
    assert convert(Settings(rich, tmp_path / "out.mkv")).notes == ()
    assert carried(tmp_path / "out.mkv") == carried(rich)
    before, after = (ffprobe(path, "-show_chapters", "-show_format") for path in (rich, tmp_path / "out.mkv"))
    assert [chapter["tags"] for chapter in after["chapters"]] == [{"title": "Öffnung 第一章"}, {"title": "☃"}]
    kept = before["format"]["tags"].items() - after["format"]["tags"].items()
    assert {key for key, _ in kept} <= {"ENCODER"}


def test_what_mp4_does_not_hold_is_said_at_the_end(rich: Path, tmp_path: Path) -> None:
    conversion = VideoConversion(Settings(rich, tmp_path / "out.mp4"))
    assert conversion.losses == [
        'attachment stream 6 (font/ttf, "Font") is left out: MP4 holds no attached files',
        'the tag FREE_KEY "free" of the file is left out: MP4 holds either free tags or cover pictures',
        'the mark original of audio stream 0 (AAC, jpn, "日本語") is left out: MP4 has no place for it',
        'the tag title "Front" of cover picture stream 7 (png, "Front") is left out: MP4 has no place for it',
    ]
    assert conversion.notes[-4:] == tuple(conversion.losses)
    said: list[str] = []
    video_module.run(conversion, say=said.append)
    assert said == list(conversion.notes)  # and nothing else is lost by the end
    kinds = [(stream["codec_type"], stream["codec_name"]) for stream in streams(tmp_path / "out.mp4")]
    assert kinds[:4] == [("audio", "aac"), ("video", "h264"), ("audio", "aac"), ("audio", "aac")]
    assert {("video", "png"), ("video", "mjpeg")} <= set(kinds)


@pytest.mark.parametrize(("ending", "marks"), [("mov", 5), ("webm", 4)])
def test_marks_that_a_container_does_not_hold_are_said(rich: Path, tmp_path: Path, ending: str, marks: int) -> None:
    found = VideoConversion(Settings(rich, tmp_path / f"out.{ending}")).losses
    assert sum("the mark" in loss for loss in found) == marks
    assert sum("cover picture" in loss for loss in found) == 2


@pytest.mark.parametrize("source", ["in.mp4", "in.mkv", "in.mov", "in.ts", "in.avi", "in.flv"])
@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov"])
def test_nothing_is_said_where_nothing_is_lost(tmp_path: Path, source: str, ending: str) -> None:
    tone = ("-f", "lavfi", "-i", "sine=d=0.2:r=44100")
    labels = ("-metadata", "title=A film", "-metadata", "comment=None", "-metadata:s:v", "title=View")
    path = bunny(tmp_path, source, "-map", "0:v", "-map", "1", "-c:a", "aac", *labels, inputs=tone, frames=5)
    assert VideoConversion(Settings(path, tmp_path / f"out.{ending}")).notes == ()


def test_names_of_tracks_come_back_from_mp4(tmp_path: Path) -> None:
    path = bunny(tmp_path, "in.mkv", "-metadata:s:v", "title=View", frames=2)
    ffmpeg(tmp_path, "-i", path.name, "-c", "copy", "in.mov")  # which names it in its own way
    assert convert(Settings(tmp_path / "in.mov", tmp_path / "out.mkv")).notes == ()
    assert streams(tmp_path / "out.mkv")[0]["tags"]["title"] == "View"


def test_the_chapters_of_mp4_are_no_stream_that_is_lost(rich: Path, tmp_path: Path) -> None:
    ffmpeg(tmp_path, "-i", str(rich), "-map", "0:v:0", "-map", "0:a", "-c", "copy", "in.mp4")
    assert any(stream["codec_type"] == "data" for stream in streams(tmp_path / "in.mp4"))
    assert VideoConversion(Settings(tmp_path / "in.mp4", tmp_path / "out.mkv")).notes == ()


def captioned(folder: Path) -> Path:
    """A video with closed captions in each frame (CEA-608, "resume caption loading")."""
    bunny(folder, "plain.h264", "-x264-params", "slices=1", frames=4)
    payload = b"\xb5\x00\x31GA94\x03\x41\xff\xfc\x94\x20\xff"
    caption = b"\x00\x00\x00\x01\x06\x04" + bytes([len(payload)]) + payload + b"\x80"
    units = re.split(rb"(?=\x00\x00\x01)", (folder / "plain.h264").read_bytes())
    data = b"".join((caption if len(unit) > 3 and unit[3] & 31 in (1, 5) else b"") + unit for unit in units)
    (folder / "captions.h264").write_bytes(data)
    ffmpeg(folder, "-r", "25", "-i", "captions.h264", "-c", "copy", "in.mp4")
    return folder / "in.mp4"


def dolby_vision(folder: Path) -> Path:
    """A Matroska file that says of its video that it is Dolby Vision, profile 8.1."""
    data = bunny(folder, "plain.mkv", frames=2).read_bytes()
    settings = element(0x41E7, b"dvvC") + element(0x41ED, bytes([1, 0, 16, 53, 16]) + bytes(19))
    (folder / "in.mkv").write_bytes(added(data, VIDEO[:-1], element(0x41E4, settings)))
    return folder / "in.mkv"


def profiled(folder: Path) -> Path:
    """A video of PNGs with a colour profile."""
    with_profile(folder / "picture.png")
    ffmpeg(folder, "-i", "picture.png", "-c", "copy", "in.mov")
    return folder / "in.mov"


def broadcast(folder: Path) -> Path:
    """MPEG-2 with a timecode in its groups of pictures."""
    bunny(folder, "in.mpg", "-c:v", "mpeg2video", "-timecode", "10:00:00:00", frames=4)
    return folder / "in.mpg"


@pytest.mark.parametrize(
    ("made", "lost"),
    [
        (captioned, "the closed captions inside the video are left out: .*subcc"),
        (dolby_vision, "Dolby Vision is left out: it describes each source frame alone"),
        (profiled, r"the colour profile \(ICC\) is left out"),
        (broadcast, "the timecode inside the video is left out: it counts source frames"),
    ],
)
def test_what_lies_inside_the_video(tmp_path: Path, made: Callable[[Path], Path], lost: str) -> None:
    source = made(tmp_path)
    for ending in ("mkv", "mp4"):
        found = VideoConversion(Settings(source, tmp_path / f"out.{ending}")).losses
        assert len(found) == 1 and re.match(lost, found[0])
        assert in_flags(found[0]) == found[0]  # it names no argument


def test_things_that_nobody_has_thought_of_are_said(tmp_path: Path) -> None:
    """Whatever a later FFmpeg reads, tags, chapters and colours among it."""
    made = probe(bunny(tmp_path, "plain.mkv", frames=2))
    other = replace(
        made.video, side_data={"smell": b"roses"}, language="tlh", disposition=made.video.disposition | 1 << 7
    )
    source = replace(made, video=other, colours={"matrix": 9, "range": 2}, sample_aspect=Fraction(2))
    found = losses(source, made, StreamPlan((), ()), (), CONTAINERS[".mkv"])
    assert found == (
        "the pixel aspect 2 becomes 1",
        "what is said of the matrix of the colours, bt2020, is left out",
        "what is said of the range of the colours, jpeg, is left out",
        "smell of video stream 0 (h264, tlh) is left out: Matroska has no place for it",
        "the language tlh of the video is left out: Matroska has no place for it",
        "the mark hearing impaired of the video is left out: Matroska has no place for it",
    )


def test_a_folder_of_images_and_a_video_say_what_they_do_not_hold_of_each_other(rich: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(2):
        with_profile(tmp_path / "in" / f"{number}.png")
    done = convert_file(tmp_path / "in", tmp_path / "out.mkv", model="draft")
    assert "the colour profile of the images is left out: encoders of videos take none" in done.notes
    done = convert_file(rich, f"{tmp_path}/out/", model="draft", end=2)
    assert (
        "left out, as a folder of images holds none: attachment, audio, chapters, cover picture, subtitle" in done.notes
    )
