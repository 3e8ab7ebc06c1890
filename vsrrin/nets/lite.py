"""What both generations of RRIN-lite are built from."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsrrin.nets.warp import backward_warp

SLOPE = 0.2
FLOW_SCALE = 0.1
"""Flow enters the networks in tens of pixels, so that it is of the size of the other channels."""
_OVERBRIGHT, _DIM, _LEAST_PEAK = 1.5, 1 / 16, 1e-6


class ResidualConv(nn.Module):
    """A convolution with a learned gain per channel, added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.beta = nn.Parameter(torch.full((1, channels, 1, 1), 0.5))
        self.act = nn.LeakyReLU(SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return cast(Tensor, self.act(self.conv(x) * self.beta + x))


def stack(images: Sequence[Tensor], maps: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """Input of a stack of convolutions: pictures (N, C, H, W), their pixels moved into channels, and maps of half the
    size (or maps alone), side by side in the convolutions' type."""
    if torch.is_grad_enabled():
        return torch.cat((*(F.pixel_unshuffle(image, 2) for image in images), *maps), 1).to(dtype)
    # Straight into place, without the copies in between.
    samples, _, height, width = maps[0].shape
    channels = sum(4 * image.shape[1] for image in images) + sum(part.shape[1] for part in maps)
    x = maps[0].new_empty((samples, channels, height, width), dtype=dtype)
    at = 0
    for image in images:
        colours = image.shape[1]
        pixels = image.view(samples, colours, height, 2, width, 2).permute(0, 1, 3, 5, 2, 4)
        x[:, at : at + 4 * colours].view(samples, colours, 2, 2, height, width).copy_(pixels)
        at += 4 * colours
    for part in maps:
        x[:, at : at + part.shape[1]] = part
        at += part.shape[1]
    return x


def double(x: Tensor) -> Tensor:
    """Twice the height and width, bilinear; values as they are."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def disagreement(flow: Tensor, back: Tensor) -> Tensor:
    """log(1 + distance) between where a pixel is and where it ends up after going there and back, (N, 1, H, W)."""
    distance = (flow + backward_warp(back, flow)).square().sum(1, keepdim=True).add(1e-6).sqrt()
    return torch.log1p(distance)


def value_range(img0: Tensor, img1: Tensor) -> tuple[Tensor, Tensor]:
    """Least and greatest value of each sample's frames, both (N, 1, 1, 1)."""
    # Row by row first: the reduction of one long row uses one core.
    (low0, high0), (low1, high1) = img0.aminmax(dim=3), img1.aminmax(dim=3)
    low = torch.minimum(low0, low1).flatten(1).amin(1).view(-1, 1, 1, 1)
    return low, torch.maximum(high0, high1).flatten(1).amax(1).view(-1, 1, 1, 1)


def clamp_to_range(image: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Clamp each sample to [0, 1] or the range of its frames, whichever is wider.

    Video has values beyond nominal white and outside the RGB gamut on purpose.
    """
    low, high = low.clamp(max=0), high.clamp(min=1)
    return torch.clamp(image, low, high) if torch.is_grad_enabled() else image.clamp_(low, high)


def usual_gain(low: Tensor, high: Tensor) -> Tensor:
    """What frames are multiplied by so that a network trained on [0, 1] sees such values, (N, 1, 1, 1).

    1 but for frames far beyond white (linear HDR), or far below it throughout, whose peak becomes 1.
    """
    peak = torch.maximum(high, -low)
    unusual = (peak > _OVERBRIGHT) | ((peak > 0) & (peak < _DIM))
    return torch.where(unusual, 1 / peak.clamp(min=_LEAST_PEAK), torch.ones_like(peak))
