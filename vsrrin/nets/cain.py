"""CAIN: the middle frame without motion estimation, by channel attention on shuffled pixels.

Paper: Choi, Kim, Han, Xu, Lee: "Channel attention is all you need for video frame interpolation", AAAI 2020.
Upstream: https://github.com/myungsub/CAIN at 2e727d2 (torch 1.3.1).
Code licence: upstream MIT; this file is an independent implementation, under vsrrin's licence.
Weights licence: upstream's repository is MIT and says nothing else about its weights.

Differs from upstream:

- The frames given are left as they are; upstream subtracts the means in place.
- The result of ``synthesize`` is clamped to [0, 1]; ``middle`` returns it as upstream does.
- Sides below 44, which cannot be mirrored to 128 in one go, are mirrored again and again (a side of 1 is repeated);
  upstream fails.
- In training, upstream pads nothing and needs multiples of 8; here other sizes are padded to such a multiple.
- t is an argument like that of the other nets, and without effect.
"""

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsrrin.nets.parts.checks import check_inputs
from vsrrin.nets.parts.convolution_stacks import mark_stack
from vsrrin.nets.parts.precision import keep_fp32, output_layer

from .keys import Keys
from .spec import NetSpec

_SLOPE = 0.2
# Pixels of a square of this side become channels.
_SHUFFLE = 8
_CHANNELS = 3 * _SHUFFLE**2
_PADDED_MULTIPLE = 128
# Mirroring by one pixel needs a map of two.
_SMALLEST_MAP = 2
_REDUCTION = 16


class ConvNorm(nn.Module):
    """3x3 convolution that sees the picture mirrored at its border; the normalisation of its name was never on."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape; H and W at least 2."""
        return cast(Tensor, self.conv(x.to(self.conv.weight.dtype)))


class ChannelAttention(nn.Module):
    """Scales in (0, 1) for all channels, derived from the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_du = nn.Sequential(
            nn.Conv2d(channels, channels // _REDUCTION, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // _REDUCTION, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the scales of (N, channels, H, W), as (N, channels, 1, 1)."""
        return cast(Tensor, self.conv_du(x.mean((2, 3), keepdim=True)))


class AttentionBlock(nn.Module):
    """Two convolutions and their channel attention, added to the input.

    What blocks and groups add up is float32 whatever the layers are: it costs nothing and halves their error.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNorm(channels),
            nn.LeakyReLU(_SLOPE, inplace=True),
            ConvNorm(channels),
            ChannelAttention(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) float32 to the same shape."""
        features = self.body[:3](x)
        return torch.addcmul(x, features.float(), self.body[3](features).float())


class Group(nn.Module):
    """Attention blocks and a convolution, added to the input."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(AttentionBlock(channels) for _ in range(blocks)), ConvNorm(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) float32 to the same shape."""
        return cast(Tensor, self.body(x)).float().add_(x)


