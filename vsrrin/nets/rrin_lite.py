"""RRIN-lite: RRIN's residues, learned on top of DIS optical flow.

Papers: Li et al., "Video frame interpolation via residue refinement", ICASSP 2020 (the residues); Kroeger et al.,
"Fast optical flow using dense inverse search", ECCV 2016 (the flow, an argument of this net); Jiang et al.,
"Super SloMo", CVPR 2018 (projection).
Upstream: none, the architecture is vsrrin's own.
Code and weights licence: vsrrin's.

The flow comes from outside and is already good. The net learns a correction of it (once per pair), and for every t a
refinement of the projected flow with the blending mask, and a residue on the blended picture. All three output layers
are zero at first, so an untrained net returns what flow, linear projection and a blend return.

This is the first generation, which the weights "draft" are of; the second, which new weights are of, is
:mod:`vsrrin.nets.selection`. Both are the network "rrin_lite" to users.
"""

from collections.abc import Mapping
from typing import Literal, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsrrin.nets import selection
from vsrrin.nets.lite import FLOW_SCALE, SLOPE, ResidualConv, clamp_to_range, disagreement, double, stack, value_range
from vsrrin.nets.spec import NetSpec
from vsrrin.nets.unet import UNet, check_inputs, keep_fp32, output_layer
from vsrrin.nets.warp import backward_warp, project_flow

_EPSILON = 1e-6
# Rows worked on at a time where no layer is at work; even.
_BAND = 64
# Measured at 512x512 and 1024x1024: all parts at most 491; with no part at work 60, whatever the precision.
_BYTES_PER_PIXEL, _PLAIN_BYTES_PER_PIXEL = 512, 64

Part = Literal["correct", "refine", "synth"]


