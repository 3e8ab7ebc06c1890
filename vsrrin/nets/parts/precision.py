"""Precision of networks: any for hidden layers, float32 for output layers, images, flow and warps."""

import torch
from torch import Tensor, nn

from vsrrin.errors import ArgumentError


def keep_fp32(layer: nn.Module, *, but_in_8_bit: bool = False) -> None:
    """Mark an output layer to stay in float32 (see :func:`to_precision`).

    Args:
        layer: The layer.
        but_in_8_bit: Where hidden layers run in 8 bit, so may this one, whose result is still float32: it returns no
            flow, of which more has to be known.
    """
    layer.keep_fp32 = True  # type: ignore[assignment]  # nn.Module types attributes as tensors or modules
    layer.but_in_8_bit = but_in_8_bit  # type: ignore[assignment]


def bears_8_bit(layer: nn.Module) -> bool:
    """Return whether a layer may run in 8 bit: a hidden one, or an output layer marked so."""
    return not getattr(layer, "keep_fp32", False) or getattr(layer, "but_in_8_bit", False) is True


def output_layer(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Run the output layer of a stack in its own precision.

    Returns:
        What the layer returns, float32 and contiguous.
    """
    out: Tensor = layer(x.to(layer.weight.dtype))
    return out.to(dtype=torch.float32, memory_format=torch.contiguous_format)


def to_precision[NetT: nn.Module](net: NetT, dtype: torch.dtype) -> NetT:
    """Set the precision of the convolutions of a net, in place.

    The hidden layers are cast to ``dtype`` and their weights laid out channels last. Output layers stay float32: a
    flow of 30 px is known to 0.125 px only in bfloat16. Images, flow, warps and masks are float32 whatever the layers
    are; every stack casts its input to the type of its weights.

    Returns:
        ``net``.

    Raises:
        ArgumentError: ``dtype`` is not float32, float16 or bfloat16.
    """
    if dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ArgumentError(f"to_precision: dtype must be float32, float16 or bfloat16, got {dtype}.")
    for module in net.modules():
        chosen = torch.float32 if getattr(module, "keep_fp32", False) else dtype
        for parameter in module.parameters(recurse=False):
            layout = torch.channels_last if parameter.dim() == 4 else torch.preserve_format
            parameter.data = parameter.data.to(dtype=chosen, memory_format=layout)
    return net
