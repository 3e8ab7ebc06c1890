"""Tests by what the device has, and the filter on it beside the CPU."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import vapoursynth as vs

import vsrrin
from scripts.benchmarks.clips import opencv_clip
from scripts.models.random_weights import random_model, save_model
from vsrrin.engine.backends import graph_backend

from .place import Network, Place, place_of
from .rendering import Picture, difference, straight

_LIVELY = 8.0
"""What output layers of random U-Nets are multiplied by: else their flow is next to nothing."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give tests the networks, backends, precisions, formats and lists of devices that they name as arguments."""
    cases = place_of(metafunc.config).cases()
    names = next((names for names in cases if set(names) <= set(metafunc.fixturenames)), None)
    if names is not None:
        ids = ["-".join(str(value) for value in case) for case in cases[names]]
        metafunc.parametrize(names, cases[names], ids=ids)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave what CUDA alone can do to CUDA."""
    return True if collection_path.name == "test_cuda.py" and not place_of(config).is_cuda else None


def pytest_report_header(config: pytest.Config) -> str:
    """Return facts on which the results depend."""
    device, text = place_of(config).device, f"PyTorch {torch.__version__}, {vs.core.num_threads} threads of VapourSynth"
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        text += f", {found.name}, compute capability {found.major}.{found.minor}, {found.total_memory >> 30} GiB, "
        text += f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    return f"device: {device}, {text}"


@pytest.fixture(scope="session")
def place(pytestconfig: pytest.Config) -> Place:
    return place_of(pytestconfig)


@pytest.fixture(autouse=True)
def any_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded without failing works with an older PyTorch, too."""
    monkeypatch.setattr(graph_backend, "_FIRST_TO_RECORD", (2, 0))


@pytest.fixture(scope="session", autouse=True)
def in_use_before(place: Place) -> int:
    """Bytes of the device that were in use before the first test."""
    if place.is_cuda:
        torch.cuda.init()  # its memory cannot be asked about before
        return torch.cuda.memory_allocated(place.device)
    return 0


class Bench:
    """The filter on the device, and on the CPU in float32 by plain PyTorch."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place, self._folder = place, folder
        self.model = cache(self._model)
        self.clip = cache(self._clip)
        self.expected = cache(self._expected)

    def _model(self, network: Network) -> str:
        if network.bundled:
            return network.name
        model = random_model(network.spec)
        for name, parameter in model.net.named_parameters():
            if name.endswith(".last.weight"):
                parameter.mul_(_LIVELY)
        return str(save_model(model, self._folder))

    def _clip(
        self, frames: int | None = None, size: tuple[int, int] | None = None, kind: int | None = None
    ) -> vs.VideoNode:
        return opencv_clip(frames or self.place.frames, size or self.place.size, kind)

    def output(
        self, network: Network, clip: vs.VideoNode | None = None, factor: str = "2", **options: Any
    ) -> vs.VideoNode:
        """Return a new filter on the device."""
        given = {"device": self.place.name, "precision": self.place.precision, "backend": "torch", "scene": "off"}
        return vsrrin.interpolate(clip or self.clip(), factor, self.model(network), **given | options)

    def _expected(
        self, network: Network, clip: vs.VideoNode | None = None, factor: str = "2", **options: Any
    ) -> list[Picture]:
        return straight(self.output(network, clip, factor, **options, device="cpu", precision="fp32"))


@pytest.fixture(scope="session")
def bench(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(place, tmp_path_factory.mktemp("checkpoints"))


type Judge = Callable[[list[Picture], list[Picture], float], None]


@pytest.fixture
def judge(record_property: Callable[[str, object], None]) -> Judge:
    """Assert that frames are as others but for so many dB, and keep the figures for the report."""

    def assert_close(found: list[Picture], expected: list[Picture], least: float) -> None:
        levels, psnr = difference(found, expected)
        record_property("psnr", psnr)
        record_property("levels", levels)
        assert psnr >= least, f"{psnr:.1f} dB, at most {levels:.3g} levels apart"

    return assert_close
