"""The last step of a conversion, tried before the first frame is made; and what is left where it fails all the same."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.convert.media.files import bunny, streams
from vsrrin import ConvertError
from vsrrin.convert import video as video_module
from vsrrin.convert.media import containers
from vsrrin.convert.video import VideoConversion, convert
from vsrrin.convert.work_folder import folder_of

Settings = partial(video_module.Settings, model="draft", preset="ultrafast")
SINE = ("-f", "lavfi", "-i", "sine=d=0.5:r=48000")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight frames with sound and subtitles."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "texts.srt").write_text("1\n00:00:00,100 --> 00:00:00,300\nHello\n")
    maps = ("-map", "0:v", "-map", "1", "-map", "2", "-c:a", "aac", "-c:s", "srt")
    return bunny(folder, "in.mkv", *maps, inputs=(*SINE, "-i", "texts.srt"), frames=8)


def codecs(path: Path) -> list[str]:
    return [stream["codec_name"] for stream in streams(path)]


def no_frame(*_: object) -> None:
    pytest.fail("a frame was made")


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_a_track_that_holds_nothing_is_left_out_and_said_before_the_work(tmp_path: Path, ending: str) -> None:
    maps = ("-map", "0:v", "-map", "1", "-map", "2", "-c:a", "aac", "-frames:a:1", "0")
    source = bunny(tmp_path, "in.mkv", *maps, inputs=(*SINE, *SINE), frames=8)
    conversion = VideoConversion(Settings(source, tmp_path / f"out.{ending}"))
    assert conversion.notes == (
        "audio stream 2 (AAC) is left out: it has nothing in the source, or in the chosen part",
    )
    said: list[str] = []
    convert(conversion.settings, say=said.append)
    assert said == list(conversion.notes)
    assert codecs(tmp_path / f"out.{ending}") == ["h264", "aac"]


def test_a_part_without_sound(tmp_path: Path) -> None:
    """The file does not say how long its streams are, as those that browsers write."""
    source = bunny(tmp_path, "in.mkv", "-c:a", "aac", "-live", "1", inputs=("-f", "lavfi", "-i", "sine=d=0.2"))
    result = convert(Settings(source, tmp_path / "out.mkv", start=15, end=20))
    assert ["left out" in note for note in result.notes] == [True]
    assert codecs(tmp_path / "out.mkv") == ["h264"]


def test_what_the_container_refuses_is_encoded_instead(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WebM takes neither AAC nor SubRip, whatever the table says."""
    wrong = replace(containers.CONTAINERS[".webm"], audio=frozenset({"aac"}), text=frozenset({"subrip"}))
    monkeypatch.setitem(containers.CONTAINERS, ".webm", wrong)  # type: ignore[misc]
    result = convert(Settings(source, tmp_path / "out.webm", preset=None))
    assert [note.partition(": WebM does not take it (")[0] for note in result.notes] == [
        "audio stream 1 (AAC) becomes Opus",
        "subtitle stream 2 (SubRip) becomes WebVTT",
    ]
    assert codecs(tmp_path / "out.webm") == ["vp9", "opus", "webvtt"]


def test_what_cannot_be_written_in_any_way_shows_before_the_first_frame(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = replace(containers.CONTAINERS[".webm"], text=frozenset({"subrip"}), text_default="mov_text")
    monkeypatch.setitem(containers.CONTAINERS, ".webm", wrong)  # type: ignore[misc]
    monkeypatch.setattr(video_module, "encode_segments", no_frame)
    expected = (
        r"in\.mkv: subtitle stream 2 \(SubRip\): WebM does not take it \(.*\(subtitles=False\), or write an \.mkv"
    )
    with pytest.raises(ConvertError, match=expected):
        convert(Settings(source, tmp_path / "out.webm", preset=None))
    assert list(tmp_path.iterdir()) == []


def test_a_failure_of_the_last_step_leaves_the_video_and_can_be_resumed_without_the_cause(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, real = tmp_path / "out.mkv", video_module.join

    def failing(segments: Any, joined: Path, info: Any, plan: Any, **others: Any) -> Any:
        if any(action.stream.kind == "audio" for action in plan.kept):
            raise ConvertError("the sound cannot be written")
        return real(segments, joined, info, plan, **others)

    monkeypatch.setattr(video_module, "join", failing)
    with pytest.raises(ConvertError, match=r"the sound cannot be written.*video without its other streams") as caught:
        convert(Settings(source, target))
    left = folder_of(target) / "video.mkv"
    assert str(left) in str(caught.value)
    assert codecs(left) == ["h264"]
    monkeypatch.setattr(video_module, "encode_segments", lambda *_: [])
    convert(Settings(source, target, audio="drop", resume=True))
    assert codecs(target) == ["h264", "subrip"]
    assert not folder_of(target).exists()


def changed(path: Path) -> None:
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))


@pytest.mark.parametrize(("happens", "said"), [(changed, "has changed"), (Path.unlink, "cannot be read any more")])
def test_a_source_that_changes_under_way(
    source: Path, tmp_path: Path, happens: Callable[[Path], None], said: str
) -> None:
    copy = tmp_path / "in.mkv"
    copy.write_bytes(source.read_bytes())
    conversion = VideoConversion(Settings(copy, tmp_path / "out.mkv"))
    happens(copy)
    with pytest.raises(ConvertError, match=said):
        video_module.run(conversion)
    assert codecs(folder_of(tmp_path / "out.mkv") / "video.mkv") == ["h264"]
