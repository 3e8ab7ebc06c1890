"""Choice of the backend that runs a network."""

import logging
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from vsrrin.checkpoint.loader import Model
from vsrrin.errors import ArgumentError, VsrrinError
from vsrrin.nets.parts.convolution_stacks import has_ranges, stacks_of
from vsrrin.nets.spec import NetSpec

from . import Backend, calibration, openvino_backend, processor
from .calibration import Way
from .compiled_backend import CompiledBackend
from .graph_backend import GraphBackend
from .openvino_backend import OpenVinoBackend
from .torch_backend import DTYPES, TorchBackend, resolve_precision

BackendName = Literal["auto", "torch", "openvino", "compile", "graphs"]

_BACKENDS: dict[str, type[TorchBackend]] = {
    "torch": TorchBackend,
    "openvino": OpenVinoBackend,
    "compile": CompiledBackend,
    "graphs": GraphBackend,
}

_PRECISIONS: tuple[Literal["fp32", "bf16", "fp16"], ...] = ("fp32", "bf16", "fp16")


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


def resolve_way(backend: str, precision: str, model: Model, device: torch.device) -> tuple[str, torch.dtype]:
    """Return the backend and the type of the convolutions; on a CPU "auto" is the fastest, see `calibration`.

    Raises:
        ArgumentError: The device or the network does not know the backend or the precision.
        BackendError: The backend is not installed, or does not work.
    """
    if device.type != "cpu" or backend in ("compile", "graphs"):
        return ("torch" if backend == "auto" else backend), resolve_precision(precision, device, model.spec)
    ways = ways_on_cpu(backend, precision, model)
    way = ways[0] if len(ways) == 1 else calibration.fastest(model.net, ways)[0]
    return way.backend, DTYPES[way.precision]


def ways_on_cpu(backend: str, precision: str, model: Model) -> list[Way]:
    """Return the ways to run a network on the CPU that arguments leave open, the most exact first; at least one.

    Raises:
        ArgumentError: See `resolve_way`.
        BackendError: Likewise.
    """
    spec, cpu = model.spec, torch.device("cpu")
    works = any(map(_works, model.net.modules()))
    known: list[str] = []
    if backend == "openvino":
        openvino_backend.check(cpu, torch.float32)
    if backend == "openvino" or (backend == "auto" and works and openvino_backend.installed()):
        try:
            known = openvino_backend.precisions()
        except VsrrinError as error:  # an installation that is broken
            if backend == "openvino":
                raise
            logging.getLogger("vsrrin").info("PyTorch is used instead of OpenVINO: %s", error)
    if precision == "int8":
        _check_int8(backend, known, model)
        return [Way("openvino", "int8")]
    if precision != "auto":
        dtype = resolve_precision(precision, cpu, spec)
        if backend == "openvino":
            openvino_backend.check(cpu, dtype)
        named = [precision]
    else:
        named = ["fp32", *(["bf16"] if works and spec.supports_half and processor.multiplies_bf16() else [])]
    ways = [Way("openvino", name) for name in _PRECISIONS if name in named and name in known]
    if precision == "auto" and "int8" in known and processor.multiplies_int8():
        if has_ranges(model.net):
            ways.append(Way("openvino", "int8"))
        elif problem := model.metadata.get("ranges"):
            logging.getLogger("vsrrin").info("8 bit is not used: %s", problem)
    if backend != "openvino":
        ways += [Way("torch", name) for name in _PRECISIONS if name in named]
    return ways


def _check_int8(backend: str, known: Sequence[str], model: Model) -> None:
    reason = ""
    if not any(map(_works, model.net.modules())):
        reason = f"{model.name} has no convolutions at work"
    elif backend == "torch":
        reason = "PyTorch has no such convolutions"
    elif not openvino_backend.installed():
        reason = openvino_backend.MISSING
    elif "int8" not in known:
        reason = "OpenVINO does not compute in it on this processor, or does not work"
    if reason:
        raise ArgumentError(f"precision must not be 'int8' here: {reason}; use 'auto'")
    if not has_ranges(model.net):
        problem = model.metadata.get("ranges") or f"{model.path} has none beside it"
        raise ArgumentError(
            f"precision 'int8' needs the ranges of {model.name}: {problem}; vsrrin models quantize measures them"
        )


def make_backend(name: str, net: nn.Module, spec: NetSpec, device: torch.device, dtype: torch.dtype) -> Backend:
    """Return the backend of that name, from `resolve_way`.

    Raises:
        ArgumentError: The backend does not know the device or the type.
        BackendError: It is not installed, or does not work.
    """
    return _BACKENDS[name](net, spec, device, dtype)


def _works(module: nn.Module) -> bool:
    """Return whether a module is a stack of convolutions whose output layers are not all zero."""
    if not stacks_of(module):
        return False
    last = [part for part in module.modules() if getattr(part, "keep_fp32", False)]
    weights = [part.weight for part in last if isinstance(part.weight, Tensor)]
    return not weights or any(bool(torch.any(weight)) for weight in weights)
