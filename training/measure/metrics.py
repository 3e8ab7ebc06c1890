"""Measures of how close new pictures are to true ones; all pictures are 8-bit RGB, (H, W, 3)."""

import math
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from .triplets import Picture

type Flow = NDArray[np.float32]
"""(H, W, 2), (dx, dy) in pixels."""

NO_ERROR = 100.0
"""dB, PSNR of equal pictures."""


def psnr(picture: Picture, truth: Picture) -> float:
    """Return the PSNR in dB over all samples; `NO_ERROR` for equal pictures."""
    return _decibels(float(np.mean(np.square(picture.astype(np.float64) - truth))))


def ssim(picture: Picture, truth: Picture) -> float:
    """Return the mean SSIM of the three channels (Wang et al. 2004).

    Gaussian window of 11x11 with sigma 1.5, K = (0.01, 0.03), peak 255, picture mirrored at its border.
    """
    a, b = picture.astype(np.float64), truth.astype(np.float64)
    mean_a, mean_b = _window(a), _window(b)
    var_a, var_b = _window(a * a) - mean_a * mean_a, _window(b * b) - mean_b * mean_b
    covariance = _window(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((similarity / ((mean_a * mean_a + mean_b * mean_b + c1) * (var_a + var_b + c2))).mean())


def ssimulacra2(picture: Picture, truth: Picture) -> float | None:
    """Return SSIMULACRA2 (Sneyers, Cloudinary 2022) by the plugin vszip, or ``None`` if it is not installed.

    100 for equal pictures; what is visibly wrong has no lower bound, so a mean over pictures hangs on the worst.
    """
    import vapoursynth as vs

    from .vs_clips import to_clip

    if not hasattr(vs.core, "vszip"):
        return None
    with vs.core.vszip.SSIMULACRA2(to_clip([truth]), to_clip([picture])).get_frame(0) as frame:
        return float(frame.props["SSIMULACRA2"])


def flows(pictures: Sequence[Picture]) -> list[Flow]:
    """Return the optical flow from each picture to the next one.

    Farneback's (2003), with the settings of the paper's own code for `motion_error`: not the flow that any method here
    makes its frames with.
    """
    greys = [np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8) for picture in pictures]
    return [
        np.asarray(cv2.calcOpticalFlowFarneback(earlier, later, None, 0.5, 3, 15, 3, 5, 1.2, 0), np.float32)  # type: ignore[call-overload]
        for earlier, later in pairwise(greys)
    ]


def motion_error(found: Sequence[Flow], true: Sequence[Flow]) -> float:
    """Return tOF in pixels: the mean error of motion from frame to frame, over all pixels and steps.

    Chu et al., "Learning temporal coherence via self-supervision for GAN-based video generation" (TecoGAN), ACM
    Transactions on Graphics 39(4), 2020. Of a new frame and its two source frames it tells what a viewer sees as
    unevenness: parts that stop and jump, or are not where they should be at this time. PSNR of the differences of
    successive frames would not: on fast motion a blend of both frames comes out best, as it changes least.

    Args:
        found: Result of `flows` for frames of which some are new.
        true: Result of `flows` for the true frames.
    """
    lengths = [np.linalg.norm(own - other, axis=-1).mean() for own, other in zip(found, true, strict=True)]
    return float(np.mean(lengths))


def _decibels(error: float) -> float:
    return NO_ERROR if error == 0 else min(NO_ERROR, 10 * math.log10(255**2 / error))


def _window(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT), np.float64)
