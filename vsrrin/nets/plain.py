"""Both frames, moved along flow from outside and blended by time, without a network; the fastest there is.

What moves by more than it is wide is moved to its place, see :mod:`vsrrin.nets.parts.carried_motion`; what it leaves
bare is taken from the frame that shows it.

Papers: Jiang et al., "Super SloMo", CVPR 2018, eq. 4 (projection); Kroeger et al., "Fast optical flow using dense
inverse search", ECCV 2016 (the flow, an argument of this net). What :mod:`vsrrin.nets.rrin_lite` begins with.
Code: vsrrin, MIT. Weights: none; a file of it holds one number.

Weighing the frames by how far both directions of flow disagree was tried and made no difference (0.005 dB).
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsrrin.nets.parts.candidates import sampled
from vsrrin.nets.parts.carried_motion import carried, of_the_whole
from vsrrin.nets.parts.checks import check_inputs
from vsrrin.nets.parts.warp import SHARP, backward_warp, blend, may_use_opencv, project_flow

from .keys import Keys
from .spec import NetSpec

SIZE_MULTIPLE = 2
_KEY = "plain"
_FAST, _AT_REST, _APART = 10.0, 0.5, 1.0
"""Pixels of half size: by how much faster than most of the picture something must be for what it bares to be known, by
how much at most this may be, and how far motion and the way back may be apart."""


class Plain(nn.Module):
    """Projection of the flow, warps and a blend."""

    def __init__(self) -> None:
        super().__init__()
        # A checkpoint without a tensor is none; this one says which network it is of.
        self.register_buffer(_KEY, torch.ones(1))

    def estimate(self, img0: Tensor, img1: Tensor, flow: Tensor) -> Tensor:
        """Return the flow as it is.

        Args:
            img0: Frame 0, (N, 3, H, W) float32, nominally in [0, 1].
            img1: Frame 1, likewise.
            flow: (N, 4, H/2, W/2) float32, (dx, dy) in pixels of that size of 0 -> 1, then of 1 -> 0.

        Raises:
            FrameSizeError: The shapes do not fit.
        """
        check_inputs("Plain.estimate", SIZE_MULTIPLE, img0, img1, flow=flow)
        return flow.float()

    def synthesize(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """Return the frame at t.

        Args:
            img0: Frame 0, (N, 3, H, W) float32, nominally in [0, 1].
            img1: Frame 1, likewise.
            estimate: What `estimate` returned for them.
            t: (N, 1, 1, 1) float32 in (0, 1).

        Returns:
            (N, 3, H, W) float32, in the range of the frames but for the overshoot of sharp sampling.

        Raises:
            FrameSizeError: The shapes do not fit.
            ArgumentError: t has another shape.
        """
        check_inputs("Plain.synthesize", SIZE_MULTIPLE, img0, img1, t=t)
        forth, back = estimate[:, :2], estimate[:, 2:]
        to_0, to_1 = project_flow(forth, back, t)
        motion = to_1 - to_0
        fast = -carried(back, forth, 1 - t, -carried(forth, back, t, motion.clone()))
        if may_use_opencv(motion) and torch.equal(fast, motion):  # which would wait for a device
            return blend(sampled(img0, to_0, SHARP), sampled(img1, to_1, SHARP), t)
        changed = (fast != motion).any(1, keepdim=True)
        # Where something fast was, or will be, and is not now, one frame alone has what lies behind it.
        left, reached = (part & ~changed for part in _bared(forth, back))
        motion = torch.where(changed, fast, torch.where(left, -back, forth))
        other = changed | left | reached
        to_0, to_1 = torch.where(other, -t * motion, to_0), torch.where(other, (1 - t) * motion, to_1)
        warped0, warped1 = sampled(img0, to_0, SHARP), sampled(img1, to_1, SHARP)
        left, reached = (F.interpolate(part.float(), scale_factor=2) > 0 for part in (left, reached))
        return blend(torch.where(left, warped1, warped0), torch.where(reached, warped0, warped1), t)

    def forward(self, img0: Tensor, img1: Tensor, t: Tensor, flow: Tensor) -> Tensor:
        """Run `estimate` and `synthesize` in a row."""
        return self.synthesize(img0, img1, self.estimate(img0, img1, flow), t)


def _bared(forth: Tensor, back: Tensor) -> tuple[Tensor, Tensor]:
    """Return where something fast leaves a ground at rest, and where it comes to cover one.

    Args:
        forth: Flow 0->1, (N, 2, H, W) in pixels of that size.
        back: Flow 1->0, likewise.

    Returns:
        Two masks, (N, 1, H, W): frame 1 has the ground, and frame 0 has.
    """
    whole = (of_the_whole(forth) - of_the_whole(back)) / 2
    speeds, met = [], []
    for flow, other, mean in ((forth, back, whole), (back, forth, -whole)):
        speeds.append((flow - mean).square().sum(1, keepdim=True))
        met.append((flow + backward_warp(other, flow)).square().sum(1, keepdim=True) < _APART**2)
    left, reached = (met[frame] & (speeds[frame] > _FAST**2) & (speeds[1 - frame] < _AT_REST**2) for frame in (0, 1))
    return left, reached


def _build(state: Mapping[str, Tensor], arithmetic: str) -> nn.Module:
    return Plain()


SPEC = NetSpec(
    name="plain",
    paper="none of its own; flow of Kroeger et al., ECCV 2016, projection of Jiang et al., CVPR 2018",
    upstream="vsrrin",
    code_licence="MIT",
    weights_licence="MIT",
    weights_from="It comes with vsrrin, under the name draft.",
    size_multiple=SIZE_MULTIPLE,
    arbitrary_t=True,
    supports_half=False,
    compiled_steps=True,
    external_flow=True,
    estimates_flow=False,
    bytes_per_pixel=120,
    arithmetics=("exact",),
    keys=Keys({_KEY: None}, nothing_else=True),
    build=_build,
    default=Plain,
    trainable=False,
    flow_preset="fast",
)
