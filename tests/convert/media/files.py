"""Media files that the tests make from the bundled clip, and measures of what came out of them."""

import json
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.conftest import BUNNY
from vsrrin.clip.retiming import Pace
from vsrrin.convert.media.encode import VideoTimes
from vsrrin.convert.media.mux import Cut, join
from vsrrin.convert.media.probe import probe
from vsrrin.convert.media.streams import AudioMode, StreamPlan, plan_streams

SIZE = (160, 90)
RATE = 25
WHOLE = Cut()
Packed = list[tuple[Fraction, float]]


def ffmpeg(folder: Path, *arguments: str) -> None:
    """Runs ffmpeg in a folder; an error fails the test."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, cwd=folder, timeout=100)
    assert done.returncode == 0, done.stderr.decode()


def ffprobe(path: Path, *entries: str) -> dict[str, Any]:
    """What ffprobe says of a file, as JSON."""
    command = ["ffprobe", "-v", "error", "-of", "json", *entries, str(path)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def streams(path: Path) -> list[dict[str, Any]]:
    """The streams of a file by ffprobe."""
    found: list[dict[str, Any]] = ffprobe(path, "-show_streams")["streams"]
    return found


def bunny(folder: Path, name: str, *arguments: str, inputs: tuple[str, ...] = (), frames: int = 25) -> Path:
    """The bundled clip, small and short, with what else the arguments ask for."""
    picture = f"trim=end_frame={frames},scale={SIZE[0]}:{SIZE[1]},setsar=1"
    video = ("-vf", picture, "-c:v", "libx264", "-preset", "ultrafast", "-threads", "1")
    ffmpeg(folder, "-i", str(BUNNY), *inputs, *video, *arguments, name)
    return folder / name


def larger_bunny(folder: Path, frames: int) -> Path:
    """The bundled clip, short, and large enough that a conversion of it takes a while."""
    picture = ("-vf", "scale=480:270,setsar=1", "-frames:v", str(frames))
    ffmpeg(folder, "-i", str(BUNNY), *picture, "-c:v", "libx264", "-preset", "ultrafast", "in.mp4")
    return folder / "in.mp4"


def steady(frames: int, rate: Fraction | int = RATE, start: Fraction = Fraction(0)) -> VideoTimes:
    """Times of frames at a constant rate."""
    return VideoTimes(start=start, time_base=1 / Fraction(rate), frames=frames, step=1, pts=None, last=1)


def encode_segments(
    folder: Path,
    pictures: "list[np.ndarray[Any, Any]]",
    times: VideoTimes,
    *,
    lengths: tuple[int, ...],
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> list[Path]:
    """Segments of the lengths given, encoded as the converter does: times count from the first frame of all."""
    paths = []
    number = 0
    for index, length in enumerate(lengths):
        path = folder / f"{index:06}.nut"
        with av.open(path, "w", format="nut") as container:
            stream = container.add_stream(
                codec, rate=Fraction(times.rate).limit_denominator(100000), options=options or {}
            )
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = stream.time_base = times.time_base
            stream.codec_context.thread_count = 1
            stream.codec_context.flags |= int(av.codec.context.Flags.global_header | av.codec.context.Flags.closed_gop)
            for _ in range(length):
                frame = av.VideoFrame.from_ndarray(pictures[number % len(pictures)], format="rgb24")
                frame.pts, frame.time_base = times.tick(number), times.time_base
                container.mux(stream.encode(frame))
                number += 1
            container.mux(stream.encode(None))
        paths.append(path)
    return paths


def gray(level: int) -> "np.ndarray[Any, Any]":
    """A small picture of one level."""
    return np.full((SIZE[1] // 2 * 2, SIZE[0], 3), level, np.uint8)


def blank(frames: int) -> "list[np.ndarray[Any, Any]]":
    """Small pictures that differ a little."""
    return [gray(60 + n % 100) for n in range(frames)]


def remux(
    source: Path,
    target: Path,
    *,
    audio: AudioMode = "keep",
    tempo: Fraction = Fraction(1),
    cut: Cut = WHOLE,
    times: VideoTimes | None = None,
    pictures: "list[np.ndarray[Any, Any]] | None" = None,
    subtitles: bool = True,
) -> tuple[StreamPlan, VideoTimes]:
    """Joins new video of a second's length (or as given) with the streams of a source."""
    info = probe(source)
    times = times or steady(RATE, start=info.video_start * tempo)
    codec = "libvpx-vp9" if target.suffix == ".webm" else "libx264"
    options = {"deadline": "realtime", "cpu-used": "8"} if codec == "libvpx-vp9" else {"preset": "ultrafast"}
    plan = plan_streams(info, target, audio=audio, pace=Pace(1 / tempo), subtitles=subtitles, cut=cut)
    half = times.frames // 2
    lengths = (half, times.frames - half) if half else (times.frames,)
    folder = target.parent / f"{target.name}.segments"
    folder.mkdir()
    segments = encode_segments(folder, pictures or blank(10), times, lengths=lengths, codec=codec, options=options)
    join(segments, target, info, plan, frame_times=times, cut=cut, pace=Pace(1 / tempo))
    return plan, times


def sound(path: Path, index: int = 0) -> tuple["np.ndarray[Any, Any]", Fraction, int]:
    """A file's decoded sound as mono floats, the time of its first sample, and its rate."""
    parts: list[np.ndarray[Any, Any]] = []
    start: Fraction | None = None
    with av.open(path) as container:
        stream = container.streams.audio[index]
        rate = stream.codec_context.sample_rate
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate)
        for frame in container.decode(stream):
            if start is None:
                assert frame.pts is not None and frame.time_base is not None
                start = frame.pts * Fraction(frame.time_base)
            for made in resampler.resample(frame):
                parts.append(made.to_ndarray()[0])
    assert start is not None
    return np.concatenate(parts), start, rate


def beeps(path: Path, index: int = 0) -> list[float]:
    """When each beep begins, seconds: where the sound's envelope first passes half its height."""
    samples, start, rate = sound(path, index)
    loud = np.abs(samples) > 0.25 * np.abs(samples).max()
    found, last = [], -rate
    for position in np.flatnonzero(loud):
        if position - last > rate // 4:
            found.append(float(start) + position / rate)
        last = position
    return found


def middles(path: Path) -> list[float]:
    """The middle of each beep, seconds."""
    samples, start, rate = sound(path)
    loud = np.flatnonzero(np.abs(samples) > 0.25 * np.abs(samples).max())
    groups = np.split(loud, np.flatnonzero(np.diff(loud) > rate // 4) + 1)
    return [float(start) + (group[0] + group[-1]) / 2 / rate for group in groups]


def flashes(path: Path) -> list[float]:
    """When each bright picture is first shown, seconds."""
    found = []
    before = False
    with av.open(path) as container:
        for frame in container.decode(video=0):
            bright = float(frame.to_ndarray(format="gray").mean()) > 128
            if bright and not before:
                assert frame.pts is not None and frame.time_base is not None
                found.append(float(frame.pts * Fraction(frame.time_base)))
            before = bright
    return found
