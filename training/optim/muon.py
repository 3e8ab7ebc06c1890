"""Muon: convolutions moved by orthogonalised momentum.

The momentum of a layer's weights, as a matrix of its outputs by all that each reads, is replaced by the nearest matrix
whose singular values are all about 1. So directions that few samples ask for move as far as those that all do; a U-Net
that has to find flow leaves zero flow in a third of the steps that AdamW takes.

Sources: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024, for the method and the
coefficients; the iteration by the Gram matrix: its polynomial in X X^T commutes with X X^T, so that only that square
matrix has to be iterated, which is small where layers read many numbers.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5
_LEAST = 1e-7


class MuonAdamW(AdamW):
    """AdamW, with Muon for groups that have a ``muon``, the factor to their learning rate."""

    momentum = 0.95

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take a step; see `torch.optim.Optimizer.step`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = self.param_groups
        for group in (group for group in groups if "muon" in group):
            self._move(group)
        self.param_groups = [group for group in groups if "muon" not in group]
        try:
            super().step()
        finally:
            self.param_groups = groups
        return loss

    def _move(self, group: dict[str, Any]) -> None:
        rate = group["lr"] * group["muon"]
        for value in group["params"]:
            if value.grad is None:
                continue
            state = self.state[value]
            if not state:
                state["momentum"] = torch.zeros_like(value)
                state["step"] = torch.zeros(())  # not used, but AdamW looks for it when it is given a state
            momentum: Tensor = state["momentum"]
            momentum.mul_(self.momentum).add_(value.grad)
            ahead = value.grad.add(momentum, alpha=self.momentum)  # Nesterov's
            outputs, read = value.shape[0], value[0].numel()
            value.mul_(1 - rate * group["weight_decay"])
            value.add_(orthogonal(ahead), alpha=-rate * max(1.0, outputs / read) ** 0.5)


def orthogonal(weight: Tensor) -> Tensor:
    """Return nearly the nearest matrix with orthonormal rows or columns; singular values are 0.7 to 1.2.

    Args:
        weight: (outputs, ...), taken as a matrix of its first dimension by all others.

    Returns:
        Of the shape of ``weight``.
    """
    wide = weight.flatten(1)
    is_tall = wide.shape[0] > wide.shape[1]
    if is_tall:
        wide = wide.T
    wide = wide / (wide.norm() + _LEAST)
    gram = wide @ wide.T
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    product: Tensor | None = None
    for _ in range(_ITERATIONS):
        factor = _A * identity + _B * gram + _C * (gram @ gram)
        product = factor if product is None else factor @ product
        gram = factor @ gram @ factor
    assert product is not None
    found = product @ wide
    made: Tensor = (found.T if is_tall else found).reshape(weight.shape)
    return made
