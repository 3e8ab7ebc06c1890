"""What takes the place of a new frame where it cannot be trusted.

A blend of both source frames replaces it place by place, as wrong motion is wrong in places. A source frame held in
places only would tear what moves across their borders, so it replaces the whole.
"""

from fractions import Fraction

import numpy as np
import vapoursynth as vs

from vsrrin.engine.options import Options
from vsrrin.flow.confidence import Map, enlarged

from . import frames
from .props import Kind


def applied(
    new: vs.VideoFrame, confidence: Map, sources: tuple[vs.VideoFrame, vs.VideoFrame], t: Fraction, options: Options
) -> tuple[vs.VideoFrame, Kind]:
    """Return a new frame with what takes its place, and the kind of the result.

    Args:
        new: The new frame.
        confidence: How far it can be trusted in each place, reduced.
        sources: The frames that it is made of.
        t: Its time between them.
        options: Options with a ``fallback``.
    """
    holds = options.fallback == "hold"
    if holds:
        confidence = np.full_like(confidence, confidence.mean())
    share = enlarged(replaced_share(confidence, options.fallback_below), new.height, new.width)
    if not share.any():
        return new, "new"
    other = sources[2 * t >= 1] if holds else frames.blend(*sources, float(t), vs.core.core)
    kind: Kind = "new" if share.min() < 1 else "held" if holds else "blend"
    return frames.blend(new, other, share, vs.core.core), kind


def replaced_share(confidence: Map, below: float) -> Map:
    """Return what share of each place is replaced: none from ``below`` up, all from half of it down, softly between."""
    x = np.clip(2 - confidence * np.float32(2 / below), 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)
