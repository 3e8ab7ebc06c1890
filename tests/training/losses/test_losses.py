"""training.losses.weighted, training.losses.fused, training.losses.vgg"""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

from tests.conftest import texture
from training.data.batch import Batch
from training.errors import RecipeError
from training.losses import vgg
from training.losses.flow import flow, flow_relative
from training.losses.fused import census_distance, enlarge, pyramid_l1, shrink, window_means
from training.losses.pictures import census, charbonnier, gradient, l1, laplacian, log_mse, ssim
from training.losses.weighted import PICTURE_LOSSES, make_loss

type PictureLoss = Callable[[Tensor, Tensor], Tensor]


def pictures(side: int = 32) -> tuple[Tensor, Tensor]:
    """Two pairs of pictures that differ a little."""
    target = torch.cat((texture(side, side), texture(side, side, seed=1)))
    moved = torch.cat((texture(side, side, (0.4, 0.2)), texture(side, side, (-0.3, 0.1), seed=1)))
    return moved, target


def batch_of(target: Tensor, truth: Tensor | None = None, trust: Tensor | None = None) -> Batch:
    count, _, height, width = target.shape
    truth = torch.zeros(count, 4, height, width) if truth is None else truth
    trust = torch.ones(count, 2, height, width) if trust is None else trust
    half = torch.zeros(count, 4, height // 2, width // 2)
    return Batch(
        img0=target,
        img1=target,
        target=target,
        t=torch.full((count, 1, 1, 1), 0.5),
        flow=half,
        truth=truth,
        trust=trust,
    )


# --- all of them -----------------------------------------------------------------------------------------------------


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


# --- each ------------------------------------------------------------------------------------------------------------


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


def test_a_flow_error_is_the_mean_length_where_the_truth_counts() -> None:
    truth = torch.zeros(1, 4, 8, 8)
    trust = torch.zeros(1, 2, 8, 8)
    trust[:, 0, :4] = 1
    estimate = torch.zeros(1, 4, 8, 8)
    estimate[:, 0], estimate[:, 1] = 3, 4
    estimate[:, 2] = 100  # 1->0, not trusted anywhere
    estimate[:, :, 4:] = 100
    assert float(flow(estimate, truth, trust)) == pytest.approx(5, abs=0.01)
    assert float(flow(estimate, truth, torch.zeros_like(trust))) == 0


def test_a_share_of_the_flow_lets_small_motion_count_as_much_as_large() -> None:
    truth = torch.zeros(1, 4, 8, 8)
    truth[:, 0, :4], truth[:, 0, 4:] = 1.0, 31.0
    still, trust = torch.zeros_like(truth), torch.ones(1, 2, 8, 8)
    trust[:, 1] = 0
    assert flow_relative(still, truth, trust).item() == pytest.approx((1 / 2 + 31 / 32) / 2, abs=2e-3)
    assert flow_relative(truth, truth, trust).item() == 0
    with pytest.raises(RecipeError, match=r"loss.flow_relative: the network's flow is 4x4 for pictures of 8x8"):
        flow_relative(still[..., ::2, ::2], truth, trust)


def test_flow_at_half_size_is_compared_in_its_own_pixels() -> None:
    truth = torch.rand(1, 4, 8, 8).repeat_interleave(1, 0) * 4
    half = F.avg_pool2d(truth, 2) / 2
    trust = torch.ones(1, 2, 8, 8)
    assert float(flow(half, truth, trust)) < 1e-5
    assert float(flow(half + torch.tensor([0.6, 0.8, 0.6, 0.8]).view(1, 4, 1, 1), truth, trust)) == pytest.approx(
        1, abs=0.01
    )
    trust[:, :, 0, 0] = 0  # one of four pixels
    wrong = half.clone()
    wrong[..., 0, 0] += 50
    assert float(flow(wrong, truth, trust)) < 1e-5


def test_right_flow_has_a_finite_gradient() -> None:
    truth = torch.rand(1, 4, 8, 8)
    estimate = truth.clone().requires_grad_()
    (found,) = torch.autograd.grad(flow(estimate, truth, torch.ones(1, 2, 8, 8)), estimate)
    assert torch.isfinite(found).all()


def test_flow_of_another_size_is_an_error() -> None:
    with pytest.raises(RecipeError, match=r"loss\.flow: the network's flow is 3x3 for pictures of 8x8"):
        flow(torch.zeros(1, 4, 3, 3), torch.zeros(1, 4, 8, 8), torch.ones(1, 2, 8, 8))


# --- by name ---------------------------------------------------------------------------------------------------------


def test_a_sum_of_losses_by_name() -> None:
    prediction, target = pictures()
    loss = make_loss({"l1": 2.0, "census": 0.5, "ssim": 0.0})
    expected = 2 * float(l1(prediction, target)) + 0.5 * float(census(prediction, target))
    total, parts = loss(prediction.requires_grad_(), batch_of(target))
    assert list(parts) == ["l1", "census"]
    assert total.item() == pytest.approx(expected)
    assert total.requires_grad
    assert not parts["l1"].requires_grad


def test_flow_is_one_of_them() -> None:
    _, target = pictures()
    estimate = torch.full((2, 4, 16, 16), 3.0)
    total, parts = make_loss({"l1": 1.0, "flow": 0.1})(target, batch_of(target), flow=estimate)
    assert float(parts["flow"]) == pytest.approx(3 * math.sqrt(2), abs=0.01)
    assert float(total) == pytest.approx(0.1 * float(parts["flow"]))
    with pytest.raises(RecipeError, match=r"loss\.flow: this network gives no flow"):
        make_loss({"flow": 0.1})(target, batch_of(target))


def test_losses_are_float32_also_in_autocast() -> None:
    prediction, target = pictures()
    loss = make_loss({"laplacian": 1.0, "ssim": 1.0})
    plain, _ = loss(prediction, batch_of(target))
    with torch.autocast("cpu", torch.bfloat16):
        cast, _ = loss(prediction, batch_of(target))
        half, _ = loss(prediction.bfloat16(), batch_of(target))
    assert cast.dtype == half.dtype == torch.float32
    assert torch.equal(cast, plain)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"lapacian": 1.0}, r"loss\.lapacian: there is no loss of this name; there are l1, charbonnier, log_mse"),
        ({"l1": -1.0}, r"loss\.l1: the weight is -1\.0; give a number from 0 on"),
        ({"l1": math.nan}, r"loss\.l1: the weight is nan"),
        ({}, "no loss has a weight above 0"),
        ({"l1": 0.0}, "no loss has a weight above 0"),
    ],
)
def test_weights_that_make_no_loss_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make_loss(weights)


