"""backends.openvino_graph: stacks of convolutions as graphs."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor, nn

from vsrrin.engine.backends.openvino_graph import stack_graph
from vsrrin.engine.backends.openvino_package import ov
from vsrrin.errors import BackendError
from vsrrin.nets.parts.convolution_stacks import Levels, Stack, stacks_of
from vsrrin.nets.parts.precision import keep_fp32, output_layer
from vsrrin.nets.parts.unet import UNet


def run(graph: "ov.Model", x: Tensor, precision: str = "f32") -> Tensor:
    """What a graph makes of a tensor."""
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return torch.from_numpy(next(iter(compiled.create_infer_request().infer([x.numpy()]).values())).copy())


class Layers(nn.Module):
    """A stack of everything that stacks are made of."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1, padding_mode="reflect")
        self.norms = nn.Sequential(nn.InstanceNorm2d(8), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.wide = nn.Conv2d(8, 8, 3, padding=2, dilation=2, bias=False)
        self.up = nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1)
        self.gain = nn.Parameter(torch.rand(1, 8, 1, 1))
        self.last = nn.Conv2d(11, 4, 1)
        for buffer in self.norms[1].buffers():
            if buffer.is_floating_point():
                buffer.data.uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, 1, H, W)."""
        y = F.leaky_relu(self.norms(self.first(x)), 0.2)
        y = torch.addcmul(y, self.wide(y).float(), torch.sigmoid(y.mean((2, 3), keepdim=True)))
        y = torch.cat(
            (F.avg_pool2d(F.interpolate(self.up(y), scale_factor=2, mode="bilinear"), 2) * self.gain + 0.5, 2 * x), 1
        )
        y = F.conv2d(y, self.last.weight[:, :11], self.last.bias).relu_().add_(1)
        return F.pixel_unshuffle(F.pixel_shuffle(y.contiguous(), 2), 2).mean((1,), keepdim=True)


@pytest.mark.filterwarnings("ignore:.*align_corners.*")
def test_every_operation_is_written_as_it_is() -> None:
    net = Layers().eval().requires_grad_(False)
    graph = stack_graph(net, "forward", Stack(3, 2))
    assert (graph.channels, graph.scale) == ((1,), 1)
    for shape in ((2, 3, 16, 24), (1, 3, 34, 10)):
        x = torch.rand(shape)
        torch.testing.assert_close(run(graph.model, x), net(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("align_corners", [True, False])
def test_a_u_net_of_either_convention(align_corners: bool) -> None:
    torch.manual_seed(0)
    net = UNet(5, 2, 3, align_corners=align_corners, width=4).eval().requires_grad_(False)
    graph = stack_graph(net, "forward", stacks_of(net)["forward"])
    x = torch.rand(1, 5, 20, 36)
    torch.testing.assert_close(run(graph.model, x), net(x), atol=1e-5, rtol=1e-5)


class Foreign(nn.Module):
    """A stack with an operation that nothing is known of."""

    def forward(self, x: Tensor) -> Tensor:
        """Map to the same shape."""
        return torch.cumsum(x, 2)


class Outside(nn.Module):
    """A stack that another library has a part in."""

    def forward(self, x: Tensor) -> Tensor:
        """Map to the same shape."""
        return torch.from_numpy(x.numpy() * 2)


class Grouped(nn.Conv2d):
    """A convolution in groups."""

    def __init__(self) -> None:
        super().__init__(4, 4, 3, padding=1, groups=2)


@pytest.mark.parametrize(
    ("net", "text"),
    [(Foreign(), "uses cumsum"), (Outside(), "uses numpy"), (Grouped().requires_grad_(False), "in groups")],
)
def test_what_has_no_counterpart_is_refused_by_name(net: nn.Module, text: str) -> None:
    """And so is what would take values out of the computation and settle them."""
    with pytest.raises(BackendError, match=text):
        stack_graph(net.eval(), "forward", Stack(4, 2))


def test_output_layers_return_more_than_bf16_holds() -> None:
    """Flow of 30 px is known to 0.125 px only in bf16."""

    class Flow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.out = nn.Conv2d(2, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1)
            keep_fp32(self.out)

        def forward(self, x: Tensor) -> Tensor:
            return F.pixel_shuffle(output_layer(self.out, F.leaky_relu(self.hidden(x), 0.1)), 2)

    torch.manual_seed(0)
    net = Flow().eval().requires_grad_(False)
    net.out.bias.fill_(30.0)
    found = run(stack_graph(net, "forward", Stack(2, 1)).model, torch.rand(1, 2, 32, 32), "bf16")
    assert not torch.equal(found, found.bfloat16().float())


class Two(nn.Module):
    """A stack with two results, of different channels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.hidden, self.wide, self.flow = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 12, 1), nn.Conv2d(8, 2, 1)
        keep_fp32(self.flow)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, 3, H, W) to (N, 12, H, W) and (N, 2, H, W)."""
        y = F.leaky_relu(self.hidden(x), 0.1)
        return self.wide(y), output_layer(self.flow, y)


def test_all_results_are_float32_at_once() -> None:
    """Where a graph is in bf16, hidden layers' too: OpenVINO would round them and enlarge them again."""
    net = Two().eval().requires_grad_(False)
    compiled = ov.Core().compile_model(
        stack_graph(net, "forward", Stack(3, 1)).model, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"}
    )
    found = compiled.create_infer_request().infer([np.random.default_rng(0).random((1, 3, 32, 32), np.float32)])
    for result in found.values():
        assert not np.array_equal(torch.from_numpy(result.copy()).bfloat16().float().numpy(), result)


def test_a_stack_takes_levels_only_where_it_rounds_all_that_it_is_given() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.hidden(x) + x

    mark, net = Stack(4, 1, ((-1.0, 2.0),)), Twice().eval().requires_grad_(False)
    assert stack_graph(net.hidden, "forward", mark, in_8_bit=True).levels == Levels.of(-1.0, 2.0)
    assert stack_graph(net.hidden, "forward", mark).levels is None
    assert stack_graph(net, "forward", mark, in_8_bit=True).levels is None
