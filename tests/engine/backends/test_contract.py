"""What every backend has to do alike, with every network."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from tests.nets.conftest import GAINS, SMALL, Pair, _keyed_state
from vsrrin.engine.backends import Backend, openvino_backend
from vsrrin.engine.backends.openvino_backend import OpenVinoBackend
from vsrrin.engine.backends.torch_backend import TorchBackend
from vsrrin.nets import NETS, NetSpec

CPU = torch.device("cpu")
BACKENDS = {
    "torch": TorchBackend,
    **({"openvino": OpenVinoBackend} if openvino_backend.installed() else {}),
}
# Difference from float32 in plain PyTorch of nearly all values, and the mean one. For bf16 as in
# tests/nets/test_contract.py: the weights are made up to amplify.
TOLERANCE = {torch.float32: (1e-4, 1e-6), torch.bfloat16: (0.05, 0.005)}
CASES = [(name, torch.float32) for name in BACKENDS] + [("torch", torch.bfloat16)]
# PyTorch computes in bf16 on any processor, OpenVINO only where the hardware does.
if openvino_backend.installed() and "bf16" in openvino_backend.precisions():
    CASES.append(("openvino", torch.bfloat16))

Make = Callable[[NetSpec, torch.dtype], Backend]


@pytest.fixture(scope="module")
def nets() -> dict[str, nn.Module]:
    """A small network of every kind, all parts of which move the result."""
    made = {}
    for spec in NETS:
        net = SMALL.get(spec.name, spec.default)().eval()
        net.load_state_dict(_keyed_state(net, GAINS[spec.name]))
        made[spec.name] = net
    return made


@pytest.fixture(scope="module", params=BACKENDS)
def make(request: pytest.FixtureRequest, nets: dict[str, nn.Module]) -> Iterator[Make]:
    """Every backend that is installed, made once per network and type."""
    made: dict[tuple[str, torch.dtype], Backend] = {}

    def get(spec: NetSpec, dtype: torch.dtype) -> Backend:
        key = spec.name, dtype
        if key not in made:
            made[key] = BACKENDS[request.param](nets[spec.name], spec, CPU, dtype)
        return made[key]

    yield get
    for backend in made.values():
        backend.close()


def inputs(spec: NetSpec, height: int = 64, width: int = 96) -> tuple[Tensor, Tensor, Tensor | None]:
    flow = torch.tensor([1.5, -1.0, -1.5, 1.0]).view(1, 4, 1, 1).expand(1, 4, height // 2, width // 2).contiguous()
    return Pair.at(0, height, width), Pair.at(1, height, width), flow if spec.external_flow else None


def times(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


def picture(backend: Backend, frames: tuple[Tensor, Tensor, Tensor | None], t: Tensor) -> Tensor:
    img0, img1, flow = frames
    return backend.synthesize(img0, img1, backend.estimate(img0, img1, flow), t)


@pytest.mark.parametrize(("make", "dtype"), CASES, ids=str, indirect=["make"])
@pytest.mark.parametrize("spec", NETS, ids=lambda spec: spec.name)
def test_pictures_of_any_size_are_those_of_the_net(
    make: Make, nets: dict[str, nn.Module], spec: NetSpec, dtype: torch.dtype
) -> None:
    """Sizes one after the other through one backend, and back to the first."""
    backend, most, mean = make(spec, dtype), *TOLERANCE[dtype]
    for height, width in ((64, 96), (112, 80), (64, 96)):
        frames = inputs(spec, height, width)
        t = times(0.5)
        found = picture(backend, frames, t)
        with torch.no_grad():
            expected = nets[spec.name](*frames[:2], t, *(x for x in frames[2:] if x is not None))
        assert (found.shape, found.dtype) == ((1, 3, height, width), torch.float32)
        difference = (found - expected).abs()
        # Not the largest: splatting puts a pixel elsewhere when its flow changes by the last bit.
        assert (difference > most).double().mean() < 1e-3
        assert difference.mean() < mean


@pytest.mark.parametrize(("make", "dtype"), CASES, ids=str, indirect=["make"])
@pytest.mark.parametrize("spec", NETS, ids=lambda spec: spec.name)
def test_equal_arguments_give_equal_bits_whoever_asks(make: Make, spec: NetSpec, dtype: torch.dtype) -> None:
    backend, frames = make(spec, dtype), [inputs(spec), inputs(spec, 80, 64)]
    first = [picture(backend, given, times(0.5)) for given in frames]
    kept = [image.clone() for image in first]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: picture(backend, frames[number % 2], times(0.5)), range(4)))
    assert all(torch.equal(image, kept[number % 2]) for number, image in enumerate(found))
    assert all(map(torch.equal, first, kept))  # what was returned before is not written over


@pytest.mark.parametrize("spec", NETS, ids=lambda spec: spec.name)
def test_several_pairs_in_one_call_come_out_as_alone(make: Make, spec: NetSpec) -> None:
    backend, (img0, img1, flow) = make(spec, torch.float32), inputs(spec)
    flows = None if flow is None else torch.cat((flow, -flow))
    both = picture(backend, (torch.cat((img0, img1)), torch.cat((img1, img0)), flows), times(0.5, 0.25))
    alone = picture(backend, (img1, img0, None if flow is None else -flow), times(0.25))
    assert both.shape == (2, 3, 64, 96)
    torch.testing.assert_close(both[1:], alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize("spec", NETS, ids=lambda spec: spec.name)
def test_the_callers_net_stays_as_it_is(make: Make, nets: dict[str, nn.Module], spec: NetSpec) -> None:
    net = nets[spec.name]
    before = {key: value.clone() for key, value in net.state_dict().items()}
    picture(make(spec, torch.float32), inputs(spec), times(0.5))
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert {(parameter.dtype, parameter.device) for parameter in net.parameters()} <= {(torch.float32, CPU)}
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert not any("forward" in vars(module) for module in net.modules())


@pytest.mark.parametrize("spec", NETS, ids=lambda spec: spec.name)
def test_what_the_engine_asks_of_a_backend(make: Make, spec: NetSpec) -> None:
    backend = make(spec, torch.float32)
    assert backend.device == CPU
    assert backend.bytes_per_pixel > 24
    assert backend.name.partition(" ")[0] in BACKENDS
