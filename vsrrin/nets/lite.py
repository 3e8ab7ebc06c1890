"""What the networks of RRIN-lite are built from."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsrrin.errors import ArgumentError
from vsrrin.nets.warp import backward_warp

_SLOPE, _RESIDUAL_SLOPE = 0.1, 0.2


def leaky_conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution and a leaky ReLU."""
    layer = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)
    return nn.Sequential(layer, nn.LeakyReLU(_SLOPE, inplace=True))


class ResidualConv(nn.Module):
    """A convolution with a learned gain per channel, added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.beta = nn.Parameter(torch.full((1, channels, 1, 1), 0.5))
        self.act = nn.LeakyReLU(_RESIDUAL_SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return cast(Tensor, self.act(self.conv(x) * self.beta + x))


def stack(images: Sequence[Tensor], maps: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """Input of a stack of convolutions: pictures (N, C, H, W), their pixels moved into channels, and maps of half the
    size, side by side in the convolutions' type."""
    if torch.is_grad_enabled():
        return torch.cat((*(F.pixel_unshuffle(image, 2) for image in images), *maps), 1).to(dtype)
    # Straight into place, without the copies in between.
    samples, _, height, width = images[0].shape if images else maps[0].shape
    if images:
        height, width = height // 2, width // 2
    channels = sum(4 * image.shape[1] for image in images) + sum(part.shape[1] for part in maps)
    x = (*images, *maps)[0].new_empty((samples, channels, height, width), dtype=dtype)
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


def disagreement(flow: Tensor, back: Tensor) -> Tensor:
    """log(1 + distance) between where a pixel is and where it ends up after going there and back, (N, 1, H, W)."""
    distance = (flow + backward_warp(back, flow)).square().sum(1, keepdim=True).add(1e-6).sqrt()
    return torch.log1p(distance)


def start_at_zero(*layers: nn.Conv2d) -> None:
    """Let layers return zero until they have learned something."""
    for layer in layers:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(cast(Tensor, layer.bias))


def check_levels(name: str, widths: Sequence[int], most: int) -> None:
    """Raises:
    ArgumentError: More levels than the sides of a padded frame can be halved for.
    """
    if not 1 <= len(widths) <= most:
        raise ArgumentError(f"{name}: widths must be those of 1 to {most} levels, got {tuple(widths)}")


def count_of(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many keys a state has of a pattern with a number in it, from 0 on."""
    found = 0
    while pattern.format(found) in state:
        found += 1
    return found
