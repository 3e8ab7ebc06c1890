"""backends.openvino_backend and choice; what all backends share is in test_contract.py."""

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.conftest import texture
from tests.engine.backends.test_openvino_graph import Two
from tests.engine.backends.test_torch_backend import make_net
from vsrrin.checkpoint import loader
from vsrrin.engine import pool
from vsrrin.engine.backends import choice, openvino_backend, processor
from vsrrin.engine.backends.choice import make_backend, resolve_backend
from vsrrin.engine.backends.openvino_backend import OpenVinoBackend
from vsrrin.engine.backends.openvino_package import ov
from vsrrin.engine.backends.torch_backend import TorchBackend
from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError, BackendError
from vsrrin.nets import NETS, rrin, rrin_lite
from vsrrin.nets.parts.convolution_stacks import Levels, Stack, mark_stack, stacks_of

ROOT = Path(__file__).resolve().parents[3]
CPU = torch.device("cpu")


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_stack_may_have_several_results(order: torch.memory_format) -> None:
    net = Two().eval().requires_grad_(False)
    run = openvino_backend.compiled(net, "forward", Stack(3, 1), torch.float32)
    x = torch.rand(1, 3, 10, 14).contiguous(memory_format=order)
    found = run(x)
    assert [result.is_contiguous(memory_format=order) for result in found] == [True, True]
    for result, expected in zip(found, net(x), strict=True):
        torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


def test_every_net_with_layers_has_stacks_and_they_keep_their_marks_in_copies() -> None:
    for spec in NETS:
        with torch.device("meta"):
            net = spec.default()
        assert any(map(stacks_of, net.modules())) == any(True for _ in net.parameters()), spec.name
    mark = nn.Module()
    mark_stack(mark, 3)
    mark_stack(mark, 5, multiple=4, method="other")
    assert stacks_of(mark) == {"forward": Stack(3, 1), "other": Stack(5, 4)}


# The backend


def test_stacks_are_compiled_and_their_weights_let_go() -> None:
    backend = OpenVinoBackend(make_net(rrin.SPEC), rrin.SPEC, CPU, torch.float32)
    assert {parameter.device.type for parameter in backend._net.parameters()} == {"meta"}
    assert backend.name == f"openvino {ov.get_version().partition('-')[0]}"
    net = weakref.ref(backend._net)
    backend.close()
    gc.collect()
    assert net() is None


