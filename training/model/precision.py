"""Trained weights in float32, and the network of another precision that is run with them.

With half precision a copy is run whose hidden layers are of that type, as the filter runs networks: output layers,
images, flow and warps stay float32 (:func:`vsrrin.nets.parts.precision.to_precision`). Autocast would run the output
layers in half precision too, and multiply its results by float32 gains, which makes float32 maps of them: measured on
one step of rrin_lite (batch 8 at 192x192, two threads), the copy takes 0.22 s, autocast 0.24 s, float32 0.53 s.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from training.errors import RecipeError
from vsrrin.nets.parts.precision import to_precision
from vsrrin.nets.spec import NetSpec

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Weights:
    """Trained weights in float32, and the network that is run with them.

    Attributes:
        net: Network with the trained weights.
        running: Network that is run; ``net`` itself with float32.

    Args:
        net: The net, on its device; laid out anew.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        channels_last: Whether the channels of a pixel lie side by side in memory.
    """

    def __init__(self, net: nn.Module, precision: str, *, channels_last: bool) -> None:
        self.net = to_precision(net, torch.float32)
        dtype = PRECISIONS[precision]
        self.running = self.net if dtype == torch.float32 else to_precision(copy.deepcopy(net), dtype)
        if not channels_last:
            for each in {self.net, self.running}:
                each.to(memory_format=torch.contiguous_format)
        self.trained: list[Tensor] = [value for value in self.net.parameters() if value.requires_grad]
        self._run: list[Tensor] = [value for value in self.running.parameters() if value.requires_grad]
        self._before: list[Tensor] = []

    @torch.no_grad()
    def collect(self) -> None:
        """Add the gradients of the network that was run to those of the trained weights; take over its buffers."""
        if self.running is self.net:
            return
        for kept, buffer in zip(self.net.buffers(), self.running.buffers(), strict=True):
            kept.copy_(buffer)
        for trained, run in zip(self.trained, self._run, strict=True):
            if run.grad is None:
                continue
            if trained.grad is None:
                trained.grad = run.grad.to(trained.dtype)
            else:
                trained.grad += run.grad
            run.grad = None

    @torch.no_grad()
    def spread(self) -> None:
        """Copy the trained weights to the network that is run."""
        if self.running is not self.net:
            torch._foreach_copy_(self._run, self.trained)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Set the trained weights."""
        self.net.load_state_dict(state)
        for buffer, kept in zip(self.running.buffers(), self.net.buffers(), strict=True):
            buffer.copy_(kept)
        self.spread()

    def begin(self) -> None:
        """Clear the gradients before a step, and remember the buffers."""
        for value in self.trained:
            value.grad = None
        self._before = [buffer.clone() for buffer in self.running.buffers()]

    @torch.no_grad()
    def take_back(self) -> None:
        """Restore the buffers after a step that failed."""
        for net in (self.running, self.net):
            for buffer, before in zip(net.buffers(), self._before, strict=True):
                buffer.copy_(before)


def check_precision(precision: str, device: torch.device, spec: NetSpec) -> None:
    """Check that a network can be trained in a precision.

    Raises:
        RecipeError: The device or the network does not support the precision.
    """
    if precision == "fp16" and device.type != "cuda":
        raise RecipeError(f'optim.precision = "fp16" is for CUDA, not {device.type}; give "bf16" or "fp32"')
    if precision != "fp32" and not spec.supports_half:
        raise RecipeError(f'{spec.name} does not bear half precision: optim.precision must be "fp32"')
