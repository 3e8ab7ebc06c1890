"""vsrrin.engine.backends.torch_backend: devices and precision; test_contract.py has the pictures."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.conftest import texture
from tests.machine import real_multiplies_bf16
from vsrrin.engine.backends import processor
from vsrrin.engine.backends.torch_backend import TorchBackend, resolve_device, resolve_precision
from vsrrin.errors import ArgumentError, BackendError
from vsrrin.nets import NetSpec, rrin, rrin_lite

CPU = torch.device("cpu")
HEIGHT, WIDTH = 48, 64


def make_net(spec: NetSpec) -> nn.Module:
    """A small network of this kind with seeded weights, all parts of it alive."""
    torch.manual_seed(0)
    net = rrin.RRIN("exact", width=8) if spec is rrin.SPEC else spec.default()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d) and not layer.weight.any():
            nn.init.normal_(layer.weight, std=1e-3)
    return net.eval()


def inputs(spec: NetSpec) -> tuple[Tensor, Tensor, Tensor | None]:
    img0, img1 = texture(HEIGHT, WIDTH), texture(HEIGHT, WIDTH, (2.0, 1.0))
    flow = torch.tensor([2.0, 1.0, -2.0, -1.0]).view(1, 4, 1, 1).expand(1, 4, HEIGHT // 2, WIDTH // 2).contiguous()
    return img0, img1, flow if spec.external_flow else None


def half() -> Tensor:
    return torch.full((1, 1, 1, 1), 0.5)


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, xpu: int = 0, mps: bool = False) -> None:
    """Another machine, with so many devices."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: xpu > 0)
    monkeypatch.setattr(torch.xpu, "device_count", lambda: xpu)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


# Devices


@pytest.mark.parametrize(
    ("here", "best"),
    [
        ({}, "cpu"),
        ({"mps": True}, "mps"),
        ({"mps": True, "xpu": 1}, "xpu:0"),
        ({"mps": True, "xpu": 1, "cuda": 1}, "cuda:0"),
        ({"cuda": 8}, "cuda:0"),
    ],
)
def test_no_name_is_the_best_device_here(monkeypatch: pytest.MonkeyPatch, here: dict[str, int], best: str) -> None:
    pretend(monkeypatch, **here)  # type: ignore[arg-type]
    assert resolve_device(None) == torch.device(best)


@pytest.mark.parametrize(("name", "device"), [("cuda", "cuda:0"), ("cpu:0", "cpu"), ("mps:0", "mps"), ("xpu", "xpu:0")])
def test_a_device_has_one_name(monkeypatch: pytest.MonkeyPatch, name: str, device: str) -> None:
    pretend(monkeypatch, cuda=2, xpu=1, mps=True)
    assert str(resolve_device(name)) == device


@pytest.mark.parametrize("name", ["cpu", "cuda:0", "cuda:1", "xpu:0", "mps", torch.device("cuda:1")])
def test_a_device_that_is_here_is_taken_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str | torch.device) -> None:
    pretend(monkeypatch, cuda=2, xpu=1, mps=True)
    assert resolve_device(name) == torch.device(name)


@pytest.mark.parametrize(
    ("name", "found"),
    [("cuda:2", "finds 2 cuda device(s)"), ("xpu", "finds 0 xpu device(s)"), ("mps", "finds 0 mps device(s)")],
)
def test_an_absent_device_is_refused_with_what_is_here(monkeypatch: pytest.MonkeyPatch, name: str, found: str) -> None:
    pretend(monkeypatch, cuda=2)
    with pytest.raises(BackendError) as caught:
        resolve_device(name)
    text = str(caught.value)
    assert f"device {name!r} is not available" in text
    assert found in text
    assert text.endswith("these kinds: cuda, cpu")


@pytest.mark.parametrize(
    "name", ["toaster", "", "cuda:-1", "cuda:x", "cuda:1.5", "meta", "CPU", "gpu", 0, True, ["cpu"]]
)
def test_what_is_no_device_is_refused(monkeypatch: pytest.MonkeyPatch, name: object) -> None:
    pretend(monkeypatch, cuda=2)
    with pytest.raises(ArgumentError) as caught:
        resolve_device(name)  # type: ignore[arg-type]
    assert 'device must be "cpu", "cuda", "cuda:1", "xpu", "mps" or None' in str(caught.value)
    assert repr(name) in str(caught.value)


# Precision


@pytest.mark.parametrize("fast_bf16", [True, False])
@pytest.mark.parametrize("supports_half", [True, False])
@pytest.mark.parametrize("kind", ["cuda", "xpu", "mps", "cpu"])
def test_automatic_precision(monkeypatch: pytest.MonkeyPatch, kind: str, supports_half: bool, fast_bf16: bool) -> None:
    monkeypatch.setattr(processor, "multiplies_bf16", lambda: fast_bf16)
    spec = replace(rrin_lite.SPEC, supports_half=supports_half)
    expected = torch.float16 if kind != "cpu" else torch.bfloat16 if fast_bf16 else torch.float32
    found = resolve_precision("auto", torch.device(kind), spec)
    assert found == (expected if supports_half else torch.float32)


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)]
)
@pytest.mark.parametrize("kind", ["cuda", "cpu"])
def test_named_precision_is_taken_at_its_word(name: str, dtype: torch.dtype, kind: str) -> None:
    spec = replace(rrin_lite.SPEC, supports_half=True)
    assert resolve_precision(name, torch.device(kind), spec) == dtype


