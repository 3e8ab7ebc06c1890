"""Building blocks of the RRIN-lite networks."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsrrin.errors import ArgumentError
from vsrrin.nets.keys import count_of

from . import fused
from .convolution_stacks import Levels
from .tracing import may_take_shortcuts
from .warp import backward_warp, double

_SLOPE, _RESIDUAL_SLOPE = 0.1, 0.2


def leaky_conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Return a 3x3 convolution and a leaky ReLU."""
    layer = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)
    return nn.Sequential(layer, nn.LeakyReLU(_SLOPE, inplace=True))


class ResidualConv(nn.Module):
    """Convolution with a learned gain per channel, added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.beta = nn.Parameter(torch.full((1, channels, 1, 1), 0.5))
        self.act = nn.LeakyReLU(_RESIDUAL_SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return cast(Tensor, self.act(self.conv(x) * self.beta + x))


class Context(nn.Module):
    """U-Net of coarser levels, added to what it is given: the surroundings as far as they see.

    It changes nothing at first, so that it can be put into a network that has learned already.
    """

    def __init__(self, channels: int, widths: Sequence[int], blocks: Sequence[int]) -> None:
        """Make the layers.

        Args:
            channels: Of what it is given.
            widths: Channels of its levels, each at half the size of the one before, at least one.
            blocks: Residual convolutions of each, as many numbers.
        """
        super().__init__()
        self.down = leaky_conv(channels, widths[0], 2)
        self.body = nn.Sequential(*(ResidualConv(widths[0]) for _ in range(blocks[0])))
        self.inner = context(widths[0], widths[1:], blocks[1:])
        self.out = nn.Conv2d(widths[0], channels, 3, padding=1)
        start_at_zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape; H and W multiples of 2 for each level."""
        return x + double(self.out(self.inner(self.body(self.down(x)))))


def context(channels: int, widths: Sequence[int], blocks: Sequence[int]) -> nn.Module:
    """Return a `Context`, or the identity where there is no level."""
    return Context(channels, widths, blocks) if widths else nn.Identity()


def context_sizes(state: Mapping[str, Tensor], name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return widths and blocks of the `context` of that name in a state dict."""
    key = f"{name}.down.0.weight"
    if key not in state:
        return (), ()
    widths, blocks = context_sizes(state, f"{name}.inner")
    return (state[key].shape[0], *widths), (count_of(state, f"{name}.body.{{}}.beta"), *blocks)


def stack(images: Sequence[Tensor], maps: Sequence[Tensor], dtype: torch.dtype, levels: Levels | None = None) -> Tensor:
    """Return the input of a stack of convolutions, side by side in the convolutions' type.

    Args:
        images: Pictures (N, C, 2H, 2W), whose pixels are moved into channels.
        maps: Maps (N, C, H, W).
        dtype: Type of the convolutions.
        levels: What the stack takes too, see `vsrrin.nets.parts.convolution_stacks.take_levels`: then the result may be
            uint8.
    """
    if not may_take_shortcuts():
        apart = (F.pixel_unshuffle(torch.cat(tuple(images), 1), 2),) if images else ()
        return torch.cat((*apart, *maps), 1).to(dtype)
    if (quick := fused.stacked(images, maps, dtype, levels)) is not None:
        return quick
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
    """Return log(1 + distance) of a pixel from its start after going there and back, (N, 1, H, W)."""
    distance = (flow + backward_warp(back, flow)).square().sum(1, keepdim=True).add(1e-6).sqrt()
    return torch.log1p(distance)


def start_at_zero(*layers: nn.Conv2d) -> None:
    """Make layers return zero until they have learned something."""
    for layer in layers:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(cast(Tensor, layer.bias))


def check_levels(name: str, widths: Sequence[int], most: int) -> None:
    """Check the number of levels of a network.

    Raises:
        ArgumentError: There are more than the sides of a padded frame can be halved for.
    """
    if not 1 <= len(widths) <= most:
        raise ArgumentError(f"{name}: widths must be those of 1 to {most} levels, got {tuple(widths)}")


def check_context(
    name: str, setting: str, widths: Sequence[int], blocks: Sequence[int]
) -> tuple[Sequence[int], Sequence[int]]:
    """Return widths and blocks of `Context`, checked.

    Raises:
        ArgumentError: They are not as many numbers.
    """
    if len(widths) != len(blocks):
        raise ArgumentError(
            f"{name}: {setting}_widths and {setting}_blocks must be as many numbers, "
            f"got {tuple(widths)} and {tuple(blocks)}"
        )
    return widths, blocks
