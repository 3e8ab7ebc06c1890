"""BMBC: bilateral motion estimation with bilateral cost volume.

Paper: Park, Ko, Lee, Kim: "BMBC: Bilateral motion estimation with bilateral cost volume for video interpolation",
ECCV 2020.
Upstream: https://github.com/JunHeum/BMBC at dfd4fae (torch 1.3.1, whose ``grid_sample`` aligned the corners).
Code licence: upstream MIT; this file is an independent implementation, under vsrrin's licence.
Weights licence: upstream names none beside the MIT licence of its repository.

Differs from upstream:

- One module and one state dict; upstream has three files, and its keys are those behind the prefixes.
- t is a tensor (N, 1, 1, 1), and the two motion passes that depend on the pair alone are a call of their own. They
  share the motion features; the features of a third pass and the context of each frame are computed once.
- The six candidates enter the first layer of the filter network one after the other, and filters are made and
  used band by band; the cost volume and the filter go through displacements and taps one after the other. The sums
  are the same in another order.
- The result is clamped, since a sum of weights may be 1 + 1e-7.
- Fresh weights are PyTorch's usual ones.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsrrin.nets.parts.bilateral import BMNet, warp_inside
from vsrrin.nets.parts.checks import check_inputs
from vsrrin.nets.parts.convolution_stacks import mark_stack
from vsrrin.nets.parts.precision import keep_fp32
from vsrrin.nets.parts.tracing import is_traced

from .keys import Keys
from .spec import NetSpec, Part

_MOTION_MULTIPLE = 32
_CANDIDATES = 6
_FILTER_SIZE = 5
# Filters are 150 numbers a pixel; those of one band fit a cache.
_BAND_PIXELS = 2**14


class DenseLayer(nn.Module):
    """Convolution whose result is appended to its input."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.dense_layer = nn.Sequential(nn.Conv2d(in_channels, growth, 3, padding=1), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, in_channels + growth, H, W), the input first."""
        return torch.cat((x, self.dense_layer(x)), 1)


