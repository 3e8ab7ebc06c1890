"""Default backend: PyTorch, on the CPU or any device it knows."""

import copy
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from vsrrin.errors import ArgumentError, BackendError
from vsrrin.nets.parts import fused
from vsrrin.nets.parts.precision import to_precision
from vsrrin.nets.spec import NetSpec

from . import processor

Precision = Literal["auto", "fp32", "fp16", "bf16", "int8"]

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.int8}
_DEVICE_TYPES = ("cuda", "xpu", "mps", "cpu")  # in the order of preference


class TorchBackend:
    """Backend that runs a network in PyTorch.

    Args:
        net: The net; copied, so that the caller's stays as it is.
        spec: Its description.
        device: A device from :func:`resolve_device`.
        dtype: Type of the convolutions, from :func:`resolve_precision`.
    """

    def __init__(self, net: nn.Module, spec: NetSpec, device: torch.device, dtype: torch.dtype) -> None:
        self.name = "torch"
        self.precision = next(name for name, known in DTYPES.items() if known == dtype)
        self.device = device
        self._external_flow = spec.external_flow
        if spec.compiled_steps and device.type == "cpu":
            fused.kernels()  # now, as it may take seconds, and not before the first frame
        # Any: nets have methods of their own, which nn.Module's types do not know.
        self._net: Any = to_precision(copy.deepcopy(net).to(device), dtype).eval().requires_grad_(False)
        # Hidden layers are where the memory goes; they shrink with the type (measured: to 0.5 to 0.75), images and flow
        # do not.
        self.bytes_per_pixel = spec.bytes_per_pixel if dtype == torch.float32 else int(spec.bytes_per_pixel * 0.75)

    def estimate(self, img0: Tensor, img1: Tensor, flow: Tensor | None) -> Tensor:
        """See :class:`vsrrin.engine.backends.Backend`."""
        arguments = (img0, img1, flow) if self._external_flow else (img0, img1)
        with torch.inference_mode():
            return cast(Tensor, self._net.estimate(*arguments))

    def share(self, img0: Tensor, img1: Tensor, estimate: Tensor) -> Tensor:
        """See :class:`vsrrin.engine.backends.Backend`."""
        with torch.inference_mode():
            return cast(Tensor, self._net.share(img0, img1, estimate))

    def synthesize(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """See :class:`vsrrin.engine.backends.Backend`."""
        with torch.inference_mode():
            return cast(Tensor, self._net.synthesize(img0, img1, estimate, t))

    def close(self) -> None:
        """See :class:`vsrrin.engine.backends.Backend`."""
        self._net = None


def resolve_device(name: str | torch.device | None) -> torch.device:
    """Return the device of that name, or the best one for ``None``: cuda, xpu, mps, cpu in this order.

    Raises:
        ArgumentError: Not the name of a device.
        BackendError: No such device here.
    """
    if name is None:
        name = next(kind for kind in _DEVICE_TYPES if _count(kind))
    allowed = 'device must be "cpu", "cuda", "cuda:1", "xpu", "mps" or None (the best one here)'
    if not isinstance(name, str | torch.device):
        raise ArgumentError(f"{allowed}, not {name!r} ({type(name).__name__})")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ArgumentError(f"{allowed}, not {name!r}") from None
    if device.type not in _DEVICE_TYPES:
        raise ArgumentError(f"{allowed}, not {name!r}")
    count = _count(device.type)
    if (device.index or 0) >= count:
        here = [kind for kind in _DEVICE_TYPES if _count(kind)]
        raise BackendError(
            f"device {str(name)!r} is not available: PyTorch {torch.__version__} finds {count} {device.type} "
            f"device(s) here and these kinds: {', '.join(here)}"
        )
    # One name for one device: locks and loaded networks go by it.
    return torch.device(device.type, device.index or 0) if device.type in ("cuda", "xpu") else torch.device(device.type)


def available_devices() -> list[str]:
    """Return the names of all devices here, the CPU first."""
    several = [f"{kind}:{number}" for kind in ("cuda", "xpu") for number in range(_count(kind))]
    return ["cpu", *several, *(["mps"] if _count("mps") else [])]


def _count(kind: str) -> int:
    if kind == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "xpu":
        return torch.xpu.device_count() if torch.xpu.is_available() else 0
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    return 1


def resolve_precision(name: str, device: torch.device, spec: NetSpec) -> torch.dtype:
    """Return the type of the convolutions.

    "auto" is fp16 on cuda, xpu and mps, bf16 on CPUs that multiply it in hardware, fp32 on others and for networks
    that do not bear half precision.

    Raises:
        ArgumentError: Another name, or half precision for a network that does not bear it.
    """
    if not isinstance(name, str) or name not in get_args(Precision):
        raise ArgumentError(f"precision must be one of {', '.join(get_args(Precision))}, not {name!r}")
    if name == "auto":
        if not spec.supports_half:
            return torch.float32
        if device.type != "cpu":
            return torch.float16
        return torch.bfloat16 if processor.multiplies_bf16() else torch.float32
    if name == "int8":
        raise ArgumentError("precision must not be 'int8' but on the CPU with OpenVINO: use 'auto'")
    dtype = DTYPES[name]
    if dtype != torch.float32 and not spec.supports_half:
        raise ArgumentError(f"precision must be fp32 or auto for {spec.name}, not {name!r}")
    return dtype
