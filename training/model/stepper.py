"""How a network of the registry is run in a training step, and in which precision.

What is trained is float32. What is run with half precision is a copy whose hidden layers are of that type, as the
filter runs networks: output layers, images, flow and warps stay float32
(:func:`vsrrin.nets.parts.precision.to_precision`). Autocast would run the output layers in half precision too, and
multiply its results by float32 gains, which makes float32 maps of them: measured on one step of rrin_lite (batch 8 at
192x192, two threads), the copy takes 0.22 s, autocast 0.24 s, float32 0.53 s.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from training.errors import RecipeError
from vsrrin.nets.parts.precision import to_precision
from vsrrin.nets.spec import NetSpec

from .aids import shown_by

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def _with_flow_from_outside(net: Any, img0: Tensor, img1: Tensor, flow: Tensor) -> Tensor:
    estimate: Tensor = net.estimate(img0, img1, flow)
    return estimate


def _with_own_flow(net: Any, img0: Tensor, img1: Tensor, flow: Tensor) -> Tensor:
    estimate: Tensor = net.estimate(img0, img1)
    return estimate


def _synthesize(net: Any, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
    picture: Tensor = net.synthesize(img0, img1, estimate, t)
    return picture


def _cain_middle(net: Any, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
    # Before it is clamped: where it leaves [0, 1], as fresh weights do, a clamp has no gradient.
    picture: Tensor = net.middle(img0, img1)[0]
    return picture


type Picture = Callable[[Any, Tensor, Tensor, Tensor, Tensor], Tensor]
_PICTURES: Mapping[str, Picture] = {"cain": _cain_middle}
"""Networks whose picture a training step does not take from ``synthesize``."""
UNUSED: Mapping[str, str] = {"bmbc": "BMNet.deconv2."}
"""Layers that networks have, as published, but do not use: network to the beginning of their names."""


class Stepper(nn.Module):
    """A network as a training step runs it: what DistributedDataParallel and torch.compile take as one module.

    Args:
        net: The net.
        spec: Its description.
        picture: Whether a picture is wanted; without it only the layers that find the flow are run.
    """

    def __init__(self, net: nn.Module, spec: NetSpec, *, picture: bool = True) -> None:
        super().__init__()
        self.net = net
        self._estimate = _with_flow_from_outside if spec.external_flow else _with_own_flow
        self._picture = _PICTURES.get(spec.name, _synthesize) if picture else None
        self._has_flow = spec.estimates_flow

    def forward(
        self, img0: Tensor, img1: Tensor, t: Tensor, flow: Tensor
    ) -> tuple[Tensor | None, Tensor | None, list[Tensor]]:
        """Run the net.

        Args:
            img0: Frame 0, (N, 3, H, W) float32 in [0, 1].
            img1: Frame 1, likewise.
            t: (N, 1, 1, 1) float32 in (0, 1).
            flow: Flow of the pair from outside, (N, 4, H/2, W/2), (dx, dy) in pixels of that size, 0->1 then 1->0.

        Returns:
            The picture at t, (N, 3, H, W), None if it is not wanted; the flow of the pair, (N, 4, h, w) in pixels of
            its size, 0->1 then 1->0, None if the net does not find it itself; the flow that coarser levels show, see
            :func:`training.model.aids.teach_levels`.
        """
        estimate = self._estimate(self.net, img0, img1, flow)
        picture = None if self._picture is None else self._picture(self.net, img0, img1, estimate, t)
        return picture, estimate[:, :4] if self._has_flow else None, shown_by(self.net)


class Weights:
    """The weights that are trained, in float32, and the net that is run with them.

    Attributes:
        net: Holds the weights that are trained.
        running: Is run; ``net`` itself with float32.

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
        """Add the gradients of the net that was run to those of the weights that are trained; take its means over."""
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
        """Give the weights that were trained to the net that is run."""
        if self.running is not self.net:
            torch._foreach_copy_(self._run, self.trained)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Set the weights."""
        self.net.load_state_dict(state)
        for buffer, kept in zip(self.running.buffers(), self.net.buffers(), strict=True):
            buffer.copy_(kept)
        self.spread()

    def begin(self) -> None:
        """Before a step: no gradients yet."""
        for value in self.trained:
            value.grad = None
        self._before = [buffer.clone() for buffer in self.running.buffers()]

    @torch.no_grad()
    def take_back(self) -> None:
        """After a step that failed: means and variances of normalised layers as they were before it."""
        for net in (self.running, self.net):
            for buffer, before in zip(net.buffers(), self._before, strict=True):
                buffer.copy_(before)


def check_precision(precision: str, device: torch.device, spec: NetSpec) -> None:
    """Whether a network can be trained so.

    Raises:
        RecipeError: It cannot.
    """
    if precision == "fp16" and device.type != "cuda":
        raise RecipeError(f'optim.precision = "fp16" is for CUDA, not {device.type}; give "bf16" or "fp32"')
    if precision != "fp32" and not spec.supports_half:
        raise RecipeError(f'{spec.name} does not bear half precision: optim.precision must be "fp32"')
