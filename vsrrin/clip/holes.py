"""Pictures with holes in them, filled from around; parts of pictures that are enlarged, and where motion leads."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

type Mask = NDArray[np.uint8]
"""(H, W), 0 or 1."""
type Picture = NDArray[np.float32]
"""(H, W), or (H, W, C)."""
type Part = tuple[slice, slice]
"""Rectangle of a picture: rows and columns."""


def filled(picture: NDArray[Any], hole: Mask, local: int = 1) -> Picture:
    """Return a picture with a hole filled from around it, by means over growing areas.

    Args:
        picture: (H, W) or (H, W, C).
        hole: 1 where nothing is known.
        local: How much means over small areas count more than those over large ones.
    """
    known = _repeated(1 - hole.astype(np.float32), 1 if picture.ndim == 2 else picture.shape[2])
    return _spread(np.asarray(picture * known, np.float32), known, local)


def fill_soft(pictures: Sequence[Picture], known: Mask, local: int = 1) -> list[Picture]:
    """Return what `filled` puts into a hole of some pictures, many times as fast: from a quarter of their size.

    Args:
        pictures: Some of one size, (H, W, 3) each.
        known: 0 in the hole, 1 elsewhere.
        local: As that of `filled`.
    """
    height, width = known.shape
    small = -(-width // 4), -(-height // 4)
    parts = [cv2.resize(cv2.copyTo(x, known), small, interpolation=cv2.INTER_AREA) for x in pictures]
    product = np.asarray(np.dstack(parts), np.float32)
    weight = cv2.resize(known.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    soft = _spread(product, _repeated(np.asarray(weight, np.float32), product.shape[2]), local)
    return [
        np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        for part in np.split(soft, len(pictures), -1)
    ]


def _spread(product: Picture, weight: Picture, local: int) -> Picture:
    """Return what `filled` does, from a picture times its weight, 0 to 1, and the weight, of the same shape."""
    levels = [(product, weight)]
    while min(levels[-1][1].shape[:2]) > 2 and levels[-1][1].min() < 1e-3:
        product, weight = (np.asarray(cv2.pyrDown(values), np.float32) for values in levels[-1])
        levels.append((product, weight))
    product, weight = levels[-1]
    result = product / np.maximum(weight, np.float32(1e-6))
    for product, weight in reversed(levels[:-1]):
        coarse = np.asarray(cv2.pyrUp(result, dstsize=weight.shape[1::-1]), np.float32)
        result = coarse + (product / np.maximum(weight, np.float32(1e-6)) - coarse) * np.minimum(weight * local, 1)
    return np.asarray(result, np.float32)


def _repeated(weight: NDArray[np.float32], channels: int) -> Picture:
    """Return (H, W) as (H, W, C), or as it is for one channel; numpy is slow where it repeats values itself."""
    return weight if channels == 1 else np.asarray(cv2.merge([weight] * channels), np.float32)


def enlarged(values: NDArray[Any], part: Part, size: tuple[int, int]) -> NDArray[Any]:
    """Return a part of a picture of a size, (height, width), from one of another size."""
    y, x = (extent / whole for extent, whole in zip(values.shape, size, strict=False))
    (top, left), (height, width) = (side.start for side in part), (side.stop - side.start for side in part)
    inverse = np.array([[x, 0, (left + 0.5) * x - 0.5], [0, y, (top + 0.5) * y - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(values, inverse, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def motion_in(motion: NDArray[np.float32], part: Part, size: tuple[int, int]) -> tuple[Picture, Picture]:
    """Return a part of motion, (H, W, 2), in pixels of a picture of that size, larger than it: x and y.

    Its place is right to a pixel of the smaller picture, which is several times as fast and enough for motion.
    """
    rows, columns = (
        slice(math.floor(side.start * extent / whole), math.ceil(side.stop * extent / whole))
        for side, extent, whole in zip(part, motion.shape, size, strict=False)
    )
    height, width = (side.stop - side.start for side in part)
    x, y = (
        cv2.resize(values * np.float32(whole / extent), (width, height), interpolation=cv2.INTER_LINEAR)
        for values, whole, extent in zip(cv2.split(motion[rows, columns]), size[::-1], motion.shape[1::-1], strict=True)
    )
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def places(x: Picture, y: Picture, part: Part) -> tuple[Picture, Picture]:
    """Return where the pixels of a part of a picture lie after motion: x and y, (H, W) each."""
    rows, columns = (np.arange(side.start, side.stop, dtype=np.float32) for side in part)
    return x + columns, y + rows[:, None]


def merged(parts: Iterable[Part]) -> list[Part]:
    """Return parts with those that overlap made one."""
    result: list[Part] = []
    for part in parts:
        while met := [each for each in result if _overlap(part, each)]:
            result = [each for each in result if each not in met]
            sides = zip(part, *met, strict=True)
            rows, columns = (slice(min(s.start for s in side), max(s.stop for s in side)) for side in sides)
            part = rows, columns
        result.append(part)
    return result


def _overlap(first: Part, second: Part) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(first, second, strict=True))
