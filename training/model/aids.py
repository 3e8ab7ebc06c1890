"""What helps a network to learn and is gone from its weights afterwards: normalised activations, and levels that are
asked for flow.

A U-Net that has to find motion does not begin to by itself: what it is told at full size says little to layers at a
sixteenth of it, and the best flow that knows nothing, zero, is a place it hardly leaves. It begins when each level of
its way up is told what flow to show (deep supervision) and when activations are normalised.

Sources: Ioffe, Szegedy: "Batch normalization", ICML 2015, section 3.1 for folding; Lee et al., "Deeply-supervised
nets", AISTATS 2015, for flow Dosovitskiy et al., "FlowNet", ICCV 2015, section 3; He et al., "Delving deep into
rectifiers", ICCV 2015, equation 15, for the weights at first.
"""

import copy
from typing import cast

import torch
from torch import Tensor, nn

from training.errors import RecipeError
from vsrrin.nets.parts.precision import keep_fp32, output_layer
from vsrrin.nets.parts.unet import SLOPE, UNet, UpBlock

_SMALL = 0.1
"""By which output layers begin smaller than other layers."""


class NormalisedConv(nn.Conv2d):
    """A convolution whose results are normalised, channel by channel; made of a plain one by `normalise`."""

    norm: nn.BatchNorm2d

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        return cast(Tensor, self.norm(super().forward(input)))


class TaughtUNet(UNet):
    """A U-Net that shows the flow it has so far at each level of its way up; made of a plain one by `teach_levels`.

    Attributes:
        shown: Flow of the last run, the coarsest first, (N, 4, h, w) float32 in pixels of full size.
    """

    heads: nn.ModuleList
    shown: list[Tensor]

    def forward(self, x: Tensor) -> Tensor:
        """See `UNet.forward`."""
        levels: list[Tensor] = []
        rising = [cast(UpBlock, block).up for block in self.up_path]
        hooks = [up.register_forward_pre_hook(lambda _, given: levels.append(given[0])) for up in rising]
        try:
            result = super().forward(x)
        finally:
            for hook in hooks:
                hook.remove()
        self.shown = [output_layer(cast(nn.Conv2d, head), x) for head, x in zip(self.heads, levels, strict=True)]
        return result


def normalise(net: nn.Module) -> None:
    """Let all hidden convolutions that are trained normalise what they make, in place; their weights are drawn anew.

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
        norm = nn.BatchNorm2d(conv.out_channels)
        keep_fp32(norm)
        conv.__class__ = NormalisedConv
        cast(NormalisedConv, conv).norm = norm


def teach_levels(net: nn.Module) -> None:
    """Let the U-Net that finds the flow show it at each level, in place.

    Raises:
        RecipeError: The network has none.
    """
    unet = getattr(net, "Flow_L", None)
    if type(unet) is not UNet:
        raise RecipeError("loss.flow_levels: this network finds no flow by a U-Net; leave the weight out, or make it 0")
    if not any(value.requires_grad for value in unet.parameters()):
        raise RecipeError("loss.flow_levels: model.frozen holds the U-Net that finds the flow; leave one of both out")
    heads = nn.ModuleList()
    for block in unet.up_path:
        wide = cast(nn.Conv2d, cast(UpBlock, block).up[1])
        head = nn.Conv2d(wide.in_channels, 4, 3, padding=1)
        keep_fp32(head)
        with torch.no_grad():
            head.weight.mul_(_SMALL)
        heads.append(head)
    unet.__class__ = TaughtUNet
    taught = cast(TaughtUNet, unet)
    taught.heads, taught.shown = heads, []


def shown_by(net: nn.Module) -> list[Tensor]:
    """What the U-Nets that are taught have shown in their last run; they forget it."""
    shown: list[Tensor] = []
    for unet in net.modules():
        if isinstance(unet, TaughtUNet):
            shown += unet.shown
            unet.shown = []  # it has a gradient, and a net that is copied must not
    return shown


def plain(net: nn.Module) -> nn.Module:
    """The net as it is without aids, a copy: normalisation folded into weights and biases, nothing else changed."""
    made = copy.deepcopy(net)
    for module in made.modules():
        if isinstance(module, NormalisedConv):
            _fold(module)
        elif isinstance(module, TaughtUNet):
            del module.heads, module.shown
            module.__class__ = UNet  # type: ignore[assignment]  # back to what it was made of
    return made


@torch.no_grad()
def _fold(conv: NormalisedConv) -> None:
    norm = conv.norm
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    gain = norm.weight / (variance + norm.eps).sqrt()
    bias = torch.zeros_like(gain) if conv.bias is None else conv.bias
    conv.weight.mul_(gain.view(-1, 1, 1, 1).to(conv.weight.dtype))
    folded = (bias - mean) * gain + norm.bias
    del conv.norm
    conv.__class__ = nn.Conv2d  # type: ignore[assignment]  # likewise
    conv.bias = nn.Parameter(folded.to(conv.weight.dtype), requires_grad=conv.weight.requires_grad)
