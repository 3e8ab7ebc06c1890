"""Still parts of moving images.

GIFs mix colours in patterns of pixels, which motion estimation takes for texture and carries along with what moves
beside it. Moving images have no noise, so what is equal in both source frames is still: there, new frames get the
source's pixels, unless something passes between the two frames.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

_WINDOW = 7
"""Pixels around one that must be still, and that a pattern is averaged over."""
_PASSES = 12
"""Levels that the average differs by where something passes."""
_ALPHA = "_Alpha"


def keep_still(new: vs.VideoNode, source: vs.VideoNode) -> vs.VideoNode:
    """Return an interpolated clip with what is still in its source; both of 8 bits, with alpha or without."""

    def choose(n: int, f: vs.VideoFrame) -> vs.VideoNode:
        if f.props.get("_VSRRIN_Kind") != "new":
            return new
        left, right = (source[int(f.props[f"_VSRRIN_{side}"])] for side in ("Left", "Right"))
        return new.std.ModifyFrame([new, left, right], _kept)

    return new.std.FrameEval(choose, prop_src=new, clip_src=[new, source])


def _kept(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
    made, left, right = (_picture(frame) for frame in f)
    equal = (left == right).all(-1).astype(np.uint8)
    still = cv2.erode(equal, np.ones((_WINDOW, _WINDOW), np.uint8)).astype(bool)
    difference = np.abs(_average(made) - _average(left)).max(-1)
    mask = still & (difference <= _PASSES)
    frame = f[0].copy()
    for plane in range(frame.format.num_planes):
        np.copyto(np.asarray(frame[plane]), left[..., plane], where=mask)
    if _ALPHA in frame.props:
        alpha = frame.props[_ALPHA].copy()
        np.copyto(np.asarray(alpha[0]), left[..., -1], where=mask)
        frame.props[_ALPHA] = alpha
    return frame


def _picture(frame: vs.VideoFrame) -> NDArray[np.uint8]:
    planes = [np.asarray(frame[plane]) for plane in range(frame.format.num_planes)]
    if _ALPHA in frame.props:
        planes.append(np.asarray(frame.props[_ALPHA][0]))
    return np.stack(planes, -1)


def _average(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return cv2.blur(picture.astype(np.float32), (_WINDOW, _WINDOW)).astype(np.float32)
