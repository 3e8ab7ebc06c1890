"""Shots stored as images: Vimeo-90K and folders of frames.

Vimeo-90K: Xue, Chen, Wu, Wei, Freeman: "Video Enhancement with Task-Oriented Flow", IJCV 2019. Its folders hold
sequences/00001/0001/im1.png ... im3.png or im7.png, and lists of sequences ("00001/0001" a line) for training and test.
"""

import os
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property, lru_cache
from math import nan
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from training.errors import DatasetError
from vsrrin.convert.image_headers import read_header
from vsrrin.convert.images import EXTENSIONS, natural_key
from vsrrin.errors import ConvertError

type Picture = NDArray[np.uint8]
"""(H, W, 3), RGB."""

FEWEST = 3
"""Frames without which a shot has no triplet."""

_LISTS = {"tri": 3, "sep": 7}
"""Kind of list, and how many frames its sequences have."""
_SHOWN = 3


class ImageShot:
    """Shot of image files, which are decoded whole whenever a part of them is asked for.

    Args:
        name: For messages.
        files: The frames in their order.
        like: A file of another shot that all have the size of, so that not every header need be read.
    """

    fps: Fraction | None = None
    motion = nan

    def __init__(self, name: str, files: Sequence[Path], like: Path | None = None) -> None:
        self.name, self.files = name, tuple(files)
        self._like = like or self.files[0]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.files)

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self._size[1]

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self._size[0]

    @cached_property
    def _size(self) -> tuple[int, int]:
        return _size(self._like)

    def frame(self, number: int) -> Picture:
        """Return frame ``number``, (H, W, 3) uint8 RGB; it must not be written to.

        Raises:
            DatasetError: Its file is missing, damaged, or of another size than the first.
        """
        picture = _kept(self.files[number])
        if picture.shape != (self.height, self.width, 3):
            raise DatasetError(
                f"{self.files[number]} has {picture.shape[1]}x{picture.shape[0]} pixels, {self._like} has "
                f"{self.width}x{self.height}; all frames of a shot must have one size"
            )
        return picture

    def crop(self, number: int, top: int, left: int, height: int, width: int) -> Picture:
        """Return a window of frame ``number``, a copy of (height, width, 3) uint8 RGB."""
        return self.frame(number)[top : top + height, left : left + width].copy()


def read_image(path: Path) -> Picture:
    """Read an image as (H, W, 3) uint8 RGB, upright; 16 bits are rounded to 8, transparency is ignored.

    Raises:
        DatasetError: It is missing, or cannot be decoded.
    """
    if not path.is_file():
        raise DatasetError(f"there is no file {path}")
    try:
        found = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise DatasetError(f"{path} cannot be decoded: {error}") from error
    if found is None or found.dtype not in (np.uint8, np.uint16):
        raise DatasetError(f"{path} is damaged, or no image of 8 or 16 bits; get it again or remove it")
    if found.dtype == np.uint16:
        found = np.rint(found * np.float32(255 / 65535)).astype(np.uint8)
    return np.asarray(found, np.uint8)


@lru_cache(maxsize=8)
def _kept(path: Path) -> Picture:
    """Read an image; the last few are kept, as several windows of a shot are asked for in a row."""
    picture = read_image(path)
    picture.flags.writeable = False
    return picture


@lru_cache(maxsize=1024)
def _size(path: Path) -> tuple[int, int]:
    """Return (width, height)."""
    try:
        return read_header(path).size
    except ConvertError as error:
        raise DatasetError(str(error)) from error


def vimeo(path: Path, split: Literal["train", "test"]) -> list[ImageShot]:
    """Return the sequences in a list of a Vimeo-90K folder; the training list never includes test sequences.

    Raises:
        DatasetError: There is no such list, or sequences in it are missing.
    """
    kind = next((kind for kind in _LISTS if _list(path, kind, split).is_file()), None)
    if kind is None:
        wanted = " or ".join(f"{kind}_{split}list.txt" for kind in _LISTS)
        raise DatasetError(f"{path} has sequences/ but no list of them: {wanted} must lie beside it")
    names = _read_list(_list(path, kind, split))
    tested = _list(path, kind, "test")
    if split == "train" and tested.is_file():
        excluded = set(_read_list(tested))
        names = [name for name in names if name not in excluded]
    there = _sequences(path / "sequences")
    missing = [name for name in names if name not in there]
    if missing:
        raise DatasetError(
            f"{path}: {len(missing)} of {len(names)} sequences of {_list(path, kind, split).name} are missing from "
            f"sequences/ ({', '.join(missing[:_SHOWN])}{'...' if len(missing) > _SHOWN else ''})"
        )
    files = [f"im{number}.png" for number in range(1, _LISTS[kind] + 1)]
    first = path / "sequences" / names[0] / files[0] if names else None
    return [ImageShot(name, [path / "sequences" / name / file for file in files], first) for name in names]


def _list(path: Path, kind: str, split: str) -> Path:
    return path / f"{kind}_{split}list.txt"


def _read_list(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def _sequences(path: Path) -> set[str]:
    """Return names of the form "00001/0001"."""
    with os.scandir(path) as outer:
        folders = [entry for entry in outer if entry.is_dir()]
    return {f"{folder.name}/{name}" for folder in folders for name in os.listdir(folder.path)}


def frame_folders(path: Path) -> list[ImageShot]:
    """Return a shot for each folder in ``path`` with three images or more, else one of the images in ``path``.

    Folders and images are taken in natural order (img2 before img10).
    """
    folders = sorted((entry for entry in path.iterdir() if entry.is_dir()), key=lambda entry: natural_key(entry.name))
    found = [(folder.name, _images(folder)) for folder in folders if not folder.name.startswith(".")]
    shots = [ImageShot(name, files) for name, files in found if len(files) >= FEWEST]
    own = _images(path)
    return shots or ([ImageShot(path.name, own)] if len(own) >= FEWEST else [])


def _images(folder: Path) -> list[Path]:
    files = (entry for entry in folder.iterdir() if entry.suffix.lower() in EXTENSIONS and entry.is_file())
    return sorted(files, key=lambda file: natural_key(file.name))
