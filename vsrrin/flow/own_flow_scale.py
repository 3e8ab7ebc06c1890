"""Choice of the size at which a network finds motion itself: the one whose flow explains the pair best.

Such a network knows motion up to some length, of which it has learned nothing beyond. On smaller pictures the same
motion is shorter, and small things are lost. Which counts for more is a matter of the pair, and the pair tells: flow is
the better one where each frame, warped by it, is more like the other. On the validation triplets of 640 pixels that
choice between a picture and one of half its sides is right nearly always (PSNR of a rrin of half the width, dB: the
whole picture 29.32, the half 29.50, chosen 29.61; had the better one of three sizes been known 29.80).

Choosing pixel by pixel is worse than either: in repeated texture the wrong flow explains as much.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

from vsrrin.nets.parts.warp import backward_warp

type Estimate = Callable[[Tensor, Tensor], Tensor]
"""The flow of two pictures (N, 3, H, W): (N, 4, H, W), (dx, dy) in pixels, 0 -> 1 then 1 -> 0."""

_HALVINGS = 2
"""How often the picture is made smaller still, at most."""
_SMALLEST = 96
"""Pixels of the short side below which it is not."""
_SEEN = 1024
"""Pixels of the long side on which flow is judged, at most."""
_LEAST_GAIN = 0.03
"""By what share the smaller picture's flow must explain the pair better, so that nothing flickers for nothing."""


def shrunk_flow(estimate: Estimate, img0: Tensor, img1: Tensor, scale: float, multiple: int) -> Tensor:
    """Return flow that is found on smaller pictures.

    Args:
        estimate: Finds it.
        img0: Frame 0, (N, 3, H, W).
        img1: Frame 1, likewise.
        scale: Size of the smaller pictures, relative to the frames.
        multiple: What their sides must be multiples of.

    Returns:
        (N, 4, H, W) in pixels of the frames.
    """
    height, width = img0.shape[-2:]
    small = [max(round(side * scale / multiple), 1) * multiple for side in (height, width)]
    shrunk = (F.interpolate(x, small, mode="bilinear", align_corners=False, antialias=True) for x in (img0, img1))
    flow = estimate(next(shrunk), next(shrunk))
    per_axis = torch.tensor([width / small[1], height / small[0]] * 2, device=flow.device).view(1, 4, 1, 1)
    return F.interpolate(flow, (height, width), mode="bilinear", align_corners=False) * per_axis


def unlike(img0: Tensor, img1: Tensor, flow: Tensor) -> float:
    """Return the sum of absolute differences of each frame, warped by the flow, from the other.

    Large frames are looked at in a smaller size.

    Args:
        img0: Frame 0, (N, 3, H, W).
        img1: Frame 1, likewise.
        flow: (N, 4, H, W) in pixels, 0 -> 1 then 1 -> 0.
    """
    step = -(-max(img0.shape[-2:]) // _SEEN)
    if step > 1:
        img0, img1, flow = (F.avg_pool2d(x, step, ceil_mode=True) for x in (img0, img1, flow / step))
    at0 = (backward_warp(img1, flow[:, :2]) - img0).abs().sum()
    at1 = (backward_warp(img0, flow[:, 2:]) - img1).abs().sum()
    return float(at0 + at1)


def smaller_scales(scale: float, height: int, width: int) -> Iterator[float]:
    """Yield the scales to try after one, each half of the one before.

    Args:
        scale: The first.
        height: Of the frame, or of what is shrunk by itself.
        width: Likewise.
    """
    for _ in range(_HALVINGS):
        scale /= 2
        if min(height, width) * scale < _SMALLEST:
            return
        yield scale


def best_explaining[Flow](
    find: Callable[[float], Flow], unexplained: Callable[[Flow], float], scale: float, height: int, width: int
) -> Flow:
    """Return the flow of the scale that explains a pair best; smaller ones are tried while they are better.

    Args:
        find: Finds the flow at a scale.
        unexplained: What of the pair a flow leaves unexplained, see `unlike`.
        scale: The largest one.
        height: Of the frames.
        width: Likewise.
    """
    best = find(scale)
    smaller = list(smaller_scales(scale, height, width))
    least = unexplained(best) if smaller else 0.0
    for tried in smaller:
        flow = find(tried)
        left = unexplained(flow)
        if not left < (1 - _LEAST_GAIN) * least:  # nor if it is not a number
            break
        best, least = flow, left
    return best
