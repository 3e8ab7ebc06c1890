"""Every way in which a finished file may differ from what it should be is found."""

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.convert.media.files import RATE, bunny, ffmpeg, remux, steady
from vsrrin.convert.media.encode import VideoTimes
from vsrrin.convert.media.streams import StreamPlan
from vsrrin.convert.media.verify import verify
from vsrrin.errors import ConvertError

type Made = tuple[Path, VideoTimes, StreamPlan]

FRAMES = 50


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    (folder / "texts.srt").write_text("1\n00:00:00,100 --> 00:00:00,500\nHello\n")
    (folder / "font.ttf").write_bytes(b"font")
    ffmpeg(folder, "-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", "cover.png")
    inputs = ("-f", "lavfi", "-i", "sine=440:d=2:r=48000", "-i", "texts.srt")
    attached = ("-attach", "font.ttf", "-metadata:s:t:0", "mimetype=font/ttf")
    cover = ("-attach", "cover.png", "-metadata:s:t:1", "mimetype=image/png")
    maps = ("-map", "0:v", "-map", "1:a", "-map", "2", "-c:a", "flac", "-c:s", "srt")
    return bunny(folder, "all.mkv", *maps, *attached, *cover, inputs=inputs, frames=FRAMES)


@pytest.fixture(scope="module", params=["mkv", "mp4", "mov", "webm"])
def made(request: pytest.FixtureRequest, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A good file and what it should be."""
    target = tmp_path_factory.mktemp("made") / f"out.{request.param}"
    plan, times = remux(source, target, times=steady(FRAMES))
    return target, times, plan


def test_a_good_file_passes(made: Made) -> None:
    verify(*made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": FRAMES + 1}, "50 frames .* instead of 51"),
        ({"start": Fraction(1, 100)}, "the first frame is shown at"),
        ({"step": None, "pts": (*range(FRAMES - 1), FRAMES)}, "the last frame is shown at"),
        (
            {"time_base": Fraction(1, 10 * RATE), "step": None, "pts": range(0, 10 * FRAMES, 10)},
            "the video lasts",
        ),
    ],
    ids=["frames", "first", "last", "duration"],
)
def test_each_difference_is_named(made: Made, change: dict[str, Any], message: str) -> None:
    target, times, plan = made
    with pytest.raises(ConvertError, match=message):
        verify(target, dataclasses.replace(times, **change), plan)


@pytest.mark.parametrize("kind", ["audio", "subtitle"])
def test_a_stream_that_is_missing(made: Made, tmp_path: Path, kind: str) -> None:
    target, times, plan = made
    poor = tmp_path / target.name
    ffmpeg(
        tmp_path,
        "-i",
        str(target),
        "-map",
        "0",
        "-map",
        f"-0:{kind[0]}",
        "-map",
        "-0:d?",
        "-c",
        "copy",
        "-strict",
        "-2",
        poor.name,
    )
    with pytest.raises(ConvertError, match=f"{kind} stream .* is missing"):
        verify(poor, times, plan)


def test_files_that_are_missing(source: Path, tmp_path: Path) -> None:
    plan, times = remux(source, tmp_path / "out.mkv", times=steady(FRAMES))
    ffmpeg(tmp_path, "-i", "out.mkv", "-map", "0:v:0", "-map", "0:a", "-map", "0:s", "-c", "copy", "poor.mkv")
    with pytest.raises(ConvertError, match=r"attachment stream .*font\.ttf.* is missing; cover picture .* is missing"):
        verify(tmp_path / "poor.mkv", times, plan)


def test_a_file_cut_off(made: Made, tmp_path: Path) -> None:
    target, times, plan = made
    short = tmp_path / target.name
    data = target.read_bytes()
    short.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(ConvertError):
        verify(short, times, plan)


def test_empty_sound_and_no_video(source: Path, tmp_path: Path) -> None:
    plan, times = remux(source, tmp_path / "out.mkv", times=steady(FRAMES))
    silent = ("-map", "0", "-c", "copy", "-bsf:a", "noise=drop=1")
    ffmpeg(tmp_path, "-i", "out.mkv", *silent, "silent.mkv")
    with pytest.raises(ConvertError, match=r"audio stream .* is empty"):
        verify(tmp_path / "silent.mkv", times, plan)
    ffmpeg(tmp_path, "-i", "out.mkv", "-map", "0:a", "-c", "copy", "sound.mkv")
    with pytest.raises(ConvertError, match="has no video"):
        verify(tmp_path / "sound.mkv", times, StreamPlan((), ()))
    (tmp_path / "text.mkv").write_text("no video")
    with pytest.raises(ConvertError, match="cannot be read again"):
        verify(tmp_path / "text.mkv", times, plan)


def test_a_codec_may_read_back_under_another_name(tmp_path: Path) -> None:
    """MP4 has one object type for all layers of MPEG audio."""
    source = bunny(tmp_path, "mp2.mkv", "-c:a", "mp2", inputs=("-f", "lavfi", "-i", "sine=d=0.4"), frames=10)
    plan, times = remux(source, tmp_path / "out.mp4", times=steady(10))
    assert [(action.action, action.codec) for action in plan.kept] == [("copy", "mp2")]
    verify(tmp_path / "out.mp4", times, plan)
