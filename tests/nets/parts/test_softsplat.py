"""Forward warping against plain loops in float64, its gradients, and what it does with values out of the ordinary.

tests/data/srrin.npz has one call of the published implementation.
"""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vsrrin.nets.parts.softsplat import splat_average, splat_softmax, splat_sum

DATA = Path(__file__).resolve().parents[2] / "data"
EPSILON = 1e-7  # of the published quotient


def plain_sum(image: Tensor, flow: Tensor) -> Tensor:
    """`splat_sum`, pixel by pixel in float64."""
    batch, _, height, width = image.shape
    out = torch.zeros(image.shape, dtype=torch.float64)
    for n, y, x in itertools.product(range(batch), range(height), range(width)):
        u, v = x + float(flow[n, 0, y, x]), y + float(flow[n, 1, y, x])
        for row, column in itertools.product((math.floor(v), math.floor(v) + 1), (math.floor(u), math.floor(u) + 1)):
            if 0 <= row < height and 0 <= column < width:
                out[n, :, row, column] += (1 - abs(v - row)) * (1 - abs(u - column)) * image[n, :, y, x].double()
    return out


def plain_softmax(image: Tensor, flow: Tensor, metric: Tensor) -> Tensor:
    """The published quotient in float64, where exp overflows above 709 only."""
    weight = metric.double().exp()
    return plain_sum(image.double() * weight, flow) / (plain_sum(weight, flow) + EPSILON)


@pytest.fixture
def scene() -> tuple[Tensor, Tensor, Tensor]:
    """Two pictures (2, 3, 7, 11), flow that leaves them on every side, and a metric."""
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(2, 3, 7, 11, generator=generator)
    flow = torch.randn(2, 2, 7, 11, generator=generator) * 4
    return image, flow, torch.randn(2, 1, 7, 11, generator=generator)


def constant(dx: float, dy: float, height: int, width: int) -> Tensor:
    return torch.tensor([dx, dy]).view(1, 2, 1, 1).expand(1, 2, height, width)


def test_equals_the_published_implementation():
    with np.load(DATA / "srrin.npz") as file:
        image, flow, metric, expected = (torch.from_numpy(file[f"op.{k}"]) for k in ("input", "flow", "metric", "out"))
    error = (splat_softmax(image, flow, metric) - expected).abs().max()
    print(f"largest error {error:.1e}")
    assert error < 1e-5


def test_sum_equals_a_plain_loop(scene):
    image, flow, _ = scene
    out = splat_sum(image, flow)
    assert out.shape == image.shape and out.dtype == torch.float32 and out.is_contiguous()
    assert (out - plain_sum(image, flow)).abs().max() < 1e-5


