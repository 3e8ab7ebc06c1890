"""Conversion of pictures to VapourSynth clips and back."""

from collections.abc import Sequence

import numpy as np
import vapoursynth as vs

from .triplets import Picture


def to_clip(pictures: Sequence[Picture]) -> vs.VideoNode:
    """Return an RGB24 clip of pictures of one size."""
    height, width = pictures[0].shape[:2]
    blank = vs.core.std.BlankClip(format=vs.RGB24, width=width, height=height, length=len(pictures), keep=True)

    def write(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        for channel in range(3):
            np.copyto(np.asarray(frame[channel]), pictures[n][..., channel])
        return frame

    return blank.std.ModifyFrame(blank, write)


def to_picture(frame: vs.VideoFrame) -> Picture:
    """Return an RGB24 frame as an array."""
    return np.stack([np.asarray(frame[channel]) for channel in range(3)], axis=-1)
