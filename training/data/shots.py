"""Shots to train on: runs of frames without cuts, in any of several layouts on disk.

`open_shots` knows these layouts:

==========================  ====================================================  ===========================
layout                      told by                                               motion of its shots
==========================  ====================================================  ===========================
`training.prepare`          manifest.json and shots/                              measured
Vimeo-90K triplets          sequences/ and tri_trainlist.txt or tri_testlist.txt  nan: not known
Vimeo-90K septuplets        sequences/ and sep_trainlist.txt or sep_testlist.txt  nan
frame folders               folders of images, or images                          nan
==========================  ====================================================  ===========================

Shots open their files when first asked for a frame, in whichever process asks: they can be pickled and forked.
"""

from collections import OrderedDict
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from training.data.videos.manifest import Manifest, ShotInfo
from training.errors import DatasetError
from vsrrin.convert.images import EXTENSIONS, natural_key

from . import image_shots
from .videos import manifest

type Picture = NDArray[np.uint8]
"""(H, W, 3), RGB."""

Split = Literal["train", "test"]

_PHOTO_BYTES = 512 * 2**20


class Shot(Protocol):
    """Protocol of a shot: random access to its frames."""

    @property
    def name(self) -> str:
        """Name for messages and logs."""

    @property
    def frames(self) -> int:
        """Number of frames."""

    @property
    def height(self) -> int:
        """Height in pixels."""

    @property
    def width(self) -> int:
        """Width in pixels."""

    @property
    def fps(self) -> Fraction | None:
        """Frames per second, `None` if unknown."""

    @property
    def motion(self) -> float:
        """Mean motion between neighbouring frames in pixels of this size, nan if unknown."""

    def frame(self, number: int) -> Picture:
        """Return frame ``number``, (H, W, 3) uint8 RGB; it must not be written to.

        Raises:
            DatasetError: Its file is missing or damaged.
        """

    def crop(self, number: int, top: int, left: int, height: int, width: int) -> Picture:
        """Return a window of frame ``number``, a copy of (height, width, 3) uint8 RGB.

        Raises:
            DatasetError: Its file is missing or damaged.
        """


class MappedShot:
    """Shot in a memory-mapped `.npy` file.

    Args:
        folder: Folder of the dataset.
        info: Entry of the shot in its manifest.
    """

    def __init__(self, folder: Path, info: ShotInfo) -> None:
        self.info = info
        self.path = folder / info.file
        self.name, self.frames, self.height, self.width = info.file, info.frames, info.height, info.width
        self.fps: Fraction | None = info.fps
        self.motion = info.motion

    def __getstate__(self) -> dict[str, object]:
        return {key: value for key, value in self.__dict__.items() if key != "_mapped"}

    @cached_property
    def _mapped(self) -> Picture:
        try:
            mapped: Picture = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DatasetError(f"{self.path} cannot be read: {error}; run python -m training.prepare again") from error
        if mapped.shape != (self.frames, self.height, self.width, 3) or mapped.dtype != np.uint8:
            raise DatasetError(
                f"{self.path} holds {mapped.dtype} of shape {mapped.shape}, not what {manifest.NAME} says: "
                f"{self.frames} frames of {self.width}x{self.height}; run python -m training.prepare again"
            )
        return np.asarray(mapped)

    def frame(self, number: int) -> Picture:
        """Return frame ``number``, (H, W, 3) uint8 RGB; a read-only view of the file."""
        picture: Picture = self._mapped[number]
        return picture

    def crop(self, number: int, top: int, left: int, height: int, width: int) -> Picture:
        """Return a window of frame ``number``, a copy of (height, width, 3) uint8 RGB."""
        return np.array(self._mapped[number, top : top + height, left : left + width])


