"""Running mean of a network's weights."""

import copy

import torch
from torch import Tensor, nn


def decay_at(step: int, largest: float) -> float:
    """Return the decay of the running mean at a step, counted from 0.

    With a fixed decay of 0.999 the first thousands of steps would be a mean of mostly the initial weights.
    """
    return min(largest, (1 + step) / (10 + step))


class RunningMean:
    """Exponential mean of a network's weights, in a network of its own that can be run.

    Args:
        net: The net; copied.
        largest: Decay after the first steps, see :func:`decay_at`.
    """

    def __init__(self, net: nn.Module, largest: float) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self._largest = largest
        # Means and variances of normalised layers belong to the weights they were found with: they are averaged too.
        self._kept: list[Tensor] = [*self.net.parameters(), *_numbers(self.net)]

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Update the mean after a step, counted from 0."""
        torch._foreach_lerp_(self._kept, [*net.parameters(), *_numbers(net)], 1 - decay_at(step, self._largest))


def _numbers(net: nn.Module) -> list[Tensor]:
    """Return the buffers that can be averaged: not those that count."""
    return [buffer for buffer in net.buffers() if buffer.is_floating_point()]
