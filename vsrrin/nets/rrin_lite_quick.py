"""RRIN-lite, quick: one small network weighs ten candidates.

Papers: those of :mod:`vsrrin.nets.parts.candidates`.
Code: vsrrin, MIT. Weights: trained by vsrrin, MIT.

In RRIN-lite a network corrects the flow and another one, at half of the frames' size, weighs the candidates made with
it. Here a single one does both at a quarter of the size, looking at candidates made at half of it: full size is left
for the candidates themselves and their mixing.
"""

import itertools
from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsrrin.nets.parts.candidates import (
    ESTIMATED,
    PLANES,
    SIZE_MULTIPLE,
    STEADY,
    CandidateNet,
    Motion,
    blended,
    candidates,
    enlarged,
    frame_weights,
    moved,
    moved_as_a_whole,
    whole_flow,
)
from vsrrin.nets.parts.convolution_stacks import levels_of, mark_stack
from vsrrin.nets.parts.lite_blocks import ResidualConv, check_levels, leaky_conv, stack, start_at_zero
from vsrrin.nets.parts.precision import keep_fp32, output_layer
from vsrrin.nets.parts.warp import backward_warp, double, halve

from .keys import Keys, count_of
from .spec import BlendMask, NetSpec

LEVELS = 3
"""At most: the network's sides are multiples of 4."""
_MAPS = 11
"""Maps of half size that the network looks at beside the candidates."""
_MOVED = 4 * 4
"""Channels of the change of the flow."""
_SCALE = 0.05
_SPREAD = 0.2
"""Scales of motion, and of differences of motion, pixels of half size, as network input."""


