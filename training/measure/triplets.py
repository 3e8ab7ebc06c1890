"""Frame triplets of video files, to measure with: two source frames and a true frame between them.

A folder holds video files without cuts. Which triplets there are follows from the length and the motion of each shot,
see `spans` and `chosen`, so that figures of different runs compare. Motion is taken from the folder's manifest.json
("clips": a list of objects with "file", "w", "h" and "motion_mean_px", pixels of the original picture a frame) or, for
files that are not in it, from DIS optical flow.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import islice
from pathlib import Path
from statistics import fmean

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from training.errors import DatasetError
from vsrrin import files

type Picture = NDArray[np.uint8]
"""(H, W, 3), RGB."""

LONG_EDGE = 640
"""Larger pictures are scaled down to this many pixels on the long edge."""
MOST_FRAMES = 300
"""Frames read of a longer file."""
FIRST, STEP = 1, 10
"""First and distance of the starts of triplets in a shot."""
SLOW = 1.5
"""Pixels a frame, at the size measured, below which a shot also gives triplets with a wide gap."""
BUCKETS = ("slow", "medium", "fast")
SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".y4m")
CACHE_BYTES = 2**30
"""Bytes of decoded frames kept while the list of triplets is made, so that files need not be read twice."""


@dataclass(frozen=True)
class Span:
    """Place of a triplet: number of the left frame, frames from left to right, place of the true frame."""

    start: int
    gap: int
    t: Fraction

    def __str__(self) -> str:
        return f"{self.start}+{self.gap} t={self.t}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Triplet:
    """Two source frames and the true frame at t between them."""

    clip: str
    span: Span
    left: Picture
    truth: Picture
    right: Picture

    @cached_property
    def motion(self) -> float:
        """Mean length of DIS flow from left to right, in pixels."""
        return mean_flow(self.left, self.right)

    @property
    def bucket(self) -> str:
        """Bucket by motion: "slow" below 3 px, "fast" above 10 px, otherwise "medium"."""
        return "slow" if self.motion < 3 else "fast" if self.motion > 10 else "medium"


def triplets(folder: Path, *, limit: int | None = None, split: bool = True) -> list[Triplet]:
    """Return the triplets of a folder's files, file by file.

    Args:
        folder: Folder of video files.
        limit: At most so many, spread evenly over the list.
        split: Whether to take every second triplet only, as the published figures do.

    Raises:
        DatasetError: The folder is missing, has no video file long enough, or a file in it cannot be read.
    """
    return list(read_triplets(folder, limit=limit, split=split))


def read_triplets(folder: Path, *, limit: int | None = None, split: bool = True) -> Iterator[Triplet]:
    """Yield `triplets` one by one, holding at most `CACHE_BYTES` of frames and one file's."""
    known = read_motion(folder)
    shots: dict[str, tuple[int, float]] = {}
    kept: dict[str, list[Picture]] = {}
    free = CACHE_BYTES
    for path in video_files(folder):
        frames = read_frames(path)
        shots[path.name] = len(frames), known[path.name] if path.name in known else measure_motion(frames)
        size = sum(frame.nbytes for frame in frames)
        if size <= free:
            kept[path.name] = frames
            free -= size
    selected = thinned(chosen(shots, split=split), limit)
    if not any(selected.values()):
        raise DatasetError(f"{folder} has no video file of {FIRST + 3} or more frames; give a folder of short clips")
    for name, places in selected.items():
        frames = kept.pop(name, [])
        frames = frames or (read_frames(folder / name) if places else [])
        for span in places:
            left, truth, right = (frames[span.start + at] for at in (0, int(span.gap * span.t), span.gap))
            yield Triplet(clip=name, span=span, left=left, truth=truth, right=right)


# --- which ---------------------------------------------------------------------------------------------------------


def spans(frames: int, motion: float) -> list[list[Span]]:
    """Return the triplets of a shot, in three lists.

    Pairs with one frame between them at t = 1/2 and with three frames between them at t = 1/4, and, below 1.5 px a
    frame, with five frames between them at t = 1/2. The starts are frames 1, 11, 21, ...

    Args:
        frames: Length of the shot.
        motion: Pixels a frame at the size measured.
    """
    kinds = [(2, Fraction(1, 2), True), (4, Fraction(1, 4), True), (6, Fraction(1, 2), motion < SLOW)]
    return [
        [Span(start, gap, t) for start in range(FIRST, frames - gap, STEP)] if used else [] for gap, t, used in kinds
    ]


