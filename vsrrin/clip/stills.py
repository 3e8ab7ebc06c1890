"""Still parts of a new frame: where both source frames are the same, it is the same, too."""

from typing import Any

import cv2
import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from .frames import Colour

_RADIUS = 7
"""Pixels around a sample in which both frames must be equal."""
_NOISE = 12 / 255
"""Part of the range by which a network's noise differs from the source: up to this the source is shown, from twice
this on the new sample. What differs more has crossed the still part between the two frames."""
_REACH = 2
"""Pixels around what differs more that stay as well: soft edges of what has crossed."""


def keep_still(new: vs.VideoFrame, left: vs.VideoFrame, right: vs.VideoFrame, colour: Colour) -> None:
    """Restore the samples of a new frame that are those of both source frames all around, in place.

    Args:
        new: A frame that may be written to.
        left: The source frame before it.
        right: The source frame after it, of the same format.
        colour: Meaning of the samples.
    """
    planes = [tuple(np.asarray(frame[index]) for frame in (new, left, right)) for index in range(new.format.num_planes)]
    height, width = planes[0][0].shape
    stills = []
    for _, before, after in planes:
        equal = (before == after).view(np.uint8)
        y, x = height // equal.shape[0], width // equal.shape[1]
        area = np.ones((2 * -(-_RADIUS // y) + 1, 2 * -(-_RADIUS // x) + 1), np.uint8)
        stills.append(np.asarray(cv2.erode(equal, area), np.uint8).view(np.bool_))
    if not any(still.any() for still in stills):
        return
    range_ = colour.luma[0] * _NOISE
    aparts = [_apart(sample, before, still) for (sample, before, _), still in zip(planes, stills, strict=True)]
    # As a rule nothing has crossed, and much need not be looked at.
    if all(float(apart.max()) <= range_ for apart in aparts):
        for (sample, before, _), still in zip(planes, stills, strict=True):
            np.copyto(sample, before, where=still)
        return
    crossed = np.zeros((height, width), np.float32)
    for apart in aparts:
        share = np.clip(apart.astype(np.float32) / np.float32(range_) - 1, 0, 1)
        crossed = np.maximum(crossed, _resized(share, width, height))
    if crossed.any():
        crossed = np.asarray(cv2.dilate(crossed, np.ones((2 * _REACH + 1,) * 2, np.uint8)), np.float32)
    for (sample, before, _), still in zip(planes, stills, strict=True):
        _restore(sample, before, still, _resized(crossed, sample.shape[1], sample.shape[0]))


def _apart(sample: NDArray[Any], source: NDArray[Any], still: NDArray[np.bool_]) -> NDArray[Any]:
    """Return how far samples are from the source's where it is still, and 0 elsewhere."""
    if sample.dtype == np.float16:  # which OpenCV does not know
        sample, source = sample.astype(np.float32), source.astype(np.float32)
    return np.where(still, np.asarray(cv2.absdiff(sample, source)), 0)  # beside it may be what is no number


def _resized(values: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Return values for a plane of another size: repeated, or averaged."""
    if values.shape == (height, width):
        return values
    way = cv2.INTER_NEAREST if values.shape < (height, width) else cv2.INTER_AREA
    return np.asarray(cv2.resize(values, (width, height), interpolation=way), np.float32)


def _restore(
    sample: NDArray[np.generic],
    source: NDArray[np.generic],
    still: NDArray[np.bool_],
    crossed: NDArray[np.float32],
) -> None:
    np.copyto(sample, source, where=still & (crossed == 0))
    mixed = still & (crossed > 0) & (crossed < 1)
    if mixed.any():
        part = crossed[mixed]
        values = sample[mixed].astype(np.float32) * part + source[mixed].astype(np.float32) * (1 - part)
        sample[mixed] = np.rint(values) if sample.dtype.kind == "u" else values
