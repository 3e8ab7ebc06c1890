"""What tests of the engine share: pictures that move, a backend that takes notes."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from tests.conftest import texture
from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.backends.torch_backend import TorchBackend
from vsrrin.nets import NETS

MOTION = (6.0, -4.0)


def middle(height: int, width: int, t: float = 0.5) -> Tensor:
    return texture(height, width, (MOTION[0] * t, MOTION[1] * t))


def inner(image: Tensor) -> Tensor:
    return image[..., 12:-12, 12:-12]


def untrained(name: str) -> Model:
    """A network of the registry with seeded random weights."""
    spec = next(spec for spec in NETS if spec.name == name)
    torch.manual_seed(1)
    net = spec.default().eval().requires_grad_(False)
    return Model(net=net, spec=spec, arithmetic=spec.arithmetics[0], name=name, path=loader.bundled()["rrin_lite"])


@dataclass
class Recorder:
    """A backend that notes what is asked of the real one, and runs out of memory above a number of pixels."""

    inner: TorchBackend
    limit: float = float("inf")
    estimates: list[torch.Size] = field(default_factory=list)
    syntheses: list[torch.Size] = field(default_factory=list)
    shares: list[torch.Size] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name, self.device, self.bytes_per_pixel = self.inner.name, self.inner.device, self.inner.bytes_per_pixel

    def _check(self, image: Tensor) -> None:
        if image.shape[-1] * image.shape[-2] > self.limit:
            torch.empty(2**50)  # the allocator's own way of saying no

    def estimate(self, img0: Tensor, img1: Tensor, flow: Tensor | None) -> Tensor:
        self.estimates.append(img0.shape)
        return self.inner.estimate(img0, img1, flow)

    def share(self, img0: Tensor, img1: Tensor, estimate: Tensor) -> Tensor:
        self.shares.append(img0.shape)
        self._check(img0)
        return self.inner.share(img0, img1, estimate)

    def synthesize(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        self.syntheses.append(img0.shape)
        self.peaks.append(float(torch.maximum(img0, img1).max()))
        self._check(img0)
        return self.inner.synthesize(img0, img1, estimate, t)

    def close(self) -> None:
        self.inner.close()


def recorder(model: Model, limit: float = float("inf")) -> Recorder:
    return Recorder(TorchBackend(model.net, model.spec, torch.device("cpu"), torch.float32), limit)
