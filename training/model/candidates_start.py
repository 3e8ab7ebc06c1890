"""Start of an RRIN-lite with steady candidates from one without, which computes the same but for their small share."""

from collections.abc import Mapping

import torch
from torch import Tensor

from vsrrin.nets.parts.candidates import PLANES, STEADY

_LAYERS = {
    "choose.first.0.weight": (12, 1),
    "choose.out.weight": (4, 0),
    "choose.out.bias": (4, 0),
    "weigher.first.0.weight": (12, 1),
    "weigher.weigh.weight": (16, 0),
    "weigher.weigh.bias": (16, 0),
}
"""What grows with the number of candidates: channels for each, and which dimension they are."""


def with_steady(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of a network without steady candidates in the shapes of one with them.

    What looks at those and what weighs them is zero.

    Args:
        state: Weights of the network without.
        own: Those of the network with, for their shapes.

    Returns:
        ``state`` as it is where the network is another, or has as many candidates.
    """
    made = dict(state)
    for name, (each, dimension) in _LAYERS.items():
        if name not in state or name not in own:
            continue
        if own[name].shape[dimension] - state[name].shape[dimension] == each * STEADY:
            before, after = state[name].tensor_split([each * PLANES], dimension)
            more = list(before.shape)
            more[dimension] = each * STEADY
            made[name] = torch.cat((before, before.new_zeros(more), after), dimension)
    return made