class ShotStore:
    """All shots of a folder.

    Args:
        path: The folder, of one of the layouts above.
        split: List of a Vimeo-90K folder to read; sequences of the test list are never among those of the
            training list.

    Attributes:
        path: The folder.
        layout: Name of the layout.
        shots: In the order of the manifest or list, or in natural order.

    Raises:
        DatasetError: There is no such folder, it is of another layout, or files are missing.
    """

    def __init__(self, path: Path, split: Split = "train") -> None:
        self.path = path
        if not path.is_dir():
            raise DatasetError(f"there is no folder {path}; give a folder of shots: {_LAYOUTS}")
        self.layout, self.shots = _recognised(path, split)
        if not self.shots:
            raise DatasetError(f"{path} ({self.layout}) has no shots of three frames or more")

    @cached_property
    def licences(self) -> dict[str, int]:
        """Number of shots by licence; empty if unknown."""
        found: dict[str, int] = {}
        for shot in self.shots:
            if isinstance(shot, MappedShot):
                found[shot.info.licence] = found.get(shot.info.licence, 0) + 1
        return found


def open_shots(path: Path, split: Split = "train") -> ShotStore:
    """Open a folder of shots; see :class:`ShotStore`."""
    return ShotStore(path, split)


_LAYOUTS = (
    "a dataset of python -m training.prepare (manifest.json), a Vimeo-90K folder (sequences/ with tri_trainlist.txt or "
    "sep_trainlist.txt), or a folder of folders of images"
)


def _recognised(path: Path, split: Split) -> tuple[str, Sequence[Shot]]:
    if (path / manifest.NAME).is_file() and (path / manifest.SHOTS).is_dir():
        return "training.prepare", _mapped(path)
    if (path / "sequences").is_dir():
        return "Vimeo-90K", image_shots.vimeo(path, split)
    shots = image_shots.frame_folders(path)
    if not shots:
        raise DatasetError(
            f"{path} is of no known layout; these are: {_LAYOUTS}. Videos are made a dataset by python -m "
            "training.prepare"
        )
    return "frame folders", shots


def _mapped(path: Path) -> list[Shot]:
    known = Manifest.load(path)
    for info in known.shots:
        file = path / info.file
        if not file.is_file() or file.stat().st_size != info.bytes:
            raise DatasetError(
                f"{file} is missing or not of the {info.bytes} bytes that {manifest.NAME} says; run python -m "
                "training.prepare again"
            )
    return [MappedShot(path, info) for info in known.shots if info.frames >= image_shots.FEWEST]


class Photos(Sequence[Picture]):
    """Pictures of a folder, decoded when asked for.

    Args:
        files: The images.
        most_bytes: Decoded pictures kept in memory, the last used ones; one larger than that is not kept.
    """

    def __init__(self, files: Sequence[Path], most_bytes: int = _PHOTO_BYTES) -> None:
        self.files = tuple(files)
        self._most = most_bytes
        self._kept: OrderedDict[int, Picture] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.files)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_kept": OrderedDict(), "_bytes": 0}

    @overload
    def __getitem__(self, number: int) -> Picture: ...
    @overload
    def __getitem__(self, number: slice) -> "Photos": ...
    def __getitem__(self, number: int | slice) -> "Picture | Photos":
        """Return picture ``number``, (H, W, 3) uint8 RGB, not to be written to, or a slice with fewer pictures.

        Raises:
            DatasetError: Its file is missing or damaged.
        """
        if isinstance(number, slice):
            return Photos(self.files[number], self._most)
        number = range(len(self.files))[number]
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        picture = image_shots.read_image(self.files[number])
        picture.flags.writeable = False
        self._kept[number] = picture
        self._bytes += picture.nbytes
        while self._bytes > self._most:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return picture


def open_photos(path: Path) -> Photos:
    """Open a folder of images, in natural order.

    Raises:
        DatasetError: There is no such folder, or no image in it.
    """
    if not path.is_dir():
        raise DatasetError(f"there is no folder {path}; give a folder of images")
    files = [file for file in path.iterdir() if file.suffix.lower() in EXTENSIONS and file.is_file()]
    if not files:
        raise DatasetError(f"{path} holds no images ({', '.join(EXTENSIONS)})")
    return Photos(sorted(files, key=lambda file: natural_key(file.name)))
