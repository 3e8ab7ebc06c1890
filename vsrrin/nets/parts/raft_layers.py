"""Layers of RAFT: encoders, recurrent unit, and the enlargement of its flow.

Sources: see ``raft.py``.

The attribute names are the keys of published checkpoints. Activations and most convolutions are in the type of the
weights; hidden state, flow, correlation and all that leaves an encoder are float32.
"""

from dataclasses import dataclass
from typing import Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .convolution_stacks import mark_stack
from .precision import keep_fp32, output_layer

STRIDE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes in which the large and the small net differ: channels, but for the radius."""

    widths: tuple[int, int, int]
    features: int
    hidden: int
    context: int
    radius: int
    correlation: tuple[int, ...]
    flow: tuple[int, int]
    motion: int
    head: int
    kernels: dict[str, tuple[int, int]]
    """Suffix of the names of a gated step -> (height, width) of its kernel."""


LARGE = Sizes(
    widths=(64, 96, 128),
    features=256,
    hidden=128,
    context=128,
    radius=4,
    correlation=(256, 192),
    flow=(128, 64),
    motion=128,
    head=256,
    kernels={"1": (1, 5), "2": (5, 1)},
)
SMALL = Sizes(
    widths=(32, 64, 96),
    features=128,
    hidden=96,
    context=64,
    radius=3,
    correlation=(96,),
    flow=(64, 32),
    motion=82,
    head=128,
    kernels={"": (3, 3)},
)


class FrozenBatchNorm(nn.BatchNorm2d):
    """Batch norm by its running statistics, in training too."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        keep_fp32(self)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)


def _norm(kind: str, channels: int) -> nn.Module:
    if kind == "batch":
        return FrozenBatchNorm(channels)
    return nn.InstanceNorm2d(channels) if kind == "instance" else nn.Identity()


def _shortcut(block: nn.Module, before: int, after: int, norm: nn.Module) -> nn.Sequential:
    """The projection of a block that halves the size.

    Published keys name its norm twice, as the block's own and as part of this. One module under two names would give
    tensors that share memory, which safetensors does not store, so `state_dict` copies one of them.
    """
    block.register_state_dict_post_hook(_copy_second_norm)  # type: ignore[no-untyped-call]
    return nn.Sequential(nn.Conv2d(before, after, 1, stride=2), norm)


def _copy_second_norm(_block: nn.Module, state: dict[str, Tensor], prefix: str, _metadata: object) -> None:
    for key in state:
        if key.startswith(f"{prefix}downsample.1."):
            state[key] = state[key].clone()


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; of the large net."""

    def __init__(self, before: int, after: int, norm: str, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.norm1 = _norm(norm, after)
        self.norm2 = _norm(norm, after)
        self.downsample: nn.Module | None = None
        if stride != 1:
            self.norm3 = _norm(norm, after)
            self.downsample = _shortcut(self, before, after, self.norm3)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, before, H, W) to (N, after, H / stride, W / stride)."""
        y = torch.relu_(self.norm1(self.conv1(x)))
        y = torch.relu_(self.norm2(self.conv2(y)))
        return torch.relu_(y + (x if self.downsample is None else self.downsample(x)))


