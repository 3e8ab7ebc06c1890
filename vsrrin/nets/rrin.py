"""RRIN: video frame interpolation via residue refinement.

Paper: Li, Yuan, Wang: "Video frame interpolation via residue refinement", ICASSP 2020.
Upstream: https://github.com/HopLee6/RRIN at e868adb (torch 1.0).
Code licence: upstream non-commercial research use; this file is an independent implementation, under vsrrin's licence.
Weights licence: upstream's, non-commercial research use.

Differs from upstream:

- t is a tensor (N, 1, 1, 1), and the part that depends on the pair alone is a call of its own.
- The conventions of warp and enlargement are named ("arithmetics"), since equal weights give other pixels:

  - ``published``: upstream on the torch it was written for. The warp divides positions by the size, so it samples x
    at x * (W - 1) / W, and reads zeros outside.
  - ``fork``: https://github.com/Thomasedv/RRIN (branch vidgear_ver) since September 2020: the warp samples at
    x - 1/2, zeros outside; the U-Nets enlarge with aligned corners.
  - ``exact``: exact coordinates, the border repeated outside. Published weights were not trained for it.
- Sizes that do not fit raise instead of being cropped.
"""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from vsrrin.nets.parts.checks import check_inputs
from vsrrin.nets.parts.residue import FLOW_KEYS, RESIDUE_KEYS, SIZE_MULTIPLE, ResidueNet, mask_weights
from vsrrin.nets.parts.unet import UNet
from vsrrin.nets.parts.warp import EXACT, FORK, PUBLISHED, WarpArithmetic

from .keys import Keys
from .spec import BlendMask, NetSpec

# name -> (warp, align_corners of the U-Nets' enlargement)
_ARITHMETICS: dict[str, tuple[WarpArithmetic, bool]] = {
    "published": (PUBLISHED, False),
    "exact": (EXACT, False),
    "fork": (FORK, True),
}


class RRIN(ResidueNet):
    """Network of four U-Nets: flow of the pair, its refinement at t, blending mask, residue on the blended picture."""

    def __init__(self, arithmetic: str = "published", *, width: int = 32) -> None:
        """Make the layers.

        Args:
            arithmetic: ``published``, ``exact`` or ``fork``.
            width: Channels of the first level of the U-Nets.
        """
        super().__init__()
        self.warp, align_corners = _ARITHMETICS[arithmetic]
        self.Mask = UNet(16, 2, 4, align_corners=align_corners, width=width)
        self.Flow_L = UNet(6, 4, 5, align_corners=align_corners, width=width)
        self.refine_flow = UNet(10, 4, 4, align_corners=align_corners, width=width)
        self.final = UNet(9, 3, 4, align_corners=align_corners, width=width)

    def estimate(self, img0: Tensor, img1: Tensor) -> Tensor:
        """See `ResidueNet`."""
        check_inputs("RRIN.estimate", SIZE_MULTIPLE, img0, img1)
        return cast(Tensor, self.Flow_L(torch.cat((img0, img1), 1)))


_KEYS = Keys({**RESIDUE_KEYS, **FLOW_KEYS}, lacks=("beta",))  # RRIN with softmax splatting has a `beta`


def _build(state: Mapping[str, Tensor], arithmetic: str) -> RRIN:
    return RRIN(arithmetic, **_KEYS.sizes(state))


SPEC = NetSpec(
    name="rrin",
    paper="Li et al., Video frame interpolation via residue refinement, ICASSP 2020",
    upstream="https://github.com/HopLee6/RRIN at e868adb",
    code_licence="independent implementation, MIT (upstream code: non-commercial research use)",
    weights_licence="as the checkpoint's author says; upstream's: non-commercial research use",
    weights_from=(
        "Weights of half the paper's width come with vsrrin, under the name rrin_half. The authors of RRIN link some "
        "of the paper's (pretrained_model.pth.tar) in the README of https://github.com/HopLee6/RRIN, for "
        "non-commercial research use; give their path as the model."
    ),
    size_multiple=SIZE_MULTIPLE,
    arbitrary_t=True,
    supports_half=True,
    external_flow=False,
    estimates_flow=True,
    bytes_per_pixel=1100,  # measured at 1024x1024: 1020; at any size some 80 MB for the weights come on top
    arithmetics=tuple(_ARITHMETICS),
    keys=_KEYS,
    build=_build,
    default=RRIN,
    mask=BlendMask("Mask", mask_weights),
    flow_unet="Flow_L",
    scales_with_width=True,
)
