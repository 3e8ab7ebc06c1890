"""Weighted sums of losses, chosen by name."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.data.batch import Batch
from training.errors import RecipeError

from .flow import flow, flow_levels, flow_relative
from .pictures import census, charbonnier, gradient, l1, laplacian, log_mse, ssim
from .vgg import VggLoss

PICTURE_LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1,
    "charbonnier": charbonnier,
    "log_mse": log_mse,
    "laplacian": laplacian,
    "census": census,
    "ssim": ssim,
    "gradient": gradient,
}
_FLOW_LOSSES = {"flow": flow, "flow_relative": flow_relative}
OF_FLOW = ("flow", "flow_relative", "flow_levels")
"""Losses that need no picture."""
NAMES = (*PICTURE_LOSSES, *OF_FLOW, "vgg")


class Loss:
    """Weighted sum of losses; see `make_loss`."""

    def __init__(self, weights: Mapping[str, float], vgg: VggLoss | None = None) -> None:
        self.weights = dict(weights)
        self._pictures = dict(PICTURE_LOSSES)
        if vgg is not None:
            self._pictures["vgg"] = vgg

    def __call__(
        self, prediction: Tensor, batch: Batch, *, flow: Tensor | None = None, shown: Sequence[Tensor] = ()
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a prediction.

        Args:
            prediction: The picture, (N, 3, H, W).
            batch: The batch it was made for.
            flow: The network's flow, (N, 4, h, w), see :func:`flow`; None if it has none.
            shown: The flow of its levels, see :func:`flow_levels`.

        Returns:
            The sum, to be differentiated, and the value of each loss without its weight, detached.

        Raises:
            RecipeError: ``flow`` has a weight, but there is none.
        """
        parts: dict[str, Tensor] = {}
        with torch.autocast(batch.target.device.type, enabled=False):
            for name in self.weights:
                parts[name] = self._part(name, prediction, batch, flow, shown)
        total = torch.stack([weight * parts[name] for name, weight in self.weights.items()]).sum()
        return total, {name: part.detach() for name, part in parts.items()}

    def _part(
        self, name: str, prediction: Tensor, batch: Batch, estimate: Tensor | None, shown: Sequence[Tensor]
    ) -> Tensor:
        if name == "flow_levels":
            return flow_levels(shown, batch.truth, batch.trust)
        if name in _FLOW_LOSSES:
            if estimate is None:
                raise RecipeError(f"loss.{name}: this network gives no flow; leave the weight out, or make it 0")
            return _FLOW_LOSSES[name](estimate.float(), batch.truth, batch.trust)
        return self._pictures[name](prediction.float(), batch.target)


def make_loss(weights: Mapping[str, float], *, vgg_weights: Path | None = None) -> Loss:
    """Make a weighted sum of losses.

    Args:
        weights: By the names in `NAMES`, from 0 on; those of 0 are not computed.
        vgg_weights: File of the weights for ``vgg``; see :class:`training.losses.vgg.VggLoss`.

    Raises:
        RecipeError: A name is unknown, a weight is negative or not finite, none is above 0, or the weights for
            ``vgg`` are not there.
    """
    for name, weight in weights.items():
        if name not in NAMES:
            raise RecipeError(f"loss.{name}: there is no loss of this name; there are {', '.join(NAMES)}")
        if not math.isfinite(weight) or weight < 0:
            raise RecipeError(f"loss.{name}: the weight is {weight}; give a number from 0 on")
    used = {name: float(weight) for name, weight in weights.items() if weight > 0}
    if not used:
        raise RecipeError(f"loss: no loss has a weight above 0; give one to at least one of {', '.join(NAMES)}")
    return Loss(used, VggLoss(vgg_weights) if "vgg" in used else None)
