"""Runs of ``vsrrin convert``, and what came of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands import vsrrin_command
from vsrrin.cli import main

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-W", "error", "-m", "vsrrin", "convert"]


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of one run."""
    return vsrrin_command(["convert", *arguments])


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 2) -> str:
    """What is said of a wrong command line; in this process, which is quicker."""
    assert main.main(["convert", *arguments]) == status
    out, err = capsys.readouterr()
    assert out == ""
    return err


def probe(path: Path | str) -> dict[str, Any]:
    """What ffprobe says of the video stream, the number of streams and the duration."""
    entries = "stream=codec_type,codec_name,width,height,pix_fmt,avg_frame_rate,nb_read_frames:format=duration"
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", entries, "-of", "json", str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    video = next(stream for stream in found["streams"] if stream["codec_type"] == "video")
    kinds = sorted(f"{stream['codec_type']} {stream['codec_name']}" for stream in found["streams"])
    return {**video, "streams": kinds, "duration": float(found["format"]["duration"])}