def test_average_equals_a_plain_loop(scene):
    image, flow, metric = scene
    one, weight = torch.ones_like(metric), metric.abs()
    for given, weights in ((None, one), (weight, weight)):
        expected = plain_sum(image * weights, flow) / (plain_sum(weights, flow) + EPSILON)
        assert (splat_average(image, flow, given) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("offset", [0.0, -3.0, -16.0, 30.0, 59.0, 61.0, 87.0, 120.0, 400.0])
def test_softmax_equals_a_plain_loop_for_every_metric(scene, offset):
    """From weights that the epsilon outweighs (-16) to ones beyond float32 (89)."""
    image, flow, metric = scene
    # The sum of the two has fewer bits than the metric; both sides get it as it is.
    metric = metric + offset
    assert (splat_softmax(image, flow, metric) - plain_softmax(image, flow, metric)).abs().max() < 1e-4


def test_dark_and_bright_metrics_of_one_picture(scene):
    """One pixel of a very large metric changes nothing for the pixels that it does not reach."""
    image, _, metric = scene
    flow = torch.zeros(2, 2, 7, 11)
    metric[:, :, 3, 5] = 100.0
    out = splat_softmax(image, flow, metric)
    assert (out - plain_softmax(image, flow, metric)).abs().max() < 1e-4
    assert torch.allclose(out, image, atol=1e-4)


@pytest.mark.parametrize("metric", [1e3, 1e30, -1e30])
def test_extreme_metrics_stay_finite(scene, metric):
    image, flow, _ = scene
    out = splat_softmax(image, flow, torch.full((2, 1, 7, 11), metric))
    # 1e30 - 60 is 1e30 in float32: the shift is the metric itself, and equal weights are left.
    expected = splat_average(image, flow) if metric > 0 else torch.zeros_like(image)
    assert (out - expected).abs().max() < 1e-3


def test_of_two_pixels_the_one_with_the_larger_metric_hides_the_other():
    image = torch.tensor([0.2, 0.8, 0.0]).view(1, 1, 1, 3)
    flow = torch.tensor([[1.0, 0.0, 9.0], [0.0, 0.0, 0.0]]).view(1, 2, 1, 3)
    for metric, expected in (([9.0, 0.0, 0.0], 0.2), ([0.0, 9.0, 0.0], 0.8), ([2.0, 2.0, 0.0], 0.5)):
        out = splat_softmax(image, flow, torch.tensor(metric).view(1, 1, 1, 3)).flatten()
        assert out[1].item() == pytest.approx(expected, abs=1e-3)
        assert out[[0, 2]].tolist() == [0, 0]  # nobody goes there


def test_whole_pixels_move_the_picture():
    image = torch.rand(1, 2, 8, 10, generator=torch.Generator().manual_seed(2))
    moved = splat_sum(image, constant(3, -2, 8, 10))
    assert torch.equal(moved[..., :6, 3:], image[..., 2:, :7])
    assert not moved[..., 6:, :].any() and not moved[..., :3].any()


def test_known_motion_arrives_at_the_true_picture(pair):
    """Half of a motion of (3, -2) px, splatted from frame 0, gives the picture at t = 1/2."""
    flow = constant(1.5, -1.0, 64, 96)
    found = splat_softmax(pair.img0, flow, torch.zeros(1, 1, 64, 96))[..., 2:-2, 3:-3]
    error = (found - pair.at(0.5)[..., 2:-2, 3:-3]).abs().mean()
    unmoved = (pair.img0 - pair.at(0.5))[..., 2:-2, 3:-3].abs().mean()
    print(f"mean error {error:.4f}, unmoved {unmoved:.4f}")
    assert error < unmoved / 20


def test_nothing_is_lost_inside():
    generator = torch.Generator().manual_seed(3)
    image = torch.zeros(1, 1, 20, 20)
    image[..., 5:15, 5:15] = torch.rand(10, 10, generator=generator)
    flow = torch.rand(1, 2, 20, 20, generator=generator) * 8 - 4
    assert splat_sum(image, flow).sum().item() == pytest.approx(image.sum().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("dx", "dy"), [(-1, 0), (-0.5, 0), (0.5, 0), (1, 0), (0, -1), (0, -0.5), (0, 0.5), (0, 1), (-0.5, -0.5), (2, 2)]
)
def test_one_pixel_half_outside_and_outside(dx, dy):
    out = splat_sum(torch.ones(1, 1, 1, 1), constant(dx, dy, 1, 1))
    assert out.item() == max(1 - abs(dx), 0) * max(1 - abs(dy), 0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30, -1e30, 2.0**63])
