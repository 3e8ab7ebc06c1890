"""Forward warping: every pixel is carried along its flow and shared out among the four pixels it lands between.

Sources: Niklaus, Liu: "Softmax splatting for video frame interpolation", CVPR 2020 (the sums and their quotients).
The published kernel runs on CUDA only; this is an independent implementation in plain PyTorch, differentiable with
respect to picture, flow and weight.

Coordinates need float32, so everything here is float32 whatever the arguments are. Pixels carried outside are lost,
and so are pixels whose flow is not finite. On the CPU the result repeats bit for bit; on CUDA the order of the
additions, and with it the last bits, may change.
"""

import torch
from torch import Tensor

from .warp import pixel_grid

EPSILON = 1e-7
"""Weight that published networks add to the sum of weights; pixels that receive next to nothing turn black."""

# exp(60) is 1e26: sums over whole frames stay far from float32's 3e38, and exp is exact to its last bits.
_LARGEST_EXPONENT = 60.0
# Where nothing arrives: small against every weight that counts, and its inverse, the gradient, is finite.
_SMALLEST_EPSILON = 1e-30


def splat_sum(image: Tensor, flow: Tensor) -> Tensor:
    """Carry each pixel to where its flow points, and add up what arrives.

    Args:
        image: (N, C, H, W), any range.
        flow: (N, 2, H, W), (dx, dy) in pixels: ``image`` at p is added around p + flow(p), bilinearly.

    Returns:
        (N, C, H, W) float32; 0 where nothing arrives.
    """
    batch, channels, height, width = image.shape
    image, flow = image.float(), flow.float()
    x, y = pixel_grid(height, width, flow.device)
    x, y = flow[:, :1] + x, flow[:, 1:] + y
    left, top = x.detach().floor(), y.detach().floor()
    # False for NaN too. Compared as floats: large ones have no integer.
    inside = (left >= -1) & (left < width) & (top >= -1) & (top < height)
    right_share, lower_share = (x - left).where(inside, 0.0), (y - top).where(inside, 0.0)
    # The canvas is the picture with a frame of one pixel, so that all four neighbours of a pixel inside exist; what is
    # lost goes behind its end.
    stride = width + 2
    cells = (height + 2) * stride
    cell = (top.where(inside, 0.0).long() + 1) * stride + left.where(inside, 0.0).long() + 1
    cell = cell.where(inside, cells).flatten(2).expand(-1, channels, -1)
    canvas = image.new_zeros(batch, channels, cells + stride + 2)
    for step_y, share_y in ((0, 1 - lower_share), (stride, lower_share)):
        for step_x, share_x in ((0, 1 - right_share), (1, right_share)):
            part = (image * (share_x * share_y)).flatten(2)
            # Shifting the canvas instead of the index saves a pass over it.
            canvas[..., step_y + step_x :].scatter_add_(2, cell, part)
    return canvas[..., :cells].view(batch, channels, height + 2, stride)[..., 1:-1, 1:-1].contiguous()


def splat_average(image: Tensor, flow: Tensor, weight: Tensor | None = None, *, epsilon: float = EPSILON) -> Tensor:
    """Carry each pixel to where its flow points, and average what arrives by weight.

    Args:
        image: (N, C, H, W), any range.
        flow: (N, 2, H, W), (dx, dy) in pixels, as for :func:`splat_sum`.
        weight: (N, 1, H, W), not negative (the paper's "linear" splatting), or None for equal weights ("average").
        epsilon: Added to the sum of weights.

    Returns:
        (N, C, H, W) float32; 0 where nothing arrives.
    """
    weight = torch.ones_like(image[:, :1], dtype=torch.float32) if weight is None else weight.float()
    total, weights = _sums(image, flow, weight)
    return total / (weights + epsilon)


def splat_softmax(image: Tensor, flow: Tensor, metric: Tensor, *, epsilon: float = EPSILON) -> Tensor:
    """Carry each pixel to where its flow points, and average what arrives, weighted by exp(metric).

    exp overflows above 88. So where the largest metric m of a sample is above 60, numerator and denominator are both
    divided by exp(m - 60), the epsilon in the latter included: the same quotient, and it stays finite. The usual trick
    of dividing by exp(m) always would lift the weight of the epsilon, which published numbers depend on. Beside a
    metric above 113, pixels of a metric lower by more than 129 fade to 0.

    Args:
        image: (N, C, H, W), any range.
        flow: (N, 2, H, W), (dx, dy) in pixels, as for :func:`splat_sum`.
        metric: (N, 1, H, W); what has more of it hides what has less. Pixels where it is not finite are lost.
        epsilon: Added to the sum of weights.

    Returns:
        (N, C, H, W) float32; 0 where nothing arrives.
    """
    metric = metric.float()
    finite = metric.isfinite()
    largest = metric.detach().where(finite, 0.0).amax((1, 2, 3), keepdim=True)
    shift = (largest - _LARGEST_EXPONENT).clamp(min=0)
    total, weights = _sums(image, flow, (metric - shift).where(finite, -torch.inf).exp())
    return total / (weights + (epsilon * (-shift).exp()).clamp(min=_SMALLEST_EPSILON))


def _sums(image: Tensor, flow: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of weight * image, (N, C, H, W), and of weight, (N, 1, H, W), in one pass."""
    sums = splat_sum(torch.cat((image.float() * weight, weight), 1), flow)
    return sums[:, :-1], sums[:, -1:]
