"""vsrrin.engine.motion: flow by tensor operations in the engine."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from tests.conftest import psnr, texture
from tests.engines import MOTION, inner, middle, recorder
from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.flow.device_flow import DeviceFlow


@pytest.fixture(scope="module")
def draft() -> Model:
    return loader.load("draft")


@pytest.mark.parametrize("options", [Options(), Options(scale=0.5), Options(tile=64, overlap=16)])
def test_new_frames_are_those_of_opencvs_flow(draft: Model, options: Options) -> None:
    given = replace(options, device="cpu", precision="fp32", backend="torch")
    images = texture(99, 135), texture(99, 135, MOTION)
    steps = [Fraction(1, 4), Fraction(1, 2)]
    host = Interpolator(draft, given).interpolate(*images, steps)
    found = Interpolator(draft, given, motion=DeviceFlow("fast")).interpolate(*images, steps)
    for mine, other, t in zip(found, host, steps, strict=True):
        truth = inner(middle(99, 135, float(t))).numpy()
        assert psnr(inner(mine).numpy(), truth, 1.0) > min(psnr(inner(other).numpy(), truth, 1.0) - 1, 45)
        assert psnr(mine.numpy(), other.numpy(), 1.0) > 38


def test_networks_get_padded_flow_and_the_host_prepares_none(lite: Model) -> None:
    backend, motion = recorder(lite), DeviceFlow("fast")
    engine = Interpolator(lite, Options(tile=0), backend=backend, motion=motion)
    images = texture(37, 51), texture(37, 51, (2.0, 0.0))
    left, right = (engine.ready(image) for image in images)
    assert left.brightness is None and right.brightness is None
    flow = engine.prepare(left, right).flow
    assert flow is not None
    padded = [side // 2 for side in left.image.shape[-2:]]
    assert list(flow.shape) == [1, 4, *padded] and padded > [19, 26]
    assert torch.equal(flow[..., :19, :26], motion(*images))
    assert torch.equal(flow[..., 19:, :26], flow[..., 18:19, :26].expand(1, 4, padded[0] - 19, 26))


@pytest.mark.parametrize("size", [(33, 17), (1, 1), (47, 90)])
def test_any_size_comes_back(draft: Model, size: tuple[int, int]) -> None:
    engine = Interpolator(draft, Options(device="cpu", backend="torch"), motion=DeviceFlow("fast"))
    (frame,) = engine.interpolate(texture(*size), texture(*size, (1.0, 0.0)), [0.5])
    assert frame.shape == (1, 3, *size) and torch.isfinite(frame).all()


def test_bright_frames_are_matched_too(draft: Model) -> None:
    """Linear HDR, which the network is given darker and flow is found on in a map of its own."""
    engine = Interpolator(draft, Options(device="cpu", precision="fp32", backend="torch"), motion=DeviceFlow("fast"))
    (frame,) = engine.interpolate(texture(96, 128) * 20, texture(96, 128, MOTION) * 20, [0.5])
    assert psnr(inner(frame).numpy() / 20, inner(middle(96, 128)).numpy(), 1.0) > 30