@pytest.mark.parametrize("stack", ["refine", "choose"])
def test_a_stack_keeps_the_order_of_its_input_in_memory(stack: str) -> None:
    """Of one picture; each size is compiled by itself then, and only a few are kept."""
    module = getattr(make_net(rrin_lite.SPEC), stack)
    mark = stacks_of(module)["forward"]
    run = openvino_backend.compiled(module, "forward", mark, torch.float32)
    chooser = torch.Generator().manual_seed(0)
    for side in (16, 24, 32, 40, 48, 56, 16):
        x = torch.rand(1, mark.channels, 16, side, generator=chooser)
        plain, innermost = run(x), run(x.contiguous(memory_format=torch.channels_last))
        assert plain.is_contiguous()
        assert innermost.is_contiguous(memory_format=torch.channels_last)
        assert torch.allclose(innermost, plain, atol=1e-5)
        assert torch.equal(innermost, run(x.contiguous(memory_format=torch.channels_last)))
    assert list(run._sized) == [((1, mark.channels, 16, side), torch.float32) for side in (40, 48, 56, 16)]
    both = torch.rand(2, mark.channels, 16, 16, generator=chooser)
    together = run(both.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(together, torch.cat([run(x[None]) for x in both]), atol=1e-5)


@pytest.mark.parametrize("name", ["rrin_lite refine", "rrin_lite choose", "balanced weigher"])
def test_a_stack_takes_levels_for_what_it_would_round_to_them(name: str) -> None:
    model, _, stack = name.partition(" ")
    module = getattr(loader.load(model).net, stack)
    mark = stacks_of(module)["forward"]
    run = openvino_backend.compiled(module, "forward", mark, torch.int8)
    assert run.levels == Levels.of(*mark.ranges[0])
    numbers = torch.randint(0, 256, (1, mark.channels, 16, 24), dtype=torch.uint8)
    numbers = numbers.contiguous(memory_format=torch.channels_last)
    values = (numbers.float() - run.levels.zero) * run.levels.step
    given, rounded = (found if isinstance(found, tuple) else (found,) for found in (run(numbers), run(values)))
    assert all(result.is_contiguous(memory_format=torch.channels_last) for result in given)
    assert all(torch.equal(a, b) for a, b in zip(given, rounded, strict=True))


@pytest.mark.parametrize("name", ["fp16", "cuda"])
def test_what_openvino_does_not_know_is_refused(name: str) -> None:
    device, dtype = (torch.device("cuda"), torch.float32) if name == "cuda" else (CPU, torch.float16)
    if name == "fp16" and "fp16" in openvino_backend.precisions():
        OpenVinoBackend(make_net(rrin_lite.SPEC), rrin_lite.SPEC, device, dtype).close()
        return
    with pytest.raises(ArgumentError) as caught:
        OpenVinoBackend(make_net(rrin_lite.SPEC), rrin_lite.SPEC, device, dtype)
    assert {"fp16": "precision must be one of auto, fp32", "cuda": "runs on the CPU only, not on 'cuda'"}[name] in str(
        caught.value
    )


# The choice


@pytest.mark.parametrize("name", ["vulkan", "", None, 3, "OpenVINO"])
def test_what_is_no_backend_is_refused(name: object) -> None:
    with pytest.raises(ArgumentError, match="backend must be one of auto, torch, openvino, compile, graphs, not"):
        resolve_backend(name, None)  # type: ignore[arg-type]


def test_openvino_means_the_cpu_unless_a_device_is_named() -> None:
    assert resolve_backend("openvino", None) == "cpu"
    assert resolve_backend("openvino", "cuda") == "cuda"
    assert resolve_backend("torch", None) is None
    assert resolve_backend("auto", None) is None


def ways(name: str, backend: str = "auto", precision: str = "auto") -> list[str]:
    return [str(way) for way in choice.ways_on_cpu(backend, precision, loader.load(name))]


def test_what_is_open_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ways("rrin_lite") == ["openvino fp32", "torch fp32"]
    assert ways("rrin_lite", precision="fp32") == ["openvino fp32", "torch fp32"]
    assert ways("rrin_lite", "torch") == ["torch fp32"]
    assert ways("draft") == ["torch fp32"]  # no convolution of it does anything
    monkeypatch.setattr(openvino_backend, "precisions", lambda: ["fp32", "bf16", "int8"])
    monkeypatch.setattr(processor, "multiplies_bf16", lambda: True)
    assert ways("rrin_lite") == ["openvino fp32", "openvino bf16", "torch fp32", "torch bf16"]
    monkeypatch.setattr(processor, "multiplies_int8", lambda: True)
    assert ways("rrin_lite") == ["openvino fp32", "openvino bf16", "openvino int8", "torch fp32", "torch bf16"]
    assert ways("rrin_lite", "openvino") == ["openvino fp32", "openvino bf16", "openvino int8"]
    assert ways("rrin_lite", precision="int8") == ["openvino int8"]
    assert ways("draft") == ["torch fp32"]
    monkeypatch.setattr(openvino_backend, "installed", lambda: False)
    assert ways("rrin_lite") == ["torch fp32", "torch bf16"]


def test_what_is_fastest_is_used() -> None:
    model = loader.load("rrin_lite")
    assert choice.resolve_way("auto", "auto", model, CPU) == ("openvino", torch.float32)
    assert choice.resolve_way("torch", "auto", model, CPU) == ("torch", torch.float32)
    assert choice.resolve_way("compile", "bf16", model, CPU) == ("compile", torch.bfloat16)
    assert choice.resolve_way("auto", "auto", model, torch.device("cuda")) == ("torch", torch.float16)
    assert type(make_backend("torch", model.net, model.spec, CPU, torch.float32)) is TorchBackend


@pytest.mark.parametrize(
    ("name", "backend", "reason"),
    [
        ("rrin_lite", "torch", "PyTorch has no such convolutions"),
        ("rrin_lite", "compile", "but on the CPU with OpenVINO"),
        ("draft", "openvino", "draft has no convolutions at work"),
        ("draft", "auto", "draft has no convolutions at work"),
        ("srrin_half", "auto", "needs the ranges of srrin_half: .* has none beside it; vsrrin models quantize"),
    ],
)
def test_8_bit_that_cannot_be_had_is_refused(name: str, backend: str, reason: str) -> None:
    with pytest.raises(ArgumentError, match=rf"precision.*'int8'.*{reason}"):
        choice.resolve_way(backend, "int8", loader.load(name), CPU)
    with pytest.raises(ArgumentError, match=r"precision.*'int8'"):
        choice.resolve_way("auto", "int8", loader.load(name), torch.device("cuda"))


def test_automatic_choice_survives_an_installation_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise BackendError("libopenvino.so: cannot open shared object file")

    monkeypatch.setattr(openvino_backend, "_core", broken)
    assert ways("rrin_lite") == ["torch fp32"]
    with pytest.raises(BackendError, match="cannot open shared object"):
        choice.resolve_way("openvino", "auto", loader.load("rrin_lite"), CPU)


def test_networks_of_both_backends_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_kept", type(pool._kept)())
    names = "torch", "openvino", "torch"
    found = [pool.shared(Options(device="cpu", precision="fp32", backend=name)) for name in names]
    assert found[0] is found[2]
    assert [shared.backend.name.partition(" ")[0] for shared in found[:2]] == ["torch", "openvino"]


_QUIET = """
import socket, sys
def refuse(*_):
    raise AssertionError("something is sent over the network")
socket.socket.connect = socket.getaddrinfo = refuse
import torch
from vsrrin.engine.options import Options
from vsrrin.engine.pool import shared
print(shared(Options(device="cpu", precision="fp32", backend="openvino")).backend.name)
print("openvino_telemetry" in sys.modules)
"""


def test_nothing_is_reported_and_nothing_is_left_at_home(tmp_path: Path) -> None:
    """OpenVINO itself does both when it is imported."""
    variables = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    variables.pop("XDG_CACHE_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", _QUIET], capture_output=True, text=True, env=variables, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("openvino ")
    assert done.stdout.splitlines()[1] == "False"
    assert not list(tmp_path.iterdir())


_WITHOUT = """
import sys
sys.modules["openvino"] = None
import vapoursynth as vs, vsrrin
from vsrrin.engine.options import Options
from vsrrin.engine.pool import shared
clip = vs.core.std.BlankClip(width=64, height=64, format=vs.RGB24, length=2)
print(shared(Options(device="cpu")).backend.name)
vsrrin.interpolate(clip, device="cpu")
try:
    vsrrin.interpolate(clip, backend="openvino")
except vs.Error as error:
    print(error)
"""


def test_without_the_package(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _WITHOUT], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    name, error = done.stdout.splitlines()
    assert name == "torch"
    assert error == (
        "vsrrin.interpolate: backend 'openvino' is not available: the package openvino is not installed: "
        "pip install 'vsrrin[openvino]'"
    )


def test_the_smallest_stacks_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written by who uses the bundled weights alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = loader.load("rrin_lite")
    backend = OpenVinoBackend(model.net, model.spec, CPU, torch.float32)
    img0, img1 = texture(48, 64), texture(48, 64, (2.0, 1.0))
    flow = torch.zeros(1, 4, 24, 32)
    backend.synthesize(img0, img1, backend.estimate(img0, img1, flow), torch.full((1, 1, 1, 1), 0.5))
    assert not list(tmp_path.iterdir())