class BottleneckBlock(nn.Module):
    """3x3 convolution between two 1x1, beside a shortcut; of the small net."""

    def __init__(self, before: int, after: int, norm: str, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after // 4, 1)
        self.conv2 = nn.Conv2d(after // 4, after // 4, 3, stride=stride, padding=1)
        self.conv3 = nn.Conv2d(after // 4, after, 1)
        self.norm1 = _norm(norm, after // 4)
        self.norm2 = _norm(norm, after // 4)
        self.norm3 = _norm(norm, after)
        self.downsample: nn.Module | None = None
        if stride != 1:
            self.norm4 = _norm(norm, after)
            self.downsample = _shortcut(self, before, after, self.norm4)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, before, H, W) to (N, after, H / stride, W / stride)."""
        y = torch.relu_(self.norm1(self.conv1(x)))
        y = torch.relu_(self.norm2(self.conv2(y)))
        y = torch.relu_(self.norm3(self.conv3(y)))
        return torch.relu_(y + (x if self.downsample is None else self.downsample(x)))


class Encoder(nn.Module):
    """Encoder of a frame to features at 1/8 of its size."""

    def __init__(self, sizes: Sizes, channels: int, norm: str) -> None:
        super().__init__()
        block = BottleneckBlock if sizes is SMALL else ResidualBlock
        first, second, third = sizes.widths
        self.norm1 = _norm(norm, first)
        self.conv1 = nn.Conv2d(3, first, 7, stride=2, padding=3)
        self.layer1 = nn.Sequential(block(first, first, norm, 1), block(first, first, norm, 1))
        self.layer2 = nn.Sequential(block(first, second, norm, 2), block(second, second, norm, 1))
        self.layer3 = nn.Sequential(block(second, third, norm, 2), block(third, third, norm, 1))
        self.conv2 = nn.Conv2d(third, channels, 1)
        keep_fp32(self.conv2)
        mark_stack(self, 3, multiple=STRIDE)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) in [-1, 1] to (N, channels, H / 8, W / 8) float32; H and W multiples of 8."""
        x = torch.relu_(self.norm1(self.conv1(x.to(self.conv1.weight.dtype))))
        return output_layer(self.conv2, self.layer3(self.layer2(self.layer1(x))))


class MotionEncoder(nn.Module):
    """Encoder of correlation and flow for the recurrent unit."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        looked_up = 4 * (2 * sizes.radius + 1) ** 2
        self.convc1 = nn.Conv2d(looked_up, sizes.correlation[0], 1)
        if len(sizes.correlation) > 1:
            self.convc2 = nn.Conv2d(sizes.correlation[0], sizes.correlation[1], 3, padding=1)
        self.convf1 = nn.Conv2d(2, sizes.flow[0], 7, padding=3)
        self.convf2 = nn.Conv2d(sizes.flow[0], sizes.flow[1], 3, padding=1)
        self.conv = nn.Conv2d(sizes.correlation[-1] + sizes.flow[-1], sizes.motion - 2, 3, padding=1)
        self.second = len(sizes.correlation) > 1
        keep_fp32(self.convf1)

    def forward(self, flow: Tensor, looked_up: Tensor) -> Tensor:
        """Map flow (N, 2, H, W) and correlation (N, C, H, W), both float32, to (N, motion, H, W)."""
        dtype = self.convc1.weight.dtype
        seen = torch.relu_(self.convc1(looked_up.to(dtype)))
        if self.second:
            seen = torch.relu_(self.convc2(seen))
        moved = torch.relu_(self.convf1(flow)).to(dtype)
        moved = torch.relu_(self.convf2(moved))
        both = torch.relu_(self.conv(torch.cat((seen, moved), 1)))
        return torch.cat((both, flow.to(dtype)), 1)


@dataclass(frozen=True, slots=True)
class GateStep:
    """Step of the recurrent unit for one pair: weights for what changes, and results of what does not.

    ``context`` holds the part of all three gates, (N, 3 * hidden, H, W), in the order update, reset, candidate.
    """

    gates: Tensor
    candidate: Tensor
    context: Tensor
    padding: tuple[int, int]


class ConvGRU(nn.Module):
    """Convolutional gated recurrent unit: one step of 3x3, or a row and a column one after the other."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.hidden, self.context = sizes.hidden, sizes.context
        self.suffixes = tuple(sizes.kernels)
        for suffix, kernel in sizes.kernels.items():
            padding = (kernel[0] // 2, kernel[1] // 2)
            for gate in "zrq":
                layer = nn.Conv2d(sizes.hidden + sizes.context + sizes.motion, sizes.hidden, kernel, padding=padding)
                self.add_module(f"conv{gate}{suffix}", layer)

    def steps(self, context: Tensor) -> list[GateStep]:
        """Prepare the steps for a context (N, context, H, W) float32."""
        steps = []
        fixed = slice(self.hidden, self.hidden + self.context)
        for suffix in self.suffixes:
            layers = [cast(nn.Conv2d, self.get_submodule(f"conv{gate}{suffix}")) for gate in "zrq"]
            padding = cast(tuple[int, int], layers[0].padding)
            weight = torch.cat([layer.weight for layer in layers])
            bias = torch.cat([cast(Tensor, layer.bias) for layer in layers])
            moving = torch.cat((weight[:, : self.hidden], weight[:, fixed.stop :]), 1)
            part = F.conv2d(context.to(weight.dtype), weight[:, fixed], bias, padding=padding).float()
            steps.append(GateStep(moving[: 2 * self.hidden], moving[2 * self.hidden :], part, padding))
        return steps

    def forward(self, hidden: Tensor, motion: Tensor, steps: list[GateStep]) -> Tensor:
        """Map the hidden state (N, hidden, H, W) float32 and motion (N, motion, H, W) to the next hidden state."""
        for step in steps:
            both = torch.cat((hidden.to(motion.dtype), motion), 1)
            gates = F.conv2d(both, step.gates, padding=step.padding) + step.context[:, : 2 * self.hidden]
            update, reset = torch.sigmoid(gates).chunk(2, 1)
            both = torch.cat(((reset * hidden).to(motion.dtype), motion), 1)
            candidate = F.conv2d(both, step.candidate, padding=step.padding) + step.context[:, 2 * self.hidden :]
            hidden = torch.lerp(hidden, torch.tanh(candidate), update)
        return hidden


class FlowHead(nn.Module):
    """Head that makes a step of the flow out of the hidden state."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, 2, 3, padding=1)
        keep_fp32(self.conv2)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, before, H, W) float32 to (N, 2, H, W) float32."""
        return output_layer(self.conv2, torch.relu_(self.conv1(hidden.to(self.conv1.weight.dtype))))


class UpdateBlock(nn.Module):
    """One iteration, and the weights with which the last one's flow is enlarged."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.encoder = MotionEncoder(sizes)
        self.gru = ConvGRU(sizes)
        self.flow_head = FlowHead(sizes.hidden, sizes.head)
        self.mask: nn.Sequential | None = None
        if sizes is LARGE:
            last = nn.Conv2d(256, 9 * STRIDE**2, 1)
            self.mask = nn.Sequential(nn.Conv2d(sizes.hidden, 256, 3, padding=1), nn.ReLU(inplace=True), last)
            keep_fp32(last)

    def enlarge(self, flow: Tensor, hidden: Tensor) -> Tensor:
        """Enlarge flow (N, 2, H, W) in its own pixels to (N, 2, 8H, 8W) in its own."""
        if self.mask is None:
            size = (STRIDE * flow.shape[2], STRIDE * flow.shape[3])
            return STRIDE * F.interpolate(flow, size, mode="bilinear", align_corners=True)
        x = self.mask[:2](hidden.to(cast(nn.Conv2d, self.mask[0]).weight.dtype))
        return _convex(flow, 0.25 * output_layer(cast(nn.Conv2d, self.mask[2]), x))


def _convex(flow: Tensor, logits: Tensor) -> Tensor:
    """Every pixel of the enlargement as a mean of the 3x3 around it, weighted by softmax of (N, 9 * 64, H, W)."""
    count, _, height, width = flow.shape
    weights = torch.softmax(logits.view(count, 9, STRIDE, STRIDE, height, width), 1)
    around = F.unfold(STRIDE * flow, 3, padding=1).view(count, 2, 9, 1, 1, height, width)
    enlarged = weights[:, None, 0] * around[:, :, 0]
    for k in range(1, 9):
        enlarged = torch.addcmul(enlarged, weights[:, None, k], around[:, :, k])
    return enlarged.permute(0, 1, 4, 2, 5, 3).reshape(count, 2, STRIDE * height, STRIDE * width)
