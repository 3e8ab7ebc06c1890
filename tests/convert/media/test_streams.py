"""What becomes of each stream in each container, and what the user is told."""

from fractions import Fraction
from pathlib import Path
from typing import cast

import pytest

from tests.convert.media.files import bunny
from vsrrin.clip.retiming import Pace
from vsrrin.convert.media.containers import container_for
from vsrrin.convert.media.probe import Kind, MediaInfo, StreamInfo, probe
from vsrrin.convert.media.streams import AudioMode, Cut, StreamPlan, describe, plan_streams
from vsrrin.errors import ArgumentError, ConvertError

ONE = Fraction(1)
VIDEO = StreamInfo(
    index=0,
    kind="video",
    codec="h264",
    time_base=Fraction(1, 1000),
    start=Fraction(0),
    duration=Fraction(10),
    language=None,
    metadata={},
    disposition=1,
    is_picture=False,
)


def stream(kind: Kind, codec: str, *, rate: int = 48000, layout: str = "stereo", **metadata: str) -> StreamInfo:
    """A stream of ten seconds."""
    sound = kind == "audio"
    return StreamInfo(
        index=1,
        kind=kind,
        codec=codec,
        time_base=Fraction(1, 1000),
        start=Fraction(0),
        duration=Fraction(10),
        language=metadata.get("language"),
        metadata=metadata,
        disposition=0,
        is_picture=False,
        rate=rate if sound else 0,
        layout=layout if sound else "",
    )


def film(*others: StreamInfo) -> MediaInfo:
    """A file with these streams beside the video."""
    zero = Fraction(0)
    return MediaInfo(
        path=Path("film.mkv"),
        format="matroska,webm",
        start=zero,
        duration=Fraction(10),
        video=VIDEO,
        video_track=0,
        others=others,
        chapters=(),
        metadata={},
        rotation=0,
        sample_aspect=ONE,
        video_start=zero,
    )


def plan(target: str, *others: StreamInfo, audio: AudioMode = "keep", tempo: Fraction = ONE) -> StreamPlan:
    return plan_streams(film(*others), Path(target), audio=audio, pace=Pace(1 / tempo))


@pytest.mark.parametrize(
    ("codec", "mkv", "mp4", "mov", "webm"),
    [
        ("aac", "copy", "copy", "copy", "libopus"),
        ("opus", "copy", "copy", "aac", "copy"),
        ("vorbis", "copy", "aac", "aac", "copy"),
        ("mp3", "copy", "copy", "copy", "libopus"),
        ("ac3", "copy", "copy", "copy", "libopus"),
        ("dts", "copy", "copy", "aac", "libopus"),
        ("flac", "copy", "copy", "alac", "libopus"),
        ("pcm_s16le", "copy", "flac", "copy", "libopus"),
        ("pcm_s24le", "copy", "flac", "copy", "libopus"),
        ("truehd", "copy", "flac", "alac", "libopus"),
        ("pcm_mulaw", "flac", "flac", "copy", "libopus"),
        ("wmav2", "libopus", "aac", "aac", "libopus"),
    ],
)
def test_sound(codec: str, mkv: str, mp4: str, mov: str, webm: str) -> None:
    for ending, wanted in (("mkv", mkv), ("mp4", mp4), ("m4v", mp4), ("mov", mov), ("webm", webm)):
        (action,) = plan(f"out.{ending}", stream("audio", codec)).actions
        assert (action.action, action.codec) == (("copy", codec) if wanted == "copy" else ("transcode", wanted)), ending


def test_what_is_transcoded_is_said() -> None:
    made = plan("out.webm", stream("audio", "aac", language="deu", title="Ton"))
    assert made.notes == ('audio stream 1 (AAC, deu, "Ton") becomes Opus: WebM cannot hold it',)
    assert plan("out.mkv", stream("audio", "aac")).notes == ()


def test_flac_in_mp4_is_copied_with_a_word_of_warning() -> None:
    assert "is copied, which some players" in plan("out.mp4", stream("audio", "flac")).notes[0]
    assert plan("out.mkv", stream("audio", "flac")).notes == ()


@pytest.mark.parametrize("layout", ["mono", "stereo", "2.1", "quad", "5.0(side)", "5.1(side)", "5.1", "6.1", "7.1"])
@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov", "webm"])
def test_every_layout_has_an_encoder(layout: str, ending: str) -> None:
    (action,) = plan(f"out.{ending}", stream("audio", "wmav2", layout=layout, rate=44100)).actions
    assert action.action == "transcode"


def test_sound_that_no_encoder_takes_is_an_error_before_the_work() -> None:
    with pytest.raises(ConvertError, match=r"film\.mkv: audio stream 1 .* cannot be turned into AAC"):
        plan("out.mp4", stream("audio", "wmav2", rate=11111))


@pytest.mark.parametrize(
    ("codec", "mkv", "mp4", "webm"),
    [
        ("subrip", "copy", "mov_text", "webvtt"),
        ("ass", "copy", "mov_text", "webvtt"),
        ("webvtt", "copy", "mov_text", "copy"),
        ("mov_text", "subrip", "copy", "webvtt"),
    ],
)
def test_text_subtitles(codec: str, mkv: str, mp4: str, webm: str) -> None:
    for ending, wanted in (("mkv", mkv), ("mp4", mp4), ("mov", mp4), ("webm", webm)):
        (action,) = plan(f"out.{ending}", stream("subtitle", codec)).actions
        assert (action.action, action.codec) == (("copy", codec) if wanted == "copy" else ("transcode", wanted)), ending


