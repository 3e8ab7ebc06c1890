"""RRIN-lite, the default: motion from DIS optical flow, RRIN's residues learned on top.

Papers: those of :mod:`vsrrin.nets.parts.candidates`.
Code: vsrrin, MIT. Weights: trained by vsrrin, MIT.

One network corrects the flow, another weighs ten candidates made with it. Like RRIN it learns a residue of the flow
before, and one of the picture after; both and the weights' change are zero at first.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsrrin.nets.parts.candidates import (
    ESTIMATED,
    KINDS,
    PLANES,
    SIZE_MULTIPLE,
    STEADY,
    CandidateNet,
    Flows,
    Motion,
    blended,
    candidates,
    enlarged,
    frame_weights,
    moved,
    whole_flow,
)
from vsrrin.nets.parts.convolution_stacks import levels_of, mark_stack
from vsrrin.nets.parts.lite_blocks import (
    ResidualConv,
    check_context,
    check_levels,
    context,
    context_sizes,
    leaky_conv,
    stack,
    start_at_zero,
)
from vsrrin.nets.parts.precision import keep_fp32, output_layer
from vsrrin.nets.parts.warp import backward_warp, double, halve, project_flow

from .keys import Keys, count_of
from .spec import BlendMask, NetSpec

LEVELS = 4
"""At most: the network's sides are multiples of 8."""
_SPREAD, _OFFSET = 0.2, 0.05
"""Scales of differences between velocities and between flow to both frames, pixels of half size, as network input."""
_REFINE_IN, _REFINE_OUT = 4 * 13, 4 * 4
_CHOOSE_MAPS, _RESIDUE = 2 * KINDS + 3, 12


class FlowResidue(nn.Module):
    """Network for changes of the flow to both frames, at a quarter of the frames' size."""

    def __init__(self, width: int, blocks: int, context_widths: Sequence[int], context_blocks: Sequence[int]) -> None:
        super().__init__()
        self.stem = leaky_conv(_REFINE_IN, width)
        self.body = nn.Sequential(*(ResidualConv(width) for _ in range(blocks)))
        self.context = context(width, context_widths, context_blocks)
        self.out = nn.Conv2d(width, _REFINE_OUT, 3, padding=1)
        keep_fp32(self.out)
        mark_stack(self, _REFINE_IN, multiple=2 ** len(context_widths))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 52, H, W), of the layers' type, to (N, 4, 2H, 2W) float32."""
        hidden = self.context(self.body(self.stem(x)))
        return F.pixel_shuffle(output_layer(self.out, hidden), 2)