class Weigher(nn.Module):
    """Small U-Net of residual convolutions that weighs candidates and moves flow, at a quarter of the frames' size."""

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...], planes: int) -> None:
        super().__init__()
        steps = list(itertools.pairwise(widths))
        seen = 4 * (3 * planes + _MAPS)
        self.first = leaky_conv(seen, widths[0])
        self.down = nn.ModuleList(leaky_conv(fine, coarse, 2) for fine, coarse in steps)
        self.level = nn.ModuleList(
            nn.Sequential(*(ResidualConv(width) for _ in range(count)))
            for width, count in zip(widths, blocks, strict=True)
        )
        self.up = nn.ModuleList(leaky_conv(coarse + fine, fine) for fine, coarse in steps)
        self.weigh = nn.Conv2d(widths[0], planes * 16, 3, padding=1)
        self.move = nn.Conv2d(widths[0], _MOVED, 3, padding=1)
        keep_fp32(self.move)
        mark_stack(self, seen, multiple=2 ** len(steps))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, 12 P + 44, H, W), of the layers' type, to changes of the logits of P candidates and of the flow.

        They are (N, 16 P, H, W), with 16 pixels in channels, and (N, 16, H, W), with 4, both float32.
        """
        x = self.level[0](self.first(x))
        skips: list[Tensor] = []
        for down, level in zip(self.down, self.level[1:], strict=True):
            skips.append(x)
            x = level(down(x))
        for up in reversed(self.up):
            x = up(torch.cat((double(x), skips.pop()), 1))
        return output_layer(self.weigh, x), output_layer(self.move, x)


class QuickLite(CandidateNet):
    """Network on flow from outside: ``weigher`` weighs candidates a pixel, per t."""

    def __init__(
        self, *, widths: tuple[int, ...] = (40, 56, 64), blocks: tuple[int, ...] = (1, 1, 2), steady: bool = True
    ) -> None:
        """Make the layers, the output layers zero.

        Args:
            widths: Channels of the U-Net's levels, the finest first; at most `LEVELS`.
            blocks: Residual convolutions of each.
            steady: Whether there are steady candidates, too.

        Raises:
            ArgumentError: Too many levels.
        """
        super().__init__()
        check_levels("QuickLite", widths, LEVELS)
        self.planes = PLANES + STEADY * steady
        self.weigher = Weigher(tuple(widths), tuple(blocks), self.planes)
        start_at_zero(self.weigher.weigh, self.weigher.move)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the hidden layers."""
        return cast(nn.Conv2d, self.weigher.first[0]).weight.dtype

    def picture(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """Return the frame at t, see `CandidateNet.synthesize`."""
        motion = Motion.of(estimate, t)
        if estimate.shape[1] > ESTIMATED:
            delta, *logits = moved(estimate[:, ESTIMATED:], motion, t)
            factor = 2
        else:
            weighed, change = self.weigher(self._seen(img0, img1, estimate, motion, t))
            delta, logits, factor = enlarged(change, 2), [weighed], 4
        whole = whole_flow(estimate, t, 2) if self.planes > PLANES else None
        return blended(candidates(img0, img1, motion.flows(t, delta), whole), logits, t, factor)

    def residues(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the residues at t, see `CandidateNet.residues`: 4 P + 4 channels."""
        weighed, change = self.weigher(self._seen(img0, img1, estimate, Motion.of(estimate, t), t))
        return enlarged(change, 2), F.pixel_unshuffle(enlarged(weighed, 4), 2)

    def _seen(self, img0: Tensor, img1: Tensor, estimate: Tensor, motion: Motion, t: Tensor) -> Tensor:
        """Return the input of the network, (N, 12 P + 44, H/4, W/4)."""
        small0, small1 = (
            torch.cat((halve(image), doubt), 1) for image, doubt in ((img0, estimate[:, 4:5]), (img1, estimate[:, 5:6]))
        )
        warped: list[Tensor] = []
        for to_0, to_1 in motion.flows(t):
            warped += [backward_warp(small0, to_0), backward_warp(small1, to_1)]
        if self.planes > PLANES:
            warped += [small0, small1, *moved_as_a_whole(small0, small1, whole_flow(estimate, t, 1))]
        # Doubt of both frames by the projected flow, and of each frame where its own flow leads.
        doubts = [warped[plane][:, 3:] for plane in (0, 1, 2, 5)]
        mean = motion.mean
        moves = [mean * _SCALE, (motion.by_0 - mean) * _SPREAD, (motion.by_1 - mean) * _SPREAD]
        parts = [*(plane[:, :3] for plane in warped), *moves, *doubts, t.expand(-1, 1, *estimate.shape[2:])]
        return stack(parts, (), self.dtype, levels_of(self.weigher))


_KEYS = Keys(
    {
        "weigher.weigh.weight": ("weighed", "width", None, None),
        # Three pixels of four for each candidate are seen, and sixteen weights made.
        "weigher.first.0.weight": ("width", lambda sizes: sizes["weighed"] * 3 // 4 + 4 * _MAPS, None, None),
    }
)


def _build(state: Mapping[str, Tensor], arithmetic: str) -> nn.Module:
    levels = 1 + count_of(state, "weigher.down.{}.0.weight")
    coarser = (state[f"weigher.down.{step}.0.weight"].shape[0] for step in range(levels - 1))
    sizes = _KEYS.sizes(state)
    return QuickLite(
        widths=(sizes["width"], *coarser),
        steady=sizes["weighed"] > 16 * PLANES,
        blocks=tuple(count_of(state, f"weigher.level.{level}.{{}}.beta") for level in range(levels)),
    )


SPEC = NetSpec(
    name="rrin_lite_quick",
    paper="none of its own; residues of Li et al., ICASSP 2020, on flow of Kroeger et al., ECCV 2016",
    upstream="vsrrin",
    code_licence="MIT",
    weights_licence="MIT",
    weights_from="It comes with vsrrin, under the name balanced.",
    size_multiple=SIZE_MULTIPLE,
    arbitrary_t=True,
    supports_half=True,
    compiled_steps=True,
    external_flow=True,
    estimates_flow=False,
    bytes_per_pixel=400,
    arithmetics=("exact",),
    keys=_KEYS,
    build=_build,
    default=QuickLite,
    mask=BlendMask("weigher", lambda out: frame_weights(enlarged(out[0], 4))),
    shares=True,
    flow_preset="fast",
)