def test_lost_styles_are_said() -> None:
    assert "styles may be lost" in plan("out.mp4", stream("subtitle", "ass")).notes[0]
    assert "styles" not in plan("out.mp4", stream("subtitle", "subrip")).notes[0]


@pytest.mark.parametrize("codec", ["dvd_subtitle", "hdmv_pgs_subtitle", "dvb_subtitle"])
@pytest.mark.parametrize("ending", ["mp4", "mov", "webm"])
def test_pictures_of_subtitles_are_refused(codec: str, ending: str) -> None:
    with pytest.raises(ConvertError, match=r"film\.mkv: the subtitles .* \(subtitles=False"):
        plan(f"out.{ending}", stream("subtitle", codec))
    assert plan("out.mkv", stream("subtitle", codec)).actions[0].action == "copy"
    without = plan_streams(film(stream("subtitle", codec)), Path("o.mp4"), audio="keep", pace=Pace(1), subtitles=False)
    assert without.actions[0].action == "drop"


def test_real_bitmap_subtitles(tmp_path: Path) -> None:
    (tmp_path / "texts.srt").write_text("1\n00:00:00,100 --> 00:00:00,500\nHello\n")
    (tmp_path / "empty.sub").write_bytes(b"")
    index = (
        "# VobSub index file, v7 (do not modify this line!)\nsize: 160x90\npalette: 000000, ffffff\nid: en, index: 0\n"
    )
    (tmp_path / "empty.idx").write_text(index + "timestamp: 00:00:00:100, filepos: 000000000\n")
    info = probe(bunny(tmp_path, "s.mkv", "-map", "0:v", "-map", "1", "-c:s", "copy", inputs=("-i", "empty.idx")))
    assert [s.codec for s in info.others] == ["dvd_subtitle"]
    with pytest.raises(ConvertError, match=r"VobSub.* are pictures, which MP4 cannot hold"):
        plan_streams(info, Path("out.mp4"), audio="keep", pace=Pace(1))


def test_what_does_not_fit_is_dropped_and_said() -> None:
    font = stream("attachment", "ttf", filename="font.ttf")
    data = stream("data", "tmcd")
    second = stream("video", "h264")
    made = plan("out.mp4", font, data, second)
    assert [action.action for action in made.actions] == ["drop", "drop", "drop"]
    assert len(made.notes) == 3
    assert '"font.ttf"' in made.notes[0]
    assert made.kept == ()
    assert plan("out.mkv", font).actions[0].action == "copy"


def test_covers() -> None:
    cover = StreamInfo(
        index=1,
        kind="video",
        codec="mjpeg",
        time_base=ONE,
        start=None,
        duration=None,
        language=None,
        metadata={},
        disposition=1024,
        is_picture=True,
    )
    for ending, action in (("mkv", "copy"), ("mp4", "copy"), ("mov", "drop"), ("webm", "drop")):
        assert plan(f"out.{ending}", cover).actions[0].action == action
    assert describe(cover) == "cover picture stream 1 (mjpeg)"


def test_slow_motion_needs_a_choice_for_sound() -> None:
    with pytest.raises(ArgumentError, match=r"2.5 times as long.*drop it .*, or stretch it"):
        plan("out.mkv", stream("audio", "aac"), tempo=Fraction(5, 2))
    assert plan("out.mkv", tempo=Fraction(5, 2)).actions == ()
    assert plan("out.mkv", stream("audio", "aac"), audio="drop", tempo=Fraction(2)).actions[0].action == "drop"
    for ending, codec in (("mkv", "libopus"), ("mp4", "aac"), ("webm", "libopus"), ("mov", "aac")):
        (action,) = plan(f"o.{ending}", stream("audio", "aac"), audio="stretch", tempo=Fraction(2)).actions
        assert (action.action, action.codec) == ("transcode", codec)
    assert plan("out.mkv", stream("audio", "aac"), audio="stretch").actions[0].action == "copy"


def test_sound_outside_the_cut_is_dropped() -> None:
    sound = film(stream("audio", "aac"))
    for cut, action in (
        (Cut(Fraction(10)), "drop"),
        (Cut(Fraction(9)), "copy"),
        (Cut(Fraction(0), Fraction(5)), "copy"),
    ):
        assert plan_streams(sound, Path("o.mkv"), audio="keep", pace=Pace(1), cut=cut).actions[0].action == action


@pytest.mark.parametrize("name", ["out.avi", "out", "out.MKV.txt"])
def test_other_containers_are_refused(name: str) -> None:
    with pytest.raises(ConvertError, match=r"must be one of \.mkv, \.mp4, \.m4v, \.mov, \.webm"):
        container_for(Path(name))


def test_endings_in_capitals() -> None:
    assert container_for(Path("OUT.MKV")).format == "matroska"


def test_an_unknown_mode_of_sound() -> None:
    with pytest.raises(ArgumentError, match=r"audio must be keep, drop or stretch, not 'mute'"):
        plan("out.mkv", audio=cast(AudioMode, "mute"))
