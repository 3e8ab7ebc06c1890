"""The backward warp against a plain loop, in all its arithmetics, and the projection of flow."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

import vsrrin
from vsrrin.nets.parts.warp import (
    EXACT,
    FORK,
    PUBLISHED,
    SHARP,
    WarpArithmetic,
    backward_warp,
    blend,
    double,
    halve,
    in_fours,
    pixel_grid,
    project_flow,
)


def ramp(height: int, width: int) -> Tensor:
    """(1, 2, H, W): each pixel's own x and y."""
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return torch.stack((x, y))[None]


def plain_warp(image: Tensor, flow: Tensor, arithmetic: WarpArithmetic) -> Tensor:
    """The same, pixel by pixel in float64."""
    _, channels, height, width = image.shape
    out = torch.zeros_like(image)
    for y in range(height):
        for x in range(width):
            u = sampled_at(x + float(flow[0, 0, y, x]), width, arithmetic)
            v = sampled_at(y + float(flow[0, 1, y, x]), height, arithmetic)
            if arithmetic.outside == "border":
                u, v = min(max(u, 0), width - 1), min(max(v, 0), height - 1)
            for row in (math.floor(v), math.floor(v) + 1):
                for column in (math.floor(u), math.floor(u) + 1):
                    if 0 <= row < height and 0 <= column < width:
                        weight = (1 - abs(v - row)) * (1 - abs(u - column))
                        for c in range(channels):
                            out[0, c, y, x] += weight * float(image[0, c, row, column])
    return out


def sampled_at(position: float, size: int, arithmetic: WarpArithmetic) -> float:
    """Where a pixel position ends up, from the documentation of grid_sample."""
    normalised = 2 * position / (size - 1 if arithmetic.divide_by == "size-1" else size) - 1
    if arithmetic.align_corners:
        return (normalised + 1) / 2 * (size - 1)
    return ((normalised + 1) * size - 1) / 2


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("arithmetic", [EXACT, SHARP, PUBLISHED, FORK])
def test_any_number_of_threads_gives_the_same_bits(threads, arithmetic):
    torch.manual_seed(0)
    image, flow = torch.rand(1, 3, 24, 40), torch.randn(1, 2, 24, 40) * 6
    found = []
    for count in (1, 2, 4):
        threads(count)
        found += [backward_warp(image, flow, arithmetic)]  # with gradients, in PyTorch
        with torch.inference_mode():
            found += [backward_warp(image, flow, arithmetic)]
    assert all(torch.equal(found[k], found[k - 2]) for k in range(2, 6))


@pytest.mark.parametrize("arithmetic", [EXACT, PUBLISHED, FORK, WarpArithmetic(False, "size-1", "border")])
def test_equals_a_plain_loop(arithmetic):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(1, 2, 7, 11, generator=generator)
    flow = torch.randn(1, 2, 7, 11, generator=generator) * 4  # far enough to leave the picture on every side
    assert torch.allclose(backward_warp(image, flow, arithmetic), plain_warp(image, flow, arithmetic), atol=1e-5)


def test_still_picture_stays_where_it_is():
    image = ramp(30, 50)
    assert torch.allclose(backward_warp(image, torch.zeros_like(image)), image, atol=1e-4)


def test_published_and_fork_sample_a_still_picture_beside_the_pixel():
    image = ramp(30, 50)[:, :1]
    still = torch.zeros(1, 2, 30, 50)
    x = torch.arange(50.0)
    assert torch.allclose(backward_warp(image, still, PUBLISHED)[0, 0, 3], x * 49 / 50, atol=1e-4)
    # Half of the first column's sample lies outside, where zeros are read, and so does half of the first row's.
    assert torch.allclose(backward_warp(image, still, FORK)[0, 0, 3, 1:], x[1:] - 0.5, atol=1e-4)


