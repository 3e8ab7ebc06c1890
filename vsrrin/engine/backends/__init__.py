"""Backends, which run a network on a device."""

from typing import Protocol

import torch
from torch import Tensor


class Backend(Protocol):
    """Network made ready on a device.

    It holds no frame after a call returns, or a copy in memory of its own. The engine makes one call at a time.
    """

    name: str
    """Name by which it is asked for, and the version of the library where that is not PyTorch; results depend on it."""
    precision: str
    """Type of the convolutions, by the name by which it is asked for."""
    device: torch.device
    """Device of the tensors that the methods take and return."""
    bytes_per_pixel: int
    """Peak working memory per pixel of a tile."""

    def estimate(self, img0: Tensor, img1: Tensor, flow: Tensor | None) -> Tensor:
        """Run the network's ``estimate``; ``flow`` (N, 4, H/2, W/2) for networks with ``external_flow``."""
        ...

    def share(self, img0: Tensor, img1: Tensor, estimate: Tensor) -> Tensor:
        """Run the network's ``share``, where it has one: its result takes the place of the estimate."""
        ...

    def synthesize(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """Run the network's ``synthesize``: (N, 3, H, W) float32; t (N, 1, 1, 1) float32 in (0, 1)."""
        ...

    def close(self) -> None:
        """Free the device's memory; the backend cannot be used any more."""
        ...
