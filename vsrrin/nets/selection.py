"""RRIN-lite, second generation: the network chooses, pixel by pixel, among candidates that flow brings along.

Papers: Li et al., "Video frame interpolation via residue refinement", ICASSP 2020 (the residues); Kroeger et al.,
"Fast optical flow using dense inverse search", ECCV 2016 (the flow, an argument of this net); Jiang et al.,
"Super SloMo", CVPR 2018 (projection).

What flow says about a time between the frames depends on where it is read: at the pixel itself (Super SloMo's
projection, wrong beside a moving edge), or at the point that passes the pixel at that time by the flow of frame 0, or
by that of frame 1. Near edges and occlusions one of the three is right as a rule, so each of them brings its pixel of
each frame, and the network weighs the six. Like RRIN it learns a residue of the flow before, and one of the picture
after; both and the weights' change are zero at first.
"""

import itertools
from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsrrin.nets.lite import ResidualConv, clamp_to_range, disagreement, double, stack, usual_gain, value_range
from vsrrin.nets.unet import check_inputs, keep_fp32, output_layer
from vsrrin.nets.warp import SHARP, backward_warp, project_flow

SIZE_MULTIPLE = 16
BYTES_PER_PIXEL = 512
"""Measured at 512x512 and 1024x1024: at most 474 in float32, 303 in bfloat16."""
_SLOPE = 0.1
_SPREAD, _OFFSET = 0.2, 0.05
"""Scales of differences between velocities and between flow to both frames, pixels of half size, as network input."""
_LATE = -2.0
"""Logit, at first, of the candidates from flow read elsewhere."""
_TINY = 1e-4
_KINDS = 3
_PLANES = 2 * _KINDS
"""Candidates: from frame 0 and frame 1, by each kind of flow."""
_REFINE_IN, _REFINE_OUT = 4 * 13, 4 * 4
_CHOOSE_IN, _CHOOSE_OUT = 12 * _PLANES + 2 * _KINDS + 3, 4 * _PLANES + 12


def _conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)
    return nn.Sequential(layer, nn.LeakyReLU(_SLOPE, inplace=True))


class FlowResidue(nn.Module):
    """Changes of the flow to both frames; works at a quarter of the frames' size."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.stem = _conv(_REFINE_IN, width)
        self.body = nn.Sequential(*(ResidualConv(width) for _ in range(blocks)))
        self.out = nn.Conv2d(width, _REFINE_OUT, 3, padding=1)
        keep_fp32(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 13, H, W), of the layers' type, to (N, 4, H, W) float32."""
        return F.pixel_shuffle(output_layer(self.out, self.body(self.stem(F.pixel_unshuffle(x, 2)))), 2)


class Choice(nn.Module):
    """A small U-Net of residual convolutions, at half of the frames' size."""

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        steps = list(itertools.pairwise(widths))
        self.first = _conv(_CHOOSE_IN, widths[0])
        self.down = nn.ModuleList(_conv(fine, coarse, 2) for fine, coarse in steps)
        self.level = nn.ModuleList(
            nn.Sequential(*(ResidualConv(width) for _ in range(count)))
            for width, count in zip(widths, blocks, strict=True)
        )
        self.up = nn.ModuleList(_conv(coarse + fine, fine) for fine, coarse in steps)
        self.out = nn.Conv2d(widths[0], _CHOOSE_OUT, 3, padding=1)
        keep_fp32(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 81, H, W), of the layers' type, to (N, 36, H, W) float32."""
        x = self.level[0](self.first(x))
        skips: list[Tensor] = []
        for down, level in zip(self.down, self.level[1:], strict=True):
            skips.append(x)
            x = level(down(x))
        for up in reversed(self.up):
            x = up(torch.cat((double(x), skips.pop()), 1))
        return output_layer(self.out, x)


