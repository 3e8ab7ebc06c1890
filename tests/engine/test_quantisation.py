"""vsrrin.engine.quantisation, and pictures made in 8 bit."""

import pytest
import torch
from torch import nn

from tests.conftest import psnr, texture
from vsrrin.checkpoint import loader
from vsrrin.engine.backends.openvino_graph import stack_graph
from vsrrin.engine.backends.openvino_package import ov
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.engine.quantisation import measured_ranges
from vsrrin.errors import ArgumentError
from vsrrin.nets.parts.convolution_stacks import Stack, hidden_convolutions, named_stacks
from vsrrin.nets.parts.precision import keep_fp32, output_layer


class Small(nn.Module):
    """Two hidden convolutions and an output layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(8, 8, 1, stride=2))
        self.out = nn.Conv2d(8, 1, 3, padding=1)
        keep_fp32(self.out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return output_layer(self.out, self.body(x))


def test_work_is_counted_without_the_output_layer() -> None:
    assert hidden_convolutions(Small(), "forward", Stack(2, 2)) == [2 * 8 * 9, 8 * 8 // 4]


def test_an_output_layer_runs_in_8_bit_where_it_is_said_to_bear_it() -> None:
    module, x = Small().eval().requires_grad_(False), torch.rand(1, 2, 16, 16) * 3 - 1
    keep_fp32(module.out, but_in_8_bit=True)
    assert hidden_convolutions(module, "forward", Stack(2, 2)) == [2 * 8 * 9, 8 * 8 // 4, 8 * 9 // 4]
    given = [x, module.body[:2](x), module.body(x)]
    ranges = tuple((float(y.min()), float(y.max())) for y in given)

    def rounded(ranges: tuple[tuple[float, float], ...]) -> torch.Tensor:
        graph = stack_graph(module, "forward", Stack(2, 2, ranges), in_8_bit=True)
        compiled = ov.Core().compile_model(graph.model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return torch.from_numpy(next(iter(compiled.create_infer_request().infer([x.numpy()]).values())).copy())

    expected = module(x)
    assert (rounded(ranges) - expected).abs().mean() < 0.03 * expected.abs().mean()
    cut = rounded((*ranges[:2], (-0.01, 0.01)))  # its own range counts, too
    assert (cut - expected).abs().mean() > 0.1 * expected.abs().mean()


def test_ranges_are_the_ends_of_what_convolutions_are_given() -> None:
    """Checked by hand on the first layers: the stacked frames, whose colours lie in the range of the clip."""
    model = loader.load("balanced")
    dark, bright = texture(64, 96) * 0.25, texture(64, 96, (3.0, 1.0)) * 0.25 + 0.5
    one, two = (measured_ranges(model, [pair]) for pair in ((dark, dark.flip(3)), (dark, bright)))
    both = measured_ranges(model, [(dark, dark.flip(3)), (dark, bright)])
    assert list(both) == list(named_stacks(model.net)) == ["weigher.forward"]
    assert len(both["weigher.forward"]) == 10
    for a, b, together in zip(one["weigher.forward"], two["weigher.forward"], both["weigher.forward"], strict=True):
        assert together == (min(a[0], b[0]), max(a[1], b[1]))


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="no convolutions that run in 8 bit"):
        measured_ranges(loader.load("draft"), [])
    with pytest.raises(ArgumentError, match="no frame pair"):
        measured_ranges(loader.load("balanced"), [])


def test_a_graph_in_8_bit_rounds_to_the_levels_of_its_ranges() -> None:
    module, x = Small().eval().requires_grad_(False), torch.rand(1, 2, 16, 16) * 3 - 1
    hidden = module.body[:2](x)
    ranges = (float(x.min()), float(x.max())), (float(hidden.min()), float(hidden.max()))
    expected = module(x)

    def error(given: tuple[tuple[float, float], ...]) -> float:
        graph = stack_graph(module, "forward", Stack(2, 2, given), in_8_bit=True)
        compiled = ov.Core().compile_model(graph.model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = torch.from_numpy(next(iter(compiled.create_infer_request().infer([x.numpy()]).values())).copy())
        return float((found - expected).abs().mean() / expected.abs().mean())

    assert 1e-5 < error(ranges) < 0.02
    assert error(((-0.01, 0.01), ranges[1])) > 0.1  # what lies beyond its range is cut off
    assert error(()) < 1e-5


@pytest.mark.parametrize("name", ["rrin_lite", "balanced"])
def test_pictures_in_8_bit_are_nearly_those_of_float(name: str) -> None:
    left, right = texture(96, 160), texture(96, 160, (6.0, -3.0))
    exact, rounded = (
        Interpolator(name, Options(device="cpu", backend="openvino", precision=precision)).interpolate(
            left, right, [0.5]
        )[0]
        for precision in ("fp32", "int8")
    )
    again = Interpolator(name, Options(device="cpu", precision="int8")).interpolate(left, right, [0.5])[0]
    assert torch.equal(rounded, again)
    assert 38 < psnr(exact.numpy() * 255, rounded.numpy() * 255) < 80
