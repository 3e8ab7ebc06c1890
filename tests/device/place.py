"""The device under test, and what is tested on it."""

from dataclasses import dataclass, field
from itertools import product

import pytest
import torch

from vsrrin.engine.backends.processor import multiplies_bf16
from vsrrin.engine.backends.torch_backend import resolve_device, resolve_precision
from vsrrin.errors import VsrrinError
from vsrrin.nets import NetSpec
from vsrrin.nets.registry import by_name

_BUNDLED = {"draft": "plain", "balanced": "rrin_lite_quick", "rrin_lite": "rrin_lite"}
"""Bundled weights, and the network of each."""
_UNTRAINED = ("rrin", "srrin", "raft_rrin", "cain", "bmbc")
"""Networks of the published sizes, with random weights."""

_LIMITS: dict[object, tuple[float, float]] = {
    torch.float32: (60.0, 55.0),
    "TF32": (50.0, 45.0),
    torch.float16: (40.0, 32.0),
    torch.bfloat16: (40.0, 32.0),
}
"""Least PSNR in dB against float32 on the CPU, of bundled and of random weights. Rounding to 8 bits alone leaves 60 dB
when one sample in 15 falls on the other side; random weights have learned nothing that keeps errors small."""
_UNREPEATABLE = ("srrin",)
"""Networks that promise no equal bits on CUDA: splatting adds in any order there."""


@dataclass(frozen=True)
class Network:
    """Bundled weights, or a network with random ones."""

    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def bundled(self) -> bool:
        return self.name in _BUNDLED

    @property
    def spec(self) -> NetSpec:
        return by_name(_BUNDLED.get(self.name, self.name))

    @property
    def factor(self) -> str:
        """A factor with several new frames between two."""
        return "5/2" if self.spec.arbitrary_t else "4"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A device, how many frames of which size are made on it, and by what."""

    name: str
    device: torch.device = field(init=False)
    frames: int = 4
    size: tuple[int, int] = (320, 192)
    networks: tuple[Network, ...] = tuple(map(Network, (*_BUNDLED, *_UNTRAINED)))
    compiled: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", resolve_device(self.name))

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def precision(self) -> str:
        """The precision where none is named: the usual one, but on CPUs, of which each chooses another."""
        return "fp32" if self.device.type == "cpu" else "auto"

    def precisions(self, network: Network) -> list[str]:
        """Return the precisions that the network has here; "auto" is one of them."""
        halves = ["fp16", "bf16"]
        if self.device.type == "cpu":  # where bf16 is emulated, large networks take minutes
            halves = ["bf16"] if network.bundled or multiplies_bf16() else []
        return ["fp32", *(halves if network.spec.supports_half else [])]

    def cases(self) -> dict[tuple[str, ...], list[tuple[object, ...]]]:
        """Return by names of arguments what a test with these arguments is run with, most arguments first."""
        bundled = [network for network in self.networks if network.bundled]
        others = [[self.name, self.name], *([[self.name, "cpu"]] if self.device.type != "cpu" else [])]
        kinds = [(network, "YUV444P8", True) for network in self.networks]
        kinds += [(network, "GRAY8", True) for network in bundled]
        kinds += [(bundled[-1], kind, False) for kind in ("YUV420P16", "RGBS", "GRAYH", "YUV422P16")]
        halves = [(network, precision) for network in self.networks for precision in self.precisions(network)]
        first_two = [(network, precision) for network in self.networks for precision in self.precisions(network)[:2]]
        copies = ["graphs", *(["compile"] if self.compiled else [])]
        return {
            ("network", "backend", "precision"): [
                *((network, "torch", precision) for network, precision in halves),
                *((network, backend, precision) for network, precision in first_two for backend in copies),
            ],
            ("network", "kind", "odd"): list(kinds),
            ("network", "precision"): list(first_two),
            ("network", "backend"): list(product(self.networks, ("torch", "graphs"))),
            ("network", "devices"): list(product(bundled, others)),
            ("network",): [(network,) for network in self.networks],
            ("bundled",): [(network,) for network in bundled],
        }

    def least_psnr(self, network: Network, precision: str | None = None) -> float:
        """Return the least PSNR in dB of the network's frames against those of the CPU in float32."""
        dtype = resolve_precision(precision or self.precision, self.device, network.spec)
        tf32 = dtype == torch.float32 and self.is_cuda and torch.backends.cudnn.allow_tf32
        return _LIMITS["TF32" if tf32 else dtype][not network.bundled]

    def least_psnr_again(self, network: Network) -> float:
        """Return the least PSNR in dB of the network's frames against the same frames made again."""
        return 55.0 if self.is_cuda and network.name in _UNREPEATABLE else float("inf")


def place_of(config: pytest.Config) -> Place:
    """Return the device of ``--device`` with everything, without the option the CPU with little.

    Raises:
        pytest.UsageError: There is no such device.
    """
    name = config.getoption("device")
    try:
        if name is not None:
            return Place(name=name)
    except VsrrinError as error:
        raise pytest.UsageError(f"--device: {error}") from error
    few = (Network("draft"), Network("balanced"))
    return Place(name="cpu", frames=2, size=(128, 96), networks=few, compiled=False)
