"""Rows of the table: how an input is made, and what may differ in the output."""

import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Step = str | Callable[[Path], Path | None]

# Inputs that steps name: ten moving frames of 64x48 at 25 a second, and tones of the same length.
NAMED = {
    "pic": "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4,scroll=h=0.03:v=0.02",
    "pic2": "-f lavfi -i mandelbrot=s=48x64:r=25:end_pts=10,trim=end_frame=10",
    "glass": "-f lavfi -i \"testsrc2=s=64x48:r=25:d=0.4,format=yuva444p,geq=lum='lum(X,Y)':cb='cb(X,Y)':cr='cr(X,Y)':"
    "a='clip(60*(hypot(X-10-3*N,Y-24)-9),0,255)'\"",  # with a hole that moves
    "big": "-f lavfi -i testsrc2=s=256x144:r=25:d=0.32,scroll=h=0.03",
    "tone": "-f lavfi -i anoisesrc=c=pink:seed=1:a=0.5:r=48000:d=0.4",
    "tone2": "-f lavfi -i anoisesrc=c=pink:seed=2:a=0.5:r=44100:d=0.4",
    "x264": "-c:v libx264 -preset ultrafast -threads 1",
    "x264b": "-c:v libx264 -preset ultrafast -threads 1 -bf 2 -g 5",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """An input and what becomes of it: whatever is not named must be the same in the output."""

    name: str
    steps: tuple[Step, ...]  # arguments of ffmpeg, of which the last word is the file made; or functions that return it
    to: str = "out.mkv"
    settings: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)  # values in the output; none: not there
    says: tuple[str, ...] = ()  # parts of notes
    refused: str = ""  # part of the message
    samples: str = ""  # format in which frames are compared, if not that of the output
    reader: tuple[str, ...] = ()  # options of ffmpeg's command for frames of the input
    times: tuple[float, ...] = ()  # when frames are shown, if not as the input says
    moved: bool = False  # the film begins at 0, where versions of FFmpeg count the delay of its decoder in
    anew: tuple[int, ...] = ()  # tracks of sound that are encoded anew


def row(name: str, *steps: Step, **what: Any) -> Row:
    """A row of the table."""
    return Row(name=name, steps=steps, **what)


def made(steps: tuple[Step, ...], folder: Path) -> Path:
    """The input that steps make in a folder."""
    last = folder
    for step in steps:
        if not isinstance(step, str):
            last = step(folder) or last
            continue
        words = shlex.split(step.format_map(NAMED))
        command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *words]
        done = subprocess.run(command, capture_output=True, cwd=folder, timeout=60, check=False)
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stderr.decode(errors='replace')}"
        last = folder / words[-1]
    return last
