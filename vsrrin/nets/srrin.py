"""SRRIN: RRIN with softmax splatting of the first frame.

Papers: Li, Yuan, Wang: "Video frame interpolation via residue refinement", ICASSP 2020; Niklaus, Liu: "Softmax
splatting for video frame interpolation", CVPR 2020.
Upstream: https://github.com/Thomasedv/RRIN at 40bce10 (branch vidgear_ver), ``softmax_rrin``.
Code licence: upstream, like RRIN's, non-commercial research use; this file is an independent implementation, under
vsrrin's licence.
Weights licence: none are published; those of a checkpoint are as its author says.

As published, the two frames are treated differently: frame 1 is warped backward; frame 0 is splatted along the flow
from t to frame 0, as if that were its flow to t, and pixels that match worse weigh more. Weights have learned it.

Differs from upstream:

- t is a tensor (N, 1, 1, 1), and the part that depends on the pair alone is a call of its own.
- The first flow network is called ``Flow_L``, as in RRIN; the fork says ``Flow``.
- Splatting runs on every device; see ``softsplat`` for large metrics and flow that is not finite.
- The conventions of warp and enlargement are named ("arithmetics"), since equal weights give other pixels:

  - ``published``: upstream since 3 September 2020. The warp divides positions by the size, so it samples x at
    x * (W - 1) / W, and reads zeros outside; the U-Nets enlarge with aligned corners.
  - ``early``: upstream before that day on torch 1.4 or later: the warp samples at x - 1/2, zeros outside; the U-Nets
    enlarge without aligned corners.
  - ``early_torch_1_3``: the same on torch up to 1.3: the warp of ``published``, the enlargement of ``early``.
  - ``exact``: exact coordinates, the border repeated outside; enlargement as in RRIN (without aligned corners).
    Published code was never trained with it.
- Sizes that do not fit raise instead of being cropped.
"""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from vsrrin.nets.parts.checks import check_inputs
from vsrrin.nets.parts.precision import keep_fp32
from vsrrin.nets.parts.residue import FLOW_KEYS, RESIDUE_KEYS, SIZE_MULTIPLE, ResidueNet, mask_weights
from vsrrin.nets.parts.softsplat import splat_softmax
from vsrrin.nets.parts.unet import UNet
from vsrrin.nets.parts.warp import EXACT, FORK, PUBLISHED, WarpArithmetic, backward_warp

from .keys import Keys
from .spec import BlendMask, NetSpec

# name -> (warp, align_corners of the U-Nets' enlargement)
_ARITHMETICS: dict[str, tuple[WarpArithmetic, bool]] = {
    "published": (PUBLISHED, True),
    "exact": (EXACT, False),
    "early": (FORK, False),
    "early_torch_1_3": (PUBLISHED, False),
}


class SRRIN(ResidueNet):
    """RRIN's four U-Nets, with frame 0 splatted forward in place of warped backward."""

    def __init__(self, arithmetic: str = "published", *, width: int = 32) -> None:
        """Make the layers.

        Args:
            arithmetic: ``published``, ``exact``, ``early`` or ``early_torch_1_3``.
            width: Channels of the first level of the U-Nets.
        """
        super().__init__()
        self.warp, align_corners = _ARITHMETICS[arithmetic]
        self.beta = nn.Parameter(torch.ones(1))
        keep_fp32(self)  # beta; the U-Nets decide for themselves
        self.Mask = UNet(16, 2, 4, align_corners=align_corners, width=width)
        self.Flow_L = UNet(6, 4, 5, align_corners=align_corners, width=width)
        self.refine_flow = UNet(10, 4, 4, align_corners=align_corners, width=width)
        self.final = UNet(9, 3, 4, align_corners=align_corners, width=width)

    def estimate(self, img0: Tensor, img1: Tensor) -> Tensor:
        """See `ResidueNet`."""
        check_inputs("SRRIN.estimate", SIZE_MULTIPLE, img0, img1)
        return cast(Tensor, self.Flow_L(torch.cat((img0, img1), 1)))

    def carry(self, img0: Tensor, img1: Tensor, flow_t_0: Tensor, flow_t_1: Tensor) -> tuple[Tensor, Tensor]:
        """Return both frames at time t; frame 0 is splatted forward, by the flow that would warp it backward."""
        warped1 = backward_warp(img1, flow_t_1, self.warp)
        return splat_softmax(img0, flow_t_0, self.metric(img0, warped1)), warped1

    def metric(self, img0: Tensor, warped1: Tensor) -> Tensor:
        """Return the logarithm of the weight that pixels of frame 0 have where several meet, (N, 1, H, W)."""
        return self.beta * (img0 - warped1).abs().mean(1, keepdim=True)


_KEYS = Keys({"beta": (1,), **RESIDUE_KEYS, **FLOW_KEYS})


def _build(state: Mapping[str, Tensor], arithmetic: str) -> SRRIN:
    return SRRIN(arithmetic, **_KEYS.sizes(state))


SPEC = NetSpec(
    name="srrin",
    paper=(
        "Li et al., Video frame interpolation via residue refinement, ICASSP 2020; Niklaus and Liu, Softmax splatting "
        "for video frame interpolation, CVPR 2020"
    ),
    upstream="https://github.com/Thomasedv/RRIN at 40bce10 (branch vidgear_ver)",
    code_licence="independent implementation, MIT (upstream code: non-commercial research use)",
    weights_licence="as the checkpoint's author says; upstream publishes none",
    weights_from=(
        "Weights of half the usual width come with vsrrin, under the name srrin_half. None are published; others are "
        "those you trained, with vsrrin or with the trainer of https://github.com/Thomasedv/RRIN: give their path as "
        "the model."
    ),
    size_multiple=SIZE_MULTIPLE,
    arbitrary_t=True,
    supports_half=True,
    external_flow=False,
    estimates_flow=True,
    bytes_per_pixel=1250,  # measured at 512x512: 1100 to 1234 with some 80 MB for the weights; at 1024x1024: 887
    arithmetics=tuple(_ARITHMETICS),
    keys=_KEYS,
    build=_build,
    default=SRRIN,
    mask=BlendMask("Mask", mask_weights),
    splats=True,
    flow_unet="Flow_L",
    scales_with_width=True,
)
