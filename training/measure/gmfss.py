"""GMFSS, networks for drawn animation: https://github.com/98mxr/GMFSS_Fortuna, .../GMFSS_union.

Their packages need TensorRT and CuPy on a GPU. Here the classes inside are run without either, on any device: softmax
splatting, which they have as a CUDA kernel, is vsrrin's, with the same arithmetic.
"""

import sys
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from vsrrin.nets.parts.softsplat import splat_softmax

from .peer_packages import Package, frozen, open_bare


class Gmfss(nn.Module):
    """One of the networks, called with both frames, (1, 3, H, W), and t."""

    def __init__(self, package: Package, module: str, model: str, device: torch.device) -> None:
        super().__init__()
        name = module.partition(".")[0]
        weights = open_bare(name) / "models"
        sys.modules.setdefault(f"{name}.softsplat", _splatting(name))
        found: Any = package.module(module)
        self.net = frozen(found.GMFSS(str(weights), model, 1.0, False)).to(device)
        self.planar = model != "union"  # t as a picture

    def forward(self, img0: Tensor, img1: Tensor, t: float) -> Tensor:
        """Return the frame at t, likewise."""
        moment = img0.new_full((1, 1, *img0.shape[-2:]) if self.planar else (1,), t)
        image: Tensor = self.net(img0, img1, moment)
        return image


def _splatting(package: str) -> ModuleType:
    """Return a module in place of the package's own softsplat."""

    def softsplat(image: Tensor, flow: Tensor, metric: Tensor, strMode: str) -> Tensor:  # noqa: N803
        if strMode != "soft":
            raise ValueError(f"softsplat: {strMode} is not there, only soft")
        return splat_softmax(image, flow, metric)

    module = ModuleType(f"{package}.softsplat")
    module.softsplat = softsplat  # type: ignore[attr-defined]
    return module
