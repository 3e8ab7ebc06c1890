"""Speeds on the command line."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.conversions import mistake, probe, run
from tests.image_files import ffmpeg


def test_a_speed_ramp_with_sound_and_subtitles(folder: Path) -> None:
    (folder / "a.srt").write_text("1\n00:00:00,200 --> 00:00:00,300\nnow\n")
    ffmpeg("-i", "in.mp4", "-i", "a.srt", "-map", "0", "-map", "1", "-c:v", "copy", "-c:a", "copy", "in.mkv")
    command = ("in.mkv", "out.mkv", "--model", "draft", "--quiet", "--speed", "0=1,0.2=0.5,0.4=1")
    assert "sound cannot be kept as it is" in run(*command)[2]
    assert run(*command, "--audio", "stretch") == (0, "", "")
    made = probe("out.mkv")
    assert made["nb_read_frames"] == "17"  # 5 frames, 5 of twice the length, 2
    assert (made["avg_frame_rate"], made["duration"]) == ("25/1", pytest.approx(0.68, abs=0.06))
    shown = ["ffprobe", "-v", "error", "-select_streams", "s", "-show_entries", "packet=pts_time,duration_time"]
    (line,) = subprocess.run([*shown, "-of", "csv=p=0", "out.mkv"], capture_output=True, check=True).stdout.split()
    start, length = map(float, line.split(b","))
    assert start == pytest.approx(0.2, abs=0.05)  # up to the sound's own beginning
    assert length == pytest.approx(0.2, abs=0.001)

    assert run("in.mkv", "fast.mkv", "--speed", "2", "--fps", "50", "--audio", "drop", "--model", "draft")[0] == 0
    made = probe("fast.mkv")
    assert (made["nb_read_frames"], made["avg_frame_rate"]) == ("12", "50/1")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--speed", "0"], "--speed must be a positive int, a Fraction or a text like \"5/2\", not '0'"),
        (["--speed", "0=1,x=2"], "speed[1] must be at a number of seconds"),
        (["--speed", "0=1,9=2"], "speed[1] is at 9 s, after the end of the clip at 0.48 s"),
        (["--speed", "1/2", "--sf", "2"], "--sf makes slow motion with --fps RATE, and --speed does by itself"),
        (["--speed", "1/2", "--ease", "smooth"], "--ease smooth is the course of the speed between keyframes"),
    ],
)
def test_wrong_speeds(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: str) -> None:
    assert wanted in mistake(capsys, "in.mp4", "out.mkv", "--audio", "drop", "--model", "draft", *arguments)


def test_a_variable_rate_stays_variable_at_another_speed(folder: Path) -> None:
    ffmpeg("-i", "in.mp4", "-an", "-vf", "setpts='if(lt(N,6),N,2*N-6)/25/TB'", "-fps_mode", "vfr", "vfr.mkv")
    assert run("vfr.mkv", "out.mkv", "--speed", "1/2", "--model", "draft")[0] == 0
    shown = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0"]
    found = subprocess.run([*shown, "out.mkv"], capture_output=True, check=True, text=True).stdout.split()
    wanted = [n / 25 for n in range(12)] + [0.48 + 2 * n / 25 for n in range(11)] + [1.32]  # the last one is short
    assert sorted(map(float, found)) == pytest.approx(wanted, abs=0.0011)
