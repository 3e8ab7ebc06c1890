"""Writing of shots: uncompressed frames in a `.npy` file that can be memory-mapped.

Why uncompressed, measured on four shots of 480p (690 MB) with random 192x192 crops, one thread, in the page cache:

========================  ===========  =========
form                      ms per crop  share of the size
========================  ===========  =========
`.npy`, mapped            0.06         1
JPEG, quality 95          1.4          0.10 (not lossless)
x264, all intra, CRF 10   7            0.06 (not lossless, chroma subsampled)
PNG                       9            0.37
FFV1, all intra           15           0.20
========================  ===========  =========

A sample takes three crops or more, and where the hardest of several windows is sought, many: anything that decodes
whole frames for a crop would cost more than the training step leaves. Pages not in memory took 7 ms a crop (no longer
than PNG), so data that fits into memory costs it once.
"""

import os
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vsrrin.files import PART, beside, publish

type Picture = NDArray[np.uint8]
"""(H, W, 3), RGB."""


class ShotWriter:
    """Writer of frames of one size, (H, W, 3) uint8, to a `.npy` file of (frames, H, W, 3).

    The file has its name only when it is finished: nothing that was interrupted looks whole.

    Args:
        path: The file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames = 0
        self._size: tuple[int, int] = (0, 0)
        self._part = beside(path, PART.removeprefix("."))
        self._file = self._part.open("wb")
        self._header = 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames."""
        return self._size

    def append(self, picture: Picture) -> None:
        """Add a frame."""
        if not self._header:
            self._size = picture.shape[0], picture.shape[1]
            self._write_header()
        self._file.write(np.ascontiguousarray(picture).data)
        self.frames += 1

    def cut_back(self, frames: int) -> None:
        """Drop what follows the first ``frames`` frames."""
        self._file.truncate(self._header + frames * self._size[0] * self._size[1] * 3)
        self._file.seek(0, os.SEEK_END)
        self.frames = frames

    def finish(self) -> int:
        """Give the file its name and return its size in bytes."""
        self._write_header()
        length = self._file.seek(0, os.SEEK_END)
        self._file.close()
        publish({self._part: self.path})
        return length

    def discard(self) -> None:
        """Remove an unfinished file."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _write_header(self) -> None:
        # numpy leaves room for the number of frames to grow, so the header keeps its length.
        self._file.seek(0)
        shape = (self.frames, *self._size, 3)
        npy.write_array_header_1_0(self._file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        self._header = self._file.tell()
