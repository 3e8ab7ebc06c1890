"""U-Net of the RRIN family.

Paper: Li et al., "Video frame interpolation via residue refinement", ICASSP 2020.
Ancestor of the layout: https://github.com/jvanvugt/pytorch-unet (MIT). The attribute names are the keys of published
checkpoints.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsrrin.errors import FrameSizeError

from .convolution_stacks import mark_stack
from .precision import keep_fp32, output_layer

SLOPE = 0.1
"""Of the leaky ReLUs."""


class ConvBlock(nn.Module):
    """Two 3x3 convolutions, each with a leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        return cast(Tensor, self.block(x))


class UpBlock(nn.Module):
    """Enlargement to twice the size, joined with the features that were put aside on the way down."""

    def __init__(self, in_channels: int, out_channels: int, *, align_corners: bool) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=align_corners),
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
        )
        self.conv_block = ConvBlock(in_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) and a skip (N, out_channels, 2H, 2W) to (N, out_channels, 2H, 2W)."""
        return cast(Tensor, self.conv_block(torch.cat((self.up(x), skip), 1)))


class UNet(nn.Module):
    """U-Net with average pooling on the way down and bilinear enlargement on the way up.

    Level d has ``width * 2**d`` channels.
    """

    def __init__(
        self, in_channels: int, out_channels: int, depth: int, *, align_corners: bool, width: int = 32
    ) -> None:
        """Make the layers.

        Args:
            in_channels: Channels of the input.
            out_channels: Channels of the result.
            depth: Number of levels; the size is halved ``depth - 1`` times.
            align_corners: Convention of the bilinear enlargement. RRIN has False; its fork True, with the same keys.
            width: Channels of the first level.
        """
        super().__init__()
        self.size_multiple: int = 2 ** (depth - 1)
        widths = [width * 2**level for level in range(depth)]
        self.down_path = nn.ModuleList(
            ConvBlock(before, after) for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.midconv = nn.Conv2d(widths[-1], widths[-1], 3, padding=1)
        self.up_path = nn.ModuleList(
            UpBlock(widths[level + 1], widths[level], align_corners=align_corners)
            for level in reversed(range(depth - 1))
        )
        self.last = nn.Conv2d(width, out_channels, 3, padding=1)
        keep_fp32(self.last)
        mark_stack(self, in_channels, multiple=self.size_multiple)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W) float32.

        Raises:
            FrameSizeError: H or W is no multiple of ``2 ** (depth - 1)``.
        """
        if x.shape[-2] % self.size_multiple or x.shape[-1] % self.size_multiple:
            raise FrameSizeError(
                f"UNet: height and width must be multiples of {self.size_multiple}, got {x.shape[-2]}x{x.shape[-1]} "
                "(height x width). Pad the input."
            )
        x = x.to(self.midconv.weight.dtype)
        skips: list[Tensor] = []
        for down in self.down_path[:-1]:
            skips.append(down(x))
            x = F.avg_pool2d(skips[-1], 2)
        x = F.leaky_relu(self.midconv(self.down_path[-1](x)), SLOPE)
        for up in self.up_path:
            x = up(x, skips.pop())
        return output_layer(self.last, x)
