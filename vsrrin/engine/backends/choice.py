"""Choice of the backend that runs a network."""

import logging
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from vsrrin.errors import ArgumentError, VsrrinError
from vsrrin.nets.parts.convolution_stacks import stacks_of
from vsrrin.nets.spec import NetSpec

from . import Backend, openvino_backend
from .compiled_backend import CompiledBackend
from .graph_backend import GraphBackend
from .openvino_backend import OpenVinoBackend
from .torch_backend import TorchBackend

BackendName = Literal["auto", "torch", "openvino", "compile", "graphs"]

_ASKED_FOR: dict[str, type[TorchBackend]] = {
    "openvino": OpenVinoBackend,
    "compile": CompiledBackend,
    "graphs": GraphBackend,
}
"""What is used by name; OpenVINO also without, where it is faster."""


def resolve_backend(name: str, device: str | torch.device | None) -> str | torch.device | None:
    """Check a backend's name.

    Returns:
        The device to use: the one given, or the CPU where none is given and the backend knows no other.

    Raises:
        ArgumentError: Not the name of a backend.
    """
    if not isinstance(name, str) or name not in get_args(BackendName):
        raise ArgumentError(f"backend must be one of {', '.join(get_args(BackendName))}, not {name!r}")
    return "cpu" if name == "openvino" and device is None else device


def make_backend(name: str, net: nn.Module, spec: NetSpec, device: torch.device, dtype: torch.dtype) -> Backend:
    """Return the backend of that name; "auto" is :func:`faster_in_openvino`'s choice.

    Raises:
        ArgumentError: The backend does not know the device or the type.
        BackendError: It is not installed, or does not work.
    """
    if name in _ASKED_FOR:
        return _ASKED_FOR[name](net, spec, device, dtype)
    if name == "auto" and faster_in_openvino(net, device):
        try:
            return OpenVinoBackend(net, spec, device, dtype)
        except VsrrinError as error:  # fp16, or an installation that is broken
            logging.getLogger("vsrrin").info("PyTorch is used instead of OpenVINO: %s", error)
    return TorchBackend(net, spec, device, dtype)


def faster_in_openvino(net: nn.Module, device: torch.device) -> bool:
    """Return whether OpenVINO is installed and should be faster, judged without trying.

    On CPUs every network is that has convolutions at work which OpenVINO takes (measured: docs/performance.md).
    """
    return device.type == "cpu" and openvino_backend.installed() and any(map(_works, net.modules()))


def _works(module: nn.Module) -> bool:
    """Return whether a module is a stack of convolutions whose output layers are not all zero."""
    if not stacks_of(module):
        return False
    last = [part for part in module.modules() if getattr(part, "keep_fp32", False)]
    weights = [part.weight for part in last if isinstance(part.weight, Tensor)]
    return not weights or any(bool(torch.any(weight)) for weight in weights)
