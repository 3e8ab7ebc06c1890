"""Filter minterpolate of the program ffmpeg as a method of the benchmark.

Timed is a process that reads raw frames and throws its output away, less the same process without the filter. The
filter looks one frame ahead and behind, so that N source frames give the new frames of N - 2 pairs. Its detector of
cuts is off unless an option says otherwise. For its quality it gets the frames left, right, right in 8-bit 4:4:4.
"""

import re
import shutil
import subprocess
import time
from fractions import Fraction
from typing import TYPE_CHECKING

from scripts.benchmarks.clips import RATE, Source

from .method import Options, Sample, UnavailableError

if TYPE_CHECKING:
    from training.measure.triplets import Picture

_TO_YUV = "scale=out_color_matrix=bt709,format=yuv444p"
_TO_RGB = "scale=in_color_matrix=bt709,format=rgb24"


def make(options: Options) -> "Minterpolate":
    """Make the method with ffmpeg's own options of the filter.

    Raises:
        UnavailableError: There is no ffmpeg.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise UnavailableError("ffmpeg is not installed; install it with the system's package manager")
    return Minterpolate(program, {"scd": "none"} | dict(options))


class Minterpolate:
    """Filter minterpolate with its options."""

    least_frames = 3
    scored = True

    def __init__(self, program: str, options: Options) -> None:
        self._program, self._options = program, options

    def timed(self, source: Source, frames: int, factor: int) -> Sample:
        """See `.method.Method`."""
        plain = self._process(source, frames, "null")
        full = self._process(source, frames, self._filter(factor))
        new = sum(number % factor != 0 for number in range(full.new))
        return Sample(max(full.seconds - plain.seconds, 1e-9), max(full.cpu - plain.cpu, 0.0), new, full.peak)

    def alone(self, source: Source, frames: int) -> None:
        """Return nothing: it has no network."""

    def flop(self, source: Source, factor: int) -> None:
        """Return nothing: it is no network."""

    def picture(self, left: "Picture", right: "Picture", t: Fraction) -> "Picture":
        """See `.method.Method`."""
        import numpy as np

        height, width = left.shape[:2]
        command = [self._program, "-nostdin", "-v", "error", *_raw("rgb24", width, height), "-i", "pipe:0"]
        command += ["-vf", f"{_TO_YUV},{self._filter(t.denominator)},{_TO_RGB}", "-fps_mode", "passthrough"]
        data = b"".join(np.ascontiguousarray(picture).tobytes() for picture in (left, right, right))
        done = subprocess.run([*command, "-f", "rawvideo", "pipe:1"], input=data, stdout=subprocess.PIPE, check=True)
        frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)
        return np.array(frames[t.numerator])

    def _filter(self, factor: int) -> str:
        options = "".join(f":{key}={value}" for key, value in self._options.items())
        return f"minterpolate=fps={RATE * factor}{options}"

    def _process(self, source: Source, frames: int, chain: str) -> Sample:
        """Run ffmpeg over the first frames; ``new`` counts all frames that come out."""
        command = [self._program, "-nostdin", "-hide_banner", "-benchmark", "-nostats", "-progress", "pipe:1"]
        command += [*_raw("yuv420p", source.width, source.height), "-t", str((frames - 0.5) / RATE), "-i", source.path]
        command += ["-vf", chain, "-fps_mode", "passthrough", "-f", "null", "-"]
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - begin
        if done.returncode:
            raise RuntimeError(f"ffmpeg failed: {done.stderr.strip().splitlines()[-1]}")
        count = re.findall(r"^frame=\s*(\d+)", done.stdout, re.MULTILINE)
        cpu = sum(map(float, re.findall(r"[us]time=([\d.]+)s", done.stderr)))
        peak = re.search(r"maxrss=(\d+)", done.stderr)
        return Sample(seconds, cpu, int(count[-1]), int(peak.group(1)) * 1024 if peak else 0)


def _raw(pixel_format: str, width: int, height: int) -> list[str]:
    return ["-f", "rawvideo", "-pix_fmt", pixel_format, "-s", f"{width}x{height}", "-r", str(RATE)]
