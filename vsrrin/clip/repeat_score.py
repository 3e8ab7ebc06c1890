"""Detector of frames that repeat the one before, without state.

`change` compares two frames block by block: a small thing that moves (a mouth, a mouse pointer) stands out in its
blocks however still the rest is, where a mean over the frame would hide it. `is_repeat` takes a frame for a repeat if
no block stands out, and if the frames around differ by much more: a copy that was compressed once more differs by what
compression and grain leave, and so does a slow pan or a fade, but in those all frames do.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.float32]

_LARGEST = 480
"""Longest side of the pictures that are compared."""
_BLOCK = 4
_STANDS_OUT = 0.08
"""Change from which a block beside calm ones has moved: copies reach 0.078 at a crf of 33, and 0.04 at 18 to 30."""
_CALM = 0.4
"""Part of the changes around it that a repeat has at most."""
_MOST_AVERAGED = 4


class Change(NamedTuple):
    """Difference between two frames, 1 from black to white in a picture that was not shrunk."""

    largest: float
    """That of the block that differs most."""
    usual: float
    """That of half of the blocks: grain, or motion of the whole picture."""


BEYOND = Change(math.inf, 0.0)
"""What there is beyond the ends of a clip: another picture."""


def shrink(width: int, height: int) -> int:
    """Return by how much frames are shrunk before they are compared."""
    return -(-max(width, height) // _LARGEST)


def change(first: Picture, second: Picture, shrunk: int) -> Change:
    """Return the change between two pictures, (H, W) with all planes one below the other, shrunk as `shrink` says.

    Shrinking averages what codecs and grain do to the samples, so a smaller difference is motion then.
    """
    apart = np.abs(cv2.blur(np.nan_to_num(cv2.subtract(first, second), posinf=1, neginf=-1), (3, 3)))
    height, width = apart.shape
    shape = max(width // _BLOCK, 1), max(height // _BLOCK, 1)
    blocks = np.asarray(cv2.resize(apart, shape, interpolation=cv2.INTER_AREA)) * min(shrunk, _MOST_AVERAGED)
    return Change(float(blocks.max()), float(np.median(blocks)))


def is_repeat(own: Change, before: Sequence[Change], after: Sequence[Change]) -> bool:
    """Return whether a frame repeats the one before.

    Args:
        own: The change between them.
        before: The changes of the pairs before, as many as a repeat may be away from motion.
        after: Those of the pairs after.
    """
    moves = min(max(each.largest for each in side) for side in (before, after))
    return own.largest - own.usual <= min(_STANDS_OUT, _CALM * (moves - own.usual))