class Stage(nn.Module):
    """Works at 1/4 of the resolution of its input."""

    def __init__(self, in_channels: int, out_channels: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels // 2, 3, stride=2, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        self.body = nn.Sequential(*(ResidualConv(channels) for _ in range(blocks)))
        self.head = nn.Sequential(
            nn.ConvTranspose2d(channels, 4 * (out_channels + 2), 4, stride=2, padding=1), nn.PixelShuffle(2)
        )
        self.out = nn.Conv2d(out_channels + 2, out_channels, 3, padding=1)
        keep_fp32(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W) float32; H and W multiples of 4."""
        x = x.to(cast(nn.Conv2d, self.stem[0]).weight.dtype)
        return output_layer(self.out, self.head(self.body(self.stem(x))))


class Refine(nn.Module):
    """Works at 1/2 of the resolution of its input, without loss: pixels become channels."""

    def __init__(self, in_channels: int, out_channels: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(4 * in_channels, channels, 3, padding=1), nn.LeakyReLU(SLOPE, inplace=True))
        self.body = nn.Sequential(*(ResidualConv(channels) for _ in range(blocks)))
        self.out = nn.Conv2d(channels, 4 * out_channels, 3, padding=1)
        keep_fp32(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W), of the layers' type, to (N, out_channels, H, W) float32; H, W multiples of 2."""
        x = F.pixel_unshuffle(x, 2)
        return F.pixel_shuffle(output_layer(self.out, self.body(self.stem(x))), 2)


class RRINLite(nn.Module):
    """Residues on flow from outside: ``correct`` per pair, ``refine`` and ``synth`` per t."""

    def __init__(
        self,
        *,
        correct_width: int = 64,
        correct_blocks: int = 4,
        refine_width: int = 64,
        refine_blocks: int = 3,
        synth_width: int = 32,
        synth_depth: int = 3,
    ) -> None:
        """Make the layers, the output layers zero."""
        super().__init__()
        self.correct = Stage(18, 4, correct_width, correct_blocks)
        self.refine = Refine(20, 6, refine_width, refine_blocks)
        self.synth = UNet(4 * 3 * 5 + 6, 12, synth_depth, align_corners=False, width=synth_width)
        for layer in self._output_layers().values():
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(cast(Tensor, layer.bias))
        self.bytes_per_pixel: int = _BYTES_PER_PIXEL
        self._idle: frozenset[Part] = frozenset()
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]

    def _output_layers(self) -> dict[Part, nn.Conv2d]:
        return {"correct": self.correct.out, "refine": self.refine.out, "synth": self.synth.last}

    def prepare(self) -> Self:
        """Find the parts whose output layer is all zeros, and leave them out from now on, except in training.

        They only add zero, so the result has the same values. To be called after loading, and again after the weights
        were changed by hand; ``train`` and ``load_state_dict`` undo it.

        Returns:
            The net.
        """
        self._idle = frozenset(
            part
            for part, layer in self._output_layers().items()
            if not (torch.any(layer.weight) or torch.any(cast(Tensor, layer.bias)))
        )
        self.bytes_per_pixel = _PLAIN_BYTES_PER_PIXEL if len(self._idle) == 3 else _BYTES_PER_PIXEL
        return self

    def train(self, mode: bool = True) -> Self:
        """Set training mode, in which no part is left out, or evaluation mode."""
        if mode:
            _forget(self)
        return super().train(mode)

    def _runs(self, part: Part) -> bool:
        return self.training or part not in self._idle

    def estimate(self, img0: Tensor, img1: Tensor, flow: Tensor) -> Tensor:
        """Corrected flow of the pair; independent of t.

        Args:
            img0: Frame 0, (N, 3, H, W) float32, nominally in [0, 1].
            img1: Frame 1, likewise.
            flow: (N, 4, H/2, W/2) float32, (dx, dy) in pixels of that size of 0 -> 1, then of 1 -> 0.

        Returns:
            (N, 6, H/2, W/2) float32: the flow likewise, then log(1 + disagreement) of both flows at
            frame 0 and at frame 1, which is high where a point has no partner in the other frame. Only the first
            4 channels if ``refine``, the reader of the others, is left out.

        Raises:
            FrameSizeError: The shapes do not fit.
        """
        check_inputs("RRINLite.estimate", SPEC.size_multiple, img0, img1, flow=flow)
        half = flow.float()
        if not (self._runs("correct") or self._runs("refine")):
            return half
        flow_0_1, flow_1_0 = half[:, :2], half[:, 2:]
        doubt = torch.cat((disagreement(flow_0_1, flow_1_0), disagreement(flow_1_0, flow_0_1)), 1)
        if self._runs("correct"):
            small0, small1 = F.avg_pool2d(img0, 2), F.avg_pool2d(img1, 2)
            warped1, warped0 = backward_warp(small1, flow_0_1), backward_warp(small0, flow_1_0)
            half = half + self.correct(torch.cat((small0, small1, warped1, warped0, half * FLOW_SCALE, doubt), 1))
        return torch.cat((half, doubt), 1) if self._runs("refine") else half

    def synthesize(
        self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor, *, out: Tensor | None = None
    ) -> Tensor:
        """The picture at time t.

        Args:
            img0: Frame 0, (N, 3, H, W) float32, nominally in [0, 1].
            img1: Frame 1, likewise.
            estimate: What :meth:`estimate` returned for them.
            t: (N, 1, 1, 1) float32 in (0, 1).
            out: Memory for the result, contiguous; used where no layer is at work.

        Returns:
            (N, 3, H, W) float32, within the range of the sample's two frames and [0, 1].

        Raises:
            FrameSizeError: The shapes do not fit.
            ArgumentError: t has another shape.
        """
        check_inputs("RRINLite.synthesize", SPEC.size_multiple, img0, img1, t=t)
        if not (self._runs("refine") or self._runs("synth")):
            return _plain(img0, img1, estimate, t, torch.empty_like(img0) if out is None else out)
        flow_t_0, flow_t_1 = project_flow(estimate[:, :2], estimate[:, 2:4], t)
        if self._runs("refine"):
            delta = self._refinement(img0, img1, estimate, flow_t_0, flow_t_1, t)
            flow_t_0, flow_t_1 = flow_t_0 + delta[:, :2], flow_t_1 + delta[:, 2:4]
            logits = delta[:, 4:]
            mask = torch.sigmoid(double(logits))
            weight0, weight1 = (1 - t) * mask[:, :1], t * mask[:, 1:]
        else:
            logits = None
            weight0, weight1 = (1 - t) * 0.5, t * 0.5  # as in `_plain`
        warped0 = backward_warp(img0, double(flow_t_0 * 2))
        warped1 = backward_warp(img1, double(flow_t_1 * 2))
        total = weight0 + weight1 + _EPSILON
        if not self._runs("synth"):
            # A weighted mean of pixels of the frames, drawn towards zero by the epsilon: in range without a clamp.
            return warped0.mul_(weight0).add_(warped1.mul_(weight1)).div_(total)
        # Freed or overwritten as soon as may be: fresh memory of a frame's size costs more than the arithmetic.
        merged = (warped0 * weight0).add_(warped1 * weight1).div_(total)
        del weight0, weight1, total
        if logits is None:
            logits = torch.zeros_like(flow_t_0)
        maps = (flow_t_0 * FLOW_SCALE, flow_t_1 * FLOW_SCALE, logits)
        x = stack((img0, img1, warped0, warped1, merged), maps, self.synth.midconv.weight.dtype)
        del warped0, warped1, flow_t_0, flow_t_1, maps
        return clamp_to_range(merged + F.pixel_shuffle(self.synth(x), 2), *value_range(img0, img1))

    def _refinement(
        self, img0: Tensor, img1: Tensor, estimate: Tensor, flow_t_0: Tensor, flow_t_1: Tensor, t: Tensor
    ) -> Tensor:
        """Changes of both flows and the two mask logits at half size, (N, 6, H/2, W/2)."""
        small0, small1 = F.avg_pool2d(img0, 2), F.avg_pool2d(img1, 2)
        warped0 = backward_warp(torch.cat((small0, estimate[:, 4:5]), 1), flow_t_0)
        warped1 = backward_warp(torch.cat((small1, estimate[:, 5:6]), 1), flow_t_1)
        time = t.expand(-1, 1, *small0.shape[2:])
        parts = (small0, small1, warped0, warped1, flow_t_0 * FLOW_SCALE, flow_t_1 * FLOW_SCALE, time, 1 - time)
        return cast(Tensor, self.refine(stack((), parts, cast(nn.Conv2d, self.refine.stem[0]).weight.dtype)))

    def forward(self, img0: Tensor, img1: Tensor, t: Tensor, flow: Tensor) -> Tensor:
        """`estimate` and `synthesize` in a row."""
        return self.synthesize(img0, img1, self.estimate(img0, img1, flow), t)


