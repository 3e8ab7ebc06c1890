"""What the check of a device works on: clips in memory, checkpoints of every network, frames asked for in any order.

Videos are read by OpenCV alone; where it cannot read the bundled clip, the frames are of a made-up picture that moves.
"""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
import vapoursynth as vs
from numpy.typing import NDArray
from torch import nn

from vsrrin.checkpoint import loader
from vsrrin.nets.registry import by_name

CLIP = Path(__file__).parents[3] / "media" / "bunny_stretch.mp4"
BUNDLED = {"draft": "plain", "balanced": "rrin_lite_quick", "rrin_lite": "rrin_lite"}
"""Bundled weights, and the network of each."""
UNTRAINED = ("rrin", "srrin", "raft_rrin", "cain", "bmbc")
"""Networks of the published sizes, with random weights."""

type Picture = list[NDArray[np.generic]]
"""The planes of a frame."""

_SEED = 0
_LIVELY = {"rrin": 8.0, "srrin": 8.0, "raft_rrin": 8.0}
"""What the output layers of random networks are multiplied by: else their flow is next to nothing."""


def pictures(count: int, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """Frames (H, W, 3), BGR, of the bundled clip if it can be read, else of a picture that moves.

    Args:
        count: How many.
        size: (width, height).
    """
    found: list[NDArray[np.uint8]] = []
    video = cv2.VideoCapture(str(CLIP))
    while len(found) < count:
        there, frame = video.read()
        if not there:
            break
        found.append(np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8))
    video.release()
    return found if len(found) == count else [_moving(k, size) for k in range(count)]


def _moving(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    chooser = np.random.default_rng(_SEED)
    ys, xs = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float64)
    xs, ys = xs - 6.0 * number, ys + 4.0 * number
    channels = []
    for _ in range(3):
        channel = np.zeros(xs.shape)
        for _ in range(24):
            fx, fy = chooser.normal(0, 0.25, 2)
            channel += np.sin(fx * xs + fy * ys + chooser.uniform(0, 6.3)) / (1 + 8 * np.hypot(fx, fy))
        channels.append(0.5 + 0.12 * channel)
    return np.asarray(np.clip(np.stack(channels, -1) * 255, 0, 255), np.uint8)


def clip_of(count: int, size: tuple[int, int], kind: int = vs.YUV420P8) -> vs.VideoNode:
    """Such frames as a clip in memory, 25 fps, BT.709.

    Args:
        count: Frames.
        size: (width, height).
        kind: A format of VapourSynth.
    """
    images = [np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)) for image in pictures(count, size)]
    blank = vs.core.std.BlankClip(
        format=vs.RGB24, width=size[0], height=size[1], length=count, fpsnum=25, fpsden=1, keep=True
    )

    def write(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        for plane in range(3):
            np.copyto(np.asarray(frame[plane]), images[n][plane])
        return frame

    clip = blank.std.ModifyFrame(blank, write)
    is_rgb = vs.core.get_video_format(kind).color_family == vs.RGB
    clip = clip.resize.Bicubic(format=kind) if is_rgb else clip.resize.Bicubic(format=kind, matrix=vs.MATRIX_BT709)
    clip.std.SetVideoCache(mode=1, fixedsize=1, maxsize=count + 1, maxhistory=0)
    return clip


def model_of(name: str, folder: Path) -> str:
    """What `vsrrin.interpolate` is to be given for a network: a bundled name, or a file written into ``folder``."""
    if name in BUNDLED:
        return name
    path = folder / f"{name}.safetensors"
    if not path.exists():
        spec = by_name(name)
        torch.manual_seed(_SEED)
        net = spec.default().eval().requires_grad_(False)
        for part_name, layer in net.named_modules():
            if isinstance(layer, nn.Conv2d):
                if not torch.any(layer.weight):  # else it would change nothing
                    nn.init.normal_(layer.weight, std=1e-3)
                if part_name.endswith(".last"):
                    layer.weight.mul_(_LIVELY.get(name, 1.0))
        sidecar = dict.fromkeys(loader.SIDECAR_GIVEN, "random weights")
        loader.save(net, spec, path, arithmetic=spec.arithmetics[0], sidecar=sidecar)
    return str(path)


def planes(frame: vs.VideoFrame) -> Picture:
    """Copies of a frame's planes."""
    return [np.array(np.asarray(frame[plane])) for plane in range(frame.format.num_planes)]


def straight(clip: vs.VideoNode) -> list[Picture]:
    """All frames, one after the other."""
    found = []
    for n in range(clip.num_frames):
        with clip.get_frame(n) as frame:
            found.append(planes(frame))
    return found


def by_threads(clip: vs.VideoNode, seed: int) -> list[Picture]:
    """All frames, asked for in a random order by several threads."""
    found: dict[int, Picture] = {}

    def ask(n: int) -> None:
        with clip.get_frame(n) as frame:
            found[n] = planes(frame)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, random.Random(seed).sample(range(clip.num_frames), clip.num_frames)))
    return [found[n] for n in range(clip.num_frames)]


def at_once(clip: vs.VideoNode, seed: int) -> list[Picture]:
    """All frames, all of them asked for before the first is there, in a random order."""
    order = random.Random(seed).sample(range(clip.num_frames), clip.num_frames)
    futures = {n: clip.get_frame_async(n) for n in order}
    found = {}
    for n, future in futures.items():
        with future.result() as frame:
            found[n] = planes(frame)
    return [found[n] for n in range(clip.num_frames)]


def kinds(clip: vs.VideoNode) -> list[str]:
    """What each frame says that it is."""
    return [str(frame.props["_VSRRIN_Kind"]) for frame in clip.frames(close=True)]


def same(first: Sequence[Picture], second: Sequence[Picture]) -> bool:
    """Whether all samples are equal."""
    return all(
        np.array_equal(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)
    )


def difference(first: Sequence[Picture], second: Sequence[Picture]) -> tuple[float, float]:
    """Largest difference in 8-bit levels, and PSNR in dB (infinite if there is none) of all samples.

    Integers are taken to use all bits of their type.
    """
    largest, squares, count = 0.0, 0.0, 0
    for one, two in zip(first, second, strict=True):
        for a, b in zip(one, two, strict=True):
            levels = 255.0 if a.dtype.kind == "f" else 2.0 ** (8 - 8 * a.dtype.itemsize)
            error = (a.astype(np.float64) - b.astype(np.float64)) * levels
            largest, squares, count = (
                max(largest, float(np.abs(error).max())),
                squares + float((error**2).sum()),
                count + a.size,
            )
    if not np.isfinite(squares):
        return float("inf"), float("-inf")
    return largest, float(10 * np.log10(255.0**2 * count / squares)) if squares else float("inf")
