"""vsrrin.engine.backends.compiled_backend"""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.conftest import psnr, texture
from tests.engines import MOTION
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.backends import compiled_backend
from vsrrin.engine.backends.choice import make_backend
from vsrrin.engine.backends.compiled_backend import CompiledBackend
from vsrrin.engine.backends.torch_backend import TorchBackend
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.errors import BackendError
from vsrrin.nets import rrin_lite, rrin_lite_quick
from vsrrin.nets.spec import NetSpec

CPU = torch.device("cpu")

# Of the compiler about the interpreter: "Guards may run slower on Python 3.13.0".
pytestmark = pytest.mark.filterwarnings("ignore:Guards may run slower:RuntimeWarning")


def little(net: nn.Module, spec: NetSpec) -> Model:
    """A little network, all of whose weights are of chance."""
    torch.manual_seed(0)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.1)
    return Model(net=net.eval().requires_grad_(False), spec=spec, arithmetic="exact", name="little", path=Path("none"))


@pytest.fixture(scope="module")
def quick() -> Model:
    return little(rrin_lite_quick.QuickLite(widths=(8, 8), blocks=(1, 1)), rrin_lite_quick.SPEC)


@pytest.fixture(scope="module")
def lite() -> Model:
    """One with two stacks, of different kinds."""
    net = rrin_lite.RRINLite(
        refine_width=8,
        refine_blocks=1,
        choose_widths=(8, 8),
        choose_blocks=(1, 1),
        refine_context_widths=(8,),
        refine_context_blocks=(1,),
        choose_context_widths=(),
        choose_context_blocks=(),
    )
    return little(net, rrin_lite.SPEC)


def test_half_precision_is_compiled_as_it_is_run(lite: Model) -> None:
    backend = make_backend("compile", lite.net, lite.spec, CPU, torch.bfloat16)
    assert type(backend) is CompiledBackend
    pair = texture(64, 96), texture(64, 96, MOTION)
    plain = TorchBackend(lite.net, lite.spec, CPU, torch.bfloat16)
    (found,), (expected,) = (Interpolator(lite, backend=each).interpolate(*pair, [0.5]) for each in (backend, plain))
    assert psnr(found.numpy(), expected.numpy()) > 40


def test_frames_of_all_sizes_are_those_of_the_default_backend(quick: Model) -> None:
    backend = make_backend("compile", quick.net, quick.spec, CPU, torch.float32)
    assert type(backend) is CompiledBackend
    compiled, plain = (
        Interpolator(quick, backend=backend),
        Interpolator(quick, Options(precision="fp32", backend="torch")),
    )
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
    assert "backend 'compile': PyTorch cannot compile rrin_lite_quick for cpu" in text
    assert "No working C++ compiler found)" in text and "install a C++ compiler, or use backend='torch'" in text


def test_lack_of_memory_is_not_taken_for_lack_of_a_compiler(quick: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> object:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(compiled_backend.torch, "compile", lambda *_, **__: exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        make_backend("compile", quick.net, quick.spec, CPU, torch.float32)