def test_flow_that_leads_nowhere_contributes_nothing(scene, bad):
    image, flow, metric = scene
    kept = torch.ones(2, 1, 7, 11)
    for n, axis, y, x in ((0, 0, 2, 3), (0, 1, 0, 0), (1, 0, 6, 10), (1, 1, 4, 4)):
        flow[n, axis, y, x] = bad
        kept[n, :, y, x] = 0
    harmless = flow.where(kept.bool(), 0.0)
    assert torch.equal(splat_sum(image, flow), splat_sum(image * kept, harmless))
    expected = splat_average(image, harmless, kept * metric.exp())
    assert torch.allclose(splat_softmax(image, flow, metric), expected, atol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_metric_that_is_not_finite_counts_for_nothing(scene, bad):
    image, flow, metric = scene
    weight = metric.exp()
    metric[0, :, 2, 3], weight[0, :, 2, 3] = bad, 0.0
    assert torch.allclose(splat_softmax(image, flow, metric), splat_average(image, flow, weight), atol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_gradients_are_those_of_small_changes(scene, offset):
    """Central differences of the plain loop in float64, along a random direction of each argument."""
    generator = torch.Generator().manual_seed(4)
    wanted = torch.randn(2, 3, 7, 11, generator=generator)
    image, flow, metric = scene
    # Away from whole pixels, where the derivative jumps, and from next to empty ones, where it is huge.
    flow = flow.clamp(-2, 2).floor() + 0.2 + 0.6 * torch.rand(flow.shape, generator=generator)
    filled = (plain_sum(torch.ones_like(metric), flow) > 0.3).float()
    arguments = [x.requires_grad_() for x in (image, flow, metric + offset)]
    with torch.enable_grad():
        (splat_softmax(*arguments) * wanted * filled).sum().backward()
    for index, argument in enumerate(arguments):
        direction = torch.randn(argument.shape, generator=generator, dtype=torch.float64)
        ends = []
        for sign in (1, -1):
            changed = [x.detach().double() for x in arguments]
            changed[index] = changed[index] + sign * 1e-5 * direction
            ends.append((plain_softmax(*changed) * wanted * filled).sum())
        slope = float((ends[0] - ends[1]) / 2e-5)
        assert argument.grad is not None
        assert float((argument.grad * direction).sum()) == pytest.approx(slope, rel=2e-3), index


def test_gradients_stay_finite(scene):
    _, flow, metric = scene
    flow[0, 0, 2, 3], metric[1, 0, 1, 1], metric[0, 0, 4, 4], metric[0, 0, 4, 5] = math.nan, math.nan, 1e4, -1e4
    arguments = [x.requires_grad_() for x in scene]
    with torch.enable_grad():
        (100 * splat_softmax(*arguments).sum()).backward()
    for argument in arguments:
        assert argument.grad is not None and torch.isfinite(argument.grad).all()
    assert flow.grad is not None and not flow.grad[0, :, 2, 3].any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_arguments_are_carried_in_float32(dtype):
    """Column 2301 is no number of either type; the picture must not notice."""
    image = (torch.arange(2320) % 2).expand(1, 1, 2, 2320).to(dtype)
    out = splat_softmax(image, constant(1, 0, 2, 2320).to(dtype), torch.zeros(1, 1, 2, 2320, dtype=dtype))
    assert out.dtype == torch.float32
    assert torch.allclose(out[..., 1:], image[..., :-1].float(), atol=1e-6)


def test_repeats_bit_for_bit_and_leaves_its_inputs():
    generator = torch.Generator().manual_seed(5)
    image, metric = torch.rand(1, 3, 200, 300, generator=generator), torch.rand(1, 1, 200, 300, generator=generator)
    flow = torch.randn(1, 2, 200, 300, generator=generator) * 20
    before = image.clone(), flow.clone(), metric.clone()
    first = splat_softmax(image, flow, metric)
    assert all(torch.equal(first, splat_softmax(image, flow, metric)) for _ in range(3))
    assert all(torch.equal(x, y) for x, y in zip(before, (image, flow, metric), strict=True))


def test_samples_of_a_batch_do_not_touch(scene):
    """Not by a large metric of one of them either."""
    image, flow, metric = scene
    metric[1] += 200
    flow[1, :, 0, 0] = math.nan
    both = splat_softmax(image, flow, metric)
    for n in (0, 1):
        assert torch.equal(both[n : n + 1], splat_softmax(*(x[n : n + 1] for x in scene)))


def test_works_where_its_arguments_are():
    """On a device without values, a tensor made elsewhere would be refused."""
    image, flow, metric = (torch.zeros(1, c, 6, 8, device="meta") for c in (3, 2, 1))
    for out in (splat_softmax(image, flow, metric), splat_average(image, flow), splat_sum(image, flow)):
        assert out.device.type == "meta" and out.shape == image.shape