class ResidualDenseBlock(nn.Module):
    """Row of dense layers, fused to the channels of its input and added to it."""

    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.Layer = nn.Sequential(*(DenseLayer(channels + i * growth, growth) for i in range(layers)))
        self.local_feature_fusion = nn.Conv2d(channels + layers * growth, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        out: Tensor = self.local_feature_fusion(self.Layer(x)) + x
        return out


class DFNet(nn.Module):
    """Network that makes a filter for each pixel of the new picture, over 5x5 surroundings in six candidates."""

    def __init__(self, candidate_channels: int, *, channels: int, growth: int, blocks: int, layers: int) -> None:
        """Make the layers.

        Args:
            candidate_channels: Channels of a candidate: colours and context.
            channels: Channels between the blocks.
            growth: Channels that a layer in a block adds.
            blocks: Number of blocks.
            layers: Number of layers in a block.
        """
        super().__init__()
        self.SFE_First = nn.Conv2d(_CANDIDATES * candidate_channels + 6, channels, 3, padding=1)
        self.SFE_Second = nn.Conv2d(channels, channels, 3, padding=1)
        self.GRL = nn.Sequential(*(ResidualDenseBlock(channels, growth, layers) for _ in range(blocks)))
        self.Global_feature_fusion = nn.Sequential(
            nn.Conv2d(blocks * channels, channels, 1), nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.Conv_Output = nn.Conv2d(channels, _CANDIDATES * _FILTER_SIZE**2, 3, padding=1)
        keep_fp32(self.Conv_Output)
        mark_stack(self, channels, method="features")

    def first(self, part: Tensor, start: int) -> Tensor:
        """Return the share of some input channels in the first layer's result.

        Args:
            part: The input channels, (N, C, H, W).
            start: Number of the first of them.

        Returns:
            (N, channels, H, W) float32, with the bias if they are the first ones.
        """
        layer = self.SFE_First
        weight = layer.weight[:, start : start + part.shape[1]]
        return F.conv2d(part.to(weight.dtype), weight, layer.bias if start == 0 else None, padding=1).float()

    def features(self, first: Tensor) -> Tensor:
        """Return the features that the filters are made of.

        Args:
            first: Result of the first layer, (N, channels, H, W) float32.

        Returns:
            (N, channels, H, W) float32.
        """
        fuse, smooth = cast(Sequence[nn.Conv2d], self.Global_feature_fusion)
        first = first.to(fuse.weight.dtype).contiguous(memory_format=torch.channels_last)
        x = self.SFE_Second(first)
        # Block by block, so that their results are not all kept and put together.
        fused = cast(Tensor, fuse.bias).float().view(1, -1, 1, 1)
        for i, block in enumerate(self.GRL):
            x = block(x)
            channels = x.shape[1]
            fused = fused + F.conv2d(x, fuse.weight[:, i * channels : (i + 1) * channels])
        out: Tensor = smooth(fused.to(x.dtype)) + first
        return out.float()

    def blend(self, features: Tensor, candidates: Tensor) -> Tensor:
        """Return the candidates' pixels, filtered.

        Args:
            features: What :meth:`features` returned, (N, channels, H, W).
            candidates: Their colours, (N, 6, 3, H, W).

        Returns:
            (N, 3, H, W) float32, within the range of the candidates and 0.
        """
        height, width = features.shape[-2:]
        # A graph has to hold for other sizes, too, whose number of bands is another.
        whole = is_traced()
        rows = height if whole else max(_BAND_PIXELS // width, 1)
        layer = self.Conv_Output
        features = F.pad(features, (0, 0, 1, 1))
        candidates = with_border(candidates)
        bands = []
        for top in (0,) if whole else range(0, height, rows):
            bottom = min(top + rows, height)
            filters = F.conv2d(features[:, :, top : bottom + 2], layer.weight, layer.bias, padding=(0, 1))
            surroundings = candidates[..., top : bottom + _FILTER_SIZE - 1, :]
            bands.append(dynamic_filter(surroundings, filters.contiguous().softmax(1)))
        return torch.cat(bands, 2)


def dynamic_filter(pictures: Tensor, weights: Tensor) -> Tensor:
    """Blend the surroundings of each pixel in several pictures, with weights of its own.

    Args:
        pictures: K pictures with a border of 2 pixels on every side, (N, K, 3, H + 4, W + 4).
        weights: (N, K * 25, H, W): 25 for each picture, row by row.

    Returns:
        (N, 3, H, W) float32.
    """
    height, width = weights.shape[-2:]
    weights = weights.float().view(weights.shape[0], -1, 1, _FILTER_SIZE, _FILTER_SIZE, height, width)
    result = torch.zeros_like(pictures[:, 0, :, :height, :width], dtype=torch.float32)
    for row in range(_FILTER_SIZE):
        for column in range(_FILTER_SIZE):
            there = pictures[..., row : row + height, column : column + width]
            for k in range(pictures.shape[1]):
                result = result.addcmul(there[:, k], weights[:, k, :, row, column])
    return result


def with_border(picture: Tensor) -> Tensor:
    """Return a picture (..., H, W) with the black border for :func:`dynamic_filter`, (..., H + 4, W + 4)."""
    return F.pad(picture, (_FILTER_SIZE // 2,) * 4)


class BMBC(nn.Module):
    """Network that blends six candidates, from flow of the pair and bilateral motion, by a dynamic filter."""

    def __init__(
        self,
        *,
        context: int = 64,
        widths: Sequence[int] = (16, 32, 64, 96, 128, 196),
        dense: Sequence[int] = (128, 128, 96, 64, 32),
        dilated: Sequence[int] = (128, 128, 128, 96, 64, 32),
        channels: int = 32,
        growth: int = 16,
        blocks: int = 4,
        layers: int = 6,
    ) -> None:
        """Make the layers.

        Args:
            context: Channels of the context of a frame.
            widths: See :class:`BMNet`.
            dense: See :class:`BMNet`.
            dilated: See :class:`BMNet`.
            channels: See :class:`DFNet`.
            growth: See :class:`DFNet`.
            blocks: See :class:`DFNet`.
            layers: See :class:`DFNet`.
        """
        super().__init__()
        self.context_layer = nn.Conv2d(3, context, 7, padding=3, bias=False)
        self.BMNet = BMNet(widths=widths, dense=dense, dilated=dilated)
        self.DFNet = DFNet(3 + context, channels=channels, growth=growth, blocks=blocks, layers=layers)

    def estimate(self, img0: Tensor, img1: Tensor) -> Tensor:
        """Return the flow of the pair, which does not depend on t.

        Args:
            img0: Frame 0, (N, 3, H, W) float32 in [0, 1], of any size.
            img1: Frame 1, likewise.

        Returns:
            (N, 4, H, W) float32, (dx, dy) in pixels of 0 -> 1, then of 1 -> 0.

        Raises:
            FrameSizeError: The shapes do not fit.
        """
        check_inputs("BMBC.estimate", SPEC.size_multiple, img0, img1)
        features0, features1 = self._motion_features(img0), self._motion_features(img1)
        # At time 0 and 1 bilateral motion starts in one of the frames; it is half the flow.
        flow_0_1 = 2 * self.BMNet(features0, features1, 0.0)
        flow_1_0 = -2 * self.BMNet(features0, features1, 1.0)
        return torch.cat((_resized_flow(flow_0_1, img0), _resized_flow(flow_1_0, img0)), 1)

    def synthesize(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """Return the frame at time t.

        Args:
            img0: Frame 0, (N, 3, H, W) float32 in [0, 1], of any size.
            img1: Frame 1, likewise.
            estimate: (N, 4, H, W), flow as :meth:`estimate` returns it.
            t: (N, 1, 1, 1) float32 in (0, 1).

        Returns:
            (N, 3, H, W) float32 in [0, 1].

        Raises:
            FrameSizeError: The shapes do not fit.
            ArgumentError: t has another shape.
        """
        check_inputs("BMBC.synthesize", SPEC.size_multiple, img0, img1, t=t)
        motion = self.motion_at(img0, img1, t)
        flow_0_1, flow_1_0 = estimate[:, :2], estimate[:, 2:4]
        # To frame 0 and frame 1 in turn.
        flows = [
            -t * flow_0_1,
            (1 - t) * flow_0_1,
            t * flow_1_0,
            (t - 1) * flow_1_0,
            -2 * t * motion,
            2 * (1 - t) * motion,
        ]
        del motion
        size = 3 + self.context_layer.weight.shape[0]
        first = self.DFNet.first(img0, 0) + self.DFNet.first(img1, 3 + _CANDIDATES * size)
        colours: dict[int, Tensor] = {}
        for frame, image in enumerate((img0, img1)):
            context = F.relu(self.context_layer(image.to(self.context_layer.weight.dtype)))
            source = torch.cat((image, context.float()), 1).contiguous()
            del context
            for k in range(frame, _CANDIDATES, 2):
                candidate = warp_inside(source, flows[k])
                colours[k] = candidate[:, :3].clone()
                first = first + self.DFNet.first(candidate, 3 + k * size)
                del candidate
        del source, flows
        candidates = torch.stack([colours[k] for k in range(_CANDIDATES)], 1)
        return self.DFNet.blend(self.DFNet.features(first), candidates).clamp(0, 1)

    def motion_at(self, img0: Tensor, img1: Tensor, t: Tensor) -> Tensor:
        """Return bilateral motion at time t, (N, 2, H, W) in pixels; arguments as for `synthesize`."""
        motion = self.BMNet(self._motion_features(img0), self._motion_features(img1), t)
        return _resized_flow(motion, img0)

    def forward(self, img0: Tensor, img1: Tensor, t: Tensor) -> Tensor:
        """Run `estimate` and `synthesize` in a row."""
        return self.synthesize(img0, img1, self.estimate(img0, img1), t)

    def _motion_features(self, image: Tensor) -> dict[int, Tensor]:
        """Features of a frame, stretched to multiples of 32."""
        # Nothing negative is divided, as ONNX rounds towards zero.
        height, width = (
            (side + _MOTION_MULTIPLE - 1) // _MOTION_MULTIPLE * _MOTION_MULTIPLE for side in image.shape[-2:]
        )
        return self.BMNet.features(F.interpolate(image, (height, width), mode="bilinear", align_corners=False))


def _resized_flow(flow: Tensor, like: Tensor) -> Tensor:
    """Flow (N, 2, h, w) in its own pixels to the size and the pixels of a picture, (N, 2, H, W)."""
    (height, width), (own_height, own_width) = like.shape[-2:], flow.shape[-2:]
    flow = F.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
    return flow * torch.linspace(width / own_width, height / own_height, 2, device=flow.device).view(1, 2, 1, 1)


_KEYS = Keys(
    {
        "context_layer.weight": ("context", None, None, None),
        "BMNet.conv1a.0.weight": None,
        "BMNet.dc_conv7.weight": None,
        "DFNet.SFE_First.weight": ("channels", lambda sizes: _CANDIDATES * (sizes["context"] + 3) + 6, None, None),
        "DFNet.Conv_Output.weight": (_CANDIDATES * _FILTER_SIZE**2, None, None, None),
    },
    counts={
        "blocks": "DFNet.GRL.{}.local_feature_fusion.weight",
        "layers": "DFNet.GRL.0.Layer.{}.dense_layer.0.weight",
    },
)


def _build(state: Mapping[str, Tensor], arithmetic: str) -> BMBC:
    def width(key: str) -> int:
        return state[f"{key}.weight"].shape[0]

    return BMBC(
        widths=[width(f"BMNet.conv{level}a.0") for level in range(1, 7)],
        dense=[width(f"BMNet.conv6_{i}.0") for i in range(5)],
        dilated=[width(f"BMNet.dc_conv{i}.0") for i in range(1, 7)],
        growth=width("DFNet.GRL.0.Layer.0.dense_layer.0"),
        **_KEYS.sizes(state),
    )


def _part(name: str, file: str, keys: Keys) -> Part:
    def rename(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {f"{name}.{key}": value for key, value in state.items()}

    published_as = f"the file of {name}, published as {file} by the authors of BMBC"
    return Part(name=name, published_as=published_as, keys=keys, rename=rename)


SPEC = NetSpec(
    name="bmbc",
    paper="Park et al., BMBC: Bilateral motion estimation with bilateral cost volume, ECCV 2020",
    upstream="https://github.com/JunHeum/BMBC at dfd4fae",
    code_licence="independent implementation, MIT (upstream code: MIT)",
    weights_licence="as the checkpoint's author says; upstream's repository: MIT",
    weights_from=(
        "The authors of BMBC publish three files (context_layer.pth, BMNet_weights.pth, DFNet_weights.pth) with "
        "https://github.com/JunHeum/BMBC; give the path of the folder that holds them as the model."
    ),
    size_multiple=1,
    arbitrary_t=True,
    supports_half=True,
    external_flow=False,
    estimates_flow=True,
    bytes_per_pixel=2048,  # measured at 512x512: 2041, much of it fragments of the heap; at 1024x1024: 1706
    arithmetics=("published",),
    keys=_KEYS,
    build=_build,
    default=BMBC,
    one_pair_in_graphs=True,  # the cost volume takes samples in turn, and a graph has a fixed number of steps
    unused=("BMNet.deconv2.",),
    parts=(
        _part("context_layer", "context_layer.pth", Keys({"weight": (None, 3, 7, 7)}, nothing_else=True)),
        _part("BMNet", "BMNet_weights.pth", Keys({"conv1a.0.weight": None}, lacks=("weight",))),
        _part("DFNet", "DFNet_weights.pth", Keys({"SFE_First.weight": None}, lacks=("weight", "conv1a.0.weight"))),
    ),
)
