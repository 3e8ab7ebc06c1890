"""The optimiser and what surrounds it: learning rate by step, running mean of the weights, guard against NaN.

Sources: AdamW: Loshchilov, Hutter: "Decoupled weight decay regularization", ICLR 2019. Cosine: the same authors:
"SGDR: Stochastic gradient descent with warm restarts", ICLR 2017, equation 5, without restarts.
"""

import copy
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from training.errors import TrainingError
from training.recipe import OptimTable

from .muon import MuonAdamW

_GAINS = ("beta", "bias")
"""Last part of the names of parameters that decay would only hold back."""


def make_optimiser(net: nn.Module, table: OptimTable) -> AdamW:
    """AdamW over the parameters that are trained; biases, gains (``beta``) and single numbers do not decay.

    With ``table.muon``, hidden convolutions are moved by Muon, see :class:`training.optim.muon.MuonAdamW`.
    """
    named = [(name, value) for name, value in net.named_parameters() if value.requires_grad]
    hidden = [value for value in _hidden_weights(net) if value.requires_grad] if table.muon else []
    taken = {id(value) for value in hidden}
    named = [(name, value) for name, value in named if id(value) not in taken]
    gains = [value for name, value in named if name.rpartition(".")[2] in _GAINS or value.dim() < 2]
    known = {id(value) for value in gains}
    groups = [
        {"params": [value for _, value in named if id(value) not in known], "weight_decay": table.weight_decay},
        {"params": gains, "weight_decay": 0.0},
    ]
    if table.muon:
        groups.append({"params": hidden, "weight_decay": table.weight_decay, "muon": table.muon})
    # Groups may be empty, as with everything frozen but gains.
    groups = [group for group in groups if group["params"]]
    return (MuonAdamW if table.muon else AdamW)(groups, lr=table.learning_rate, foreach=True)


def _hidden_weights(net: nn.Module) -> list[Tensor]:
    """Weights of the convolutions whose results other layers read."""
    convs = (module for module in net.modules() if isinstance(module, nn.Conv2d))
    return [conv.weight for conv in convs if not hasattr(conv, "keep_fp32")]


def learning_rate(step: int, table: OptimTable) -> float:
    """The learning rate of a step, counted from 0: a pure function, so that nothing of it needs to be stored.

    Rises linearly over ``warmup`` steps, then follows the schedule: ``constant``; ``multistep``, times ``gamma`` after
    each milestone; ``cosine``, down to ``floor`` times the full rate at the end.
    """
    rate = table.learning_rate
    if step < table.warmup:
        return rate * (step + 1) / table.warmup
    if table.schedule == "multistep":
        return rate * table.gamma ** sum(step >= milestone for milestone in table.milestones)
    if table.schedule == "constant":
        return rate
    done = (step - table.warmup) / (table.steps - table.warmup)
    return rate * (table.floor + (1 - table.floor) * 0.5 * (1 + math.cos(math.pi * done)))


def set_learning_rate(optimiser: AdamW, rate: float) -> None:
    """Set it for all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def decay_at(step: int, largest: float) -> float:
    """Decay of the running mean at a step, counted from 0.

    With a fixed decay of 0.999 the first thousands of steps would be a mean of mostly the initial weights.
    """
    return min(largest, (1 + step) / (10 + step))


class RunningMean:
    """An exponential mean of a net's weights, in a net of its own that can be run.

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
        """Take in the weights after a step, counted from 0."""
        torch._foreach_lerp_(self._kept, [*net.parameters(), *_numbers(net)], 1 - decay_at(step, self._largest))


def _numbers(net: nn.Module) -> list[Tensor]:
    """Buffers that can be averaged: not those that count."""
    return [buffer for buffer in net.buffers() if buffer.is_floating_point()]


def clip_gradient(optimiser: AdamW, largest: float) -> Tensor:
    """Shrink the gradient of all that is optimised to a norm of at most ``largest``, 0 for any.

    Returns:
        The norm before, a number; not finite if a gradient is not.
    """
    parameters = [value for group in optimiser.param_groups for value in group["params"] if value.grad is not None]
    norm = nn.utils.get_total_norm([value.grad for value in parameters])
    if largest > 0:
        nn.utils.clip_grads_with_norm_(parameters, largest, norm)
    return norm


class Guard:
    """Counts steps that failed, and stops a run that does nothing else.

    Args:
        patience: How many in a row may fail.
    """

    def __init__(self, patience: int) -> None:
        self.skipped = 0
        """Steps that failed so far."""
        self.in_a_row = 0
        """Steps that failed since the last one that did not."""
        self._patience = patience

    def passes(self, values: Iterable[float], step: int) -> bool:
        """Whether all values are finite, and the step can be taken.

        Raises:
            TrainingError: Too many in a row were not.
        """
        if all(map(math.isfinite, values)):
            self.in_a_row = 0
            return True
        self.skipped += 1
        self.in_a_row += 1
        if self.in_a_row >= self._patience:
            raise TrainingError(
                f"loss or gradient were not finite in {self.in_a_row} steps in a row, up to step {step}. The last "
                "state is kept. Try a lower optim.learning_rate, a longer optim.warmup, a smaller optim.clip, or "
                'optim.precision = "fp32"'
            )
        return False
