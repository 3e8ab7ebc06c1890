"""A small test of the whole way, from frames to an encoded file, with a pattern of exactly known motion."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

import vsrrin
from vsrrin.convert.media import library
from vsrrin.engine.backends import openvino_backend
from vsrrin.errors import VsrrinError

LEAST_PSNR = 40.0
"""Least PSNR in dB of the new frame without its border; a blend of the two frames has 31."""
LEAST_CODED_PSNR = 25.0
_SIDE, _FRAMES, _STEP, _BORDER = 64, 3, 6, 8


def interpolate(device: str) -> float:
    """Double the rate of the moving pattern on a device.

    Args:
        device: Name of the device.

    Returns:
        PSNR of the first new frame in dB, at most 99.

    Raises:
        VsrrinError: The device cannot be used, or a source frame was changed.
    """
    way: dict[str, Any] = {}
    if device == "cpu":  # named, as a check leaves nothing behind, such as what is found to be fastest
        way = {"precision": "fp32", "backend": "openvino" if openvino_backend.installed() else "torch"}
    try:
        clip = vsrrin.interpolate(_clip(), scene="off", device=device, **way)
        pictures = [_picture(clip.get_frame(number)) for number in range(2)]
    except vs.Error as error:
        raise VsrrinError(str(error)) from error
    if not np.array_equal(pictures[0], pattern(0)):
        raise VsrrinError("a source frame came out changed")
    inner = slice(_BORDER, -_BORDER)
    return _psnr(pictures[1][inner, inner], pattern(_STEP / 2)[inner, inner])


def round_trip(codec: str) -> float:
    """Write the pattern with an encoder, and read it with BestSource.

    Args:
        codec: FFmpeg's name of the encoder.

    Returns:
        Mean PSNR of the luma in dB, at most 99.

    Raises:
        VsrrinError: The file cannot be read, or has another number of frames.
    """
    pictures = [pattern(_STEP * number) for number in range(_FRAMES)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.mkv"
        library.write_clip(path, pictures, codec)
        try:
            clip = vs.core.bs.VideoSource(str(path), cachemode=0, showprogress=0)
            wanted = _clip().resize.Point(format=vs.YUV420P8, matrix=vs.MATRIX_ST170_M)
            coded = [np.array(np.asarray(frame[0])) for frame in clip.frames(close=True)]
            luma = [np.array(np.asarray(frame[0])) for frame in wanted.frames(close=True)]
        except vs.Error as error:
            raise VsrrinError(f"BestSource cannot read what {codec} wrote: {error}") from error
        del clip  # closes the file
    if len(coded) != _FRAMES:
        raise VsrrinError(f"{codec} was given {_FRAMES} frames, and {len(coded)} were read again")
    return float(np.mean([_psnr(a, b) for a, b in zip(coded, luma, strict=True)]))


def pattern(shift: float) -> NDArray[np.uint8]:
    """Return a sum of waves, (64, 64, 3), moved to the right by ``shift`` pixels."""
    chooser = np.random.default_rng(0)
    y, x = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float64)
    total = np.zeros((_SIDE, _SIDE, 3))
    for channel in range(3):
        for _ in range(16):
            fx, fy = chooser.normal(0, 0.25, 2)
            wave = np.sin(fx * (x - shift) + fy * y + chooser.uniform(0, 6.3))
            total[..., channel] += wave / (1 + 8 * np.hypot(fx, fy))
    return np.rint(np.clip(0.5 + 0.12 * total, 0, 1) * 255).astype(np.uint8)


def _clip() -> vs.VideoNode:
    blank = vs.core.std.BlankClip(None, _SIDE, _SIDE, vs.RGB24, length=_FRAMES, fpsnum=25, fpsden=1)

    def draw(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        for plane, values in enumerate(pattern(_STEP * n).transpose(2, 0, 1)):
            np.copyto(np.asarray(frame[plane]), values)
        return frame

    return blank.std.ModifyFrame(blank, draw)


def _picture(frame: vs.VideoFrame) -> NDArray[np.uint8]:
    return np.stack([np.asarray(frame[plane]) for plane in range(3)], -1).astype(np.uint8)


def _psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    error = float(np.mean((first.astype(np.float64) - second) ** 2))
    return 99.0 if error == 0 else min(float(10 * np.log10(255**2 / error)), 99.0)
