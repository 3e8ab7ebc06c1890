"""Masks of pictures: grown, halved, in groups."""

import cv2
import numpy as np
from numpy.typing import NDArray

from .holes import Mask, Part

type Areas = NDArray[np.int32]
"""(H, W), the number of each pixel's area; 0 is none."""


def groups(mask: Mask, reach: int) -> tuple[Areas, NDArray[np.int32]]:
    """Return groups of pixels with what they enclose, as areas and boxes; the first box is of none."""
    area = cv2.morphologyEx(grown(mask, 1), cv2.MORPH_CLOSE, square(reach))
    outlines, _ = cv2.findContours(area, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    count, labels = cv2.connectedComponents(cv2.drawContours(np.zeros_like(area), outlines, -1, (1,), -1))
    # OpenCV's boxes of areas take several times as long.
    boxes = np.zeros((count, 4), np.int32)
    for outline in outlines:
        column, row = outline[0, 0]
        boxes[labels[row, column]] = cv2.boundingRect(outline)
    return np.asarray(labels, np.int32), boxes


def part_around(box: NDArray[np.int32], margin: int, shape: tuple[int, ...]) -> Part:
    """Return a box of OpenCV (x, y, width, height, ...) with a margin, as a part of a picture."""
    x, y, w, h = (int(value) for value in box[:4])
    return np.s_[max(y - margin, 0) : min(y + h + margin, shape[0]), max(x - margin, 0) : min(x + w + margin, shape[1])]


def ends_within(boxes: NDArray[np.int32], part: Part, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which boxes of a part end within it, or with the picture: what goes on beyond the part is not known."""
    x, y, w, h = boxes[:, :4].T
    rows, columns = part
    upright = ((y > 0) | (rows.start == 0)) & ((y + h < rows.stop - rows.start) | (rows.stop == shape[0]))
    across = ((x > 0) | (columns.start == 0)) & ((x + w < columns.stop - columns.start) | (columns.stop == shape[1]))
    return np.asarray(upright & across, np.bool_)


def halved(mask: Mask) -> Mask:
    """Return a mask at half the size, rounded up, but of 0 to 255."""
    height, width = mask.shape
    small = -(-width // 2), -(-height // 2)
    return np.asarray(cv2.resize(mask * np.uint8(255), small, interpolation=cv2.INTER_AREA), np.uint8)


def where(condition: NDArray[np.bool_]) -> Mask:
    """Return where a condition holds."""
    return condition.view(np.uint8)


def opened(mask: Mask, radius: int) -> Mask:
    """Return a mask without what is narrower than twice the radius and 1."""
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, square(radius)), np.uint8)


def square(radius: int) -> Mask:
    """Return the pixels within a radius, along both axes."""
    return np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)


def grown(mask: Mask, radius: int) -> Mask:
    """Return a mask with what lies within a radius around it."""
    return np.asarray(cv2.dilate(mask, square(radius)), np.uint8)
