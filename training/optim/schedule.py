"""Learning rate by step.

Source of the cosine: Loshchilov, Hutter: "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017, equation 5,
without restarts.
"""

import math

from torch.optim import AdamW

from training.recipe import OptimTable


def learning_rate(step: int, table: OptimTable) -> float:
    """Return the learning rate of a step, counted from 0.

    It is a pure function, so that nothing of it needs to be stored.

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
    """Set the learning rate of all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = rate
