"""Folders to measure on: of video files, see :mod:`training.measure.triplets`, or of triplets of pictures.

A triplet of pictures is a folder with frame10.png, frame10i11.png and frame11.png, as in the "other" set of Baker et
al., "A database and evaluation methodology for optical flow", IJCV 2011. Its pictures are not scaled, all triplets are
taken, and the four that a high-speed camera filmed are a bucket of their own: the others are rendered, stereo pairs,
or scenes moved by hand from picture to picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from training.errors import DatasetError

from .triplets import Picture, Span, Triplet, read_triplets

BEFORE, TRUTH, AFTER = "frame10.png", "frame10i11.png", "frame11.png"
HIGH_SPEED = "high-speed"
FILMED = ("Beanbags", "DogDance", "MiniCooper", "Walking")
"""Those of the "other" set that are in the bucket `HIGH_SPEED`."""


@dataclass(frozen=True)
class Data:
    """Folder, and the bucket that all its triplets are put into; none if it is empty."""

    folder: Path
    group: str = ""

    @classmethod
    def parsed(cls, text: str) -> "Data":
        """Return what FOLDER or BUCKET=FOLDER says.

        Raises:
            DatasetError: There is no such folder.
        """
        group, _, path = text.rpartition("=") if "=" in text and not Path(text).is_dir() else ("", "", text)
        if not Path(path).is_dir():
            raise DatasetError(f"{path} is not a folder; give one of videos or of triplets, or BUCKET=FOLDER")
        return cls(Path(path), group)

    @property
    def name(self) -> str:
        """Its name in results."""
        return self.folder.resolve().name


def read(data: Sequence[Data], *, limit: int | None = None, split: bool = True) -> Iterator[Triplet]:
    """Yield the triplets of folders one by one.

    Args:
        data: The folders.
        limit: At most so many of each, spread evenly over it.
        split: Whether to take every second triplet of video files only.

    Raises:
        DatasetError: A folder holds neither videos nor triplets, or something in it cannot be read.
    """
    for one in data:
        found = (
            pictures(one.folder, limit) if folders(one.folder) else read_triplets(one.folder, limit=limit, split=split)
        )
        for triplet in found:
            yield replace(triplet, group=one.group) if one.group else triplet


def folders(folder: Path) -> list[Path]:
    """Return the folders in it that hold a triplet of pictures, by name."""
    return sorted(path.parent for path in folder.glob(f"*/{TRUTH}"))


def pictures(folder: Path, limit: int | None = None) -> Iterator[Triplet]:
    """Yield the triplets of pictures in a folder.

    Raises:
        DatasetError: A picture is missing or damaged, or the three are not of one size.
    """
    found = folders(folder)
    count = len(found) if limit is None else min(limit, len(found))
    for place in (found[number * len(found) // count] for number in range(count)):
        left, truth, right = (_picture(place / name) for name in (BEFORE, TRUTH, AFTER))
        if not left.shape == truth.shape == right.shape:
            raise DatasetError(f"the pictures in {place} are not of one size; replace them or take the folder away")
        yield Triplet(
            clip=place.name,
            span=Span(10, 1, Fraction(1, 2)),
            left=left,
            truth=truth,
            right=right,
            data=folder.resolve().name,
            group=HIGH_SPEED if place.name in FILMED else "",
        )


def _picture(path: Path) -> Picture:
    try:
        found = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); a triplet needs it") from None
    except cv2.error:
        found = None
    if found is None:
        raise DatasetError(f"{path} is not a picture; replace it or take its folder away")
    return np.asarray(found, np.uint8)