def test_flow_points_to_where_the_picture_is_read():
    image = ramp(12, 20)
    flow = torch.tensor([2.5, -1.0]).view(1, 2, 1, 1).expand(1, 2, 12, 20)
    out = backward_warp(image, flow)
    assert torch.allclose(out[0, 0, :, :17], image[0, 0, :, :17] + 2.5, atol=1e-5)
    assert torch.allclose(out[0, 1, 1:], image[0, 1, 1:] - 1, atol=1e-5)


@pytest.mark.parametrize("along", [0, 1], ids=["x", "y"])
@pytest.mark.parametrize(
    ("shift", "weights"),
    [  # Keys' kernel with a = -3/4 at the four pixels around
        (0.5, (-3 / 32, 19 / 32, 19 / 32, -3 / 32)),
        (0.25, (-27 / 256, 225 / 256, 67 / 256, -9 / 256)),
        (0.0, (0, 1, 0, 0)),
    ],
)
def test_sharp_sampling_weighs_four_pixels(shift, weights, along):
    image = torch.rand(1, 2, 12, 12, generator=torch.Generator().manual_seed(2))
    flow = torch.zeros(1, 2, 12, 12)
    flow[:, along] = shift
    expected = sum(w * image.roll(-step, 3 - along) for step, w in zip((-1, 0, 1, 2), weights, strict=True))
    inside = (..., slice(2, -3), slice(2, -3))
    assert torch.allclose(backward_warp(image, flow, SHARP)[inside], expected[inside], atol=1e-5)
    assert (backward_warp(image, flow, SHARP) - backward_warp(image, flow, EXACT)).abs().max() > (0.02 if shift else -1)


KERNELS = pytest.mark.parametrize("arithmetic", [EXACT, SHARP], ids=["bilinear", "bicubic"])


def both_ways(image: Tensor, flow: Tensor, arithmetic: WarpArithmetic) -> tuple[Tensor, Tensor]:
    """By OpenCV, as without gradients, and by grid_sample."""
    quick = backward_warp(image, flow, arithmetic)
    with torch.enable_grad():
        slow = backward_warp(image, flow, arithmetic)
    if image.shape[1] > 1:
        assert (quick.stride(1), slow.stride(1)) == (1, image.shape[2] * image.shape[3])  # it went both ways
    return quick, slow


def scattered(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@KERNELS
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8])
def test_both_ways_of_sampling_give_the_same(channels, samples, arithmetic):
    """Flow that ends between pixels, and leaves the picture on every side. With two channels OpenCV rounds positions
    to 1/32 pixel, which makes 0.02 of such noise."""
    image = scattered(samples, channels, 19, 26)
    flow = (scattered(samples, 2, 19, 26, seed=1) - 0.5) * 24
    quick, slow = both_ways(image, flow, arithmetic)
    assert quick.shape == slow.shape == image.shape
    assert (quick - slow).abs().max() < 1e-4


@pytest.mark.parametrize("shift", [1 / 100, 1 / 64, 0.3, -0.7])
def test_two_channels_are_sampled_between_thirty_seconds_of_a_pixel(shift):
    """On a slope of 1 per pixel, what is off by a hundredth of a pixel shows."""
    image, flow = ramp(20, 30), torch.full((1, 2, 20, 30), shift)
    inside = (..., slice(3, -3), slice(3, -3))
    assert torch.allclose(backward_warp(image, flow)[inside], (image + shift)[inside], atol=1e-4)


def test_a_fourth_channel_changes_no_bit_of_the_others():
    image, flow = scattered(1, 3, 19, 26).to(memory_format=torch.channels_last), (scattered(1, 2, 19, 26) - 0.5) * 24
    wide = in_fours(image)
    assert wide.shape == (1, 4, 19, 26)
    assert torch.equal(wide[:, :3], image)
    assert torch.equal(backward_warp(wide, flow)[:, :3], backward_warp(image, flow))
    for other in (image.expand(2, -1, -1, -1), image[:, :2]):
        assert in_fours(other) is other
    with torch.enable_grad():
        assert in_fours(image) is image


