"""The whole way as a user goes it: a script, vspipe, a pipe, ffmpeg, a file; checked with PyAV and ffprobe."""

import hashlib
import json
import os
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray

from tests.conftest import BUNNY, planes, psnr
from vsrrin.checkpoint import loader

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 426, 240
FRAMES = 50
FEW = 12
"""Frames that are enough where only the way that they go matters."""
RATE = Fraction(25)
PICTURE = WIDTH * HEIGHT * 3 // 2

SOURCE = f"""
import vapoursynth as vs
import vsrrin

clip = vs.core.bs.VideoSource({str(BUNNY)!r}, cachemode=0, showprogress=0).resize.Bicubic({WIDTH}, {HEIGHT})
"""

Planar = NDArray[np.uint8]


def environment(home: Path) -> dict[str, str]:
    """The user's, but with a home of its own; vspipe finds its Python by PATH."""
    return {
        **os.environ,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),  # this checkout, whatever is installed
    }


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, cwd=folder, env=environment(folder), timeout=300)


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[bytes]:
    """A line as typed into a shell; any part of the pipe that fails makes it fail."""
    return run(folder, "bash", "-o", "pipefail", "-c", line)


def write_script(folder: Path, call: str, source: str = SOURCE) -> Path:
    path = folder / "script.vpy"
    path.write_text(f"{source}{call}.set_output()\n")
    return path


def assert_quiet(done: subprocess.CompletedProcess[bytes]) -> None:
    said = done.stderr.decode()
    assert done.returncode == 0, said
    for trouble in ("Traceback", "Error", "Warning", "failed", "leak", "Core freed but"):
        assert trouble not in said, said


def planar(frame: vs.VideoFrame) -> Planar:
    """The planes of a YUV420P8 frame one below the other, as PyAV and y4m have them."""
    return np.concatenate([plane.ravel() for plane in planes(frame)]).astype(np.uint8)


def decode(path: Path) -> tuple[list[Planar], list[Fraction]]:
    """Pictures of a video file and their times in seconds."""
    pictures, times = [], []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            pictures.append(frame.to_ndarray(format="yuv420p").ravel())
            times.append(frame.pts * frame.time_base)
    return pictures, times


def probe(path: Path) -> dict[str, Any]:
    """What ffprobe says of the only video stream, with the container's duration."""
    entries = "stream=codec_type,width,height,pix_fmt,r_frame_rate,avg_frame_rate,nb_read_frames:format=duration"
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", entries, "-of", "json", str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert len(found["streams"]) == 1
    stream: dict[str, Any] = found["streams"][0]
    return {**stream, "duration": float(found["format"]["duration"])}


@pytest.fixture(scope="module")
def source() -> list[Planar]:
    """The frames of the source, as BestSource gives them."""
    clip = vs.core.bs.VideoSource(str(BUNNY), cachemode=0).resize.Bicubic(WIDTH, HEIGHT)
    assert (clip.num_frames, Fraction(clip.fps), clip.format.id) == (FRAMES, RATE, vs.YUV420P8)
    return [planar(frame) for frame in clip.frames(close=True)]


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[bytes], Path]:
    """The clip at twice its rate, through the shell's pipe into a lossless file."""
    folder = tmp_path_factory.mktemp("doubled")
    write_script(folder, "vsrrin.interpolate(clip)")
    done = shell(folder, "vspipe -c y4m script.vpy - | ffmpeg -v warning -i - -c:v ffv1 out.mkv")
    return done, folder / "out.mkv"


