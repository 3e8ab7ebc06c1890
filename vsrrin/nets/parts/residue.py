"""RRIN's part that depends on t: refined flow, mask, blended picture and residue, on flow from any source.

Paper: Li, Yuan, Wang: "Video frame interpolation via residue refinement", ICASSP 2020.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from vsrrin.nets.keys import Shape

from .checks import check_inputs
from .unet import UNet
from .warp import WarpArithmetic, backward_warp, project_flow

SIZE_MULTIPLE = 16
_EPSILON = 1e-8


class ResidueNet(nn.Module, ABC):
    """Half of RRIN that depends on t.

    A net makes the layers, in the order of its keys, and brings the flow.
    """

    warp: WarpArithmetic
    Mask: UNet
    refine_flow: UNet
    final: UNet

    @abstractmethod
    def estimate(self, img0: Tensor, img1: Tensor) -> Tensor:
        """Return the flow of the pair, which does not depend on t.

        Args:
            img0: Frame 0, (N, 3, H, W) float32 in [0, 1].
            img1: Frame 1, likewise.

        Returns:
            (N, 4, H, W) float32, (dx, dy) in pixels of 0 -> 1, then of 1 -> 0.

        Raises:
            FrameSizeError: The shapes do not fit.
        """

    def synthesize(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """Return the frame at time t.

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
        check_inputs(f"{type(self).__name__}.synthesize", SIZE_MULTIPLE, img0, img1, t=t)
        flow_t_0, flow_t_1 = self.flow_at(img0, img1, estimate, t)
        carried0, carried1 = self.carry(img0, img1, flow_t_0, flow_t_1)
        mask = mask_weights(self.Mask(torch.cat((flow_t_0, flow_t_1, img0, img1, carried0, carried1), 1)))
        weight0, weight1 = (1 - t) * mask[:, 0:1], t * mask[:, 1:2]
        merged = (weight0 * carried0 + weight1 * carried1) / (weight0 + weight1 + _EPSILON)
        residue: Tensor = self.final(torch.cat((img0, img1, merged), 1))
        return (merged + residue).clamp(0, 1)

    def carry(self, img0: Tensor, img1: Tensor, flow_t_0: Tensor, flow_t_1: Tensor) -> tuple[Tensor, Tensor]:
        """Return both frames at time t, each (N, 3, H, W) float32: warped backward by the refined flow."""
        return backward_warp(img0, flow_t_0, self.warp), backward_warp(img1, flow_t_1, self.warp)

    def flow_at(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return refined flow from t to both frames, each (N, 2, H, W) in pixels; arguments as for `synthesize`."""
        flow_t_0, flow_t_1 = project_flow(estimate[:, :2], estimate[:, 2:4], t)
        refinement = self.refine_flow(torch.cat((flow_t_0, flow_t_1, img0, img1), 1))
        return flow_t_0 + refinement[:, :2], flow_t_1 + refinement[:, 2:4]

    def forward(self, img0: Tensor, img1: Tensor, t: Tensor) -> Tensor:
        """Run `estimate` and `synthesize` in a row."""
        return self.synthesize(img0, img1, self.estimate(img0, img1), t)


def mask_weights(result: Tensor) -> Tensor:
    """Return the weights of both frames in [0, 1], (N, 2, H, W), from what ``Mask`` returned."""
    return torch.sigmoid(result[:, :2].float())


def unet_keys(name: str, in_channels: int, out_channels: int, width: str | None = None) -> dict[str, Shape]:
    """Return the keys by which a U-Net is known, and their shapes.

    Args:
        name: Name of the U-Net.
        in_channels: Channels of its input.
        out_channels: Channels of its result.
        width: Name of the size that the channels of its first level are, if it gets one.
    """
    return {
        f"{name}.down_path.0.block.0.weight": (width, in_channels, None, None),
        f"{name}.last.weight": (out_channels, None, None, None),
    }


RESIDUE_KEYS = {
    **unet_keys("Mask", 16, 2),
    **unet_keys("refine_flow", 10, 4),
    **unet_keys("final", 9, 3),
}
"""Keys of a `ResidueNet`, without those of its flow."""
FLOW_KEYS = unet_keys("Flow_L", 6, 4, "width")
"""Keys of the U-Net by which RRIN finds flow."""
