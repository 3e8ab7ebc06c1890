"""Candidates for the pixels of a new frame, from flow of the pair that was found outside.

Papers: Jiang et al., "Super SloMo", CVPR 2018 (projection); Kroeger et al., "Fast optical flow using dense
inverse search", ECCV 2016 (the flow); Li et al., "Video frame interpolation via residue refinement", ICASSP 2020 (the
residues).

What flow says depends on where it is read: at the pixel itself (Super SloMo's projection, wrong beside a moving edge),
or at the point that passes the pixel at that time by the flow of frame 0, or by that of frame 1. Near edges and
occlusions one of the three is right as a rule, so each of them brings its pixel of each frame: six candidates. Where
flow is wrong altogether, what is right most often is that nothing moves, or that all moves as most of the picture does:
four candidates more.

What a network adds to that, its residues, depends on the time. Where a pair has several new frames, residues found once
at the middle do for all of them when they are moved along: no worse than those found at each time, on fast motion
better, as networks see candidates best in the middle.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import fused
from .carried_motion import carried, of_the_whole
from .checks import check_inputs
from .lite_blocks import disagreement
from .opencv_layout import as_planes, merged
from .tracing import is_traced, may_take_shortcuts
from .warp import EXACT, SHARP, WarpArithmetic, backward_warp, double, in_fours, may_use_opencv, project_flow

SIZE_MULTIPLE = 16
KINDS = 3
ESTIMATED = 6
"""Channels of what `CandidateNet.estimate` returns."""
PLANES = 2 * KINDS
"""Candidates: from frame 0 and frame 1, by each kind of flow."""
STEADY = 4
"""Further candidates: both frames as they are, and moved as the most of the picture is."""
_MIDDLE = 0.5
_LATE = -2.0
"""Logit, at first, of the candidates from flow read elsewhere."""
_LATER = -5.0
"""That of steady ones."""
_TINY = 1e-4

type Flows = list[tuple[Tensor, Tensor]]
"""By kind: flow from t to frame 0 and to frame 1, (N, 2, H/2, W/2) in pixels of that size."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Motion at a time between two frames, (N, 2, H/2, W/2) in pixels of that size.

    Attributes:
        to_0: Flow from t to frame 0, projected.
        to_1: Likewise to frame 1.
        by_0: Motion from frame 0 to frame 1 of the point that passes here by the flow of frame 0.
        by_1: Likewise by that of frame 1.
    """

    to_0: Tensor
    to_1: Tensor
    by_0: Tensor
    by_1: Tensor

    @classmethod
    def of(cls, estimate: Tensor, t: Tensor) -> "Motion":
        """Derive motion at t from the result of `CandidateNet.estimate`."""
        forth, back = estimate[:, :2], estimate[:, 2:4]
        by_0 = carried(forth, back, t, backward_warp(forth, -t * forth))
        by_1 = carried(back, forth, 1 - t, backward_warp(back, (t - 1) * back))
        return cls(*project_flow(forth, back, t), by_0, -by_1)

    @property
    def mean(self) -> Tensor:
        """Motion from frame 0 to frame 1, by the projected flow."""
        return self.to_1 - self.to_0

    def flows(self, t: Tensor, delta: Tensor | None = None) -> Flows:
        """Return the flow of all kinds; ``delta`` (N, 4, H/2, W/2) is added to the projected one, to both frames."""
        to_0, to_1 = self.to_0, self.to_1
        if delta is not None:
            to_0, to_1 = to_0 + delta[:, :2], to_1 + delta[:, 2:]
        return [(to_0, to_1), (-t * self.by_0, (1 - t) * self.by_0), (-t * self.by_1, (1 - t) * self.by_1)]


class CandidateNet(nn.Module, ABC):
    """Base of networks that weigh candidates."""

    def estimate(self, img0: Tensor, img1: Tensor, flow: Tensor) -> Tensor:
        """Return the flow and how far both directions disagree, which do not depend on t.

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
        check_inputs(f"{type(self).__name__}.estimate", SIZE_MULTIPLE, img0, img1, flow=flow)
        flow = flow.float()
        forth, back = flow[:, :2], flow[:, 2:]
        return torch.cat((flow, disagreement(forth, back), disagreement(back, forth)), 1)

    def share(self, img0: Tensor, img1: Tensor, estimate: Tensor) -> Tensor:
        """Return the estimate with the residues of the pair's middle, for all times of a pair that has several.

        Args:
            img0: Frame 0, (N, 3, H, W) float32, nominally in [0, 1].
            img1: Frame 1, likewise.
            estimate: What `estimate` returned for them.

        Returns:
            (N, 6 + R, H/2, W/2) float32, for `synthesize` in place of the estimate.
        """
        t = torch.full((1, 1, 1, 1), _MIDDLE, device=img0.device).expand(img0.shape[0], -1, -1, -1)
        return torch.cat((estimate, *self.residues(img0, img1, estimate, t)), 1)

    def synthesize(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """Return the frame at t.

        Args:
            img0: Frame 0, (N, 3, H, W) float32, nominally in [0, 1].
            img1: Frame 1, likewise.
            estimate: What `estimate` or `share` returned for them.
            t: (N, 1, 1, 1) float32 in (0, 1).

        Returns:
            (N, 3, H, W) float32, in the range of the frames but for the overshoot of sharp sampling at edges.

        Raises:
            FrameSizeError: The shapes do not fit.
            ArgumentError: t has another shape.
        """
        check_inputs(f"{type(self).__name__}.synthesize", SIZE_MULTIPLE, img0, img1, t=t)
        return self.picture(img0, img1, estimate, t)

    @abstractmethod
    def picture(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """Return the frame at t, for arguments that have been checked."""

    @abstractmethod
    def residues(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Sequence[Tensor]:
        """Return what the network adds at t, R channels of (N, ..., H/2, W/2) float32.

        It is added to the projected flow to both frames (4 channels), to the logits of the candidates (4 pixels of
        each), and maybe to more.
        """

    def forward(self, img0: Tensor, img1: Tensor, t: Tensor, flow: Tensor) -> Tensor:
        """Run `estimate` and `synthesize` in a row."""
        return self.synthesize(img0, img1, self.estimate(img0, img1, flow), t)


def moved(residues: Tensor, motion: Motion, t: Tensor) -> list[Tensor]:
    """Move residues of the middle to another time.

    Args:
        residues: What `CandidateNet.residues` returned for t = 1/2, (N, R, H/2, W/2).
        motion: At t.
        t: (N, 1, 1, 1).

    Returns:
        Those of t, by fours of channels: of the flow, then what is to be enlarged to a plane each. They are found where
        the point was or will be at the middle; of the flow's, which grow with time, the part that fits.
    """
    way, fours = (_MIDDLE - t) * motion.mean, residues.shape[1] // 4
    if residues.device.type == "cpu":  # as many channels as OpenCV takes at once
        delta, *planes = [backward_warp(part, way) for part in residues.chunk(fours, 1)]
    else:
        delta, *planes = backward_warp(residues, way).chunk(fours, 1)
    return [delta * torch.cat((t, t, 1 - t, 1 - t), 1) / _MIDDLE, *planes]


def candidates(img0: Tensor, img1: Tensor, flows: Flows, whole: tuple[Tensor, Tensor] | None = None) -> list[Tensor]:
    """Return the candidates, (N, 3, H, W): of frame 0, of frame 1, kind by kind.

    Args:
        img0: Frame 0, (N, 3, H, W).
        img1: Frame 1, likewise.
        flows: Flow of all kinds.
        whole: Flow of the whole picture to frame 0 and to frame 1, see `whole_flow`, for `STEADY` candidates more than
            `PLANES`.
    """
    # The first kind is what most pixels are made of: only there is the sharper sampling worth its time.
    (to_0, to_1), *others = flows
    planes = [sampled(img0, to_0, SHARP), sampled(img1, to_1, SHARP)]
    wide0, wide1 = (img if fused.warps(img) else in_fours(img) for img in (img0, img1))
    for to_0, to_1 in others:
        planes += [sampled(wide0, to_0)[:, :3], sampled(wide1, to_1)[:, :3]]
    if whole is not None:
        planes += [img0, img1, *(image[:, :3] for image in moved_as_a_whole(wide0, wide1, whole))]
    return planes


def sampled(image: Tensor, flow: Tensor, arithmetic: WarpArithmetic = EXACT) -> Tensor:
    """Return a picture sampled where flow of half its size points to.

    Args:
        image: (N, C, H, W).
        flow: (N, 2, H/2, W/2), in pixels of that size.
        arithmetic: `EXACT` or `SHARP`.
    """
    quick = fused.warped(image, flow, sharp=arithmetic is SHARP)
    return backward_warp(image, double(flow * 2), arithmetic) if quick is None else quick


def whole_flow(estimate: Tensor, t: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Return the flow of most of the picture from t to frame 0 and to frame 1, (N, 2, 1, 1).

    Args:
        estimate: What `CandidateNet.estimate` returned.
        t: (N, 1, 1, 1).
        factor: Size of the pictures whose pixels it is in, relative to that of the estimate.
    """
    sparse = of_the_whole(estimate[:, :4])
    way = (sparse[:, :2] - sparse[:, 2:]) * (factor / 2)  # the mean of both directions
    return -t * way, (1 - t) * way


def moved_as_a_whole(img0: Tensor, img1: Tensor, whole: tuple[Tensor, Tensor]) -> list[Tensor]:
    """Return both frames (N, C, H, W) at the time that `whole_flow` was asked for."""
    moved = []
    for image, flow in zip((img0, img1), whole, strict=True):
        height, width = image.shape[2:]
        quick = fused.warped(image, (flow / 2).expand(-1, -1, height // 2, width // 2), sharp=False)
        moved.append(backward_warp(image, flow.expand(-1, -1, height, width)) if quick is None else quick)
    return moved


def prior(t: Tensor, planes: int = PLANES) -> Tensor:
    """Return logits of the candidates before anything is learned, (N, planes, 1, 1): projected ones, by time."""
    start = torch.log(torch.cat((1 - t, t), 1) + _TINY)
    late = [start + (_LATE if kind < KINDS else _LATER) for kind in range(1, planes // 2)]
    return torch.cat((start, *late), 1)


def blended(
    planes: list[Tensor], logits: Sequence[Tensor], t: Tensor, factor: int, residue: Sequence[Tensor] = ()
) -> Tensor:
    """Return the frame at t: the sum of the candidates by the softmax of their logits, and a residue.

    Args:
        planes: The candidates, P of (N, 3, H, W).
        logits: What a network adds to `prior`, as any number of tensors with P f f channels together and a size of
            (H / f, W / f), see `enlarged`.
        t: (N, 1, 1, 1).
        factor: f.
        residue: Is added to the picture: likewise 3 f f channels, or nothing.
    """
    start = prior(t, len(planes))
    if (quick := fused.blended(planes, logits, start, factor, residue)) is not None:
        return quick
    found = torch.cat(tuple(logits), 1)
    # The same before they are enlarged as after it, in two thirds of the time.
    weights = torch.softmax(found.view(found.shape[0], len(planes), -1, *found.shape[2:]) + start[:, :, None], 1)
    picture = mixed(planes, enlarged(weights.flatten(1, 2), factor))
    return picture + enlarged(torch.cat(tuple(residue), 1), factor) if residue else picture


def mixed(planes: list[Tensor], weights: Tensor) -> Tensor:
    """Return the sum of the candidates (N, 3, H, W) by their weights, (N, planes, H, W)."""
    if not may_take_shortcuts():
        return torch.stack([weights[:, k : k + 1] * plane for k, plane in enumerate(planes)]).sum(0)
    picture = planes[0] * _wide(weights[:, :1])
    for k, plane in enumerate(planes[1:], 1):
        picture.addcmul_(plane, _wide(weights[:, k : k + 1]))
    return picture


def _wide(weight: Tensor) -> Tensor:
    """Return (N, 1, H, W), on the CPU three times in a row.

    Candidates have their channels innermost there, and what has the same order in memory is multiplied in two thirds of
    the time.
    """
    if not may_use_opencv(weight) or len(weight) > 1:
        return weight
    return as_planes(merged([weight[0, 0]] * 3))


def frame_weights(logits: Tensor) -> Tensor:
    """Return the weights of both frames apart from t, (N, 2, H, W).

    Args:
        logits: What a network adds to `prior`, (N, planes, H, W).

    The share of frame 1 is t w1 / ((1 - t) w0 + t w1).
    """
    half = prior(torch.full((1, 1, 1, 1), 0.5, device=logits.device), logits.shape[1])
    weights = torch.softmax(logits + half, 1)
    return torch.stack((weights[:, 0::2].sum(1), weights[:, 1::2].sum(1)), 1)


def enlarged(x: Tensor, factor: int) -> Tensor:
    """Move pixels that lie in channels to their places: (N, C f f, H, W) to (N, C, H f, W f)."""
    if is_traced():  # one operation of a graph in place of three
        return F.pixel_shuffle(x, factor)
    samples, channels, height, width = x.shape
    # As copies of rows of pixels: a third of the time of pixel_shuffle on a CPU.
    apart = x.view(samples, channels // factor**2, factor, factor, height, width)
    return apart.permute(0, 1, 4, 2, 5, 3).reshape(samples, -1, height * factor, width * factor)
