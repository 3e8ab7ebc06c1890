"""`vsrrin convert` on small inputs; what it writes is checked with ffprobe."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conversions import COMMAND, ROOT, mistake, probe, run
from tests.conftest import BUNNY
from tests.image_files import ffmpeg, frames_of_bunny, picture, read, write, write_sequence
from vsrrin.cli import main
from vsrrin.convert.image_headers import read_header


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


# The command lines of the manual


def test_twice_the_rate(folder: Path) -> None:
    command = [*COMMAND, "in.mp4", "out.mkv", "--fps", "2x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    status, out, err = done.returncode, done.stdout, done.stderr
    assert (status, out) == (0, ""), err
    assert "verified: out.mkv has 24 frames, 0.480 s, 0 cuts" in err.splitlines()[-1]
    found = probe("out.mkv")
    assert (found["nb_read_frames"], Fraction(found["avg_frame_rate"])) == ("24", 50)
    assert (found["streams"], found["pix_fmt"]) == (["audio aac", "video h264"], "yuv420p")
    assert leftovers(folder) == []


def test_a_rate_for_the_web_with_a_checkpoint(folder: Path) -> None:
    weights = ROOT / "vsrrin" / "weights" / "rrin_lite.safetensors"
    status, _, err = run("in.mp4", "out.webm", "--fps", "60", "--model", weights, "--preset", "8", "--log", "log.txt")
    assert status == 0, err
    found = probe("out.webm")
    assert (found["nb_read_frames"], Fraction(found["avg_frame_rate"])) == ("29", 60)
    assert found["streams"][0] == "audio opus"
    assert "becomes Opus: WebM cannot hold it" in err
    log = (folder / "log.txt").read_text()
    for text in (
        "command: ",
        "version: torch ",
        "version: vapoursynth-bestsource ",
        "setting: fps = 60\n",
        "becomes Opus",
        "VapourSynth: vsrrin: matrix BT.601",
        "assumed, as the clip does not say",
        "100 %  29 of 29 frames",
        "cuts: none\n",
        "verified: out.webm",
    ):
        assert text in log


def test_images_to_images(folder: Path) -> None:
    (folder / "frames").mkdir()
    frames_of_bunny(folder / "frames", 5)
    status, out, err = run("frames/", "out_frames/", "--sf", "3")
    assert (status, out) == (0, ""), err
    assert err.endswith("verified: out_frames has 20 images, 0 cuts\n")
    files = sorted((folder / "out_frames").iterdir())
    assert [file.name for file in files] == [f"{n:06}.png" for n in range(1, 21)]
    for n in range(5):
        assert np.array_equal(read(files[4 * n]), read(folder / "frames" / f"{n + 8}.png"))
    assert not np.array_equal(read(files[1]), read(files[0]))
    assert leftovers(folder) == []


def test_slow_motion(folder: Path) -> None:
    status, _, err = run("in.mp4", "slow.mp4", "--sf", "3", "--fps", "24", "--audio", "stretch")
    assert status == 0, err
    found = probe("slow.mp4")
    assert (found["nb_read_frames"], Fraction(found["avg_frame_rate"])) == ("48", 24)
    assert found["duration"] == pytest.approx(2, abs=0.05)
    assert found["streams"] == ["audio aac", "video h264"]


def test_several_devices(folder: Path) -> None:
    for name, device in (("one.mkv", "cpu"), ("two.mkv", "cpu,cpu")):
        status, _, err = run("in.mp4", name, "--device", device, "--codec", "ffv1", "--no-audio", "--quiet")
        assert (status, err) == (0, "")
    hashes = [
        subprocess.run(
            ["ffmpeg", "-v", "error", "-i", name, "-f", "framemd5", "-"], capture_output=True, text=True, check=True
        ).stdout
        for name in ("one.mkv", "two.mkv")
    ]
    assert hashes[0] == hashes[1] and hashes[0].count("\n0,") == 24


# Other ways in and out


def test_images_to_a_video(folder: Path) -> None:
    write_sequence(folder / "frames", 4)
    status, _, err = run("frames", "out.mp4", "--input-fps", "30000/1001", "--quiet")
    assert (status, err) == (0, "")
    found = probe("out.mp4")
    assert (found["nb_read_frames"], Fraction(found["avg_frame_rate"])) == ("8", Fraction(60000, 1001))
    assert (found["pix_fmt"], found["width"], found["height"]) == ("yuv420p", 64, 48)


def test_a_video_to_images_of_a_part(folder: Path) -> None:
    assert run("in.mp4", "images", "--start", "2f", "--end", "0:00.24")[0] == 0
    assert len(list((folder / "images").iterdir())) == 8
    assert run("in.mp4", "whole", "--sf", "1")[0] == 0
    part, whole = (read(folder / name) for name in ("images/000002.png", "whole/000006.png"))
    assert np.array_equal(part, whole)


def test_alpha_and_depth_are_kept(folder: Path) -> None:
    write_sequence(folder / "frames", 3, channels=4, depth=16)
    assert run("frames", "out")[0] == 0
    for n in range(3):
        assert np.array_equal(read(folder / "out" / f"{2 * n + 1:06}.png"), picture(n, channels=4, depth=16))
    header = read_header(folder / "out" / "000002.png")
    assert (header.alpha, header.depth) == (True, 16)


def test_transparent_parts_are_black_in_a_video(folder: Path) -> None:
    write_sequence(folder / "frames", 3, channels=4)
    status, _, err = run("frames", "out.mkv", "--codec", "ffv1", "--pix-fmt", "yuv444p")
    assert status == 0
    assert "transparent parts become black" in err
    ffmpeg("-i", "out.mkv", "-frames:v", "1", "first.png")
    shown, image = read(folder / "first.png").astype(float), picture(channels=4).astype(float)
    assert np.abs(shown - image[..., :3] * image[..., 3:] / 255).max() <= 6


# Saying what would be done


def test_a_dry_run_writes_nothing(folder: Path) -> None:
    write_sequence(folder / "frames", 3, channels=4)
    before = sorted(folder.rglob("*"))
    status, out, err = run("in.mp4", "out.webm", "--fps", "60", "--dry-run", "--log", "log.txt")
    assert (status, err) == (0, "")
    for text in ("128x72", "12 frames used, 0.480 s", "60 fps, 29 frames", "audio, aac: transcode to "):
        assert text in out
    status, out, err = run("frames", "out", "--sf", "3", "--dry-run")
    assert (status, err) == (0, "")
    assert "out: 12 PNGs" in out
    assert "64x48, 8 bits per sample, with alpha" in out
    assert sorted(folder.rglob("*")) == before


def test_a_dry_run_speaks_of_flags(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ffmpeg("-i", "in.mp4", "-vf", "select='not(eq(mod(n,5),2))'", "-fps_mode", "vfr", folder / "vfr.mkv")
    assert main.main(["convert", "vfr.mkv", "out", "--dry-run"]) == 0
    assert "images have no times: --fps RATE makes it constant" in capsys.readouterr().out


# The bar


def test_a_terminal_gets_a_bar(folder: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, "in.mp4", "out.mkv"], stdout=subprocess.PIPE, stderr=theirs) as child:
        os.close(theirs)
        said = b""
        try:
            while data := os.read(ours, 4096):
                said += data
        except OSError:  # the other end is closed
            pass
        assert child.stdout is not None
        assert child.stdout.read() == b""
    os.close(ours)
    assert child.returncode == 0
    assert b"\r" in said.replace(b"\r\n", b"")
    assert b"] 100 %  24 of 24 frames" in said
    assert said.endswith(b"0 cuts\r\n")


def test_a_pipe_gets_none(folder: Path) -> None:
    status, _, err = run("in.mp4", "out.mkv")
    assert status == 0
    assert "\r" not in err
    assert "[" not in err
    assert len(err.splitlines()) <= 12


def test_frames_that_turn_out_to_be_interlaced_are_said_once(folder: Path) -> None:
    mpeg2 = ("-i", BUNNY, "-frames:v", "5", "-vf")
    ffmpeg(*mpeg2, "scale=96:64", "-c:v", "mpeg2video", folder / "1.ts")
    ffmpeg(*mpeg2, "scale=96:64,setfield=tff", "-c:v", "mpeg2video", "-flags", "+ildct+ilme", folder / "2.ts")
    (folder / "joined.ts").write_bytes((folder / "1.ts").read_bytes() + (folder / "2.ts").read_bytes())
    ffmpeg("-i", folder / "joined.ts", "-c", "copy", folder / "in.mkv")
    status, _, said = run("in.mkv", "out.mkv", "--model", "draft")
    assert status == 0, said
    (line,) = [line for line in said.splitlines() if "interlaced" in line]
    assert line.startswith("vsrrin: source frame 5 is interlaced by its flag, and the first is not: with --deinterlace")


# Interruptions


def interrupt(arguments: list[str], number: signal.Signals, ready: Callable[[], bool]) -> tuple[int, str]:
    """Starts a run, sends it a signal once it is ready; its exit status and what it said."""
    with subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True) as child:
        while not ready():
            assert child.poll() is None, child.stderr.read() if child.stderr else ""
            time.sleep(0.01)
        child.send_signal(number)
        assert child.stderr is not None
        said = child.stderr.read()
    assert "Traceback" not in said
    return child.returncode, said


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_images_that_are_finished_are_kept(folder: Path, number: signal.Signals, status: int) -> None:
    work = folder / ".out.vsrrin"
    arguments = [str(BUNNY), "out", "--end", "16f", "--sf", "3", "--model", "draft"]
    got, said = interrupt(arguments, number, lambda: len(list(work.glob("*.png"))) >= 3)
    assert got == status, said
    assert "images are finished and kept in .out.vsrrin: --resume continues from there" in said
    assert said.splitlines()[-1].endswith("out is not written")
    assert not (folder / "out").exists()
    kept = {path.name: path.stat().st_ino for path in work.glob("*.png")}
    assert 3 <= len(kept) < 64

    status_again, _, err = run(*arguments)
    assert status_again == 1
    assert "--resume continues it, --overwrite begins again" in err
    status_other, _, err = run(str(BUNNY), "out", "--end", "15f", "--sf", "3", "--model", "draft", "--resume")
    assert status_other == 1
    assert "is not of this input with these settings" in err

    status_done, _, err = run(*arguments, "--resume")
    assert status_done == 0, err
    assert f"{len(kept)} of 64 images were finished before" in err
    files = sorted((folder / "out").iterdir())
    assert [file.name for file in files] == [f"{n:06}.png" for n in range(1, 65)]
    assert all((folder / "out" / name).stat().st_ino == inode for name, inode in kept.items())
    assert leftovers(folder) == []


LOST = """
import os, signal, sys
import vapoursynth as vs
from vsrrin.cli.main import main

