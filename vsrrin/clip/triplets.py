"""Three successive frames of a clip, to try on it what is to be measured: the middle one is what should be made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import vapoursynth as vs
from torch import Tensor

from . import frames
from .frames import Colour
from .scene_cuts import cut_clip, is_cut


@dataclass(frozen=True)
class Triplet:
    """Frames (1, 3, H, W), float32 RGB, nominally [0, 1]."""

    left: Tensor
    middle: Tensor
    right: Tensor


def triplets(clip: vs.VideoNode, count: int) -> Iterator[Triplet]:
    """Yield at most ``count`` triplets, spread over a clip; none has a cut or equal frames in it.

    Args:
        clip: Any clip that :func:`vsrrin.interpolate` takes.
        count: At least 1.
    """
    cuts = cut_clip(clip, "detect")
    last = clip.num_frames - 3
    for start in sorted({round(place) for place in np.linspace(0, last, count)}) if last >= 0 else ():
        if any(is_cut(cuts.get_frame(start + step)) for step in (0, 1)):
            continue
        found = [clip.get_frame(start + step) for step in range(3)]
        if not frames.equal(found[0], found[1]) and not frames.equal(found[1], found[2]):
            yield Triplet(*_tensors(found))


def _tensors(found: Sequence[vs.VideoFrame]) -> list[Tensor]:
    return [frames.to_tensor(frame, Colour.of_frame(frame)) for frame in found]
