"""Triplets with small fast things over video: balls, and pieces of other videos, smeared a little, on curved paths.

The video's own frame between the two is known, and so is where the things are, so that errors can be told where they
matter. The same folder gives the same triplets.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data import flat_art
from training.data.batch import generator
from training.data.moving_layers import Layer, Motion, render
from training.data.synthetic_samples import blob, texture
from training.errors import DatasetError

from .triplets import Picture, read_frames, video_files

_SEED = 1
_FEWEST, _MOST = 3, 6
"""Things in a picture."""
_SIZES, _WAYS = (8.0, 32.0), (24.0, 72.0)
"""Pixels across things, and that they move from the left to the right frame."""
_BEND = 0.06
"""Usual height of the arc of a path, as a share of its length."""
_SMEAR = 0.3
"""Pixels that things are smeared at most, as a share of their size."""
THINGS, HIDDEN = 255, 128
"""In a mask: a thing in the true frame, and what a thing hides in the left or the right one."""


@dataclass(frozen=True, kw_only=True)
class SmallThings:
    """Triplet with small fast things."""

    name: str
    frames: tuple[Picture, Picture, Picture]
    """Left, true and right frame."""
    mask: NDArray[np.uint8]
    """(H, W), `THINGS`, `HIDDEN`, or 0 elsewhere."""


def small_things(folder: Path, count: int) -> Iterator[SmallThings]:
    """Yield triplets of three neighbouring frames of a folder's videos, which take turns.

    Args:
        folder: Folder of video files without cuts, of which none is trained on.
        count: Number of triplets.

    Raises:
        DatasetError: The folder is missing, a file cannot be read, or none has three frames.
    """
    videos = [(path, frames) for path in video_files(folder) if len(frames := read_frames(path)) > 2]
    if not videos:
        raise DatasetError(f"{folder} has no video file of 3 or more frames; give a folder of short clips")
    for number in range(count):
        rng = generator(_SEED, number)
        path, frames = videos[number % len(videos)]
        _, others = videos[(number + 1) % len(videos)]
        start = int(rng.integers(len(frames) - 2))
        yield pasted(f"{number:02}_{path.stem}", frames[start : start + 3], others[0], rng)


def pasted(name: str, frames: list[Picture], cut_from: Picture, rng: np.random.Generator) -> SmallThings:
    """Return three frames with random small things over them.

    Args:
        name: Name of the triplet.
        frames: Left, true and right frame, (H, W, 3).
        cut_from: Picture of which pieces are things.
        rng: Source of random numbers.
    """
    height, width = frames[0].shape[:2]
    things = [_thing(width, height, cut_from, rng) for _ in range(rng.integers(_FEWEST, _MOST + 1))]
    middle = Motion(x=(width - 1) / 2, y=(height - 1) / 2, dx=0, dy=0, angle=0, turn=0, scale=1, growth=0)
    box = (0, 0, width, height)
    views = [
        render([Layer(frame, middle), *things], time, box) for frame, time in zip(frames, (0, 0.5, 1), strict=True)
    ]
    left, true, right = (np.clip(np.rint(view.frame), 0, 255).astype(np.uint8) for view in views)
    first, now, last = ((view.owner > 0) | (view.clear == 0) for view in views)
    mask = np.where(now, THINGS, np.where(first | last, HIDDEN, 0)).astype(np.uint8)
    return SmallThings(name=name, frames=(left, true, right), mask=mask)


def _thing(width: int, height: int, cut_from: Picture, rng: np.random.Generator) -> Layer:
    """Return a ball or a piece of a picture, inside the frame at all times."""
    size, way, angle = rng.uniform(*_SIZES), rng.uniform(*_WAYS), rng.uniform(0, 2 * math.pi)
    side = math.ceil(2 * size)
    if rng.random() < 0.5:
        piece = texture(cut_from, side, rng)
        drawn = np.dstack((piece, blob(piece.shape[0], piece.shape[1], rng)))
    else:
        drawn = flat_art.painted(flat_art.ball, side, flat_art.palette(rng), rng, plain=rng.random() < 0.5)
    move = way * np.array((math.cos(angle), math.sin(angle)))
    arc = rng.normal(0, _BEND * way, 2)
    inside = np.abs(move) / 2 + np.abs(arc) + size
    room = np.maximum(np.array((width, height)) / 2 - inside, 0)
    place = np.array((width, height)) / 2 + rng.uniform(-room, room)
    motion = Motion(
        x=float(place[0]),
        y=float(place[1]),
        dx=float(move[0]),
        dy=float(move[1]),
        angle=float(rng.uniform(-math.pi, math.pi)),
        turn=float(rng.normal(0, 0.2)),
        scale=0.5,
        growth=0.0,
        arc_x=float(arc[0]),
        arc_y=float(arc[1]),
    )
    return Layer(drawn, motion, shutter=float(rng.uniform(0.1, 1) * _SMEAR * size / way))


def write(found: SmallThings, folder: Path) -> None:
    """Write a triplet as lossless PNG: frame10.png, frame10i11.png (the true frame), frame11.png, and mask.png.

    The names of the frames are those of Baker et al., "A database and evaluation methodology for optical flow", IJCV
    2011.

    Raises:
        DatasetError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = dict(zip(("frame10", "frame10i11", "frame11"), found.frames, strict=True))
    for name, picture in {**pictures, "mask": found.mask}.items():
        if not cv2.imwrite(str(folder / f"{name}.png"), picture[..., ::-1] if picture.ndim == 3 else picture):
            raise DatasetError(f"{folder / name}.png cannot be written; is the disk full?")
