"""From video files to a dataset, by the command."""

import json
import shutil
from collections.abc import Iterable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import BUNNY
from tests.training.video_files import pan, write_video
from training import prepare
from training.data.shots import open_shots
from training.data.videos.dataset_builder import Preparation, Watch, rate_of
from training.data.videos.decoding import Frame, Video
from training.data.videos.manifest import Manifest, Settings
from training.data.videos.origins import Origin, find_videos, fingerprint, origin
from training.errors import DatasetError

SETTINGS = Settings(long_edge=None, least_frames=8)
SOMEWHERE = Origin("somewhere", "CC0")


def two_scenes(folder: Path, name: str = "two.mkv") -> Path:
    return write_video(folder / name, [*pan(12), *pan(14, seed=1)])


def files(dataset: Path) -> dict[str, bytes]:
    return {str(path.relative_to(dataset)): path.read_bytes() for path in dataset.rglob("*") if path.is_file()}


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of the command."""
    status = prepare.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_from_videos_to_shots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos, out = tmp_path / "videos", tmp_path / "made/dataset"
    (videos / "deep").mkdir(parents=True)
    two_scenes(videos, "b10.mkv")
    write_video(videos / "b9.mkv", pan(20, 3.0, seed=2), rate=30)
    write_video(videos / "deep/c.mkv", pan(4))
    write_video(videos / ".hidden.mkv", pan(20))
    (videos / "notes.txt").write_text("no video")
    status, said, progress = run(capsys, videos, "--out", out, "--licence", "CC0", "--source", "a test")
    assert status == 0
    assert "warning" not in progress
    lines = [line.split(maxsplit=1) for line in said.splitlines()]
    assert dict(line for line in lines if line[0] in ("videos", "shots", "frames")) == {
        "videos": "3",
        "shots": "3",
        "frames": "46 of 50",
    }
    assert "left out 0 repeated, 0 still, 0 uneven, 4 short" in said

    shots = open_shots(out).shots
    infos = Manifest.load(out).shots
    facts = [(each.video, each.source_frames, each.fps, each.licence, each.source, each.repeated) for each in infos]
    assert facts == [
        ("b9.mkv", (0, 20), Fraction(30), "CC0", "a test", 0),
        ("b10.mkv", (0, 12), Fraction(25), "CC0", "a test", 0),
        ("b10.mkv", (12, 26), Fraction(25), "CC0", "a test", 0),
    ]
    assert [shot.frames for shot in shots] == [20, 12, 14]
    assert [round(shot.motion) for shot in shots] == [3, 2, 2]
    assert all(np.array_equal(shots[2].frame(number), pan(14, seed=1)[number]) for number in range(14))


def test_a_real_file_with_its_repeated_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said, progress = run(capsys, BUNNY, "--out", tmp_path / "dataset", "--max-long-edge", "160")
    assert status == 0
    assert "warning: no licence is known of 1 videos (bunny_stretch.mp4...): give --licence" in progress
    assert "left out 1 repeated, 0 still, 0 uneven, 0 short" in said  # 24 frames a second shown as 25
    shots = Manifest.load(tmp_path / "dataset").shots
    assert [shot.source_frames for shot in shots] == [(0, 25), (26, 50)]
    assert {(shot.width, shot.height) for shot in shots} == {(160, 90)}
    assert {(shot.licence, shot.source) for shot in shots} == {("unknown", "bunny_stretch.mp4")}
    assert all(0.1 < shot.motion < shot.motion_p95 < 10 for shot in shots)


def test_licences_beside_the_videos_win(tmp_path: Path) -> None:
    clips = [{"file": "a.mp4", "source": "a studio", "licence": "CC-BY 4.0"}, {"file": "b.mp4", "license": "MIT"}]
    for number, content in enumerate(({"split": "train", "clips": clips}, clips, {"shots": clips})):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps(content))
        assert origin(folder / "a.mp4", source="me", licence="CC0") == Origin("a studio", "CC-BY 4.0")
        assert origin(folder / "b.mp4", source="me", licence="CC0") == Origin("me", "MIT")
        assert origin(folder / "c.mp4", licence="CC0") == Origin("c.mp4", "CC0")
        assert origin(folder / "c.mp4") == Origin("c.mp4", "unknown")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DatasetError, match=r"manifest\.json, which may name the videos' licences, cannot be read"):
        origin(tmp_path / "a.mp4")


def test_videos_that_are_new_are_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos, out = tmp_path / "videos", tmp_path / "dataset"
    videos.mkdir()
    first = two_scenes(videos)
    run(capsys, first, "--out", out)
    before = {path: path.stat().st_mtime_ns for path in (out / "shots").iterdir()}
    write_video(videos / "new.mkv", pan(9, seed=3))
    shutil.copy(first, videos / "zz_copy.mkv")
    status, said, progress = run(capsys, videos, "--out", out)
    assert status == 0
    assert "two.mkv: was finished before" in progress
    assert "zz_copy.mkv: was finished before" in progress  # the same content
    assert "new.mkv: shots 1, frames 9" in progress
    assert "videos   2\nshots    3\nframes   35 of 35" in said
    assert {path: path.stat().st_mtime_ns for path in before} == before


def stop_after(count: int, seen: list[int]) -> Watch:
    """Shows the frames of a video, and stops the run as Ctrl-C would."""

    def watch(frames: Iterable[Frame], video: Video) -> Iterable[Frame]:
        for frame in islice(frames, count):
            seen.append(frame.number)
            yield frame
        raise KeyboardInterrupt

    return watch


@pytest.mark.parametrize("count", [3, 30, 40, 60])
def test_what_was_interrupted_is_continued(tmp_path: Path, count: int) -> None:
    repeated = pan(24, seed=1)
    repeated.insert(12, repeated[11])  # a scene of two shots
    scenes = [pan(16), repeated, pan(5, seed=2), [each for each in pan(12, seed=3) for _ in range(2)]]
    path = write_video(tmp_path / "a.mkv", [picture for scene in scenes for picture in scene])
    with Preparation(tmp_path / "whole", SETTINGS) as whole:
        whole.add(path, SOMEWHERE)
    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt), Preparation(tmp_path / "two", SETTINGS, stop_after(count, seen)) as first:
        first.add(path, SOMEWHERE)
    assert not list((tmp_path / "two").rglob("*.part"))
    assert not first.manifest.videos[0].finished
    began = first.manifest.videos[0].next_frame
    assert began == {3: 0, 30: 16, 40: 16, 60: 46}[count]
    assert len(first.manifest.shots) == {3: 0, 30: 1, 40: 2, 60: 3}[count]

    seen.clear()
    with (
        pytest.raises(KeyboardInterrupt),
        Preparation(tmp_path / "two", SETTINGS, stop_after(10, seen)) as second,
    ):
        second.add(path, SOMEWHERE)
    assert seen[0] == max(began - 4, 0)  # what the detector wants to see of the scene before
    with Preparation(tmp_path / "two", SETTINGS) as third:
        assert third.add(path, SOMEWHERE).finished
    assert files(tmp_path / "two") == files(tmp_path / "whole")


def test_what_a_killed_run_leaves_is_no_shot(tmp_path: Path) -> None:
    path, out = two_scenes(tmp_path), tmp_path / "dataset"
    with Preparation(out, SETTINGS) as preparation:
        preparation.add(path, SOMEWHERE)
    whole = files(out)
    left = out / "shots/.a-01234567_000000.npy.part"
    left.write_bytes(b"half")
    (shot, *_) = (out / "shots").glob("*.npy")
    shot.write_bytes(shot.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"missing or not of the \d+ bytes"):
        open_shots(out)
    with Preparation(out, SETTINGS) as preparation:
        assert not left.exists()
        preparation.add(path, SOMEWHERE)
    assert files(out) == whole


def test_a_damaged_video_keeps_the_shots_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_video(tmp_path / "a.mkv", [*pan(40), *pan(40, seed=1)], codec="mpeg4", pix_fmt="yuv420p")
    data = bytearray(path.read_bytes())
    place = len(data) * 3 // 4
    data[place : place + 500] = bytes(500)
    path.write_bytes(data)
    (tmp_path / "b.mkv").write_bytes(b"nothing")
    status, said, progress = run(capsys, tmp_path, "--out", tmp_path / "dataset", "--licence", "CC0")
    assert status == 1
    assert "the rest cannot be used: " in progress
    assert "b.mkv: shots 0, frames 0; the rest cannot be used: " in progress
    assert "videos   2, 2 of them not read to their end" in said
    last = progress.splitlines()[-2:]
    assert [line.partition(": ")[0] for line in last] == ["not read, or not to its end"] * 2
    assert "a.mkv, frame " in last[0] and "b.mkv cannot be read as a video" in last[1]
    first = Manifest.load(tmp_path / "dataset").shots[0]
    assert (first.video, first.source_frames) == ("a.mkv", (0, 40))
    assert run(capsys, tmp_path, "--out", tmp_path / "dataset")[0] == 0  # nothing new


def test_a_file_that_cannot_be_opened_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "a.mkv":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    (tmp_path / "a.mkv").write_bytes(b"locked")
    write_video(tmp_path / "b.mkv", pan(20), codec="mpeg4", pix_fmt="yuv420p")
    monkeypatch.setattr(Path, "open", refuse)
    status, said, progress = run(capsys, tmp_path, "--out", tmp_path / "dataset", "--licence", "CC0")
    assert (status, said.splitlines()[:2]) == (1, ["videos   1", "shots    1"])
    assert progress.splitlines()[-1].endswith("a.mkv cannot be read: Permission denied")


def test_other_settings_want_another_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = two_scenes(tmp_path)
    run(capsys, path, "--out", tmp_path / "dataset")
    before = files(tmp_path / "dataset")
    status, said, error = run(capsys, path, "--out", tmp_path / "dataset", "--max-long-edge", "64")
    assert (status, said) == (2, "")
    assert error.startswith("training.prepare: ")
    assert "was made with other settings (long_edge was None, is 64): use the same, or another folder" in error
    assert error.count("\n") == 1
    assert files(tmp_path / "dataset") == before


def test_what_cannot_be_begun_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = two_scenes(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    cases = [
        ((tmp_path / "no.mp4", "--out", tmp_path / "dataset"), f"there is no file or folder {tmp_path / 'no.mp4'}"),
        ((tmp_path / "empty", "--out", tmp_path / "dataset"), "empty holds no videos (.mp4, "),
        ((path, "--out", tmp_path), f"{tmp_path} is no dataset, but holds "),
        ((path, "--out", tmp_path / "file"), "cannot be written: File exists"),
    ]
    for arguments, expected in cases:
        status, _, error = run(capsys, *arguments)
        assert status == 2
        assert expected in error
    assert not (tmp_path / "dataset").exists()
    for wrong in ("--min-frames=2", "--max-long-edge=31", "--max-long-edge=big"):
        with pytest.raises(SystemExit, match="2"):
            prepare.main([str(path), "--out", str(tmp_path / "dataset"), wrong])


def test_two_runs_do_not_share_a_dataset(tmp_path: Path) -> None:
    with (
        Preparation(tmp_path / "dataset", SETTINGS),
        pytest.raises(DatasetError, match=r"another run is making .*dataset: wait for it"),
    ):
        Preparation(tmp_path / "dataset", SETTINGS)
    with Preparation(tmp_path / "dataset", SETTINGS) as after:
        assert after.manifest.videos == []


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = two_scenes(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with Preparation(tmp_path / "dataset", SETTINGS) as preparation:
        with monkeypatch.context() as patch, pytest.raises(DatasetError, match="No space left on device; the same"):
            patch.setattr("training.data.videos.shot_writer.ShotWriter.append", full)
            preparation.add(path, SOMEWHERE)
        assert not list((tmp_path / "dataset").rglob("*.part"))
        assert preparation.add(path, SOMEWHERE).finished
    assert len(open_shots(tmp_path / "dataset").shots) == 2


def test_files_are_told_apart_by_content(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"two"), ("c", b"one")):
        (tmp_path / name).write_bytes(content)
    sums = [fingerprint(tmp_path / name) for name in "abc"]
    assert sums[0] == sums[2] != sums[1]


def test_videos_are_found_once_and_in_natural_order(tmp_path: Path) -> None:
    for name in ("v10.mp4", "v2.MKV", "sub/v1.webm", "v2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = find_videos([tmp_path / "v10.mp4", tmp_path])
    assert [path.name for path in found] == ["v10.mp4", "v1.webm", "v2.MKV"]


@pytest.mark.parametrize(
    ("step", "claimed", "rate"),
    [
        (Fraction(417, 10_000), Fraction(24000, 1001), Fraction(24000, 1001)),
        (Fraction(2, 24), Fraction(24), Fraction(12)),
        (Fraction(1, 15), Fraction(25), Fraction(15)),
        (Fraction(1, 15), None, Fraction(15)),
    ],
)
def test_the_rate_of_a_shot(step: Fraction, claimed: Fraction | None, rate: Fraction) -> None:
    assert rate_of(step, claimed) == rate
