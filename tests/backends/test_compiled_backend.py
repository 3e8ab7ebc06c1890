"""vsrrin.backends.compiled_backend"""

from pathlib import Path

import pytest
import torch

from tests.conftest import psnr, texture
from tests.engines import MOTION
from vsrrin.backends import compiled_backend
from vsrrin.backends.choice import make_backend
from vsrrin.backends.compiled_backend import CompiledBackend
from vsrrin.checkpoint import Model
from vsrrin.engine import Interpolator
from vsrrin.errors import BackendError
from vsrrin.nets import rrin_lite_quick

CPU = torch.device("cpu")

# Of the compiler about the interpreter: "Guards may run slower on Python 3.13.0".
pytestmark = pytest.mark.filterwarnings("ignore:Guards may run slower:RuntimeWarning")


@pytest.fixture(scope="module")
def quick() -> Model:
    """A little network whose weights are of chance."""
    torch.manual_seed(0)
    net = rrin_lite_quick.QuickLite(widths=(8, 8), blocks=(1, 1)).eval().requires_grad_(False)
    for layer in (net.weigher.weigh, net.weigher.move):
        torch.nn.init.normal_(layer.weight, std=0.1)
    return Model(net, rrin_lite_quick.SPEC, "exact", "quick", Path("none"), {})


def test_frames_of_all_sizes_are_those_of_the_default_backend(quick: Model) -> None:
    backend = make_backend("compile", quick.net, quick.spec, CPU, torch.float32)
    assert type(backend) is CompiledBackend
    compiled, plain = Interpolator(quick, backend=backend), Interpolator(quick, precision="fp32")
    counters = torch._dynamo.utils.counters["stats"]
    graphs = counters["unique_graphs"]
    assert graphs >= 1
    for size in ((64, 96), (96, 64), (160, 128)):
        pair = texture(*size), texture(*size, MOTION)
        (found,), (expected,) = (engine.interpolate(*pair, [0.25]) for engine in (compiled, plain))
        assert psnr(found.numpy(), expected.numpy()) > 90
        assert not torch.equal(found, plain.interpolate(*pair, [0.75])[0])
    assert counters["unique_graphs"] == graphs, "compiled again for another size"


def test_what_cannot_be_compiled_is_an_error_at_once(quick: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: object, **_: object) -> object:
        def run(*_: object) -> None:
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nmore of it")

        return run

    monkeypatch.setattr(compiled_backend.torch, "compile", broken)
    with pytest.raises(BackendError) as caught:
        make_backend("compile", quick.net, quick.spec, CPU, torch.float32)
    text = str(caught.value)
    assert "backend 'compile': PyTorch cannot compile weigher for cpu" in text
    assert "No working C++ compiler found)" in text and "backend='torch'" in text
