"""Outputs of conversions as the ``ffmpeg`` program decodes them."""

import hashlib
import re
import subprocess
from pathlib import Path


def contents(target: Path) -> str:
    """Return times and hashes of all decoded frames and sound, and the subtitles; of a folder, hashes of the files."""
    if target.is_dir():
        return "\n".join(
            f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in sorted(target.iterdir())
        )
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(target), "-map", "0", "-fps_mode", "passthrough"]
    decoded = subprocess.run([*command, "-map", "-0:s?", "-f", "framemd5", "-"], capture_output=True, check=True)
    texts = subprocess.run(
        ["ffmpeg", "-v", "quiet", "-nostdin", "-i", str(target), "-map", "0:s", "-f", "srt", "-"], capture_output=True
    )
    return re.sub(r"#software.*\n", "", decoded.stdout.decode() + texts.stdout.decode())


def decoded(name: str, streams: str) -> tuple[int, list[str]]:
    """Return the number of frames that ``ffmpeg`` decodes of some streams, and its first errors."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", name, "-map", streams, "-fps_mode", "passthrough"]
    done = subprocess.run([*command, "-f", "framecrc", "-"], capture_output=True, text=True, errors="replace")
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    errors = [line for line in done.stderr.splitlines() if "does not contain any stream" not in line]
    return len(lines), errors[:3]