class SelectionLite(nn.Module):
    """Flow from outside, six candidates a pixel; ``refine`` and ``choose`` per t."""

    def __init__(
        self,
        *,
        refine_width: int = 48,
        refine_blocks: int = 3,
        choose_widths: tuple[int, ...] = (32, 48, 64),
        choose_blocks: tuple[int, ...] = (1, 1, 2),
    ) -> None:
        """Make the layers, the output layers zero.

        Args:
            refine_width: Channels of the flow's residue.
            refine_blocks: Residual convolutions of it.
            choose_widths: Channels of the U-Net's levels, the finest first; at most 4 levels.
            choose_blocks: Residual convolutions of each.
        """
        super().__init__()
        self.refine = FlowResidue(refine_width, refine_blocks)
        self.choose = Choice(tuple(choose_widths), tuple(choose_blocks))
        for layer in (self.refine.out, self.choose.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(cast(Tensor, layer.bias))

    @property
    def dtype(self) -> torch.dtype:
        """Type of the hidden layers."""
        return cast(nn.Conv2d, self.choose.first[0]).weight.dtype

    def estimate(self, img0: Tensor, img1: Tensor, flow: Tensor) -> Tensor:
        """The flow, and how far both directions disagree; independent of t.

        Args:
            img0: Frame 0, (N, 3, H, W) float32, nominally in [0, 1].
            img1: Frame 1, likewise.
            flow: (N, 4, H/2, W/2) float32, (dx, dy) in pixels of that size of 0 -> 1, then of 1 -> 0.

        Returns:
            (N, 6, H/2, W/2) float32: the flow, then log(1 + disagreement) at frame 0 and at frame 1, which is high
            where a point has no partner in the other frame.

        Raises:
            FrameSizeError: The shapes do not fit.
        """
        check_inputs("SelectionLite.estimate", SIZE_MULTIPLE, img0, img1, flow=flow)
        flow = flow.float()
        forth, back = flow[:, :2], flow[:, 2:]
        return torch.cat((flow, disagreement(forth, back), disagreement(back, forth)), 1)

    def synthesize(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """The frame at t.

        Args:
            img0: Frame 0, (N, 3, H, W) float32, nominally in [0, 1].
            img1: Frame 1, likewise.
            estimate: What `estimate` returned for them.
            t: (N, 1, 1, 1) float32 in (0, 1).

        Returns:
            (N, 3, H, W) float32, in [0, 1] or the range of the frames, whichever is wider.

        Raises:
            FrameSizeError: The shapes do not fit.
            ArgumentError: t has another shape.
        """
        check_inputs("SelectionLite.synthesize", SIZE_MULTIPLE, img0, img1, t=t)
        low, high = value_range(img0, img1)
        gain = usual_gain(low, high)
        usual = bool((gain == 1).all())
        if not usual:
            img0, img1 = img0 * gain, img1 * gain
        doubt0, doubt1 = estimate[:, 4:5], estimate[:, 5:6]
        flows = self.flows(img0, img1, estimate, t)
        planes: list[Tensor] = []
        for kind, (to_0, to_1) in enumerate(flows):
            # The first kind is what most pixels are made of: only there is the sharper sampling worth its time.
            kernel = (SHARP,) if kind == 0 else ()
            planes += [backward_warp(img0, double(to_0 * 2), *kernel), backward_warp(img1, double(to_1 * 2), *kernel)]
        maps = [(to_0 - to_1) * _OFFSET for to_0, to_1 in flows]
        maps += [backward_warp(doubt0, flows[0][0]), backward_warp(doubt1, flows[0][1])]
        maps.append(t.expand(-1, 1, *estimate.shape[2:]))
        out = self.choose(stack(planes, maps, self.dtype))
        picture = _mixed(planes, out, t)
        return clamp_to_range(picture if usual else picture / gain, low, high)

    def flows(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Flow from t to both frames, each (N, 2, H/2, W/2) in pixels of that size: projected and refined, then read
        at the point that passes here by the flow of frame 0, then by that of frame 1."""
        forth, back = estimate[:, :2], estimate[:, 2:4]
        to_0, to_1 = project_flow(forth, back, t)
        mean = to_1 - to_0
        by_0, by_1 = backward_warp(forth, -t * forth), -backward_warp(back, (t - 1) * back)
        small0, small1 = (
            torch.cat((F.avg_pool2d(image, 2), doubt), 1)
            for image, doubt in ((img0, estimate[:, 4:5]), (img1, estimate[:, 5:6]))
        )
        warped0, warped1 = backward_warp(small0, to_0), backward_warp(small1, to_1)
        spread = (by_0 - mean) * _SPREAD, (by_1 - mean) * _SPREAD
        doubts = warped0[:, 3:], warped1[:, 3:]
        parts = (warped0[:, :3], warped1[:, :3], *spread, *doubts, t.expand_as(doubts[0]))
        delta = self.refine(stack((), parts, self.dtype))
        refined = to_0 + delta[:, :2], to_1 + delta[:, 2:]
        return [refined, (-t * by_0, (1 - t) * by_0), (-t * by_1, (1 - t) * by_1)]

    def forward(self, img0: Tensor, img1: Tensor, t: Tensor, flow: Tensor) -> Tensor:
        """`estimate` and `synthesize` in a row."""
        return self.synthesize(img0, img1, self.estimate(img0, img1, flow), t)


def _mixed(planes: list[Tensor], out: Tensor, t: Tensor) -> Tensor:
    """The candidates (N, 3, H, W) weighted by the softmax of the first channels of (N, 36, H/2, W/2), plus the residue
    in the others."""
    start = torch.log(torch.cat((1 - t, t), 1) + _TINY)
    logits = out[:, : 4 * _PLANES].reshape(out.shape[0], _PLANES, 4, *out.shape[2:])
    logits = logits + torch.cat((start, start + _LATE, start + _LATE), 1).unsqueeze(2)
    weights = F.pixel_shuffle(torch.softmax(logits, 1).flatten(1, 2), 2)
    picture = F.pixel_shuffle(out[:, 4 * _PLANES :], 2)
    if torch.is_grad_enabled():
        return picture + sum(weights[:, k : k + 1] * plane for k, plane in enumerate(planes))
    for k, plane in enumerate(planes):
        picture += plane.mul_(weights[:, k : k + 1])
    return picture


def frame_weights(out: Tensor) -> Tensor:
    """What `Choice` returned, (N, 36, H/2, W/2), as the weight of each frame apart from t, (N, 2, H, W).

    The share of frame 1 is t w1 / ((1 - t) w0 + t w1).
    """
    logits = out[:, : 4 * _PLANES].reshape(out.shape[0], _KINDS, 2, 4, *out.shape[2:])
    late = torch.full((_KINDS,), _LATE, device=out.device)
    late[0] = 0.0
    weights = torch.softmax((logits + late.view(1, -1, 1, 1, 1, 1)).flatten(1, 2), 1).view_as(logits).sum(1)
    return F.pixel_shuffle(weights.flatten(1, 2), 2)


def detect(state: Mapping[str, Tensor]) -> bool:
    """Whether the keys and input channels are this network's."""
    channels = {"refine.stem.0.weight": _REFINE_IN, "choose.first.0.weight": _CHOOSE_IN}
    layers = {key: state.get(key) for key in channels}
    return all(
        layer is not None and layer.dim() == 4 and layer.shape[1] == channels[key] for key, layer in layers.items()
    )


def build(state: Mapping[str, Tensor]) -> SelectionLite:
    """A network of the sizes that the state has."""

    def count(pattern: str) -> int:
        found = 0
        while pattern.format(found) in state:
            found += 1
        return found

    levels = 1 + count("choose.down.{}.0.weight")
    coarser = (state[f"choose.down.{step}.0.weight"].shape[0] for step in range(levels - 1))
    return SelectionLite(
        refine_width=state["refine.stem.0.weight"].shape[0],
        refine_blocks=count("refine.body.{}.beta"),
        choose_widths=(state["choose.first.0.weight"].shape[0], *coarser),
        choose_blocks=tuple(count(f"choose.level.{level}.{{}}.beta") for level in range(levels)),
    )
