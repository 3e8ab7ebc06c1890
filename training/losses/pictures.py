"""Losses of pictures; each is 0, or next to it, where the prediction is right.

A loss takes the prediction and the true picture, (N, 3, H, W) float32, nominally [0, 1], and returns a mean as a tensor
without dimensions, so that it does not depend on the size of crops and batches. All are computed in float32, also where
a network runs in half precision.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

from .fused import census_distance, pyramid_l1, window_means

_CHARBONNIER = 1e-3
_LEAST_MSE = 2e-5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2
_GAUSSIAN = [math.exp(-(place**2) / (2 * 1.5**2)) for place in range(-5, 6)]
_SSIM_WINDOW = [weight / sum(_GAUSSIAN) for weight in _GAUSSIAN]


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference."""
    return F.l1_loss(prediction, target)


def charbonnier(prediction: Tensor, target: Tensor) -> Tensor:
    """Return a smooth L1: the mean of sqrt(d^2 + e^2), e = 0.001.

    Charbonnier et al., "Two deterministic half-quadratic regularization algorithms for computed imaging", ICIP 1994;
    e as in Lai et al., "Deep Laplacian pyramid networks", CVPR 2017.
    """
    return ((prediction - target).square() + _CHARBONNIER**2).sqrt().mean()


def log_mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean over samples of log(1 + MSE / e), e = 2e-5 (47 dB), which follows the mean PSNR.

    A sample whose error falls by a tenth counts the same, be it hard or easy: losses that are means of errors learn
    from hard windows at the cost of slow motion.
    """
    errors = (prediction - target).square().flatten(1).mean(1)
    return torch.log1p(errors / _LEAST_MSE).mean()


def laplacian(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the L1 distance of Laplacian pyramids of five levels, the last of which is the low-pass rest.

    Niklaus and Liu, "Softmax splatting for video frame interpolation", CVPR 2020, section 3.3; but every level counts
    by its mean, as in Bojanowski et al., "Optimizing the latent space of generative networks", ICML 2018, whose
    weight of 2^2j is the number of pixels that one of level j stands for. So a constant difference counts as in `l1`.
    """
    return pyramid_l1(prediction - target)  # the pyramid of the difference is the difference of the pyramids


def census(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the distance of the census transforms of the brightness, which see order but not light.

    The soft ternary transform of 7x7 and its distance as in Meister, Hur, Roth, "UnFlow", AAAI 2018, section 3.2, after
    Stein, "Efficient computation of optical flow using the census transform", DAGM 2004, and Zabih and Woodfill.
    """
    return census_distance(prediction.mean(1, keepdim=True) * 255, target.mean(1, keepdim=True) * 255)


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Return 1 - SSIM, the mean over windows and channels; 0 to 2.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004, eq. 13:
    Gaussian window of 11x11 with sigma 1.5, K = (0.01, 0.03), windows inside the picture. Smaller pictures are
    enlarged to a window by their border.
    """
    bottom, right = (max(len(_SSIM_WINDOW) - size, 0) for size in target.shape[-2:])
    if bottom or right:
        prediction, target = (F.pad(x, (0, right, 0, bottom), mode="replicate") for x in (prediction, target))
    a, b = prediction, target
    mean_a, mean_b, squares, product = window_means(torch.stack((a, b, a * a + b * b, a * b)), _SSIM_WINDOW).unbind()
    both = mean_a * mean_b
    means = mean_a * mean_a + mean_b * mean_b
    similarity = (2 * both + _SSIM_C1) * (2 * (product - both) + _SSIM_C2)
    return 1 - (similarity / ((means + _SSIM_C1) * (squares - means + _SSIM_C2))).mean()


def gradient(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error of the differences between neighbouring pixels, by rows and columns.

    Mathieu, Couprie, LeCun, "Deep multi-scale video prediction beyond mean square error", ICLR 2016, eq. 6 with
    alpha = 1, but signed differences.
    """
    error = prediction - target
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