# --- VGG -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG with a few channels, so that its file is small."""
    monkeypatch.setattr(vgg, "_WIDTHS", tuple(width // 16 for width in vgg._WIDTHS))


def write_weights(path: Path) -> None:
    torch.manual_seed(0)
    state = {f"features.{name}": value for name, value in vgg.vgg_features().state_dict().items()}
    torch.save({**state, "classifier.0.weight": torch.zeros(1)}, path)


@pytest.mark.usefixtures("narrow")
def test_the_perceptual_loss_is_a_difference_of_features(tmp_path: Path) -> None:
    write_weights(tmp_path / "vgg.pth")
    prediction, target = pictures()
    loss = make_loss({"vgg": 1.0}, vgg_weights=tmp_path / "vgg.pth")
    assert float(loss(target, batch_of(target))[0]) == 0
    total, _ = loss(prediction.requires_grad_(), batch_of(target))
    (found,) = torch.autograd.grad(total, prediction)
    assert float(found.abs().max()) > 0


def test_the_features_are_those_of_vgg_19() -> None:
    layers = [layer for layer in vgg.vgg_features() if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [64] * 2 + [128] * 2 + [256] * 4 + [512] * 4
    assert vgg.vgg_features()[25].out_channels == 512  # conv4_4 is features.25 in torchvision
    assert len(vgg.vgg_features()) == 27


def test_weights_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(RecipeError, match=r"loss\.vgg: there is no file .*hub/checkpoints/vgg19-dcbb9e9d\.pth"):
        make_loss({"vgg": 1.0})


@pytest.mark.usefixtures("narrow")
def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    path.write_bytes(b"no weights")
    with pytest.raises(RecipeError, match=r"loss\.vgg: .*other\.pth does not hold torchvision's weights of VGG-19"):
        make_loss({"vgg": 1.0}, vgg_weights=path)
    write_weights(path)
    state = torch.load(path)
    torch.save({name: value[:1] for name, value in state.items()}, path)
    with pytest.raises(RecipeError, match="layers differ in size"):
        make_loss({"vgg": 1.0}, vgg_weights=path)
