"""Stacks of convolutions through torch.compile, everything else as in the default backend.

What is compiled are the stacks that a net marks (:mod:`vsrrin.nets.stacks`): they are all convolutions and see no
coordinates, so a compiler may fuse and reorder them as it likes. One compiled stack serves every frame size.
"""

import logging
from typing import Any

import torch
from torch import nn

from ..errors import BackendError
from ..nets.spec import NetSpec
from ..nets.stacks import Stack, stacks_of
from .torch_backend import TorchBackend

_SIDES = 6, 8
"""Sides of the pictures, in multiples of what a stack takes, on which it is compiled: different ones, or the compiler
would take height and width for one number."""


class CompiledBackend(TorchBackend):
    """Runs a net's stacks compiled. Compiling takes from seconds to minutes, when the backend is made.

    Args:
        net: The net; copied, so that the caller's stays as it is.
        spec: Its description.
        device: A device from :func:`vsrrin.backends.torch_backend.resolve_device`.
        dtype: Type of the convolutions, from :func:`vsrrin.backends.torch_backend.resolve_precision`.

    Raises:
        BackendError: PyTorch cannot compile here; without a C++ compiler it cannot for the CPU.
    """

    def __init__(self, net: nn.Module, spec: NetSpec, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(net, spec, device, dtype)
        self.name = "compile"
        for path, module in self._net.named_modules():
            for method, stack in stacks_of(module).items():
                compiled: Any = torch.compile(getattr(module, method), dynamic=True)
                setattr(module, method, compiled)
                try:
                    self._run_once(compiled, stack)
                except Exception as error:  # compilers fail in many ways
                    last = (str(error).strip().splitlines() or [type(error).__name__])[0]
                    raise BackendError(
                        f"backend 'compile': PyTorch cannot compile {path or spec.name} for {device} ({last}): a C++ "
                        "compiler must be installed; or use backend='torch'"
                    ) from error
        logging.getLogger("vsrrin").debug("%s compiled for %s", spec.name, device)

    def _run_once(self, compiled: Any, stack: Stack) -> None:
        height, width = (side * stack.multiple for side in _SIDES)
        with torch.inference_mode():
            compiled(torch.zeros(1, stack.channels, height, width, device=self.device))
