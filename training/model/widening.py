"""Widening of a network that keeps what it computes: the way to the size of the paper from a narrow one.

A step of a network of half the width takes less than half of the time, and much of learning, above all that of flow, is
done as well by few channels. So most steps are taken narrow; then each channel is made several, equal at first, and
what reads them reads each in part. The parts are drawn unequal, so that equal channels get unequal gradients and part
ways.

Source: Chen, Goodfellow, Shlens, "Net2Net: accelerating learning via knowledge transfer", ICLR 2016, section 3.1
(there copies are drawn at random and read in equal parts, and noise parts them).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from training.errors import RecipeError

_LEAST, _MOST = 0.5, 1.5
"""Range from which the parts of equal channels are drawn, before they are scaled to sum to 1."""


def widened(narrow: Mapping[str, Tensor], wide: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Return the weights of a narrow network in the shapes of a wide one that computes the same.

    Channel c of the narrow network becomes the channels c * k to c * k + k - 1, where k is the ratio of the widths. So
    channels that are joined from several layers stay in order.

    Args:
        narrow: Its weights.
        wide: Weights of the wide network, for their shapes.
        seed: Seed of the parts.

    Returns:
        Weights by the names that both have.

    Raises:
        RecipeError: A shape is no whole multiple of the narrow one, beyond its first two dimensions they differ, or
            networks are widened by several ratios.
    """
    random = torch.Generator().manual_seed(seed)
    made: dict[str, Tensor] = {}
    ratios: set[int] = set()
    for name in (name for name in wide if name in narrow):
        value, shape = narrow[name], wide[name].shape
        ratio = _ratios(name, value, wide[name])
        ratios |= {part for part in ratio if part > 1}
        if not ratio:
            made[name] = value
            continue
        value = value.repeat_interleave(ratio[0], 0)
        if len(ratio) > 1:
            parts = torch.empty(*value.shape[:2], ratio[1]).uniform_(_LEAST, _MOST, generator=random)
            parts = (parts / parts.sum(2, keepdim=True)).flatten(1).to(value)
            value = value.repeat_interleave(ratio[1], 1) * parts.view(*parts.shape, *[1] * (value.dim() - 2))
        made[name] = value.reshape(shape)
    if len(ratios) > 1:
        raise RecipeError(f"some layers are {' and some '.join(map(str, sorted(ratios)))} times as wide")
    return made


def _ratios(name: str, narrow: Tensor, wide: Tensor) -> tuple[int, ...]:
    """Return by how much outputs and inputs of a layer grow; one number without inputs, none for a scalar."""
    before, after = narrow.shape, wide.shape
    fits = (
        len(before) == len(after)
        and before[2:] == after[2:]
        and all(many % few == 0 for few, many in zip(before[:2], after[:2], strict=True))
    )
    if not fits:
        raise RecipeError(f"{name} is {list(before)} and cannot become {list(after)}")
    return tuple(many // few for few, many in zip(before[:2], after[:2], strict=True))
