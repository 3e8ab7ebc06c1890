"""Bilateral motion at a time between two frames: a network that finds it, and its cost volume.

Paper: Park, Ko, Lee, Kim: "BMBC: Bilateral motion estimation with bilateral cost volume for video interpolation",
ECCV 2020.
Upstream: https://github.com/JunHeum/BMBC at dfd4fae (MIT; torch 1.3.1, whose ``grid_sample`` aligned the corners). The
attribute names are the keys of published checkpoints.

Bilateral motion is the motion of a point of the new picture: it came from -2 t * motion in frame 0 and goes to
2 (1 - t) * motion in frame 1. Motion, warps and costs are float32 whatever the layers are. The features are never laid
out for all displacements at once: that would be gigabytes.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .precision import keep_fp32, output_layer
from .tracing import is_traced
from .warp import EXACT, WarpArithmetic, backward_warp, pixel_grid

_SLOPE = 0.1
_MOTION_UNIT = 20.0  # pixels of the picture
# level -> largest displacement in the cost volume
_RADII = {6: 6, 5: 4, 4: 4, 3: 2, 2: 2}
_DILATIONS = (1, 2, 4, 8, 16, 1)
_ZEROS_OUTSIDE = WarpArithmetic(align_corners=True, divide_by="size-1", outside="zeros")
_INSIDE = 0.999
_EPSILON = 1e-6
# Warped features looked at together: enough to keep all cores busy on the smallest maps, little beside the rest.
_GROUP_ELEMENTS = 2**23


class BMNet(nn.Module):
    """Network for bilateral motion at a time, from coarse to fine over six levels."""

    def __init__(self, *, widths: Sequence[int], dense: Sequence[int], dilated: Sequence[int]) -> None:
        """Make the layers.

        Args:
            widths: Channels of the features on the six levels; level 1 has the size of the pictures.
            dense: Channels that each of the five convolutions on a level adds.
            dilated: Channels of the six dilated convolutions at the end.
        """
        super().__init__()
        for level, (before, after) in enumerate(pairwise((3, *widths)), 1):
            first, *others = _encoder(level)
            self.add_module(first, _conv(before, after, stride=1 if level == 1 else 2))
            for name in others:
                self.add_module(name, _conv(after, after))
        channels = 0
        for level, radius in _RADII.items():
            # Beside the cost volume: both frames' features, motion and features of the level above.
            channels = (2 * radius + 1) ** 2 + (0 if level == 6 else 2 * widths[level - 1] + 4)
            for i, added in enumerate(dense):
                self.add_module(f"conv{level}_{i}", _conv(channels, added))
                channels += added
            self.add_module(f"predict_flow{level}", _flow_layer(channels))
            # Published weights have a deconv2, too, which nothing uses.
            deconv = nn.ConvTranspose2d(2, 2, 4, stride=2, padding=1)
            keep_fp32(deconv)
            self.add_module(f"deconv{level}", deconv)
            if level > 2:
                self.add_module(f"upfeat{level}", nn.ConvTranspose2d(channels, 2, 4, stride=2, padding=1))
        for i, ((before, after), dilation) in enumerate(
            zip(pairwise((channels, *dilated)), _DILATIONS, strict=True), 1
        ):
            self.add_module(f"dc_conv{i}", _conv(before, after, dilation=dilation))
        self.add_module("dc_conv7", _flow_layer(dilated[-1]))

    def features(self, image: Tensor) -> dict[int, Tensor]:
        """Return features of a picture (N, 3, H, W) by level, 2 to 6; level k is 2**(k - 1) times smaller."""
        x = image.to(cast(Tensor, self.get_parameter("conv1a.0.weight")).dtype)
        found = {}
        for level in range(1, 7):
            for name in _encoder(level):
                x = self.get_submodule(name)(x)
            if level > 1:
                found[level] = x
        return found

    def forward(self, features0: dict[int, Tensor], features1: dict[int, Tensor], t: Tensor | float) -> Tensor:
        """Return bilateral motion.

        Args:
            features0: :meth:`features` of frame 0; H and W multiples of 32.
            features1: :meth:`features` of frame 1.
            t: (N, 1, 1, 1), or one number in [0, 1] for all.

        Returns:
            (N, 2, H, W) float32, (dx, dy) in pixels: half the way from frame 0 to frame 1.
        """
        samples, _, height, width = features0[6].shape
        flow = features0[6].new_zeros(samples, 2, height, width, dtype=torch.float32)
        x = flow
        for level, radius in _RADII.items():
            feature0, feature1 = features0[level], features1[level]
            motion = flow * (_MOTION_UNIT / 2 ** (level - 1))
            volume = F.leaky_relu(cost_volume(feature0, feature1, motion, t, radius), _SLOPE)
            if level == 6:
                parts = [volume]
            else:
                parts = [volume, _along(feature0, motion, -2 * t), _along(feature1, motion, 2 * (1 - t)), flow, x]
            # All layers below work in this order of memory; a concatenation of two orders would fall back each time.
            x = torch.cat([part.to(feature0.dtype) for part in parts], 1).contiguous(memory_format=torch.channels_last)
            del volume, parts
            for i in range(5):
                x = torch.cat((self.get_submodule(f"conv{level}_{i}")(x), x), 1)
            flow = output_layer(cast(nn.Conv2d, self.get_submodule(f"predict_flow{level}")), x)
            if level > 2:
                flow = self.get_submodule(f"deconv{level}")(flow)
                x = self.get_submodule(f"upfeat{level}")(x)
        for i in range(1, 7):
            x = self.get_submodule(f"dc_conv{i}")(x)
        flow = flow + output_layer(cast(nn.Conv2d, self.get_submodule("dc_conv7")), x)
        return F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False) * _MOTION_UNIT


def _encoder(level: int) -> tuple[str, str, str]:
    """Names of the convolutions of a level, in their order."""
    first, second = ("aa", "a") if level == 6 else ("a", "aa")
    return f"conv{level}{first}", f"conv{level}{second}", f"conv{level}b"


def _conv(in_channels: int, out_channels: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=dilation, dilation=dilation),
        nn.LeakyReLU(_SLOPE, inplace=True),
    )


def _flow_layer(channels: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, 2, 3, padding=1)
    keep_fp32(layer)
    return layer


def _along(feature: Tensor, motion: Tensor, share: Tensor | float) -> Tensor:
    """A feature where a share of the motion points to, (N, C, H, W); itself if the share is the number 0."""
    if isinstance(share, float) and share == 0:
        return feature
    return warp_inside(feature.float().contiguous(), motion * share)


def warp_inside(image: Tensor, flow: Tensor) -> Tensor:
    """Sample a picture where the flow points to; zero where that is outside.

    Args:
        image: (N, C, H, W), any range.
        flow: (N, 2, H, W), (dx, dy) in pixels.

    Returns:
        (N, C, H, W) float32.
    """
    return backward_warp(image, flow, _ZEROS_OUTSIDE).mul_(inside(flow))


def inside(flow: Tensor) -> Tensor:
    """Return whether at least 0.999 of a bilinear sample's weight lies inside the picture.

    Args:
        flow: (N, 2, H, W), (dx, dy) in pixels.

    Returns:
        (N, 1, H, W) float32, 0 or 1; has no gradient.
    """
    flow = flow.detach().float()
    height, width = flow.shape[-2:]
    x, y = pixel_grid(height, width, flow.device)
    share = _share_within(flow[:, :1] + x, width).mul_(_share_within(flow[:, 1:] + y, height))
    return (share >= _INSIDE).float()


def _share_within(position: Tensor, size: int) -> Tensor:
    if size == 1:  # wherever it points, grid_sample reads the one column there is
        return torch.ones_like(position)
    return torch.minimum(position + 1, size - position).clamp_(0, 1)


def cost_volume(feature0: Tensor, feature1: Tensor, motion: Tensor, t: Tensor | float, radius: int) -> Tensor:
    """Return how well the frames agree for the motion of each point, and for motions around it.

    Args:
        feature0: Features of frame 0, (N, C, H, W); only their direction in each pixel counts.
        feature1: Features of frame 1, likewise.
        motion: Bilateral motion, (N, 2, H, W), (dx, dy) in pixels of the features.
        t: (N, 1, 1, 1), or one number for all; with the number 0 (1) frame 0 (1) is taken as it is.
        radius: Largest displacement of the motion, in pixels.

    Returns:
        (N, (2 * radius + 1)**2, H, W) float32 in [-1, 1], displacements row by row; 0 where one of them leads out of
        the picture.
    """
    feature0, feature1 = _unit(feature0), _unit(feature1)
    motion = motion.float()
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32, device=motion.device)
    steps = torch.stack((offsets.repeat(len(offsets)), offsets.repeat_interleave(len(offsets))), 1)[..., None, None]
    # Two at least: torch shares a warp out to the cores by sample.
    group = len(steps) if is_traced() else max(_GROUP_ELEMENTS // feature0[0].numel(), 2)
    volumes = []
    for i in range(motion.shape[0]):
        own, time = slice(i, i + 1), t[i : i + 1] if isinstance(t, Tensor) else t
        rows = [
            _agreement(feature0[own], feature1[own], motion[own] + some, time) for some in torch.split(steps, group)
        ]
        volumes.append(torch.cat(rows, 1))
    return torch.cat(volumes)


def _agreement(feature0: Tensor, feature1: Tensor, motions: Tensor, t: Tensor | float) -> Tensor:
    """Scalar products (1, K, H, W) of two (1, C, H, W) along K motions (K, 2, H, W)."""
    masks = []
    for_all = (motions.shape[0], -1, -1, -1)
    if not isinstance(t, float) or t != 0:
        flow = motions * (-2 * t)
        feature0 = backward_warp(feature0.expand(for_all), flow, EXACT)
        masks.append(inside(flow))
    if not isinstance(t, float) or t != 1:
        flow = motions * (2 * (1 - t))
        feature1 = backward_warp(feature1.expand(for_all), flow, EXACT)
        masks.append(inside(flow))
    product = (feature0 * feature1).sum(1, keepdim=True)
    for mask in masks:
        product = product * mask
    return product.transpose(0, 1)


def _unit(feature: Tensor) -> Tensor:
    # grid_sample reads planes, and with them in order several times as fast.
    feature = feature.float().contiguous()
    return feature / (feature.square().sum(1, keepdim=True) + _EPSILON).sqrt()
