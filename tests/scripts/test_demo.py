"""The demo on a small clip: what it writes, and that it does not call a wrong result a success."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from scripts import demo

FRAMES, RATE = 12, Fraction(25)
WIDTH, HEIGHT = 192, 108


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A textured square that slides over a textured ground, in a folder whose name has a space."""
    path = tmp_path_factory.mktemp("demo source") / "square.mp4"
    noise = np.random.default_rng(7).integers(40, 200, (HEIGHT + 40, WIDTH + 200, 3)).astype(np.uint8)
    texture = cv2.GaussianBlur(noise, (0, 0), 2.5)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FRAMES):
            picture = texture[:HEIGHT, :WIDTH].copy()
            picture[30:80, 10 + 8 * number : 60 + 8 * number] = texture[40:90, 220:270] // 2 + 90
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def write_script(folder: Path, ending: str) -> Path:
    """A script that takes what the demo gives, and could be the demo's but for its end."""
    path = folder / "script.vpy"
    path.write_text(
        "import vapoursynth as vs\n"
        "clip = vs.core.bs.VideoSource(source, cachemode=0, showprogress=0)\n"
        "double = vs.core.std.Interleave([clip, clip.std.Merge(clip[1:] + clip[-1])])\n" + ending
    )
    return path


def test_demo_writes_a_playable_video_and_a_picture(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "results here"
    assert demo.main(["--source", str(clip), "--folder", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["bunny_2x.mp4", "frames.png"]
    with av.open(str(folder / "bunny_2x.mp4")) as container:
        stream = container.streams.video[0]
        times = [frame.pts * frame.time_base for frame in container.decode(stream) if frame.pts is not None]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert "Blender Foundation" in container.metadata["copyright"]
    assert times == [number / (2 * RATE) for number in range(2 * FRAMES)]
    picture = cv2.imread(str(folder / "frames.png"))
    assert picture is not None and picture.shape[1] == 3 * (WIDTH // 2 + 6)
    printed = capsys.readouterr().out
    for expected in (f"{FRAMES} frames, 25 fps", f"{2 * FRAMES} frames, 50 fps", str(folder), "CC-BY 3.0"):
        assert expected in printed


@pytest.mark.parametrize(
    "ending, complaint",
    [
        ("double[:-3].set_output()", f"frames out of vspipe: {2 * FRAMES - 3}, expected"),
        ("clip.set_output()", f"frames out of vspipe: {FRAMES}, expected"),
        ("(clip * 2).std.AssumeFPS(fpsnum=50).set_output()", "source frame 1 is not the same"),
        ("vs.core.std.Interleave([clip, clip]).set_output()", "no frame of the output is new"),
        ("double.std.AssumeFPS(fpsnum=30).set_output()", "frames per second: 30, expected 50"),
        ("raise ValueError('no such thing')", "vspipe ended with status 1"),
    ],
)
def test_wrong_result_is_a_failure_and_leaves_nothing(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], ending: str, complaint: str
) -> None:
    script = write_script(tmp_path, ending)
    folder = tmp_path / "results"
    assert demo.main(["--script", str(script), "--source", str(clip), "--folder", str(folder)]) == 1
    assert complaint in capfd.readouterr().err
    assert list(folder.iterdir()) == []


def test_source_that_is_no_video_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "notes.mp4"
    source.write_text("not a video")
    assert demo.main(["--source", str(source), "--folder", str(tmp_path / "results")]) == 1
    assert f"{source} cannot be read as a video" in capsys.readouterr().err


def test_liveliest_instants_are_new_frames_apart_from_each_other() -> None:
    frames = [np.zeros((6, 4), np.uint8) for _ in range(21)]
    for number, jump in ((4, 90), (6, 80), (14, 60)):
        frames[number] += np.uint8(jump)
    chosen = demo.liveliest(frames, count=3, apart=4)
    assert len(chosen) == 3
    assert all(number % 2 == 1 for number in chosen)
    assert min(after - before for before, after in pairwise(chosen)) >= 4
    assert chosen[0] in (3, 5)


def test_window_lies_where_the_pictures_differ() -> None:
    left = np.zeros((60, 80, 3), np.uint8)
    right = left.copy()
    right[40:50, 55:70] = 200
    x, y = demo.busiest_window(left, right, width=20, height=15)
    assert x <= 55 and x + 20 >= 70
    assert y <= 40 and y + 15 >= 50
