"""Losses of pictures, and their gradients."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

from tests.training.losses.pairs import pictures
from training.losses.fused import census_distance, enlarge, pyramid_l1, shrink, window_means
from training.losses.pictures import census, charbonnier, gradient, l1, laplacian, log_mse, ssim
from training.losses.weighted import PICTURE_LOSSES

type PictureLoss = Callable[[Tensor, Tensor], Tensor]


@pytest.mark.parametrize("loss", PICTURE_LOSSES.values(), ids=PICTURE_LOSSES)
def test_equal_pictures_have_no_loss_and_a_finite_gradient(loss: PictureLoss) -> None:
    _, target = pictures()
    prediction = target.clone().requires_grad_()
    value = loss(prediction, target)
    assert value.shape == ()
    assert abs(value.item()) < 1.1e-3  # Charbonnier's e
    (found,) = torch.autograd.grad(value, prediction)
    assert torch.isfinite(found).all()
    assert float(found.abs().max()) < 1e-3


@pytest.mark.parametrize("loss", PICTURE_LOSSES.values(), ids=PICTURE_LOSSES)
def test_a_step_against_the_gradient_makes_the_loss_smaller(loss: PictureLoss) -> None:
    prediction, target = pictures()
    prediction.requires_grad_()
    before = loss(prediction, target)
    (found,) = torch.autograd.grad(before, prediction)
    with torch.no_grad():
        step = 5e-4 * found / found.abs().max()
        assert loss(prediction - step, target).item() < before.item()
        assert loss(prediction + step, target).item() > before.item()


@pytest.mark.parametrize("loss", PICTURE_LOSSES.values(), ids=PICTURE_LOSSES)
def test_a_loss_is_the_mean_over_the_samples(loss: PictureLoss) -> None:
    prediction, target = pictures()
    single = [float(loss(prediction[at : at + 1], target[at : at + 1])) for at in (0, 1)]
    assert float(loss(prediction, target)) == pytest.approx(sum(single) / 2, rel=1e-4)


@pytest.mark.parametrize("loss", PICTURE_LOSSES.values(), ids=PICTURE_LOSSES)
@pytest.mark.parametrize("size", [(17, 23), (4, 3), (2, 2)])
def test_any_size_and_memory_layout_will_do(loss: PictureLoss, size: tuple[int, int]) -> None:
    prediction, target = torch.rand(1, 3, *size), torch.rand(1, 3, *size)
    value = loss(prediction, target)
    assert torch.isfinite(value)
    layout = torch.channels_last
    other = loss(prediction.contiguous(memory_format=layout), target.contiguous(memory_format=layout))
    torch.testing.assert_close(other, value)


def test_differences_of_known_size() -> None:
    target = torch.full((1, 3, 32, 32), 0.25)
    assert float(l1(target + 0.5, target)) == pytest.approx(0.5)
    assert float(charbonnier(target + 0.5, target)) == pytest.approx(math.hypot(0.5, 1e-3))
    assert float(charbonnier(target, target)) == pytest.approx(1e-3)
    assert float(laplacian(target + 0.5, target)) == pytest.approx(0.5)  # all of it in the last level
    assert float(log_mse(target + 0.5, target)) == pytest.approx(math.log1p(0.25 / 2e-5))
    assert float(gradient(target + 0.5, target)) == 0
    step = torch.zeros(1, 3, 32, 32)
    step[..., 16:] = 0.31
    assert float(gradient(step, torch.zeros_like(step))) == pytest.approx(0.31 / 31)


def pyramid_by_convolution(difference: Tensor) -> Tensor:
    """What `pyramid_l1` computes, by the operations of PyTorch."""
    kernel = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=difference.dtype) / 8
    kernels = (kernel[:, None] * kernel).expand(difference.shape[1], 1, 4, 4)
    rest, total = difference, difference.new_zeros(())
    for _ in range(4):
        smaller = F.conv2d(F.pad(rest, (1, 1, 1, 1), mode="replicate"), kernels, stride=2, groups=len(kernels))
        total = (
            total + (rest - F.interpolate(smaller, scale_factor=2, mode="bilinear", align_corners=False)).abs().mean()
        )
        rest = smaller
    return total + rest.abs().mean()


def test_the_pyramid_and_its_gradient_are_those_of_convolutions() -> None:
    difference = torch.randn(2, 3, 32, 48, dtype=torch.float64, requires_grad=True)
    own, other = pyramid_l1(difference), pyramid_by_convolution(difference)
    torch.testing.assert_close(own, other)
    torch.testing.assert_close(*(torch.autograd.grad(2.5 * value, difference)[0] for value in (own, other)))


def test_shrinking_and_enlarging_keep_slopes() -> None:
    slope = torch.arange(16.0).expand(1, 1, 8, 16)
    torch.testing.assert_close(shrink(slope)[0, 0, 0, 1:-1], torch.arange(0.5, 16, 2)[1:-1])
    torch.testing.assert_close(enlarge(slope)[0, 0, 0, 2:-2], torch.arange(-0.25, 16, 0.5)[2 : 32 - 2])


def test_means_of_windows_and_their_gradient_are_those_of_convolutions() -> None:
    weights = [0.1, 0.2, 0.4, 0.3]
    x = torch.randn(2, 3, 9, 12, dtype=torch.float64, requires_grad=True)
    kernel = torch.tensor(weights, dtype=torch.float64)
    own = window_means(x, weights)
    other = F.conv2d(x.flatten(0, 1)[:, None], (kernel[:, None] * kernel)[None, None]).view(2, 3, 6, 9)
    torch.testing.assert_close(own, other)
    torch.testing.assert_close(*(torch.autograd.grad(value.square().sum(), x)[0] for value in (own, other)))


def census_by_windows(prediction: Tensor, target: Tensor) -> Tensor:
    """What `census_distance` computes, from whole windows of 7x7: (1, 1, H, W)."""
    height, width = prediction.shape[-2:]
    total, count = prediction.new_zeros(()), 0
    for y in range(height):
        for x in range(width):
            window = slice(max(y - 3, 0), y + 4), slice(max(x - 3, 0), x + 4)
            slopes = [each[0, 0][window] - each[0, 0, y, x] for each in (prediction, target)]
            soft = [slope / (0.81 + slope**2).sqrt() for slope in slopes]
            square = (soft[0] - soft[1]).square()
            total, count = total + (square / (0.1 + square)).sum(), count + square.numel() - 1
    return total / count


@pytest.mark.parametrize("size", [(9, 11), (5, 2), (1, 4)])
def test_the_census_and_its_gradient_are_those_of_windows(size: tuple[int, int]) -> None:
    prediction = (torch.rand(1, 1, *size, dtype=torch.float64) * 6).requires_grad_()
    target = torch.rand(1, 1, *size, dtype=torch.float64) * 6
    own, other = census_distance(prediction, target), census_by_windows(prediction, target)
    torch.testing.assert_close(own, other)
    torch.testing.assert_close(*(torch.autograd.grad(2.5 * value, prediction)[0] for value in (own, other)))


def test_the_census_sees_order_not_light() -> None:
    moved, target = pictures()
    assert float(census(target + 0.2, target)) < 1e-6
    assert float(census(moved, target)) > 0.01
    assert float(census(1 - target, target)) > float(census(moved, target))


def test_ssim_is_that_of_its_formula() -> None:
    a, b = torch.full((1, 1, 16, 16), 0.2), torch.full((1, 1, 16, 16), 0.6)
    # Without structure only the means count.
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert float(ssim(a, b)) == pytest.approx(1 - expected, abs=1e-4)
    noise = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert float(ssim(1 - noise, noise)) > 1.3
    assert float(ssim(noise.roll(20, -1), noise)) == pytest.approx(1, abs=0.15)
