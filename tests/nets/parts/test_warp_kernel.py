"""Pictures sampled by flow of half their size in one pass, against the same in steps."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tests.conftest import needs_numba, texture
from vsrrin.nets.parts import fused
from vsrrin.nets.parts.candidates import candidates, sampled
from vsrrin.nets.parts.warp import EXACT, SHARP, WarpArithmetic

pytestmark = needs_numba

KERNELS = pytest.mark.parametrize("arithmetic", [EXACT, SHARP], ids=["bilinear", "bicubic"])


def scattered(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def innermost(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def quick(image: Tensor, flow: Tensor, arithmetic: WarpArithmetic) -> Tensor:
    found = fused.warped(image, flow, sharp=arithmetic is SHARP)
    assert found is not None
    assert found.shape == image.shape
    assert found.stride(1) == 1
    return found


def slow(image: Tensor, flow: Tensor, arithmetic: WarpArithmetic) -> Tensor:
    """By PyTorch alone."""
    with torch.enable_grad():
        return sampled(image, flow, arithmetic)


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@KERNELS
@pytest.mark.parametrize("reach", [0.0, 3.0, 40.0])
@pytest.mark.parametrize("size", [(6, 6), (8, 6), (6, 34), (38, 50), (64, 98)])
def test_samples_are_those_of_torch(size, reach, arithmetic, threads):
    """Flow that differs from pixel to pixel, and leaves the picture on every side."""
    height, width = size
    image = innermost(scattered(1, 3, height, width))
    flow = (scattered(1, 2, height // 2, width // 2, seed=1) - 0.5) * reach
    assert (quick(image, flow, arithmetic) - slow(image, flow, arithmetic)).abs().max() < 1e-4


@KERNELS
def test_a_moved_picture_is_that_of_torch(arithmetic):
    image = texture(96, 128)
    flow = F.interpolate((scattered(1, 2, 3, 4) - 0.5) * 20, size=(48, 64), mode="bicubic")
    assert (quick(image, flow, arithmetic) - slow(image, flow, arithmetic)).abs().max() < 3e-5


@KERNELS
def test_still_pixels_keep_their_bits(arithmetic):
    image = innermost(scattered(1, 3, 20, 30))
    assert torch.equal(quick(image, torch.zeros(1, 2, 10, 15), arithmetic), image)


@KERNELS
def test_order_in_memory_does_not_matter(arithmetic):
    image, flow = innermost(scattered(1, 3, 16, 20)), (scattered(1, 2, 8, 10, seed=1) - 0.5) * 8
    expected = quick(image, flow, arithmetic)
    wide = innermost(torch.cat((image, image), 3))
    for same in (image.contiguous(), wide[..., 20:], innermost(torch.cat((image, image), 1))[:, :3]):
        assert torch.equal(quick(same, flow, arithmetic), expected)
    beside = innermost(torch.cat((flow, flow), 1))
    for same in (innermost(flow), beside[:, 2:], innermost(torch.cat((flow, flow), 3))[..., 10:]):
        assert torch.equal(quick(image, same, arithmetic), expected)
    constant = torch.tensor([1.3, -0.6]).view(1, 2, 1, 1)
    stretched = quick(image, constant.expand(-1, -1, 8, 10), arithmetic)
    assert torch.equal(stretched, quick(image, constant.repeat(1, 1, 8, 10), arithmetic))


@KERNELS
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3e38, -1e10, 1e6])
def test_flow_that_leads_nowhere_reads_nothing_beyond_the_picture(value, arithmetic):
    """And what lies elsewhere is not touched by it."""
    around = torch.full((1, 3, 60, 60), 1e30)
    around[..., 20:40, 20:40] = scattered(1, 3, 20, 20)
    image = innermost(around)[..., 20:40, 20:40]
    flow = torch.zeros(1, 2, 10, 10)
    flow[:, :, 3, 4] = value
    flow[:, 1, 7, 9] = value
    found = quick(image, flow, arithmetic)
    assert found.min() > -0.5
    assert found.max() < 1.5
    assert torch.equal(found[..., :4, :], image[..., :4, :])


@KERNELS
def test_several_threads_write_the_same_bits(arithmetic):
    image, flow = innermost(scattered(1, 3, 34, 42)), (scattered(1, 2, 17, 21, seed=1) - 0.5) * 20
    before, found = torch.get_num_threads(), []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        found.append(quick(image, flow, arithmetic))
    torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_candidates_are_those_of_torch():
    img0, img1 = texture(32, 48), texture(32, 48, (3.0, -2.0))
    flows = [tuple((scattered(1, 2, 16, 24, seed=2 * k + side) - 0.5) * 4 for side in (0, 1)) for k in range(3)]
    whole = torch.tensor([1.25, -0.5]).view(1, 2, 1, 1), torch.tensor([-2.0, 40.0]).view(1, 2, 1, 1)
    found = candidates(img0, img1, flows, whole)
    with torch.enable_grad():
        expected = candidates(img0, img1, flows, whole)
    assert len(found) == len(expected) == 10
    assert all((a - b).abs().max() < 1e-4 for a, b in zip(found, expected, strict=True))


def test_what_is_not_its_own_is_left_to_others():
    image, flow = innermost(scattered(1, 3, 16, 20)), torch.zeros(1, 2, 8, 10)
    others = (image[:, :2], image.double(), image.repeat(2, 1, 1, 1), image[..., :4], image[..., :18])
    assert [fused.warped(other, flow, sharp=True) for other in others] == [None] * len(others)
    assert fused.warped(image, flow.double(), sharp=True) is None
    with torch.enable_grad():
        assert fused.warped(image, flow, sharp=True) is None