def chosen(shots: Mapping[str, tuple[int, float]], *, split: bool = True) -> dict[str, list[Span]]:
    """Return every triplet of all shots, or every second, listed by kind, then by file name, then by start.

    Args:
        shots: Length and motion by file name.
        split: Whether to take every second.
    """
    found = {name: spans(*shots[name]) for name in sorted(shots)}
    listed = [(name, span) for kind in range(3) for name in found for span in found[name][kind]]
    return {name: [span for owner, span in listed[:: 2 if split else 1] if owner == name] for name in found}


def thinned(selected: Mapping[str, Sequence[Span]], limit: int | None) -> dict[str, list[Span]]:
    """Return at most ``limit`` of the spans, spread evenly over the list."""
    listed = [(name, span) for name, places in selected.items() for span in places]
    count = len(listed) if limit is None else min(limit, len(listed))
    taken = [listed[number * len(listed) // count] for number in range(count)]
    return {name: [span for owner, span in taken if owner == name] for name in selected}


# --- reading -------------------------------------------------------------------------------------------------------


def video_files(folder: Path) -> list[Path]:
    """Return the video files of a folder, by name.

    Raises:
        DatasetError: There is no such folder, or no video file in it.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; give one that holds video files")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise DatasetError(f"{folder} has no video file (none ends with {', '.join(SUFFIXES)})")
    return found


def target_size(width: int, height: int) -> tuple[int, int]:
    """Return (width, height) with at most `LONG_EDGE` on the long edge, even."""
    ratio = min(1.0, LONG_EDGE / max(width, height))
    return max(2, 2 * round(width * ratio / 2)), max(2, 2 * round(height * ratio / 2))


def read_frames(path: Path) -> list[Picture]:
    """Read the first `MOST_FRAMES` frames of a file, scaled down.

    Raises:
        DatasetError: It cannot be decoded.
    """
    try:
        with av.open(files.url(path)) as container:
            if not container.streams.video:
                raise DatasetError(f"{path} holds no video; take it out of the folder")
            return [_scaled(frame) for frame in islice(container.decode(video=0), MOST_FRAMES)]
    except av.FFmpegError as error:
        raise DatasetError(f"{path} cannot be decoded: {error}; take it out of the folder or replace it") from None


def _scaled(frame: av.VideoFrame) -> Picture:
    size = target_size(frame.width, frame.height)
    return np.asarray(cv2.resize(frame.to_ndarray(format="rgb24"), size, interpolation=cv2.INTER_AREA), np.uint8)


def read_motion(folder: Path) -> dict[str, float]:
    """Read the motion by file name from the folder's manifest; empty if there is none.

    In pixels a frame, at the size measured.

    Raises:
        DatasetError: The manifest is damaged, or of another form.
    """
    path = folder / "manifest.json"
    try:
        clips = json.loads(path.read_text("utf-8"))["clips"] if path.is_file() else []
        return {c["file"]: float(c["motion_mean_px"]) * min(1.0, LONG_EDGE / max(c["w"], c["h"])) for c in clips}
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f'{path} is no list of clips ({type(error).__name__}: {error}); it needs "clips" with "file", "w", "h" '
            'and "motion_mean_px", or can be taken away'
        ) from None


# --- motion --------------------------------------------------------------------------------------------------------


def grey(picture: Picture) -> Picture:
    """Return the mean of the channels, (H, W), cut to 8 bit."""
    return picture.mean(axis=2, dtype=np.float32).astype(np.uint8)


def dis_flow(source: Picture, target: Picture) -> NDArray[np.float32]:
    """Return DIS flow, medium preset, of two grey pictures (H, W): (H, W, 2), (dx, dy) in pixels."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(dis.calc(source, target, None), np.float32)  # type: ignore[call-overload]


def mean_flow(left: Picture, right: Picture) -> float:
    """Return the mean length of DIS flow, in pixels."""
    return float(np.linalg.norm(dis_flow(grey(left), grey(right)), axis=-1).mean())


def measure_motion(frames: Sequence[Picture], pairs: int = 8) -> float:
    """Return the motion in pixels a frame, from some neighbouring frames; 0 for fewer than two frames."""
    starts = sorted({int(start) for start in np.linspace(0, len(frames) - 2, pairs)}) if len(frames) > 1 else []
    return fmean(mean_flow(frames[i], frames[i + 1]) for i in starts) if starts else 0.0