signals = [signal.Signals[sys.argv[1]]]

def listen(kind, text):
    while signals and "vsrrin" in text:
        os.kill(os.getpid(), signals.pop())

vs.core.core.add_log_handler(listen)
sys.exit(main(["convert", *sys.argv[2:]]))
"""


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_what_vapoursynth_swallows_ends_the_run_all_the_same(folder: Path, name: str, status: int) -> None:
    """What is raised while VapourSynth calls Python is printed and lost; here, in a message about colours."""
    command = (sys.executable, "-c", LOST, name, "in.mp4", "out.mkv", "--model", "draft")
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Exception ignored" in ended.stderr
    assert ended.returncode == status
    assert ended.stderr.splitlines()[-1].endswith("out.mkv is not written")
    assert not (folder / "out.mkv").exists()
    assert leftovers(folder) == []


def test_where_nothing_is_finished_nothing_is_kept_and_that_is_said(folder: Path) -> None:
    arguments = [str(BUNNY), "out.mkv", "--sf", "3", "--model", "draft"]
    status, said = interrupt(arguments, signal.SIGINT, lambda: (folder / ".out.mkv.vsrrin" / "000000.part").exists())
    assert status == 130, said
    assert said.splitlines()[-2:] == [
        "vsrrin: nothing is kept, as no part of the frames was finished: begin again",
        "vsrrin: interrupted: out.mkv is not written",
    ]
    assert leftovers(folder) == []


def test_segments_that_are_finished_are_kept(folder: Path) -> None:
    (folder / "frames").mkdir()
    ffmpeg("-i", BUNNY, folder / "frames" / "%d.png")
    arguments = ["frames", "out.mkv", "--sf", "3", "--input-fps", "1", "--model", "draft"]
    work = folder / ".out.mkv.vsrrin"
    status, said = interrupt(arguments, signal.SIGINT, lambda: any(work.glob("*.nut")))
    assert status == 130, said
    assert "--resume continues" in said
    assert said.splitlines()[-1] == "vsrrin: interrupted: out.mkv is not written"
    assert not (folder / "out.mkv").exists()
    status, _, said = run(*arguments, "--resume")
    assert status == 0, said
    assert "of 200 frames were finished before" in said
    assert probe("out.mkv")["nb_read_frames"] == "200"
    assert leftovers(folder) == []


@pytest.mark.parametrize("number", [8, 13], ids=["first", "middle"])
def test_a_damaged_image(folder: Path, capsys: pytest.CaptureFixture[str], number: int) -> None:
    damaged = write_sequence(folder / "frames", 9) / f"{number}.png"
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    damaged.write_bytes(data)
    for target in ("out", "out.mkv"):
        err = mistake(capsys, "frames", target, "--model", "draft", status=1)
        assert f"{number}.png is damaged" in err.splitlines()[-1]
        assert not (folder / target).exists()


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in.mp4", "out.avi"], "a moving image (.gif, .apng, .webp) or a folder, not out.avi"),
        (["in.mp4", "out.mkv", "--sf", "0"], "--sf must be at least 1 new frame between two, not 0"),
        (["in.mp4", "out.mkv", "--sf", "2", "--fps", "2x"], "both say how many frames are added"),
        (["in.mp4", "out.mkv", "--fps", "59.94"], "decimals are inexact, write 60000/1001"),
        (["in.mp4", "out.mkv", "--fps", "12.5"], "decimals are inexact, write 25/2"),
        (["in.mp4", "out.mkv", "--fps", "fast"], "--fps must be a factor such as 2x or 5/2x, or a rate such as 60"),
        (["in.mp4", "out.mkv", "--fps", "x"], "--fps must be a factor"),
        (["in.mp4", "out.mkv", "--start", "1:75"], "--start must be seconds"),
        (["in.mp4", "out.mkv", "--end", "soon"], "--end must be seconds"),
        (["in.mp4", "out.mkv", "--input-fps", "24"], "--input-fps is for folders of images"),
        (["in.mp4", "out.mkv", "--log", "in.mp4"], "--log in.mp4 is the input or the output"),
        (["in.mp4", "in.mp4", "--overwrite"], "source and target are the same file"),
        (["in.mp4", "out.mkv", "--sf", "3", "--fps", "24"], "so its sound cannot be kept"),
        (
            ["in.mp4", "out.mkv", "--longest-run", "1"],
            "--longest-run must be a whole number of frames from 2 to 64, not 1",
        ),
        (["in.mp4", "out.mkv", "--fps", "10"], "fps must be at least the clip's rate"),
    ],
)
def test_wrong_usage(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert message in mistake(capsys, *arguments)
    assert sorted(path.name for path in folder.iterdir()) == ["in.mp4"]


def test_what_cannot_be_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "out.mkv").write_text("mine")
    (folder / "images").mkdir()
    (folder / "images" / "000001.png").write_text("mine")
    (folder / "full").mkdir()
    (folder / "full" / "letter.txt").write_text("mine")
    before = sorted(folder.rglob("*"))
    for arguments, message in (
        (["missing.mp4", "new.mkv"], "missing.mp4"),
        (["in.mp4", "nowhere/new.mkv"], "does not exist: make it first"),
        (["in.mp4", "nowhere/new/"], "does not exist: make it first"),
        (["in.mp4", "out.mkv"], "out.mkv exists: --overwrite replaces it"),
        (["in.mp4", "images"], "the folder images is not empty: --overwrite replaces the images in it"),
        (["in.mp4", "full", "--overwrite"], "the folder full holds more than numbered PNGs (letter.txt)"),
        (["in.mp4", "new.mkv", "--log", "nowhere/log"], "the folder nowhere does not exist"),
        (["images", "new.mkv"], "000001.png is damaged, or not a PNG"),
    ):
        assert message in mistake(capsys, *arguments, status=1)
    assert sorted(folder.rglob("*")) == before
    (folder / "link").symlink_to("nothing_yet")
    assert "link is a link, which a folder cannot replace: give " in mistake(capsys, "in.mp4", "link/", status=1)
    write_sequence(folder / "frames", 2)
    assert "source and target are the same folder" in mistake(capsys, "frames", "frames/", "--overwrite")


def test_overwriting(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sequence(folder / "frames", 2)
    (folder / "out").mkdir()
    for n in range(1, 9):
        write(folder / "out" / f"{n:06}.png", picture(n)[:10])
    assert main.main(["convert", "frames", "out", "--overwrite", "--quiet"]) == 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == [f"{n:06}.png" for n in range(1, 5)]
    assert np.array_equal(read(folder / "out" / "000001.png"), picture(0))
    assert leftovers(folder) == []
    assert capsys.readouterr() == ("", "")


def test_an_interlaced_input_is_named_with_the_ways_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-top", "1")
    ffmpeg("-i", "in.mp4", "-an", *flags, "int.mpg")
    said = mistake(capsys, "int.mpg", "out.mkv", "--model", "draft", status=1)
    assert "int.mpg is interlaced" in said and "--deinterlace field" in said and "--progressive" in said
    assert run("int.mpg", "out.mkv", "--model", "draft", "--progressive")[0] == 0
    assert probe("out.mkv")["nb_read_frames"] == "24"
