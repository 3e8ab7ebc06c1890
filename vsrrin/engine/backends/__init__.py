"""What runs a network on a device."""

from typing import Protocol

import torch
from torch import Tensor


class Backend(Protocol):
    """A network made ready on a device. Holds no frame after a call returns, or a copy in memory of its own. The engine
    makes one call at a time."""

    name: str
    """What results may depend on beside the device, as it is asked for; another library with its version."""
    device: torch.device
    """Where ``estimate`` and ``synthesize`` take and return their tensors."""
    bytes_per_pixel: int
    """Peak working memory per pixel of a tile."""

    def estimate(self, img0: Tensor, img1: Tensor, flow: Tensor | None) -> Tensor:
        """The net contract's ``estimate``; ``flow`` (N, 4, H/2, W/2) for nets with ``external_flow``."""
        ...

    def share(self, img0: Tensor, img1: Tensor, estimate: Tensor) -> Tensor:
        """The net contract's ``share``, of nets that have one: what ``synthesize`` takes in place of the estimate."""
        ...

    def synthesize(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """The net contract's ``synthesize``: (N, 3, H, W) float32; t (N, 1, 1, 1) float32 in (0, 1)."""
        ...

    def close(self) -> None:
        """Frees the device's memory; the backend cannot be used after."""
        ...
