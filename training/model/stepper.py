"""Network as a training step runs it."""

from typing import Any

from torch import Tensor, nn

from vsrrin.nets.spec import NetSpec

from .aids import shown_by


def _with_flow_from_outside(net: Any, img0: Tensor, img1: Tensor, flow: Tensor) -> Tensor:
    estimate: Tensor = net.estimate(img0, img1, flow)
    return estimate


def _with_own_flow(net: Any, img0: Tensor, img1: Tensor, flow: Tensor) -> Tensor:
    estimate: Tensor = net.estimate(img0, img1)
    return estimate


def _synthesize(net: Any, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
    picture: Tensor = net.synthesize(img0, img1, estimate, t)
    return picture


class Stepper(nn.Module):
    """Network as a training step runs it: one module for DistributedDataParallel and torch.compile.

    Args:
        net: The net.
        spec: Its description.
        picture: Whether a picture is wanted; without it only the layers that find the flow are run.
    """

    def __init__(self, net: nn.Module, spec: NetSpec, *, picture: bool = True) -> None:
        super().__init__()
        self.net = net
        self._estimate = _with_flow_from_outside if spec.external_flow else _with_own_flow
        self._picture = (spec.unclamped or _synthesize) if picture else None
        self._has_flow = spec.estimates_flow

    def forward(
        self, img0: Tensor, img1: Tensor, t: Tensor, flow: Tensor
    ) -> tuple[Tensor | None, Tensor | None, list[Tensor]]:
        """Run the network.

        Args:
            img0: Frame 0, (N, 3, H, W) float32 in [0, 1].
            img1: Frame 1, likewise.
            t: (N, 1, 1, 1) float32 in (0, 1).
            flow: Flow of the pair from outside, (N, 4, H/2, W/2), (dx, dy) in pixels of that size, 0->1 then 1->0.

        Returns:
            The picture at t, (N, 3, H, W), None if it is not wanted; the flow of the pair, (N, 4, h, w) in pixels of
            its size, 0->1 then 1->0, None if the net does not find it itself; the flow that coarser levels show, see
            :func:`training.model.aids.teach_levels`.
        """
        estimate = self._estimate(self.net, img0, img1, flow)
        picture = None if self._picture is None else self._picture(self.net, img0, img1, estimate, t)
        return picture, estimate[:, :4] if self._has_flow else None, shown_by(self.net)
