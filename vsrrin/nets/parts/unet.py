"""The U-Net of the RRIN family, and what all its networks need: precision and the check of the inputs.

Paper: Li et al., "Video frame interpolation via residue refinement", ICASSP 2020.
Ancestor of the layout: https://github.com/jvanvugt/pytorch-unet (MIT). The attribute names are the keys of published
checkpoints.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsrrin.errors import ArgumentError, FrameSizeError

from .convolution_stacks import mark_stack

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
    """Doubles the size and joins the features that were put aside on the way down."""

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


def keep_fp32(layer: nn.Module) -> None:
    """Mark an output layer to stay in float32 (see :func:`to_precision`)."""
    layer.keep_fp32 = True  # type: ignore[assignment]  # nn.Module types attributes as tensors or modules


def output_layer(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Run the output layer of a stack in its own precision.

    Returns:
        What the layer returns, float32 and contiguous.
    """
    out: Tensor = layer(x.to(layer.weight.dtype))
    return out.to(dtype=torch.float32, memory_format=torch.contiguous_format)


def to_precision[NetT: nn.Module](net: NetT, dtype: torch.dtype) -> NetT:
    """Set the precision of the convolutions of a net, in place.

    The hidden layers are cast to ``dtype`` and their weights laid out channels last. Output layers stay float32: a
    flow of 30 px is known to 0.125 px only in bfloat16. Images, flow, warps and masks are float32 whatever the layers
    are; every stack casts its input to the type of its weights.

    Returns:
        ``net``.

    Raises:
        ArgumentError: ``dtype`` is not float32, float16 or bfloat16.
    """
    if dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ArgumentError(f"to_precision: dtype must be float32, float16 or bfloat16, got {dtype}.")
    for module in net.modules():
        chosen = torch.float32 if getattr(module, "keep_fp32", False) else dtype
        for parameter in module.parameters(recurse=False):
            layout = torch.channels_last if parameter.dim() == 4 else torch.preserve_format
            parameter.data = parameter.data.to(dtype=chosen, memory_format=layout)
    return net


def check_inputs(
    function: str, multiple: int, img0: Tensor, img1: Tensor, *, t: Tensor | None = None, flow: Tensor | None = None
) -> None:
    """Check what a net was given.

    Args:
        function: Name for the message.
        multiple: What height and width must be multiples of.
        img0: Frame 0.
        img1: Frame 1.
        t: Time, or None where there is none.
        flow: Flow from outside, at half the frames' size, or None where there is none.

    Raises:
        FrameSizeError: An image is not (N, 3, H, W), they differ in shape, a side is no multiple of ``multiple``, or
            the flow is not (N, 4, H/2, W/2).
        ArgumentError: t is not (N, 1, 1, 1).
    """
    if img0.dim() != 4 or img0.shape[1] != 3 or img0.shape != img1.shape:
        raise FrameSizeError(
            f"{function}: img0 and img1 must be of one shape (N, 3, H, W), "
            f"got {tuple(img0.shape)} and {tuple(img1.shape)}."
        )
    height, width = img0.shape[-2:]
    if height % multiple or width % multiple or not height or not width:
        raise FrameSizeError(
            f"{function}: height and width must be multiples of {multiple}, got {height}x{width} (height x width). "
            "Pad the frames."
        )
    if flow is not None and flow.shape != (img0.shape[0], 4, height // 2, width // 2):
        raise FrameSizeError(
            f"{function}: flow must have shape ({img0.shape[0]}, 4, {height // 2}, {width // 2}), half the frames', "
            f"got {tuple(flow.shape)}."
        )
    if t is not None and t.shape != (img0.shape[0], 1, 1, 1):
        raise ArgumentError(f"{function}: t must have shape ({img0.shape[0]}, 1, 1, 1), got {tuple(t.shape)}.")
