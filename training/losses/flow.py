"""Losses of flow."""

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

from training.errors import RecipeError

_AT_REST = 1e-3
"""Pixels, below which the length of a flow error is smooth."""
_FEW = 0.3
"""Share of the pixels below one of a coarser level that must count for it to count."""


def flow(estimate: Tensor, truth: Tensor, trust: Tensor) -> Tensor:
    """Return the mean length of the error of flow where the truth counts, in pixels of the estimate's size.

    Args:
        estimate: (N, 4, h, w), (dx, dy) in pixels of that size, 0->1 then 1->0; of the size of the truth or half.
        truth: (N, 4, H, W) likewise, in pixels of its size.
        trust: (N, 2, H, W): 1 where it counts, else 0. At half the size four pixels must count.

    Returns:
        The mean; 0 where nothing counts.

    Raises:
        RecipeError: The estimate has another size.
    """
    size, full = tuple(estimate.shape[-2:]), tuple(truth.shape[-2:])
    if size == (full[0] // 2, full[1] // 2):
        truth = F.avg_pool2d(truth, 2) / 2
        trust = (F.avg_pool2d(trust, 2) > 0.99).float()  # the mean of four ones
    elif size != full:
        raise RecipeError(
            f"loss.flow: the network's flow is {size[1]}x{size[0]} for pictures of {full[1]}x{full[0]}; "
            f"it is known how to compare flow of the same size or of half of it"
        )
    return _mean_length(estimate - truth, trust)


def flow_relative(estimate: Tensor, truth: Tensor, trust: Tensor) -> Tensor:
    """Return the mean of errors as shares of the length of the true flow plus one pixel.

    What moves far and cannot be found yet does not drown what moves a little and can.

    Args:
        estimate: (N, 4, H, W), (dx, dy) in pixels, 0->1 then 1->0.
        truth: The true flow, likewise.
        trust: (N, 2, H, W): 1 where it counts, else 0.

    Raises:
        RecipeError: The estimate has another size.
    """
    if estimate.shape[-2:] != truth.shape[-2:]:
        raise RecipeError(
            f"loss.flow_relative: the network's flow is {estimate.shape[-1]}x{estimate.shape[-2]} for pictures of "
            f"{truth.shape[-1]}x{truth.shape[-2]}; it is for flow of the pictures' size"
        )
    return _mean_share(estimate, truth, trust)


def flow_levels(shown: Sequence[Tensor], truth: Tensor, trust: Tensor) -> Tensor:
    """Return the sum of `flow_relative` over coarser levels; see :func:`training.model.aids.teach_levels`.

    Args:
        shown: (N, 4, H / k, W / k) each, for a whole k, in pixels of full size.
        truth: (N, 4, H, W), pixels.
        trust: (N, 2, H, W): 1 where it counts, else 0. A pixel of a level is told the mean of what counts.

    Returns:
        The sum of the levels' mean errors, as shares.
    """
    total = truth.new_zeros(())
    for flow in shown:
        factor = truth.shape[-1] // flow.shape[-1]
        share = F.avg_pool2d(trust, factor)
        told = F.avg_pool2d(truth * trust.repeat_interleave(2, 1), factor)
        told = told / share.clamp(min=_FEW).repeat_interleave(2, 1)
        total = total + _mean_share(flow.float(), told, share * (share > _FEW))
    return total


def _mean_share(estimate: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    squares = truth.square()
    return _mean_length(estimate - truth, weight, 1 + (squares[:, 0::2] + squares[:, 1::2]).sqrt())


def _mean_length(error: Tensor, weight: Tensor, of: Tensor | float = 1.0) -> Tensor:
    """Return the weighted mean length of (N, 4, h, w) divided by ``of``; 0 where nothing weighs.

    The weight is (N, 2, h, w), one for each direction.
    """
    squares = error.square()
    # Smooth at 0, where the root has no gradient.
    length = (squares[:, 0::2] + squares[:, 1::2] + _AT_REST**2).sqrt() - _AT_REST
    mean: Tensor = (length / of * weight).sum() / weight.sum().clamp(min=1)
    return mean
