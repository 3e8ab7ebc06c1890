"""Demo that interpolates a clip through vspipe, writes a video and a picture, and checks both.

`vspipe -c y4m examples/demo.vpy -` is read as any encoder would read it; PyAV encodes, so no ffmpeg program is needed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "media" / "bunny_stretch.mp4"
CREDIT = "Big Buck Bunny, (c) 2008 Blender Foundation, CC-BY 3.0, peach.blender.org"
FACTOR = 2
BT709 = 1

Image = NDArray[np.uint8]


class DemoError(Exception):
    """The demo's output is missing or wrong."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Contents of a video file, counted by decoding all of it."""

    frames: int
    fps: Fraction
    seconds: Fraction
    steady: bool
    """All frames are equally far apart."""


def probe(path: Path) -> Probe:
    """Decode a video and return its frame count, rate, duration and whether its timestamps are even.

    Raises:
        DemoError: The file cannot be read as a video.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            times = [frame.pts * frame.time_base for frame in container.decode(stream) if frame.pts is not None]
            rate = stream.average_rate or Fraction(0)
            seconds = (stream.duration or 0) * (stream.time_base or Fraction(0))
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise DemoError(f"{path} cannot be read as a video: {error}") from error
    steps = {after - before for before, after in pairwise(times)}
    return Probe(
        frames=len(times),
        fps=Fraction(rate.numerator, rate.denominator),
        seconds=Fraction(seconds),
        steady=len(steps) == 1,
    )


def decode(path: Path) -> list[Image]:
    """Return the planes of every frame of a YUV 4:2:0 file, each (H * 3 / 2, W)."""
    with av.open(str(path)) as container:
        return [_planes(frame) for frame in container.decode(video=0)]


def _planes(frame: av.VideoFrame) -> Image:
    return np.asarray(frame.to_ndarray(), np.uint8)


@contextmanager
def vspipe(script: Path, source: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``vspipe -c y4m`` on ``script`` and yield the process; its messages go to stderr."""
    folder = Path(sys.executable).parent
    command = [str(folder / "vspipe"), "-c", "y4m", "-a", f"source={source}", str(script), "-"]
    # vspipe looks for the `vapoursynth` program of its environment on PATH when it has never been configured.
    path = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"
    # The user's configuration may point to another VapourSynth.
    environment = {**os.environ, "PATH": path, "XDG_CONFIG_HOME": str(folder.parent / "config")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def encode(script: Path, source: Path, target: Path) -> list[Image]:
    """Interpolate ``source`` through ``script`` into the H.264 file ``target``.

    Returns:
        The planes of every frame as they came out of the filter, each (H * 3 / 2, W).

    Raises:
        DemoError: vspipe fails or delivers no video.
    """
    frames: list[Image] = []
    with vspipe(script, source) as process:
        try:
            with av.open(process.stdout, "r", format="yuv4mpegpipe") as piped:
                frames = _copy_stream(piped, target)
        except (av.error.FFmpegError, OSError) as error:
            raise DemoError(_broken_pipe(process, error)) from error
        if process.wait() != 0:
            raise DemoError(f"vspipe ended with status {process.returncode}; its message stands above")
    return frames


def _broken_pipe(process: subprocess.Popen[bytes], error: Exception) -> str:
    try:
        status = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return f"the video could not be written: {error}"
    if status != 0:
        return f"vspipe ended with status {status}; its message stands above"
    return f"what vspipe delivered could not be read or written: {error}"


def _copy_stream(piped: av.container.InputContainer, target: Path) -> list[Image]:
    incoming = piped.streams.video[0]
    rate = Fraction(incoming.average_rate.numerator, incoming.average_rate.denominator)
    frames: list[Image] = []
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata.update({"title": "vsrrin demo", "copyright": CREDIT})
        stream = container.add_stream("libx264", rate=rate, options={"crf": "16", "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = incoming.width, incoming.height, "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_trc = context.color_primaries = BT709
        for number, frame in enumerate(piped.decode(incoming)):
            frames.append(_planes(frame))
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return frames


def verify(before: Probe, after: Probe, source: Sequence[Image], frames: Sequence[Image]) -> None:
    """Check counts, rate and duration, that all source frames survive, and that the others are new.

    Raises:
        DemoError: Something is wrong; the message names the first thing.
    """
    expectations = (
        ("frames out of vspipe", len(frames), before.frames * FACTOR),
        ("frames in the written file", after.frames, before.frames * FACTOR),
        ("frames per second", after.fps, before.fps * FACTOR),
        ("duration in seconds", after.seconds, before.seconds),
        ("evenly spaced frames", after.steady, True),
    )
    for what, got, expected in expectations:
        if got != expected:
            raise DemoError(f"{what}: {got}, expected {expected}; was vspipe interrupted?")
    for number, (original, kept) in enumerate(zip(source, frames[::FACTOR], strict=True)):
        if not np.array_equal(original, kept):
            raise DemoError(f"source frame {number} is not the same in the output (frame {number * FACTOR})")
    if not count_new(frames):
        raise DemoError("no frame of the output is new: every one repeats a neighbour")


def count_new(frames: Sequence[Image]) -> int:
    """Return how many frames between two source frames differ from both of them."""
    triples = zip(frames[::FACTOR], frames[1::FACTOR], frames[FACTOR::FACTOR], strict=False)
    return sum(not np.array_equal(new, left) and not np.array_equal(new, right) for left, new, right in triples)


def liveliest(frames: Sequence[Image], count: int, apart: int) -> list[int]:
    """Return the numbers of the new frames whose sources differ most, ``apart`` or more from each other, in order."""
    height = frames[0].shape[0] * 2 // 3
    change = {
        number: float(cv2.absdiff(frames[number - 1][:height], frames[number + 1][:height]).mean())
        for number in range(1, len(frames) - 1, FACTOR)
    }
    chosen: list[int] = []
    for number in sorted(change, key=lambda candidate: -change[candidate]):
        if len(chosen) < count and all(abs(number - other) >= apart for other in chosen):
            chosen.append(number)
    return sorted(chosen)


def busiest_window(left: Image, right: Image, width: int, height: int) -> tuple[int, int]:
    """Return the top left corner (x, y) of the window in which two BGR pictures differ most."""
    difference = cv2.cvtColor(cv2.absdiff(left, right), cv2.COLOR_BGR2GRAY).astype(np.float32)
    sums = cv2.boxFilter(difference, -1, (width, height), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    sums = sums[: difference.shape[0] - height + 1, : difference.shape[1] - width + 1]
    y, x = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(x), int(y)


def to_bgr(planes: Image) -> Image:
    """Convert BT.709 limited-range planes, (H * 3 / 2, W), to a picture as OpenCV stores it, (H, W, 3)."""
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    return _planes(frame.reformat(format="bgr24", src_colorspace=Colorspace.ITU709))


def contact_sheet(frames: Sequence[Image], fps: Fraction) -> Image:
    """Return source, new and source frame side by side for the three liveliest instants, details enlarged below."""
    rows = [_instant(frames, number, fps) for number in liveliest(frames, count=3, apart=max(2, len(frames) // 6))]
    foot = np.full((34, rows[0].shape[1], 3), 24, np.uint8)
    _write(foot, CREDIT, (10, 23))
    return np.vstack([*rows, foot])


def _instant(frames: Sequence[Image], number: int, fps: Fraction) -> Image:
    pictures = [to_bgr(frames[other]) for other in (number - 1, number, number + 1)]
    height, width = pictures[0].shape[:2]
    window = (width // 4, height // 4)
    x, y = busiest_window(pictures[0], pictures[2], *window)
    columns: list[Image] = []
    for offset, picture in enumerate(pictures):
        shown = number - 1 + offset
        kind = "NEW" if offset == 1 else "source"
        whole = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        cv2.rectangle(whole, (x // 2, y // 2), ((x + window[0]) // 2, (y + window[1]) // 2), (0, 255, 255))
        detail = cv2.resize(
            picture[y : y + window[1], x : x + window[0]], whole.shape[1::-1], interpolation=cv2.INTER_CUBIC
        )
        head = np.full((34, whole.shape[1], 3), (0, 90, 160) if offset == 1 else 24, np.uint8)
        _write(head, f"{kind}: frame {shown}, {float(shown / fps):.3f} s", (10, 23))
        columns.append(np.pad(np.vstack([head, whole, detail]), ((0, 6), (0, 6), (0, 0)), constant_values=24))
    return np.hstack(columns)


def _write(picture: Image, text: str, corner: tuple[int, int]) -> None:
    cv2.putText(picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1, cv2.LINE_AA)


def make_demo(script: Path, source: Path, folder: Path) -> str:
    """Run the whole demo into ``folder``.

    Returns:
        The report to print.

    Raises:
        DemoError: A step fails; nothing new is left in ``folder`` then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    video, picture = folder / "bunny_2x.mp4", folder / "frames.png"
    unfinished = [path.with_name(f".unfinished-{path.name}") for path in (video, picture)]
    try:
        before = probe(source)
        started = time.perf_counter()
        frames = encode(script, source, unfinished[0])
        seconds = time.perf_counter() - started
        after = probe(unfinished[0])
        verify(before, after, decode(source), frames)
        if not cv2.imwrite(str(unfinished[1]), contact_sheet(frames, after.fps)):
            raise DemoError(f"{picture} could not be written")
        for path, final in zip(unfinished, (video, picture), strict=True):
            path.replace(final)
    finally:
        for path in unfinished:
            path.unlink(missing_ok=True)
    return "\n".join(
        (
            f"source   {source}: {before.frames} frames, {before.fps} fps, {float(before.seconds):g} s",
            f"output   {video}: {after.frames} frames, {after.fps} fps, {float(after.seconds):g} s",
            f"         {count_new(frames)} new frames, all {before.frames} source frames unchanged",
            f"picture  {picture}: source / new / source side by side",
            f"time     {seconds:.1f} s with start-up and encoding, {len(frames) / seconds:.1f} frames per second",
            f"credit   {CREDIT}",
        )
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, run the demo, print its report; return the exit status."""
    parser = argparse.ArgumentParser(description="interpolate a clip and show the result")
    parser.add_argument("--script", type=Path, default=ROOT / "examples" / "demo.vpy")
    parser.add_argument("--source", type=Path, default=CLIP, help="an 8-bit 4:2:0 video of constant frame rate")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="where the results go")
    options = parser.parse_args(arguments)
    try:
        print(make_demo(options.script.resolve(), options.source.resolve(), options.folder.resolve()))
    except DemoError as error:
        print(f"demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo interrupted, nothing was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