@pytest.fixture(scope="module")
def piped(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[bytes]:
    """vspipe alone: what it writes to stdout of the first frames."""
    folder = tmp_path_factory.mktemp("piped")
    return run(folder, "vspipe", "-c", "y4m", str(write_script(folder, f"vsrrin.interpolate(clip[:{FEW}])")), "-")


def test_the_pipe_runs_without_complaint(doubled: tuple[subprocess.CompletedProcess[bytes], Path]) -> None:
    done, _ = doubled
    assert_quiet(done)
    assert done.stdout == b""
    assert f"Output {2 * FRAMES} frames" in done.stderr.decode()


def test_the_file_has_twice_the_frames_and_the_same_duration(
    doubled: tuple[subprocess.CompletedProcess[bytes], Path],
) -> None:
    _, path = doubled
    found, before = probe(path), probe(BUNNY)
    assert int(found["nb_read_frames"]) == 2 * int(before["nb_read_frames"]) == 2 * FRAMES
    assert Fraction(found["avg_frame_rate"]) == Fraction(found["r_frame_rate"]) == 2 * RATE
    assert (found["width"], found["height"], found["pix_fmt"]) == (WIDTH, HEIGHT, "yuv420p")
    assert found["duration"] == pytest.approx(float(FRAMES / RATE), abs=1e-3)
    assert found["duration"] == pytest.approx(before["duration"], abs=1e-3)


def test_frames_are_shown_at_even_intervals_from_the_start(
    doubled: tuple[subprocess.CompletedProcess[bytes], Path],
) -> None:
    _, times = decode(doubled[1])
    assert times == [n / (2 * RATE) for n in range(2 * FRAMES)]


def test_every_source_frame_survives_bit_for_bit(
    doubled: tuple[subprocess.CompletedProcess[bytes], Path], source: list[Planar]
) -> None:
    pictures, _ = decode(doubled[1])
    assert [n for n in range(FRAMES) if not np.array_equal(pictures[2 * n], source[n])] == []
    assert np.array_equal(pictures[-1], source[-1])  # held: nothing comes after it


def test_new_frames_are_new(doubled: tuple[subprocess.CompletedProcess[bytes], Path], source: list[Planar]) -> None:
    """Neither repeats of a neighbour nor pictures of another moment."""
    pictures, _ = decode(doubled[1])
    for n in range(FRAMES - 1):
        new, left, right = pictures[2 * n + 1], source[n], source[n + 1]
        apart = psnr(left, right)
        assert not np.array_equal(new, left)
        assert not np.array_equal(new, right)
        assert min(psnr(new, left), psnr(new, right)) > apart, n


def test_new_frames_are_nearer_to_the_true_ones_than_a_blend(tmp_path: Path, source: list[Planar]) -> None:
    """Every second frame is left out, made anew, and compared with what it was."""
    write_script(tmp_path, "vsrrin.interpolate(clip[::2])")
    assert_quiet(shell(tmp_path, "vspipe -c y4m script.vpy - | ffmpeg -v warning -i - -c:v ffv1 out.mkv"))
    pictures, _ = decode(tmp_path / "out.mkv")
    assert len(pictures) == FRAMES
    luma = slice(0, WIDTH * HEIGHT)
    ours, blends = [], []
    for n in range(1, FRAMES - 1, 2):
        ours.append(psnr(pictures[n][luma], source[n][luma]))
        blend = (source[n - 1][luma].astype(np.float64) + source[n + 1][luma]) / 2
        blends.append(psnr(blend, source[n][luma]))
    assert np.mean(ours) > np.mean(blends) + 2
    assert np.mean(np.array(ours) > np.array(blends)) >= 0.9


def test_nothing_but_the_video_goes_to_stdout(piped: subprocess.CompletedProcess[bytes], source: list[Planar]) -> None:
    assert_quiet(piped)
    header, _, body = piped.stdout.partition(b"\n")
    fields = header.decode().split()
    assert fields[0] == "YUV4MPEG2"
    assert {f"W{WIDTH}", f"H{HEIGHT}", "F50:1"} <= set(fields)
    marker = b"FRAME\n"
    assert len(body) == 2 * FEW * (len(marker) + PICTURE)
    frames = [body[start:][: len(marker) + PICTURE] for start in range(0, len(body), len(marker) + PICTURE)]
    assert all(frame.startswith(marker) for frame in frames)
    assert [frame[len(marker) :] for frame in frames[::2]] == [frame.tobytes() for frame in source[:FEW]]


def test_another_process_with_other_threads_writes_the_same_bytes(
    piped: subprocess.CompletedProcess[bytes], tmp_path: Path
) -> None:
    script = write_script(tmp_path, f"vs.core.num_threads = 1\nvsrrin.interpolate(clip[:{FEW}])")
    again = run(tmp_path, "vspipe", "-r", "1", "-c", "y4m", str(script), "-")
    assert_quiet(again)
    assert hashlib.sha256(again.stdout).hexdigest() == hashlib.sha256(piped.stdout).hexdigest()


def test_broadcast_rate_into_mp4_keeps_time_and_source_frames(tmp_path: Path, source: list[Planar]) -> None:
    rate = Fraction(60000, 1001)
    write_script(tmp_path, "vsrrin.interpolate(clip, fps='60000/1001', model='draft')")
    encoder = "-c:v libx264 -preset ultrafast -qp 0 -pix_fmt yuv420p out.mp4"
    assert_quiet(shell(tmp_path, f"vspipe -c y4m script.vpy - | ffmpeg -v warning -i - {encoder}"))
    found = probe(tmp_path / "out.mp4")
    assert Fraction(found["avg_frame_rate"]) == rate
    assert 0 <= found["duration"] - float(FRAMES / RATE) < float(1 / rate)
    pictures, times = decode(tmp_path / "out.mp4")
    assert times == [n / rate for n in range(120)]
    same = {n: position for n in range(120) if (position := n / rate * RATE).denominator == 1}
    assert len(same) == 1  # frame 0; the rates meet again after 1001/5 seconds
    assert all(np.array_equal(pictures[n], source[int(position)]) for n, position in same.items())
    nearest = [int(np.argmax([psnr(picture, frame) for frame in source[:20]])) for picture in pictures[:36]]
    assert all(abs(found - n / rate * RATE) < 1 for n, found in enumerate(nearest))


def test_fractional_factor_keeps_the_frames_that_coincide(tmp_path: Path, source: list[Planar]) -> None:
    write_script(tmp_path, "vsrrin.interpolate(clip[:10], '5/2', 'draft')")
    assert_quiet(shell(tmp_path, "vspipe -c y4m script.vpy - | ffmpeg -v warning -i - -c:v ffv1 out.mkv"))
    pictures, times = decode(tmp_path / "out.mkv")
    assert len(pictures) == 25
    assert Fraction(probe(tmp_path / "out.mkv")["avg_frame_rate"]) == Fraction(125, 2)
    assert all(np.array_equal(pictures[5 * k], source[2 * k]) for k in range(5))
    assert max(abs(time - n / Fraction(125, 2)) for n, time in enumerate(times)) <= Fraction(1, 2000)  # Matroska's ms


UNEVEN = [40, 20, 60, 40, 100, 20, 20, 40, 60, 60]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Matroska file of variable frame rate: a bar that moves by three pixels per frame."""
    path = tmp_path_factory.mktemp("uneven") / "uneven.mkv"
    unit = Fraction(1, 1000)
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.time_base = stream.codec_context.time_base = unit
        for index, duration in enumerate(UNEVEN):
            picture = np.full((144, 128), 100, np.uint8)
            picture[:96, 10 + 3 * index : 40 + 3 * index] = 200
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base, frame.duration = sum(UNEVEN[:index]), unit, duration
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def timecodes(folder: Path, clip: Path, call: str) -> list[Fraction]:
    """Starts of the output frames in milliseconds, as vspipe writes them."""
    source = f"import vapoursynth as vs\nimport vsrrin\n\nclip = vs.core.bs.VideoSource({str(clip)!r}, cachemode=0)\n"
    script = write_script(folder, call, source)
    assert_quiet(run(folder, "vspipe", "--timecodes", "times.txt", str(script), "--"))
    header, *lines = (folder / "times.txt").read_text().splitlines()
    assert header == "# timecode format v2"
    return [Fraction(line) for line in lines]


def test_variable_rate_with_a_factor_halves_every_duration(uneven: Path, tmp_path: Path) -> None:
    times = timecodes(tmp_path, uneven, "vsrrin.interpolate(clip, model='draft')")
    assert len(times) == 2 * len(UNEVEN)
    halved = [Fraction(duration, 2) for duration in UNEVEN[:-1] for _ in range(2)]
    assert [b - a for a, b in pairwise(times)][: len(halved)] == halved


@pytest.mark.parametrize("rate", [Fraction(50), Fraction(60000, 1001)])
def test_variable_rate_to_a_constant_one_is_even_and_as_long(uneven: Path, tmp_path: Path, rate: Fraction) -> None:
    call = f"vsrrin.interpolate(clip, fps='{rate}', model='draft')"
    times = timecodes(tmp_path, uneven, call)
    step = 1000 / rate
    assert max(abs(time - n * step) for n, time in enumerate(times)) < Fraction(1, 1000)
    assert 0 <= len(times) * step - sum(UNEVEN) < step


def test_variable_rate_to_a_constant_one_shows_the_right_moments(uneven: Path, tmp_path: Path) -> None:
    """The bar moves by three pixels per source frame, however long that is shown."""
    source = f"import vapoursynth as vs\nimport vsrrin\n\nclip = vs.core.bs.VideoSource({str(uneven)!r}, cachemode=0)\n"
    write_script(tmp_path, "vsrrin.interpolate(clip, fps=100)", source)
    assert_quiet(shell(tmp_path, "vspipe -c y4m script.vpy - | ffmpeg -v warning -i - -c:v ffv1 out.mkv"))
    pictures, _ = decode(tmp_path / "out.mkv")
    assert len(pictures) == sum(UNEVEN) // 10
    starts = [sum(UNEVEN[:index]) for index in range(len(UNEVEN))]
    for n, picture in enumerate(pictures):
        row = picture[: 96 * 128].reshape(96, 128)[48].astype(np.float64) - 100
        centre = float((row * np.arange(128)).sum() / row.sum())
        expected = np.interp(n * 10, starts, 24.5 + 3 * np.arange(len(UNEVEN)))
        assert centre == pytest.approx(expected, abs=0.75), n


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("vsrrin.interpolate(clip, 0)", "factor must be a positive int"),
        ("vsrrin.interpolate(clip, 2, 'truncated.safetensors')", "truncated.safetensors is damaged"),
        ("vsrrin.interpolate(clip, 2, 'missing.safetensors')", "missing.safetensors"),
        ("vsrrin.interpolate(clip, device='cuda:99')", "device 'cuda:99' is not available"),
    ],
    ids=["factor", "truncated checkpoint", "no checkpoint", "device"],
)
def test_a_mistake_ends_the_pipe_with_our_message_and_no_video(tmp_path: Path, call: str, message: str) -> None:
    weights = loader.bundled()["rrin_lite"].read_bytes()
    (tmp_path / "truncated.safetensors").write_bytes(weights[: len(weights) // 2])
    script = write_script(tmp_path, call)
    done = run(tmp_path, "vspipe", "-c", "y4m", str(script), "-")
    assert done.returncode != 0
    assert done.stdout == b""
    said = [line for line in done.stderr.decode().splitlines() if "vsrrin.interpolate: " in line]
    assert any(message in line for line in said), done.stderr.decode()


def test_a_mistake_fails_the_whole_pipe(tmp_path: Path) -> None:
    write_script(tmp_path, "vsrrin.interpolate(clip, -1)")
    done = shell(tmp_path, "vspipe -c y4m script.vpy - | ffmpeg -v error -i - -c:v ffv1 out.mkv")
    assert done.returncode != 0
    assert "vsrrin.interpolate: factor must be" in done.stderr.decode()
    assert not (tmp_path / "out.mkv").exists()


def test_an_error_while_frames_are_made_ends_the_program(tmp_path: Path) -> None:
    """The first pair works, a later one cannot be read: what was written so far is whole frames, and vspipe fails."""
    call = "def broken(n, f):\n    if n == 6:\n        raise ValueError('disc unreadable')\n    return f\n"
    call += "\nclip = clip.std.ModifyFrame(clip, broken)\nvsrrin.interpolate(clip, scene='off')"
    done = run(tmp_path, "vspipe", "-r", "1", "-c", "y4m", str(write_script(tmp_path, call)), "-")
    assert done.returncode != 0
    assert "disc unreadable" in done.stderr.decode()
    body = done.stdout.partition(b"\n")[2]
    assert len(body) % (len(b"FRAME\n") + PICTURE) == 0
    assert 1 <= len(body) // (len(b"FRAME\n") + PICTURE) <= 12
