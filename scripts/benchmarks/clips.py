"""Frames for benchmarks, decoded and scaled beforehand, held in memory while the clock runs."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

# Imported where it is used: memory is measured of processes that need neither VapourSynth nor PyAV.
if TYPE_CHECKING:
    import vapoursynth as vs

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "media" / "bunny_stretch.mp4"
"""The bundled clip."""
SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}
"""(width, height) by name."""
RATE = 25
"""Frame rate of the clips; no method's time depends on it."""


@dataclass(frozen=True)
class Source:
    """A file of raw frames, 8-bit 4:2:0, plane after plane."""

    path: str
    width: int
    height: int
    frames: int


def size_of(text: str) -> tuple[int, int]:
    """Return the (width, height) of a name in `SIZES` or of a text like 640x360.

    Raises:
        argparse.ArgumentTypeError: It is neither, or 4:2:0 cannot have such sides.
    """
    try:
        width, height = SIZES[text] if text in SIZES else map(int, text.split("x"))
    except ValueError:
        width = height = 0
    if min(width, height) < 2 or width % 2 or height % 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give {', '.join(SIZES)} or even numbers like 640x360")
    return width, height


def write_source(clip: Path, target: Path, size: tuple[int, int], frames: int) -> Source:
    """Decode the first frames of a video, scale them and write them to ``target``.

    Raises:
        ValueError: The video has fewer frames.
    """
    import av

    count = 0
    with av.open(str(clip)) as container, target.open("wb") as file:
        for frame in container.decode(video=0):
            if count == frames:
                break
            file.write(frame.reformat(*size, "yuv420p", interpolation="BICUBIC").to_ndarray().tobytes())
            count += 1
    if count < frames:
        raise ValueError(
            f"{clip} has {count} frames, fewer than the {frames} asked for: choose a longer video or fewer frames"
        )
    return Source(str(target), *size, frames)


def load_clip(source: Source) -> vs.VideoNode:
    """Return the frames as a clip, held in memory, BT.709 in limited range."""
    import numpy as np
    import vapoursynth as vs

    width, height = source.width, source.height
    data = np.fromfile(source.path, np.uint8).reshape(source.frames, -1)
    blank = vs.core.std.BlankClip(
        format=vs.YUV420P8, width=width, height=height, length=source.frames, fpsnum=RATE, fpsden=1, keep=True
    )

    def write(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame, start = f.copy(), 0
        for plane in range(3):
            target = np.asarray(frame[plane])
            np.copyto(target, data[n, start : start + target.size].reshape(target.shape))
            start += target.size
        return frame

    clip = blank.std.ModifyFrame(blank, write)
    return in_memory(clip.std.SetFrameProps(_Matrix=vs.MATRIX_BT709, _Range=0))


def opencv_clip(frames: int, size: tuple[int, int], kind: int | None = None) -> vs.VideoNode:
    """Return the first frames of the bundled clip, read by OpenCV alone and held in memory, 25 fps, BT.709.

    Args:
        frames: How many.
        size: (width, height).
        kind: A format of VapourSynth; ``None`` for 8-bit 4:2:0.
    """
    import cv2
    import numpy as np
    import vapoursynth as vs

    video, planes = cv2.VideoCapture(str(CLIP)), []
    for _ in range(frames):
        read, picture = video.read()
        assert read, f"OpenCV cannot read {frames} frames of {CLIP}"
        planes.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)[..., ::-1].transpose(2, 0, 1).copy())
    video.release()
    blank = vs.core.std.BlankClip(
        format=vs.RGB24, width=size[0], height=size[1], length=frames, fpsnum=RATE, fpsden=1, keep=True
    )

    def write(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        for plane in range(3):
            np.copyto(np.asarray(frame[plane]), planes[n][plane])
        return frame

    form = vs.core.get_video_format(vs.YUV420P8 if kind is None else kind)
    matrix = {} if form.color_family == vs.RGB else {"matrix": vs.MATRIX_BT709}
    return in_memory(blank.std.ModifyFrame(blank, write).resize.Bicubic(format=form.id, **matrix))


def in_memory(clip: vs.VideoNode) -> vs.VideoNode:
    """Return the clip with all its frames decoded and held, so that decoding is not timed."""
    clip = clip.std.Trim()  # a node of its own, whose cache is ours to set
    clip.std.SetVideoCache(mode=1, fixedsize=1, maxsize=clip.num_frames + 1, maxhistory=0)
    for _ in clip.frames():
        pass
    return clip