@KERNELS
def test_what_lies_beyond_the_border_is_the_border(arithmetic):
    image = scattered(1, 3, 9, 11)
    for dx, dy, at in ((40.0, 0.0, (slice(None), -1)), (0.0, -40.0, (0, slice(None))), (-1e4, 1e4, (-1, 0))):
        flow = torch.tensor([dx, dy]).view(1, 2, 1, 1).expand(1, 2, 9, 11)
        quick, slow = both_ways(image, flow, arithmetic)
        line = image[(0, slice(None), *at)]
        expected = line[:, None, None] if line.dim() == 1 else line[:, :, None] if dx else line[:, None]
        assert torch.allclose(quick[0], expected.expand(3, 9, 11), atol=1e-5)
        assert torch.allclose(slow, quick, atol=1e-4)


@KERNELS
def test_order_in_memory_does_not_matter(arithmetic):
    image, flow = scattered(2, 3, 16, 20), scattered(2, 2, 16, 20, seed=1) * 5
    expected = backward_warp(image, flow, arithmetic)
    wide = torch.cat((image, image), 3).flip(3)
    for same in (image.to(memory_format=torch.channels_last), image.mT.contiguous().mT, wide.flip(3)[..., :20]):
        assert torch.equal(same, image)
        assert torch.equal(backward_warp(same, flow, arithmetic), expected)
    for same in (
        flow.to(memory_format=torch.channels_last),
        torch.cat((flow, flow), 1)[:, :2],
        flow.mT.contiguous().mT,
    ):
        assert torch.equal(backward_warp(image, same, arithmetic), expected)
    constant = torch.tensor([1.3, -0.6]).view(1, 2, 1, 1)
    stretched = backward_warp(image, constant.expand(2, 2, 16, 20), arithmetic)
    assert torch.equal(stretched, backward_warp(image, constant.repeat(2, 1, 16, 20), arithmetic))


