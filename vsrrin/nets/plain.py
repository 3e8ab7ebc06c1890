"""Both frames, moved along flow from outside and blended by time, without a network; the fastest there is.

What moves by more than it is wide is moved to its place, see :mod:`vsrrin.nets.parts.carried_motion`.

Papers: Jiang et al., "Super SloMo", CVPR 2018, eq. 4 (projection); Kroeger et al., "Fast optical flow using dense
inverse search", ECCV 2016 (the flow, an argument of this net). What :mod:`vsrrin.nets.rrin_lite` begins with.
Code: vsrrin, MIT. Weights: none; a file of it holds one number.

Weighing the frames by how far both directions of flow disagree was tried and made no difference (0.005 dB).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vsrrin.nets.parts.candidates import sampled
from vsrrin.nets.parts.carried_motion import carried
from vsrrin.nets.parts.checks import check_inputs
from vsrrin.nets.parts.warp import SHARP, blend, may_use_opencv, project_flow

from .keys import Keys
from .spec import NetSpec

SIZE_MULTIPLE = 2
_KEY = "plain"


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
        if not may_use_opencv(motion) or not torch.equal(fast, motion):  # which would wait for a device
            changed = (fast != motion).any(1, keepdim=True)
            to_0, to_1 = torch.where(changed, -t * fast, to_0), torch.where(changed, (1 - t) * fast, to_1)
        return blend(sampled(img0, to_0, SHARP), sampled(img1, to_1, SHARP), t)

    def forward(self, img0: Tensor, img1: Tensor, t: Tensor, flow: Tensor) -> Tensor:
        """Run `estimate` and `synthesize` in a row."""
        return self.synthesize(img0, img1, self.estimate(img0, img1, flow), t)


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