class Choice(nn.Module):
    """Small U-Net of residual convolutions that weighs the candidates, at half of the frames' size."""

    def __init__(
        self,
        widths: Sequence[int],
        blocks: Sequence[int],
        context_widths: Sequence[int],
        context_blocks: Sequence[int],
        planes: int,
    ) -> None:
        super().__init__()
        steps = list(itertools.pairwise(widths))
        seen = 12 * planes + _CHOOSE_MAPS
        self.first = leaky_conv(seen, widths[0])
        self.down = nn.ModuleList(leaky_conv(fine, coarse, 2) for fine, coarse in steps)
        self.level = nn.ModuleList(
            nn.Sequential(*(ResidualConv(width) for _ in range(count)))
            for width, count in zip(widths, blocks, strict=True)
        )
        self.context = context(widths[-1], context_widths, context_blocks)
        self.up = nn.ModuleList(leaky_conv(coarse + fine, fine) for fine, coarse in steps)
        self.out = nn.Conv2d(widths[0], 4 * planes + _RESIDUE, 3, padding=1)
        keep_fp32(self.out, but_in_8_bit=True)
        mark_stack(self, seen, multiple=2 ** (len(steps) + len(context_widths)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 12 P + 9, H, W), of the layers' type, to (N, 4 P + 12, H, W) float32, for P candidates."""
        x = self.level[0](self.first(x))
        skips: list[Tensor] = []
        for down, level in zip(self.down, self.level[1:], strict=True):
            skips.append(x)
            x = level(down(x))
        x = self.context(x)
        for up in reversed(self.up):
            x = up(torch.cat((double(x), skips.pop()), 1))
        return output_layer(self.out, x)


class RRINLite(CandidateNet):
    """Network on flow from outside: ``refine`` corrects it and ``choose`` weighs candidates a pixel, per t."""

    def __init__(
        self,
        *,
        refine_width: int = 48,
        refine_blocks: int = 3,
        choose_widths: tuple[int, ...] = (32, 48, 64),
        choose_blocks: tuple[int, ...] = (1, 1, 2),
        refine_context_widths: tuple[int, ...] = (64, 96),
        refine_context_blocks: tuple[int, ...] = (2, 3),
        choose_context_widths: tuple[int, ...] = (128,),
        choose_context_blocks: tuple[int, ...] = (4,),
        steady: bool = True,
    ) -> None:
        """Make the layers, the output layers zero.

        Args:
            refine_width: Channels of the flow's residue.
            refine_blocks: Residual convolutions of it.
            choose_widths: Channels of the U-Net's levels, the finest first; at most `LEVELS`.
            choose_blocks: Residual convolutions of each.
            refine_context_widths: Channels of coarser levels of the flow's residue, see `Context`; at most 2.
            refine_context_blocks: Residual convolutions of each.
            choose_context_widths: Channels of coarser levels below those of the U-Net; with these at most `LEVELS`.
            choose_context_blocks: Residual convolutions of each.
            steady: Whether there are steady candidates, too.

        Raises:
            ArgumentError: Too many levels, or not as many numbers of blocks.
        """
        super().__init__()
        refine_context = check_context("RRINLite", "refine_context", refine_context_widths, refine_context_blocks)
        choose_context = check_context("RRINLite", "choose_context", choose_context_widths, choose_context_blocks)
        check_levels("RRINLite", (*choose_widths, *choose_context_widths), LEVELS)
        check_levels("RRINLite", (refine_width, refine_width, *refine_context_widths), LEVELS)
        self.refine = FlowResidue(refine_width, refine_blocks, *refine_context)
        self.planes = PLANES + STEADY * steady
        self.choose = Choice(choose_widths, choose_blocks, *choose_context, self.planes)
        start_at_zero(self.refine.out, self.choose.out)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the hidden layers."""
        return cast(nn.Conv2d, self.choose.first[0]).weight.dtype

    def picture(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """Return the frame at t, see `CandidateNet.synthesize`."""
        if estimate.shape[1] > ESTIMATED:
            motion = Motion.of(estimate, t)
            delta, *parts = moved(estimate[:, ESTIMATED:], motion, t)
            planes = self._candidates(img0, img1, motion.flows(t, delta), estimate, t)
            # The picture's residue belongs to the middle; at the frames themselves there is nothing to mend.
            residue = [part * (4 * t * (1 - t)) for part in parts[self.planes :]]
            return blended(planes, parts[: self.planes], t, 2, residue)
        flows = self.flows(img0, img1, estimate, t)
        planes = self._candidates(img0, img1, flows, estimate, t)
        out = self._choice(planes, flows, estimate, t)
        return blended(planes, [out[:, :-_RESIDUE]], t, 2, [out[:, -_RESIDUE:]])

    def residues(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the residues at t, see `CandidateNet.residues`: 4 P + 16 channels, the last 12 of the picture."""
        flows = self.flows(img0, img1, estimate, t)
        out = self._choice(self._candidates(img0, img1, flows, estimate, t), flows, estimate, t)
        to_0, to_1 = project_flow(estimate[:, :2], estimate[:, 2:4], t)
        return flows[0][0] - to_0, flows[0][1] - to_1, out

    def _candidates(self, img0: Tensor, img1: Tensor, flows: Flows, estimate: Tensor, t: Tensor) -> list[Tensor]:
        return candidates(img0, img1, flows, whole_flow(estimate, t, 2) if self.planes > PLANES else None)

    def _choice(self, planes: list[Tensor], flows: Flows, estimate: Tensor, t: Tensor) -> Tensor:
        maps = [(to_0 - to_1) * _OFFSET for to_0, to_1 in flows]
        maps += [backward_warp(estimate[:, 4 + k : 5 + k], flows[0][k]) for k in (0, 1)]
        maps.append(t.expand(-1, 1, *estimate.shape[2:]))
        result: Tensor = self.choose(stack(planes, maps, self.dtype, levels_of(self.choose)))
        return result

    def flows(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Flows:
        """Return the flow from t to both frames, the projected one refined."""
        motion = Motion.of(estimate, t)
        small0, small1 = (
            torch.cat((halve(image), doubt), 1) for image, doubt in ((img0, estimate[:, 4:5]), (img1, estimate[:, 5:6]))
        )
        warped0, warped1 = backward_warp(small0, motion.to_0), backward_warp(small1, motion.to_1)
        mean = motion.mean
        spread = (motion.by_0 - mean) * _SPREAD, (motion.by_1 - mean) * _SPREAD
        doubts = warped0[:, 3:], warped1[:, 3:]
        parts = (warped0[:, :3], warped1[:, :3], *spread, *doubts, t.expand_as(doubts[0]))
        return motion.flows(t, self.refine(stack(parts, (), self.dtype, levels_of(self.refine))))


def frame_logits(out: Tensor) -> Tensor:
    """Return what `Choice` returned as logits of the candidates, (N, P, H, W)."""
    return enlarged(out[:, :-_RESIDUE], 2)


_KEYS = Keys(
    {
        "refine.stem.0.weight": ("refine_width", _REFINE_IN, None, None),
        "choose.out.weight": ("choose_out", "choose_width", None, None),
        # Twelve channels of each candidate are seen, and four are made.
        "choose.first.0.weight": (
            "choose_width",
            lambda sizes: 3 * (sizes["choose_out"] - _RESIDUE) + _CHOOSE_MAPS,
            None,
            None,
        ),
    }
)


def _build(state: Mapping[str, Tensor], arithmetic: str) -> nn.Module:
    sizes = _KEYS.sizes(state)
    levels = 1 + count_of(state, "choose.down.{}.0.weight")
    coarser = (state[f"choose.down.{step}.0.weight"].shape[0] for step in range(levels - 1))
    refine_context, choose_context = (context_sizes(state, f"{part}.context") for part in ("refine", "choose"))
    return RRINLite(
        refine_context_widths=refine_context[0],
        refine_context_blocks=refine_context[1],
        choose_context_widths=choose_context[0],
        choose_context_blocks=choose_context[1],
        refine_width=sizes["refine_width"],
        refine_blocks=count_of(state, "refine.body.{}.beta"),
        steady=sizes["choose_out"] > 4 * PLANES + _RESIDUE,
        choose_widths=(sizes["choose_width"], *coarser),
        choose_blocks=tuple(count_of(state, f"choose.level.{level}.{{}}.beta") for level in range(levels)),
    )


SPEC = NetSpec(
    name="rrin_lite",
    paper="none of its own; residues of Li et al., ICASSP 2020, on flow of Kroeger et al., ECCV 2016",
    upstream="vsrrin",
    code_licence="MIT",
    weights_licence="MIT",
    weights_from="It comes with vsrrin, under the name rrin_lite.",
    size_multiple=SIZE_MULTIPLE,
    arbitrary_t=True,
    supports_half=True,
    compiled_steps=True,
    external_flow=True,
    estimates_flow=False,
    bytes_per_pixel=512,
    arithmetics=("exact",),
    keys=_KEYS,
    build=_build,
    default=RRINLite,
    mask=BlendMask("choose", lambda out: frame_weights(frame_logits(out))),
    shares=True,
)
