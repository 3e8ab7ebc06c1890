"""First weights for a network that splats frame 0: its refinement reverses the flow to frame 0.

SRRIN splats frame 0 along the flow from time t to frame 0, as if that were the flow of frame 0 to t. So it needs the
opposite of what RRIN's flow gives it; with RRIN's weights frame 0 moves the wrong way, a mask soon learns to leave it
out, and then nothing tells the flow what is wrong. Both halves of the flow it is made of enter both frames' flow, so
the refinement alone can turn one of them. These weights let it do that exactly, along the shortest way through its
U-Net; they are only where training begins.
"""

from typing import cast

import torch
from torch import nn

from training.errors import RecipeError
from vsrrin.nets.parts.residue import ResidueNet
from vsrrin.nets.parts.unet import SLOPE, ConvBlock, UpBlock

_CARRIERS = 4
"""Channels that carry the flow: x, -x, y, -y."""


@torch.no_grad()
def start_splatting(net: nn.Module) -> None:
    """Let the refinement of a `ResidueNet` reverse the flow to frame 0 and keep that to frame 1, in place.

    Four channels of the finest level are taken for it. What the others do is not read at first.

    Raises:
        RecipeError: There are fewer.
    """
    unet = cast(ResidueNet, net).refine_flow
    down = cast(ConvBlock, unet.down_path[0]).block
    up = cast(UpBlock, unet.up_path[-1]).conv_block.block
    width = unet.last.in_channels
    if width < _CARRIERS:
        raise RecipeError(
            f"model.splatting needs networks of at least {_CARRIERS} channels, this one begins with {width}"
        )
    enters = cast(nn.Conv2d, down[0])
    _clear(enters)
    for axis in range(2):
        enters.weight[2 * axis, axis, 1, 1] = 1
        enters.weight[2 * axis + 1, axis, 1, 1] = -1
    factor = 1.0
    for layer, offset in ((down[2], 0), (up[0], width), (up[2], 0)):  # what was put aside is joined after what comes up
        conv = cast(nn.Conv2d, layer)
        _clear(conv)
        for axis in range(2):
            for sign in range(2):
                _read(conv, 2 * axis + sign, offset + 2 * axis, 1 - 2 * sign)
        factor *= 1 + SLOPE
    nn.init.zeros_(unet.last.weight)
    nn.init.zeros_(cast(nn.Parameter, unet.last.bias))
    for axis in range(2):
        _read(unet.last, axis, 2 * axis, -2 / (factor * (1 + SLOPE)))


def _clear(conv: nn.Conv2d) -> None:
    """Reserve the channels that carry the flow."""
    conv.weight[:_CARRIERS] = 0
    cast(nn.Parameter, conv.bias)[:_CARRIERS] = 0


def _read(conv: nn.Conv2d, into: int, pair: int, times: float) -> None:
    """Make a value from the leaky ReLUs of it and of its opposite, whose difference is 1 + slope times it.

    That factor is left to the last layer: hidden ones may be of half precision, in which 1 is exact.
    """
    conv.weight[into, pair, 1, 1] = times
    conv.weight[into, pair + 1, 1, 1] = -times