def _plain(img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor, out: Tensor) -> Tensor:
    """What `synthesize` returns if neither ``refine`` nor ``synth`` adds anything, written into ``out``.

    On the CPU in bands of rows, whose intermediate values stay in the cache: all of them at once are several times as
    large as the frames, and take longer to fetch and to store than to compute.
    """
    height = img0.shape[-2]
    rows = _BAND if img0.device.type == "cpu" else height
    weight0, weight1 = (1 - t) * 0.5, t * 0.5  # the sigmoid of zero, and the same for every pixel
    total = weight0 + weight1 + _EPSILON
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        # With a row more on each side, which the enlargement mixes in.
        above, below = max(top // 2 - 1, 0), min(bottom // 2 + 1, height // 2)
        part = estimate[:, :, above:below]
        flow_t_0, flow_t_1 = (
            double(flow * 2)[:, :, top - 2 * above : bottom - 2 * above]
            for flow in project_flow(part[:, :2], part[:, 2:4], t)
        )
        band = out[:, :, top:bottom]
        torch.mul(backward_warp(img0, flow_t_0, top=top), weight0, out=band)
        # A weighted mean of pixels of the frames, drawn towards zero by the epsilon: in range without a clamp.
        band.add_(backward_warp(img1, flow_t_1, top=top).mul_(weight1)).div_(total)
    return out


def _forget(net: RRINLite, _: object = None) -> None:
    net._idle = frozenset()
    net.bytes_per_pixel = _BYTES_PER_PIXEL


# Keys that `_build` reads sizes from, and the input channels that tell this net from others.
_FIRST_LAYERS = {
    "correct.stem.0.weight": 18,
    "correct.stem.2.weight": None,
    "refine.stem.0.weight": 4 * 20,
    "synth.down_path.0.block.0.weight": 4 * 3 * 5 + 6,
}


def _detect(state: Mapping[str, Tensor]) -> bool:
    if selection.detect(state):
        return True
    for key, channels in _FIRST_LAYERS.items():
        layer = state.get(key)
        if layer is None or layer.dim() != 4 or channels not in (None, layer.shape[1]):
            return False
    return True


def _build(state: Mapping[str, Tensor], arithmetic: str) -> nn.Module:
    if selection.detect(state):
        return selection.build(state)

    def count(pattern: str) -> int:
        found = 0
        while pattern.format(found) in state:
            found += 1
        return found

    return RRINLite(
        correct_width=state["correct.stem.2.weight"].shape[0],
        correct_blocks=count("correct.body.{}.beta"),
        refine_width=state["refine.stem.0.weight"].shape[0],
        refine_blocks=count("refine.body.{}.beta"),
        synth_width=state["synth.down_path.0.block.0.weight"].shape[0],
        synth_depth=count("synth.down_path.{}.block.0.weight"),
    )


SPEC = NetSpec(
    name="rrin_lite",
    paper="none of its own; residues of Li et al., ICASSP 2020, on flow of Kroeger et al., ECCV 2016",
    upstream="vsrrin",
    code_licence="MIT",
    weights_licence="MIT",
    weights_from="It comes with vsrrin, under the name rrin_lite.",
    size_multiple=16,
    arbitrary_t=True,
    supports_half=True,
    external_flow=True,
    estimates_flow=False,
    bytes_per_pixel=_BYTES_PER_PIXEL,
    arithmetics=("exact",),
    detect=_detect,
    build=_build,
    default=selection.SelectionLite,
)
