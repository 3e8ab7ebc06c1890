"""Training aids that leave no trace in the weights: normalised activations, flow at every level.

A U-Net that has to find motion does not begin to by itself: what it is told at full size says little to layers at a
sixteenth of it, and the best flow that knows nothing, zero, is a place it hardly leaves. It begins when each level of
its way up is told what flow to show (deep supervision) and when activations are normalised.

Sources: Ioffe, Szegedy: "Batch normalization", ICML 2015, section 3.1 for folding; Lee et al., "Deeply-supervised
nets", AISTATS 2015, for flow Dosovitskiy et al., "FlowNet", ICCV 2015, section 3; He et al., "Delving deep into
rectifiers", ICCV 2015, equation 15, for the weights at first.
"""

import copy
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from training.errors import RecipeError
from vsrrin.nets.parts.precision import keep_fp32, output_layer
from vsrrin.nets.parts.unet import SLOPE, UNet, UpBlock
from vsrrin.nets.spec import NetSpec

_SMALL = 0.1
"""Factor to the first weights of output layers."""


# --- normalised activations ----------------------------------------------------------------------------------------


class NormalisedConv(nn.Conv2d):
    """Convolution whose results are normalised, channel by channel.

    Its keys are those of the convolution that it takes the place of, and ``norm.*``.

    Args:
        conv: The convolution; its weights are shared.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(**_form(conv), device="meta")  # nothing is drawn for weights that are replaced
        self.weight, self.bias = conv.weight, conv.bias
        self.norm = nn.BatchNorm2d(conv.out_channels)
        keep_fp32(self.norm)

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        return cast(Tensor, self.norm(super().forward(input)))

    @torch.no_grad()
    def folded(self) -> nn.Conv2d:
        """Return a plain convolution that computes the same with the means and variances found so far."""
        norm = self.norm
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        gain = norm.weight / (variance + norm.eps).sqrt()
        before = torch.zeros_like(gain) if self.bias is None else self.bias
        weight = self.weight * gain.view(-1, 1, 1, 1).to(self.weight.dtype)
        bias = ((before - mean) * gain + norm.bias).to(weight.dtype)
        made = nn.Conv2d(**_form(self) | {"bias": True}, device="meta").train(self.training)
        made.weight, made.bias = (nn.Parameter(x, requires_grad=self.weight.requires_grad) for x in (weight, bias))
        return made


def normalise(net: nn.Module) -> None:
    """Let all hidden convolutions that are trained normalise their results, in place; draw their weights anew.

    Raises:
        RecipeError: There are none.
    """
    found = [
        m for m in net.modules() if type(m) is nn.Conv2d and not hasattr(m, "keep_fp32") and m.weight.requires_grad
    ]
    if not found:
        raise RecipeError("model.normalise: the network has no convolutions that could be normalised; leave it out")
    for conv in found:
        nn.init.kaiming_normal_(conv.weight, a=SLOPE)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
    _replace(net, {conv: NormalisedConv(conv) for conv in found})


def _form(conv: nn.Conv2d) -> dict[str, Any]:
    """Arguments that make a convolution of the same form."""
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    return {name: getattr(conv, name) for name in names} | {"bias": conv.bias is not None}


def _replace(net: nn.Module, made: Mapping[nn.Module, nn.Module]) -> None:
    """Put modules in the places of others within a net; names and their order stay."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if child in made:
                setattr(parent, name, made[child])


# --- flow at every level -------------------------------------------------------------------------------------------


class KeptInput(nn.Sequential):
    """Layers in a row that keep the last tensor they were given."""

    given: Tensor | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Return the result of the last layer."""
        self.given = input
        return cast(Tensor, super().forward(input))  # type: ignore[no-untyped-call]


def flow_unet(net: nn.Module, spec: NetSpec) -> UNet | None:
    """Return the U-Net of a network that finds the flow, if there is one."""
    return None if spec.flow_unet is None else cast(UNet, net.get_submodule(spec.flow_unet))


def teach_levels(net: nn.Module, spec: NetSpec) -> None:
    """Give the U-Net that finds the flow an output layer for each level of its way up (``heads``), in place.

    Raises:
        RecipeError: The network has no such U-Net, or it is frozen.
    """
    unet = flow_unet(net, spec)
    if unet is None:
        raise RecipeError("loss.flow_levels: this network finds no flow by a U-Net; leave the weight out, or make it 0")
    if not any(value.requires_grad for value in unet.parameters()):
        raise RecipeError("loss.flow_levels: model.frozen holds the U-Net that finds the flow; leave one of both out")
    unet.heads = nn.ModuleList(_head(block.up) for block in _levels(unet))
    for block in _levels(unet):
        block.up = KeptInput(*block.up)


def shown_by(net: nn.Module) -> list[Tensor]:
    """Return the flow that each taught level had in the last run, and forget it.

    Returns:
        The coarsest first, (N, 4, h, w) float32 in pixels of full size; empty for a net that is not taught.
    """
    shown = []
    for unet in _taught(net):
        for head, block in zip(cast(nn.ModuleList, unet.heads), _levels(unet), strict=True):
            kept = cast(KeptInput, block.up)
            if kept.given is not None:
                shown.append(output_layer(cast(nn.Conv2d, head), kept.given))
            kept.given = None  # it has a gradient, and a net that is copied must not
    return shown


def _taught(net: nn.Module) -> list[UNet]:
    return [module for module in net.modules() if isinstance(module, UNet) and hasattr(module, "heads")]


def _levels(unet: UNet) -> list[UpBlock]:
    return [cast(UpBlock, block) for block in unet.up_path]


def _head(up: nn.Sequential) -> nn.Conv2d:
    head = nn.Conv2d(cast(nn.Conv2d, up[1]).in_channels, 4, 3, padding=1)
    keep_fp32(head)
    with torch.no_grad():
        head.weight.mul_(_SMALL)
    return head


# --- without them --------------------------------------------------------------------------------------------------


def plain(net: nn.Module) -> nn.Module:
    """Return a copy of a net without its aids: normalisation folded into weights and biases, nothing else changed."""
    made = copy.deepcopy(net)
    for unet in _taught(made):
        del unet.heads
    kept = [module for module in made.modules() if isinstance(module, KeptInput)]
    normalised = [module for module in made.modules() if isinstance(module, NormalisedConv)]
    _replace(made, {module: nn.Sequential(*module).train(module.training) for module in kept})
    _replace(made, {conv: conv.folded() for conv in normalised})
    return made