@KERNELS
def test_what_is_sampled_has_memory_of_its_own(arithmetic):
    """Nothing that is done to the result comes back to the picture or to the next result."""
    image, flow = scattered(1, 4, 8, 10).to(memory_format=torch.channels_last), torch.zeros(1, 2, 8, 10)
    before = image.clone()
    first = backward_warp(image, flow, arithmetic)
    kept = first.clone()
    first.fill_(7)
    assert torch.equal(image, before)
    assert torch.equal(backward_warp(image, flow, arithmetic), kept)


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (15, 22)])
def test_doubling_is_that_of_torch(size, channels, samples):
    x = scattered(samples, channels, *size) * 20 - 10
    expected = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    for same in (x, x.to(memory_format=torch.channels_last), torch.cat((x, x), 1)[:, :channels]):
        assert torch.allclose(double(same), expected, atol=1e-4)
    with torch.enable_grad():
        assert torch.equal(double(x), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_features_in_half_precision_are_doubled_in_it(dtype):
    x = scattered(1, 3, 6, 8).to(dtype)
    assert double(x).dtype == dtype
    assert torch.equal(double(x), F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_halving_is_the_mean_of_two_by_two(channels, samples):
    x = scattered(samples, channels, 14, 22) * 20 - 10
    expected = x.view(samples, channels, 7, 2, 11, 2).mean((3, 5))
    for same in (x, x.to(memory_format=torch.channels_last), torch.cat((x, x), 1)[:, :channels]):
        assert torch.allclose(halve(same), expected, atol=1e-5)
    with torch.enable_grad():
        assert torch.allclose(halve(x), expected, atol=1e-5)
    assert halve(x.half()).dtype == torch.float32


def test_outside_is_the_border_or_zero():
    image = ramp(6, 8) + 1
    away = torch.full((1, 2, 6, 8), 100.0)
    assert torch.equal(backward_warp(image, away), image[..., -1:, -1:].expand_as(image))
    assert not backward_warp(image, away, PUBLISHED).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_arguments_are_warped_in_float32(dtype):
    """Column 301 is no number of bfloat16; the picture must not notice."""
    image = (torch.arange(320) % 2).expand(1, 1, 4, 320).to(dtype)
    out = backward_warp(image, torch.ones(1, 2, 4, 320, dtype=dtype))
    assert out.dtype == torch.float32
    assert torch.allclose(out[..., :-1], image[..., 1:].float(), atol=1e-3)


def test_batch_of_different_flows():
    image = ramp(6, 9).repeat(2, 1, 1, 1)
    flow = torch.stack((torch.zeros(2, 6, 9), torch.ones(2, 6, 9)))
    out = backward_warp(image, flow)
    assert torch.allclose(out[0], image[0], atol=1e-5)
    assert torch.allclose(out[1, :, :-1, :-1], image[1, :, :-1, :-1] + 1, atol=1e-5)


def test_one_pixel():
    image = torch.full((1, 3, 1, 1), 0.7)
    assert torch.equal(backward_warp(image, torch.full((1, 2, 1, 1), 5.0)), image)


def test_leaves_the_flow_alone():
    flow = torch.ones(1, 2, 4, 4)
    backward_warp(torch.rand(1, 1, 4, 4), flow)
    assert torch.equal(flow, torch.ones(1, 2, 4, 4))


def test_gradient_with_respect_to_the_flow():
    """On a ramp along x, moving the sample by d changes the result by d."""
    image = ramp(6, 8)[:, :1]
    flow = torch.full((1, 2, 6, 8), 0.3, requires_grad=True)
    with torch.enable_grad():
        backward_warp(image, flow).sum().backward()
    assert flow.grad is not None
    assert torch.allclose(flow.grad[0, 0, :, :-1], torch.ones(6, 7), atol=1e-4)
    assert torch.allclose(flow.grad[0, 1], torch.zeros(6, 8), atol=1e-4)


def test_pixel_grid_broadcasts_to_coordinates():
    x, y = pixel_grid(3, 5)
    expected_y, expected_x = torch.meshgrid(torch.arange(3.0), torch.arange(5.0), indexing="ij")
    assert torch.equal(x.expand(3, 5), expected_x)
    assert torch.equal(y.expand(3, 5), expected_y)


@pytest.mark.parametrize("t", [0.0, 0.25, 0.5, 1.0])
def test_projection_of_constant_motion(t):
    """With motion v, time t lies t * v after frame 0 and (1 - t) * v before frame 1."""
    motion = torch.tensor([4.0, -6.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3)
    to_0, to_1 = project_flow(motion, -motion, torch.full((1, 1, 1, 1), t))
    assert torch.allclose(to_0, -t * motion)
    assert torch.allclose(to_1, (1 - t) * motion)


def test_projection_weighs_both_flows():
    """Super SloMo, eq. 4, with flows that do not agree, at t = 1/4."""
    to_0, to_1 = project_flow(
        torch.full((1, 2, 1, 1), 16.0), torch.full((1, 2, 1, 1), 32.0), torch.full((1, 1, 1, 1), 0.25)
    )
    assert to_0.flatten().tolist() == [-3 / 16 * 16 + 1 / 16 * 32] * 2
    assert to_1.flatten().tolist() == [9 / 16 * 16 - 3 / 16 * 32] * 2


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("t", [0.25, 0.5, 0.8])
def test_projection_and_blend_are_the_same_with_and_without_gradients(t, samples):
    """Without, OpenCV does it; the order in memory does not matter."""
    first, second = (scattered(samples, 2, 6, 10, seed=seed) * 20 - 10 for seed in (0, 1))
    time = torch.full((samples, 1, 1, 1), t)
    with torch.enable_grad():
        expected = *project_flow(first, second, time), blend(first, second, time)
    for layout in (torch.contiguous_format, torch.channels_last):
        a, b = (x.to(memory_format=layout, copy=True) for x in (first, second))
        found = *project_flow(a, b, time), blend(a, b, time)
        assert all(torch.allclose(x, y, atol=1e-5) for x, y in zip(found, expected, strict=True))


def test_grid_sample_is_called_in_one_place():
    package = Path(vsrrin.__file__).parent
    users = [path.name for path in package.rglob("*.py") if "grid_sample(" in path.read_text("utf-8")]
    assert users == ["warp.py"]