@pytest.mark.parametrize("name", ["fp16", "bf16"])
def test_half_precision_is_refused_for_networks_that_do_not_bear_it(name: str) -> None:
    spec = replace(rrin_lite.SPEC, name="fragile", supports_half=False)
    with pytest.raises(ArgumentError, match=f"precision must be fp32 or auto for fragile, not '{name}'"):
        resolve_precision(name, CPU, spec)
    assert resolve_precision("fp32", CPU, spec) == torch.float32


@pytest.mark.parametrize("name", ["fp8", "float16", "FP16", "", None, 16])
def test_what_is_no_precision_is_refused(name: object) -> None:
    with pytest.raises(ArgumentError, match="precision must be one of auto, fp32, fp16, bf16, int8, not"):
        resolve_precision(name, CPU, rrin_lite.SPEC)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags : fpu avx2 avx512f avx512_bf16 amx_tile", True),
        ("flags : fpu avx2 amx_bf16 amx_tile", True),
        ("flags : fpu avx2 avx512f avx512_vnni", False),
        ("", False),
    ],
)
def test_bf16_is_fast_where_the_cpu_says_so(monkeypatch: pytest.MonkeyPatch, flags: str, expected: bool) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"processor : 0\n{flags}\n")
    assert real_multiplies_bf16() is expected


def test_bf16_is_not_fast_where_nobody_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> str:
        raise FileNotFoundError("/proc/cpuinfo")

    monkeypatch.setattr(Path, "read_text", absent)
    assert real_multiplies_bf16() is False


# The backend


def test_the_callers_net_stays_as_it_is() -> None:
    spec = rrin.SPEC
    net = make_net(spec).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    strides = [parameter.stride() for parameter in net.parameters()]
    backend = TorchBackend(net, spec, CPU, torch.bfloat16)
    img0, img1, flow = inputs(spec)
    backend.synthesize(img0, img1, backend.estimate(img0, img1, flow), half())
    backend.close()
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    assert {parameter.device for parameter in net.parameters()} == {CPU}
    assert [parameter.stride() for parameter in net.parameters()] == strides
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("spec", [rrin.SPEC, rrin_lite.SPEC], ids=lambda spec: spec.name)
@pytest.mark.device
def test_every_device_gives_the_picture_of_the_cpu(device: str, spec: NetSpec, dtype: torch.dtype) -> None:
    net, (img0, img1, flow) = make_net(spec), inputs(spec)
    backend, plain = TorchBackend(net, spec, torch.device(device), dtype), TorchBackend(net, spec, CPU, torch.float32)
    there = [None if x is None else x.to(device) for x in (img0, img1, flow)]
    found = backend.synthesize(*there[:2], backend.estimate(*there), half().to(device))  # type: ignore[arg-type, misc]
    assert (found.device, found.dtype) == (torch.device(device), torch.float32)
    expected = plain.synthesize(img0, img1, plain.estimate(img0, img1, flow), half())
    # On a GPU convolutions of float32 may be TF32.
    tolerance = 2e-2 if dtype == torch.bfloat16 else 0.0 if device == "cpu" else 5e-3
    torch.testing.assert_close(found.cpu(), expected, atol=tolerance, rtol=0)


def test_output_layers_stay_float32() -> None:
    backend = TorchBackend(make_net(rrin.SPEC), rrin.SPEC, CPU, torch.bfloat16)
    kinds = {name: parameter.dtype for name, parameter in backend._net.named_parameters()}
    assert {name.split(".")[-2] for name, dtype in kinds.items() if dtype == torch.float32} == {"last"}
    assert set(kinds.values()) == {torch.float32, torch.bfloat16}
    assert not any(parameter.requires_grad for parameter in backend._net.parameters())
    assert not backend._net.training


def test_a_closed_backend_lets_its_net_go() -> None:
    backend = TorchBackend(make_net(rrin_lite.SPEC), rrin_lite.SPEC, CPU, torch.float32)
    net = weakref.ref(backend._net)
    backend.close()
    gc.collect()
    assert net() is None
    backend.close()  # twice does no harm


@pytest.mark.parametrize(
    ("dtype", "expected"), [(torch.float32, 1000), (torch.float16, 750), (torch.bfloat16, 750)], ids=str
)
def test_memory_per_pixel(dtype: torch.dtype, expected: int) -> None:
    spec = replace(rrin_lite.SPEC, bytes_per_pixel=1000)
    assert TorchBackend(make_net(spec), spec, CPU, dtype).bytes_per_pixel == expected
