"""DIS optical flow of both directions of a pair, by kernels compiled for the processor at hand.

Kroeger, Timofte, Dai, Van Gool: "Fast Optical Flow using Dense Inverse Search", ECCV 2016; what the paper leaves open
is as in :mod:`vsrrin.flow.inverse_search`. Both directions share pyramids and slopes, and there is no variational
refinement: patches that lie closer together are worth more in less time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

import cv2
import numpy as np
from numpy.typing import NDArray

from vsrrin.nets.parts.fused import in_bands

from .block_matching import Flow, Grey
from .inverse_search import SIDE, pyramid_scales
from .search_kernel import MARGIN, lay, search

_STRIDE = 3
"""Pixels from patch to patch on a level."""


@dataclass(frozen=True)
class _Level:
    """A picture on one level of a pyramid, its slopes, and itself with a border; all float32."""

    picture: NDArray[np.float32]
    across: NDArray[np.float32]
    down: NDArray[np.float32]
    around: NDArray[np.float32]


def flows(grey0: Grey, grey1: Grey, starts: tuple[Flow | None, Flow | None], finest: int) -> tuple[Flow, Flow]:
    """Return the flow of a pair, 0->1 and 1->0, each (H, W, 2) in pixels.

    Args:
        grey0: Frame 0, (H, W), at least two patches a side.
        grey1: Frame 1, likewise.
        starts: Motion to begin with, of both directions: (H, W, 2) in pixels, or none.
        finest: Level on which it ends: 0 is that of the frames' size, 1 of half of it.
    """
    height, width = grey0.shape
    levels = pyramid_scales(height, width, finest)
    pyramids = [_pyramid(grey, levels) for grey in (grey0, grey1)]
    found: list[Flow] = [np.empty((0, 0, 2), np.float32)] * 2

    def find(first: int, last: int) -> None:
        for way in range(first, last):
            found[way] = _flow(pyramids[way], pyramids[1 - way], starts[way], levels, (height, width))

    in_bands(2, find)
    return found[0], found[1]


def _flow(here: list[_Level], there: list[_Level], start: Flow | None, levels: range, size: tuple[int, int]) -> Flow:
    sizes = [own.picture.shape for own in here]
    starts = [] if start is None else [*accumulate(sizes, _resized, initial=start)][1:]
    flow = np.zeros((1, 1, 2), np.float32)
    for level in range(len(levels) - 1, -1, -1):
        own, around = here[level], there[level].around
        guesses = [2 * _at_centres(_resized(flow, sizes[level]))]
        if starts:
            guesses.append(np.float32(2.0 ** -levels[level]) * _at_centres(starts[level]))
        motions = np.stack(guesses)
        search(own.picture, own.across, own.down, around, motions, _STRIDE)
        flow = np.empty((*sizes[level], 2), np.float32)
        lay(own.picture, around, motions[0], flow, _STRIDE)
    return flow if flow.shape[:2] == size else _resized(flow, size) * np.float32(2.0 ** levels[0])


def _at_centres(flow: Flow) -> Flow:
    """Return flow of pixels, (H, W, 2), at the patches' centres."""
    rows, columns = (1 + (side - SIDE) // _STRIDE for side in flow.shape[:2])
    return flow[SIDE // 2 :: _STRIDE, SIDE // 2 :: _STRIDE][:rows, :columns]


def _resized(flow: Flow, size: tuple[int, ...]) -> Flow:
    """Return flow for pictures of another size, in pixels of the old one."""
    if flow.shape[:2] == size:
        return flow
    kind = cv2.INTER_AREA if size[0] < flow.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(flow, size[::-1], interpolation=kind), np.float32)


def _pyramid(grey: Grey, levels: Iterable[int]) -> list[_Level]:
    """Levels of a pyramid, each made from the one before, in whole grey levels."""
    height, width = grey.shape
    pyramid = []
    for scale in levels:
        grey = np.asarray(cv2.resize(grey, (width >> scale, height >> scale), interpolation=cv2.INTER_AREA), np.uint8)
        across, down = (np.asarray(slope, np.float32) for slope in cv2.spatialGradient(grey))
        around = cv2.copyMakeBorder(grey, *(MARGIN,) * 4, cv2.BORDER_REPLICATE)
        pyramid.append(_Level(grey.astype(np.float32), across, down, np.asarray(around, np.float32)))
    return pyramid
