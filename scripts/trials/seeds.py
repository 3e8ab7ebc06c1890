"""Small whole files, from which damaged ones are made."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

FRAMES = 8
"""Frames of each video; few, as thousands of them are converted."""

_SUBTITLES = "1\n00:00:00,000 --> 00:00:00,150\none\n\n2\n00:00:00,200 --> 00:00:00,300\ntwo\n"
_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "4")
_VIDEOS = {
    "seed.mkv": (*_X264, "-c:a", "flac", "-c:s", "srt"),
    "seed.mp4": (*_X264, "-c:a", "aac", "-c:s", "mov_text"),
    "seed.mov": ("-c:v", "prores_ks", "-c:a", "pcm_s16le", "-c:s", "mov_text"),
    "seed.webm": ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-c:a", "libopus", "-c:s", "webvtt"),
    "seed.avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame", "-sn"),
    "seed.ts": ("-c:v", "mpeg2video", "-c:a", "mp2", "-c:s", "dvbsub", "-sn"),
    "seed.gif": ("-an", "-sn"),
    "seed.apng": ("-an", "-sn", "-f", "apng", "-plays", "0"),
    "seed.flv": ("-c:v", "flv1", "-c:a", "libmp3lame", "-sn"),
    "seed.ogv": ("-c:v", "libtheora", "-c:a", "libvorbis", "-sn"),
}


def write_videos(folder: Path, *, frames: int = FRAMES, size: str = "64x48") -> Iterator[Path]:
    """Write one video of each format with the ``ffmpeg`` program, with sound and subtitles where it can have them."""
    (folder / "subtitles.srt").write_text(_SUBTITLES)
    for name, options in _VIDEOS.items():
        yield write_video(folder, name, *options, frames=frames, size=size)


def write_video(folder: Path, name: str, *options: str, frames: int, size: str) -> Path:
    """Write one video: a moving test picture, a tone, and the subtitles in the folder."""
    seconds = frames / 25
    picture = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration={seconds}")
    tone = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=44100:duration={seconds}")
    inputs = (*picture, *tone, "-i", "subtitles.srt", "-map", "0:v", "-map", "1:a", "-map", "2:s")
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *inputs, *options, "-t", str(seconds), name]
    subprocess.run(command, check=True, cwd=folder)
    return folder / name
