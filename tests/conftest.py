"""Clips and pictures that the tests share."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import vapoursynth as vs
from numpy.typing import NDArray
from torch import Tensor

from tests.machine import features, imitate
from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.backends.torch_backend import resolve_device
from vsrrin.nets.cain import CAIN
from vsrrin.nets.registry import by_name

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")
"""Where it is installed and does not work, these tests fail."""

MEDIA = Path(__file__).parents[1] / "media"
BUNNY = MEDIA / "bunny_stretch.mp4"

# What a shell starts in the background ignores Ctrl-C, and so does all that it starts in turn; but some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device",
        help="device, such as cuda:0, that tests marked 'device' run on, in tests/device with every network; without "
        "it they run on the CPU, with few networks",
    )
    parser.addoption(
        "--machine",
        default="plain",
        help="machine that the tests believe to run on: plain, or some of bf16,int8,one-core",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Before test modules are imported: some ask for the cores then. Not where other processes run the tests, which
    # would all inherit one core.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker:
        # What is measured and compiled is kept as long as the tests run, for the programs that they start too, and not
        # in the user's own folder.
        folder, cache = tempfile.TemporaryDirectory(prefix="vsrrin-tests-"), pytest.MonkeyPatch()
        config.add_cleanup(folder.cleanup)
        config.add_cleanup(cache.undo)
        cache.setenv("XDG_CACHE_HOME", folder.name)
    if worker or not config.getoption("numprocesses", None):
        patch = pytest.MonkeyPatch()
        config.add_cleanup(patch.undo)
        imitate(features(config.getoption("machine")), int(worker.removeprefix("gw") or 0), patch)


@pytest.fixture(scope="session")
def device(pytestconfig: pytest.Config) -> str:
    """The device that tests marked 'device' run on."""
    return str(resolve_device(pytestconfig.getoption("device") or "cpu"))


@pytest.fixture
def bunny() -> vs.VideoNode:
    """The bundled clip: 50 frames of real animation, 854x480, YUV420P8, 25 fps."""
    clip = vs.core.bs.VideoSource(str(BUNNY), cachemode=0)
    return clip.std.SetFrameProps(_Matrix=vs.MATRIX_BT709, _Range=0)  # the file does not say


@pytest.fixture
def small_bunny(bunny: vs.VideoNode) -> vs.VideoNode:
    """The first frames at a size that is quick to process."""
    return bunny[:8].resize.Bicubic(256, 144)


def planes(frame: vs.VideoFrame) -> list[NDArray[np.generic]]:
    """Copies of a frame's planes."""
    return [np.array(np.asarray(frame[plane])) for plane in range(frame.format.num_planes)]


def same_picture(first: vs.VideoFrame, second: vs.VideoFrame) -> bool:
    """Whether two frames are equal in format, size and every sample."""
    if (first.format.id, first.width, first.height) != (second.format.id, second.width, second.height):
        return False
    return all(np.array_equal(a, b) for a, b in zip(planes(first), planes(second), strict=True))


def psnr(first: NDArray[np.generic], second: NDArray[np.generic], peak: float = 255.0) -> float:
    """PSNR in dB."""
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return float(10 * np.log10(peak**2 / max(error, 1e-20)))


def texture(height: int, width: int, shift: tuple[float, float] = (0.0, 0.0), seed: int = 0) -> Tensor:
    """A smooth random picture (1, 3, height, width) in [0, 1], moved by (dx, dy) pixels: a picture of real detail
    whose motion is known exactly."""
    chooser = np.random.default_rng(seed)
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float64)
    xs, ys = xs - shift[0], ys - shift[1]
    channels = []
    for _ in range(3):
        picture = np.zeros((height, width))
        for _ in range(24):
            fx, fy = chooser.normal(0, 0.25, 2)
            picture += np.sin(fx * xs + fy * ys + chooser.uniform(0, 6.3)) / (1 + 8 * np.hypot(fx, fy))
        channels.append(0.5 + 0.12 * picture)
    return torch.from_numpy(np.stack(channels)[None].astype(np.float32)).clamp(0, 1)


@pytest.fixture
def log_messages() -> Iterator[list[str]]:
    """Everything said through VapourSynth's log during the test."""
    said: list[str] = []

    def listen(kind: int, text: str) -> None:
        said.append(text)

    handle = vs.core.core.add_log_handler(listen)
    yield said
    vs.core.core.remove_log_handler(handle)


@pytest.fixture
def counted() -> Callable[[vs.VideoNode], tuple[vs.VideoNode, list[int]]]:
    """Wraps a clip so that the numbers of the frames asked of it are recorded."""

    def wrap(clip: vs.VideoNode) -> tuple[vs.VideoNode, list[int]]:
        asked: list[int] = []

        def note(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
            asked.append(n)
            return f

        return clip.std.ModifyFrame(clip, note), asked

    return wrap


@pytest.fixture(scope="module")
def lite() -> Model:
    """The bundled network."""
    return loader.load("rrin_lite")


@pytest.fixture(scope="module")
def middle_only() -> Model:
    """A network that knows only t = 1/2, with weights of chance."""
    torch.manual_seed(0)
    net = CAIN(groups=1, blocks=1, features=16).eval().requires_grad_(False)
    return Model(net=net, spec=by_name("cain"), arithmetic="published", name="cain", path=Path("none"))