class Interpolation(nn.Module):
    """Network that turns the shuffled pixels of both frames into those of the middle frame."""

    def __init__(self, groups: int, blocks: int, features: int) -> None:
        super().__init__()
        self.headConv = nn.Conv2d(2 * _CHANNELS, features, 3, padding=1)
        self.body = nn.Sequential(*(Group(features, blocks) for _ in range(groups)))
        self.tailConv = nn.Conv2d(features, _CHANNELS, 3, padding=1)
        keep_fp32(self.tailConv)
        mark_stack(self, 2 * _CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 384, H, W) to (N, 192, H, W) float32; H and W at least 2."""
        head = self.headConv(x.to(self.headConv.weight.dtype)).float()
        return output_layer(self.tailConv, self.body(head).add_(head))


class Encoder(nn.Module):
    """Holder of all layers, as in published keys."""

    def __init__(self, groups: int, blocks: int, features: int) -> None:
        super().__init__()
        self.interpolate = Interpolation(groups, blocks, features)

    def forward(self, img0: Tensor, img1: Tensor) -> Tensor:
        """Map two pictures (N, 3, H, W) to (N, 192, H/8, W/8) float32; H and W multiples of 8, at least 16."""
        shuffled = (F.pixel_unshuffle(img, _SHUFFLE) for img in (img0, img1))
        return cast(Tensor, self.interpolate(torch.cat(tuple(shuffled), 1)))


class CAIN(nn.Module):
    """Network for the frame in the middle of two."""

    def __init__(self, *, groups: int = 5, blocks: int = 12, features: int = 192) -> None:
        """Make the layers.

        Args:
            groups: Residual groups.
            blocks: Attention blocks of each group.
            features: Channels of the hidden layers, at least 16.
        """
        super().__init__()
        self.encoder = Encoder(groups, blocks, features)

    def estimate(self, img0: Tensor, img1: Tensor) -> Tensor:
        """Return an empty tensor: the network has no part that could be reused.

        Args:
            img0: Frame 0, (N, 3, H, W) float32 in [0, 1].
            img1: Frame 1, likewise.

        Returns:
            (N, 0, H, W) float32.

        Raises:
            FrameSizeError: The shapes do not fit.
        """
        check_inputs("CAIN.estimate", SPEC.size_multiple, img0, img1)
        return img0.new_empty((img0.shape[0], 0, *img0.shape[-2:]))

    def synthesize(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """Return the frame in the middle, whatever t is.

        Args:
            img0: Frame 0, (N, 3, H, W) float32 in [0, 1].
            img1: Frame 1, likewise.
            estimate: What :meth:`estimate` returned.
            t: (N, 1, 1, 1) float32; 1/2 is what the result is for.

        Returns:
            (N, 3, H, W) float32 in [0, 1].

        Raises:
            FrameSizeError: The shapes do not fit.
            ArgumentError: t has another shape.
        """
        check_inputs("CAIN.synthesize", SPEC.size_multiple, img0, img1, t=t)
        return self.unclamped(img0, img1, estimate, t).clamp(0, 1)

    def unclamped(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """Return the frame of :meth:`synthesize`, (N, 3, H, W) float32, before it is clamped to [0, 1]."""
        return self.middle(img0, img1)[0]

    def middle(self, img0: Tensor, img1: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frame in the middle as the layers make it, and the features that it is made of.

        Args:
            img0: Frame 0, (N, 3, H, W) float32 in [0, 1].
            img1: Frame 1, likewise.

        Returns:
            (N, 3, H, W) float32, which may leave [0, 1]; (N, 192, h/8, w/8) float32, where h and w are H and W padded
            to multiples of 128 (in training of 8).
        """
        height, width = img0.shape[-2:]
        (top, rows), (left, columns) = self._mirrored(height, img0.device), self._mirrored(width, img0.device)
        mean0, mean1 = (img.mean((2, 3), keepdim=True) for img in (img0, img1))
        padded0, padded1 = (
            (img - mean).index_select(2, rows).index_select(3, columns) for img, mean in ((img0, mean0), (img1, mean1))
        )
        features = self.encoder(padded0, padded1)
        picture = F.pixel_shuffle(features, _SHUFFLE)[..., top : top + height, left : left + width]
        return picture + (mean0 + mean1) / 2, features

    def _mirrored(self, side: int, device: torch.device) -> tuple[int, Tensor]:
        """Return the pixels to put before a side, and the positions to read for the padded side."""
        multiple, least = (_SHUFFLE, _SMALLEST_MAP * _SHUFFLE) if self.training else (_PADDED_MULTIPLE, 0)
        # Nothing negative is divided, as ONNX rounds towards zero.
        missing = max((side + multiple - 1) // multiple * multiple, least) - side
        before = missing // 2
        # A tensor, as ONNX's remainder takes no size of a picture.
        period = torch.full((), max(2 * (side - 1), 1), device=device)
        phase = torch.arange(-before, side + missing - before, device=device).remainder(period)
        return before, torch.minimum(phase, period - phase)

    def forward(self, img0: Tensor, img1: Tensor, t: Tensor) -> Tensor:
        """Run `estimate` and `synthesize` in a row."""
        return self.synthesize(img0, img1, self.estimate(img0, img1), t)


_INNER = "encoder.interpolate"
_KEYS = Keys(
    {
        f"{_INNER}.headConv.weight": ("features", 2 * _CHANNELS, None, None),
        f"{_INNER}.tailConv.weight": (_CHANNELS, None, None, None),
        # The authors' net without attention has keys of the same names but for these.
        f"{_INNER}.body.0.body.0.body.3.conv_du.0.weight": None,
    },
    counts={
        "groups": f"{_INNER}.body.{{}}.body.0.body.0.conv.weight",
        "blocks": f"{_INNER}.body.0.body.{{}}.body.0.conv.weight",
    },
)


def _build(state: Mapping[str, Tensor], arithmetic: str) -> CAIN:
    return CAIN(**_KEYS.sizes(state))


SPEC = NetSpec(
    name="cain",
    paper="Choi et al., Channel attention is all you need for video frame interpolation, AAAI 2020",
    upstream="https://github.com/myungsub/CAIN at 2e727d2",
    code_licence="independent implementation, MIT (upstream code: MIT)",
    weights_licence="as the checkpoint's author says; upstream's: in a repository under MIT, nothing said of them",
    weights_from=(
        "The authors of CAIN link one (pretrained_cain.pth) in the README of https://github.com/myungsub/CAIN; give "
        "its path as the model."
    ),
    size_multiple=1,
    arbitrary_t=False,
    supports_half=True,
    external_flow=False,
    estimates_flow=False,
    bytes_per_pixel=256,  # measured at 512x512: 246, at 1024x1024: 191, at 2048x2048: 137
    arithmetics=("published",),
    keys=_KEYS,
    build=_build,
    default=CAIN,
    unclamped=CAIN.unclamped,
)
