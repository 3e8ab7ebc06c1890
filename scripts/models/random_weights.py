"""Networks of the usual sizes with random weights, the same in every run and process.

Speed and memory do not depend on weights, and a backend must compute any weights as PyTorch does.
"""

from pathlib import Path

import torch
from torch import nn

from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.nets import NetSpec

_SEED = 0
_STD_OF_ZEROS = 1e-3
"""Standard deviation of the weights of layers that begin as zero, which could else be left out unnoticed."""


def random_model(spec: NetSpec, *, output_scale: float = 1.0) -> Model:
    """Return a network with random weights.

    Args:
        spec: The network.
        output_scale: Factor of the weights of its output layers.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        net = spec.default().eval().requires_grad_(False)
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d) and not torch.any(layer.weight):
                nn.init.normal_(layer.weight, std=_STD_OF_ZEROS)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and getattr(layer, "keep_fp32", False):
            for parameter in layer.parameters(recurse=False):
                parameter.mul_(output_scale)
    return Model(net=net, spec=spec, arithmetic=spec.arithmetics[0], name=f"{spec.name}, random", path=Path())


def save_model(model: Model, folder: Path) -> Path:
    """Write a network with random weights into ``folder``, unless it is there, and return the checkpoint's path."""
    path = folder / f"{model.spec.name}_random.safetensors"
    if not path.exists():
        sidecar = dict.fromkeys(loader.SIDECAR_GIVEN, "random weights")
        loader.save(model.net, model.spec, path, arithmetic=model.arithmetic, sidecar=sidecar)
    return path
