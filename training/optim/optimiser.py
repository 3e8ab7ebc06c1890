"""Optimiser: AdamW, with Muon for hidden convolutions.

Source: Loshchilov, Hutter: "Decoupled weight decay regularization", ICLR 2019.
"""

from torch import Tensor, nn
from torch.optim import AdamW

from training.recipe import OptimTable

from .muon import MuonAdamW

_GAINS = ("beta", "bias")
"""Last part of the names of parameters that decay would only hold back."""


def make_optimiser(net: nn.Module, table: OptimTable) -> AdamW:
    """Make AdamW over the trained parameters; biases, gains (``beta``) and single numbers do not decay.

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
    """Return the weights of the convolutions whose results other layers read."""
    convs = (module for module in net.modules() if isinstance(module, nn.Conv2d))
    return [conv.weight for conv in convs if not hasattr(conv, "keep_fp32")]


def clip_gradient(optimiser: AdamW, largest: float) -> Tensor:
    """Shrink the gradient of all that is optimised to a norm of at most ``largest``; 0 allows any.

    Returns:
        The norm before, a number; not finite if a gradient is not.
    """
    parameters = [value for group in optimiser.param_groups for value in group["params"] if value.grad is not None]
    norm = nn.utils.get_total_norm([value.grad for value in parameters])
    if largest > 0:
        nn.utils.clip_grads_with_norm_(parameters, largest, norm)
    return norm
