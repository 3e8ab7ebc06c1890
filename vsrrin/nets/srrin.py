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

from vsrrin.nets.softsplat import splat_softmax
from vsrrin.nets.spec import NetSpec
from vsrrin.nets.unet import UNet, check_inputs, keep_fp32
from vsrrin.nets.warp import EXACT, FORK, PUBLISHED, WarpArithmetic, backward_warp, project_flow

# name -> (warp, align_corners of the U-Nets' enlargement)
_ARITHMETICS: dict[str, tuple[WarpArithmetic, bool]] = {
    "published": (PUBLISHED, True),
    "exact": (EXACT, False),
    "early": (FORK, False),
    "early_torch_1_3": (PUBLISHED, False),
}
_EPSILON = 1e-8


class SRRIN(nn.Module):
    """Flow of the pair, flow refined at time t, blending mask, and a residue on the blended picture."""

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
        """Flow of the pair; independent of t.

        Args:
            img0: Frame 0, (N, 3, H, W) float32 in [0, 1].
            img1: Frame 1, likewise.

        Returns:
            (N, 4, H, W) float32, (dx, dy) in pixels of 0 -> 1, then of 1 -> 0.

        Raises:
            FrameSizeError: The shapes do not fit.
        """
        check_inputs("SRRIN.estimate", SPEC.size_multiple, img0, img1)
        return cast(Tensor, self.Flow_L(torch.cat((img0, img1), 1)))

    def synthesize(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """The picture at time t.

        Args:
            img0: Frame 0, (N, 3, H, W) float32 in [0, 1].
            img1: Frame 1, likewise.
            estimate: (N, 4, H, W), flow as :meth:`estimate` returns it.
            t: (N, 1, 1, 1) float32 in (0, 1).

        Returns:
            (N, 3, H, W) float32 in [0, 1].

        Raises:
            FrameSizeError: The shapes do not fit.
            ArgumentError: t has another shape.
        """
        check_inputs("SRRIN.synthesize", SPEC.size_multiple, img0, img1, t=t)
        flow_t_0, flow_t_1 = self.flow_at(img0, img1, estimate, t)
        warped1 = backward_warp(img1, flow_t_1, self.warp)
        splatted0 = splat_softmax(img0, flow_t_0, self.metric(img0, warped1))
        mask = torch.sigmoid(self.Mask(torch.cat((flow_t_0, flow_t_1, img0, img1, splatted0, warped1), 1)))
        weight0, weight1 = (1 - t) * mask[:, 0:1], t * mask[:, 1:2]
        merged = (weight0 * splatted0 + weight1 * warped1) / (weight0 + weight1 + _EPSILON)
        residue: Tensor = self.final(torch.cat((img0, img1, merged), 1))
        return (merged + residue).clamp(0, 1)

    def flow_at(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Refined flow from time t to frame 0 and to frame 1, each (N, 2, H, W) in pixels; as in `synthesize`."""
        flow_t_0, flow_t_1 = project_flow(estimate[:, :2], estimate[:, 2:4], t)
        refinement = self.refine_flow(torch.cat((flow_t_0, flow_t_1, img0, img1), 1))
        return flow_t_0 + refinement[:, :2], flow_t_1 + refinement[:, 2:4]

    def metric(self, img0: Tensor, warped1: Tensor) -> Tensor:
        """What pixels of frame 0 weigh where several meet, (N, 1, H, W): the logarithm of their weight."""
        return self.beta * (img0 - warped1).abs().mean(1, keepdim=True)

    def forward(self, img0: Tensor, img1: Tensor, t: Tensor) -> Tensor:
        """`estimate` and `synthesize` in a row."""
        return self.synthesize(img0, img1, self.estimate(img0, img1), t)


# U-Net -> (input channels, output channels)
_PARTS = {"Mask": (16, 2), "Flow_L": (6, 4), "refine_flow": (10, 4), "final": (9, 3)}


def _detect(state: Mapping[str, Tensor]) -> bool:
    beta = state.get("beta")
    if beta is None or beta.shape != (1,):
        return False
    for part, channels in _PARTS.items():
        first, last = state.get(f"{part}.down_path.0.block.0.weight"), state.get(f"{part}.last.weight")
        if first is None or last is None or first.dim() != 4 or last.dim() != 4:
            return False
        if (first.shape[1], last.shape[0]) != channels:
            return False
    return True


def _build(state: Mapping[str, Tensor], arithmetic: str) -> SRRIN:
    return SRRIN(arithmetic, width=state["Flow_L.down_path.0.block.0.weight"].shape[0])


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
        "No weights of SRRIN are published; a checkpoint is one you trained, with vsrrin or with the trainer of "
        "https://github.com/Thomasedv/RRIN; give its path as the model."
    ),
    size_multiple=16,
    arbitrary_t=True,
    supports_half=True,
    external_flow=False,
    estimates_flow=True,
    bytes_per_pixel=1250,  # measured at 512x512: 1100 to 1234 with some 80 MB for the weights; at 1024x1024: 887
    arithmetics=tuple(_ARITHMETICS),
    detect=_detect,
    build=_build,
    default=SRRIN,
)
