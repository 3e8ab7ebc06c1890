"""Backend that compiles stacks of convolutions by torch.compile and leaves the rest to PyTorch.

What is compiled are the stacks that a net marks (:mod:`vsrrin.nets.parts.convolution_stacks`): they are all
convolutions and see no coordinates, so a compiler may fuse and reorder them as it likes. One compiled stack serves
every frame size.
"""

import torch
from torch import nn

from vsrrin.engine import memory
from vsrrin.errors import BackendError
from vsrrin.nets.parts.convolution_stacks import stacks_of
from vsrrin.nets.spec import NetSpec

from .torch_backend import TorchBackend

_SIDES = 6, 8
"""Height and width of the pictures, in multiples of what a network takes, that go through it first: different ones, or
the compiler would take both for one number."""


class CompiledBackend(TorchBackend):
    """Backend that runs a network's stacks compiled.

    Compiling takes from seconds to minutes, when the backend is made.

    Args:
        net: The net; copied, so that the caller's stays as it is.
        spec: Its description.
        device: A device from :func:`vsrrin.engine.backends.torch_backend.resolve_device`.
        dtype: Type of the convolutions, from :func:`vsrrin.engine.backends.torch_backend.resolve_precision`.

    Raises:
        BackendError: PyTorch cannot compile here; without a C++ compiler it cannot for the CPU.
    """

    def __init__(self, net: nn.Module, spec: NetSpec, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(net, spec, device, dtype)
        self.name = "compile"
        for module in self._net.modules():
            for method in stacks_of(module):
                setattr(module, method, torch.compile(getattr(module, method), dynamic=True))
        try:
            self._run_once(spec)
        except Exception as error:  # compilers fail in many ways
            if memory.is_out_of_memory(error):
                raise
            last = (str(error).strip().splitlines() or [type(error).__name__])[0]
            advice = "install a C++ compiler, or " if "compiler" in last.lower() else ""
            raise BackendError(
                f"backend 'compile': PyTorch cannot compile {spec.name} for {device} ({last}): {advice}use "
                "backend='torch'"
            ) from error

    def _run_once(self, spec: NetSpec) -> None:
        height, width = (side * spec.size_multiple for side in _SIDES)
        image = torch.zeros(1, 3, height, width, device=self.device)
        flow = torch.zeros(1, 4, height // 2, width // 2, device=self.device) if spec.external_flow else None
        t = torch.full((1, 1, 1, 1), 0.5, device=self.device)
        self.synthesize(image, image, self.estimate(image, image, flow), t)
