"""Conversion with duplicates="spread": new frames in place of repeats, and all else as it was."""

import subprocess
from pathlib import Path

import numpy as np

from tests.conftest import BUNNY
from tests.convert.media.files import ffmpeg
from vsrrin import convert_file


def packets(path: Path, stream: str) -> list[str]:
    """Times of the packets of a stream, and of its sound what is in them."""
    what = "packet=pts_time,duration_time" + (",data_hash" if stream == "a" else "")
    command = ["ffprobe", "-v", "error", "-select_streams", stream, "-show_data_hash", "md5", "-show_entries", what]
    done = subprocess.run([*command, "-of", "csv", str(path)], capture_output=True, text=True, check=True, timeout=60)
    return sorted(done.stdout.split())


def apart(path: Path) -> list[float]:
    """Mean differences of luma from each frame to the next."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, 72, 128).astype(float)
    return [float(change) for change in np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2))]


def test_repeated_frames_become_new_ones_and_all_else_stays(tmp_path: Path) -> None:
    sound = ("-f", "lavfi", "-i", "sine=440:duration=0.48")
    ffmpeg(
        tmp_path,
        "-i",
        str(BUNNY),
        *sound,
        "-vf",
        "scale=128:72,framestep=2,fps=25",
        "-frames:v",
        "12",
        "-crf",
        "8",
        "twos.mp4",
    )
    source, target = tmp_path / "twos.mp4", tmp_path / "out.mp4"
    result = convert_file(source, target, factor=1, model="draft", duplicates="spread")
    assert result.frames == 12
    for stream in ("v", "a"):
        assert packets(target, stream) == packets(source, stream)
    before, after = apart(source), apart(target)
    assert max(before[0:10:2]) < 0.2 * min(before[1:10:2])
    assert min(after[:10]) > 0.25 * min(before[1:10:2])
