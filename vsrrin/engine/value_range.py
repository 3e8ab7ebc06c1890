"""Range of the values in a picture."""

import math

from torch import Tensor

_OVERBRIGHT, _DIM = 1.5, 1 / 16
"""Peaks, relative to white, above and below which a picture is not video as networks know it."""
_LEAST_PEAK = 1e-6


def finite_range(image: Tensor) -> tuple[float, float]:
    """Return the least and greatest value of a picture on the CPU, and replace values that are not finite, in place.

    A network would spread them.
    """
    values = image.numpy()  # whose reductions take no threads beside those that ask for frames
    low, high = float(values.min()), float(values.max())
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    finite = image[image.isfinite()]
    low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 0.0)
    image.nan_to_num_(nan=0.0, posinf=high, neginf=low)
    return min(low, 0.0), max(high, 0.0)


def usual_gain(low: float, high: float) -> float:
    """Return the gain for a range: 1, unless its peak is far above white (linear HDR) or far below, which becomes 1."""
    peak = max(high, -low)
    return 1 / max(peak, _LEAST_PEAK) if peak > _OVERBRIGHT or 0 < peak < _DIM else 1.0
