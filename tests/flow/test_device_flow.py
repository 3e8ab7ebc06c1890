"""vsrrin.flow.device_flow beside OpenCV's flow; here on the CPU, where every tensor operation of it runs as well."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.conftest import texture
from vsrrin.flow import dis
from vsrrin.flow.device_flow import DeviceFlow, brightness, greys
from vsrrin.flow.dis import DisFlow, Preset, half_flow

from .frames import pictures


def by_opencv(img0: Tensor, img1: Tensor, preset: Preset, scale: float = 1.0) -> Tensor:
    height, width = img0.shape[-2:]
    out = torch.empty(1, 4, -(-height // 2), -(-width // 2))
    half_flow(DisFlow(preset)(*(dis.brightness(x, scale) for x in (img0, img1))), height, width, out)
    return out


@pytest.mark.usefixtures("opencv")
@pytest.mark.parametrize("preset", ["fast", "fine"])
@pytest.mark.parametrize("scale", [1.0, 0.6])
def test_flow_of_real_frames_is_that_of_opencv(preset: Preset, scale: float) -> None:
    img0, img1 = pictures(10, 2).chunk(2)
    found, expected = DeviceFlow(preset)(img0, img1, scale), by_opencv(img0, img1, preset, scale)
    assert found.shape == expected.shape
    missed = (found - expected).view(2, 2, *found.shape[-2:]).norm(dim=1)
    assert expected.abs().mean() > 0.3
    assert missed.mean() < 0.2
    assert missed.median() < 0.04
    assert (missed < 0.5).float().mean() > 0.95


@pytest.mark.parametrize("preset", ["fast", "fine"])
@pytest.mark.parametrize("shift", [(0, 0), (6, -4), (80, 36)])
def test_a_pan_is_found(preset: Preset, shift: tuple[int, int]) -> None:
    picture, (dx, dy) = pictures(10)[:1], shift
    img0, img1 = picture[..., 40:360, 100:580], picture[..., 40 - dy : 360 - dy, 100 - dx : 580 - dx]
    flow = DeviceFlow(preset)(img0, img1)[..., 30:-30, 50:-50]
    expected = torch.tensor([dx, dy, -dx, -dy]).view(1, 4, 1, 1) / 2
    missed = (flow - expected).abs().amax(1)
    assert missed.median() < 0.1
    assert (missed < 0.25).float().mean() > 0.95


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 3), (17, 33), (11, 11), (63, 130), (130, 131)])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_any_size_has_a_flow(size: tuple[int, int], scale: float) -> None:
    img0, img1 = texture(*size), texture(*size, (1.0, 0.0))
    flow = DeviceFlow()(img0, img1, scale)
    assert flow.shape == (1, 4, -(-size[0] // 2), -(-size[1] // 2))
    assert torch.isfinite(flow).all()
    if scale == 1 and min(size) > 8:
        assert (flow - by_opencv(img0, img1, "fine")).abs().median() < 0.1


def test_flat_pictures_do_not_move() -> None:
    flat = torch.full((1, 3, 144, 192), 0.4)
    for other in (flat, flat + 0.1, flat * 0):
        assert DeviceFlow()(flat, other).abs().max() < 1e-3


def test_a_batch_is_like_its_pairs_and_the_same_again() -> None:
    img0 = torch.cat([texture(96, 130), texture(96, 130, seed=1), pictures(10)[:1, :, 100:196, 200:330]])
    img1 = torch.cat([texture(96, 130, (5.0, 2.0)), texture(96, 130, (-3.0, 1.0), 1), img0[2:].roll(3, -1)])
    motion = DeviceFlow()
    together = motion(img0, img1)
    assert torch.equal(motion(img0, img1), together)
    for k in range(3):
        missed = (motion(img0[k : k + 1], img1[k : k + 1]) - together[k : k + 1]).abs()
        # Sums of another order may let a patch stop a step sooner.
        assert missed.median() < 1e-4 and (missed < 0.05).float().mean() > 0.99


@pytest.mark.parametrize("scale", [1.0, 0.7, 0.25])
@pytest.mark.parametrize("size", [(90, 130), (45, 67), (7, 1)])
def test_brightness_is_that_of_the_host(size: tuple[int, int], scale: float) -> None:
    images = torch.cat([texture(*size), texture(*size, seed=3)])
    found = brightness(images, scale)
    for k in (0, 1):
        np.testing.assert_allclose(found[k].numpy(), dis.brightness(images[k : k + 1], scale), atol=1e-5)


@pytest.mark.parametrize("peak", [1.0, 0.03, 1.4, 12.0])
def test_grey_levels_are_those_of_the_host(peak: float) -> None:
    random = np.random.default_rng(0)
    first, second = (random.random((20, 30), np.float32) * np.float32(peak) for _ in range(2))
    first[0, :3] = np.nan, np.inf, -np.inf
    first[1, 0] = -0.2
    # Beside a pair of another range, which has a map of its own.
    both = [torch.from_numpy(np.stack([x, np.nan_to_num(x, posinf=0, neginf=0) * 0.5 + 3])) for x in (first, second)]
    found = greys(both[0], both[1])
    for k in (0, 1):
        expected = dis.greys(both[0][k].numpy(), both[1][k].numpy())
        for mine, other in zip(found, expected, strict=True):
            missed = np.abs(mine[k].numpy() - other)
            assert missed.max() <= 1 and (missed == 0).mean() > 0.995
