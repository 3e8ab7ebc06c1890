"""vsrrin.engine.value_range, as the engine uses it: frames of any range, and samples that are no numbers."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tests.conftest import psnr, texture
from tests.engines import MOTION, inner, middle, recorder, untrained
from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.nets.registry import by_name


@pytest.mark.parametrize("peak", [100.0, 10.0, 1.0, 0.002])
def test_motion_is_found_in_linear_hdr_and_in_dim_pictures(peak: float) -> None:
    engine = Interpolator(loader.load("rrin_lite"), Options(precision="fp32", backend="torch"))
    (frame,) = engine.interpolate(texture(96, 128) * peak, texture(96, 128, MOTION) * peak, [0.5])
    assert psnr(inner(frame).numpy(), inner(middle(96, 128) * peak).numpy(), peak) > 38


def greatest(*images: Tensor) -> float:
    return max(float(image.max()) for image in images)


@pytest.mark.parametrize("name", ["draft", "balanced", "rrin_lite"])
def test_wide_range_video_is_not_clipped(name: str) -> None:
    wide = [texture(64, 80, shift) * 4 - 1.5 for shift in ((0.0, 0.0), MOTION)]
    (frame,) = Interpolator(loader.load(name), Options(precision="fp32", backend="torch")).interpolate(*wide, [0.3])
    assert frame.min() < -0.8 and frame.max() > 1.8
    assert frame.min() >= min(float(image.min()) for image in wide) and frame.max() <= greatest(*wide)


@pytest.mark.parametrize("bias", [500.0, -500.0])
@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (1.3, -0.1), (40.0, -8.0), (0.02, 0.0)])
def test_new_frames_stay_in_the_range_of_their_source_frames(bias: float, gain: float, offset: float) -> None:
    """A residue far out of range is cut off at the frames' range or [0, 1], whichever is wider."""
    spec = by_name("rrin_lite")
    net = spec.default().eval().requires_grad_(False)
    net.get_submodule("choose.out").bias[24:] = bias
    images = [texture(64, 80, shift) * gain + offset for shift in ((0.0, 0.0), MOTION)]
    (frame,) = Interpolator(
        Model(net=net, spec=spec, arithmetic="exact", name="x", path=Path("x")),
        Options(precision="fp32", backend="torch"),
    ).interpolate(*images, [0.5])
    expected = max(greatest(*images), 1.0) if bias > 0 else min(*(float(image.min()) for image in images), 0.0)
    assert torch.equal(frame, torch.full_like(frame, expected))


@pytest.mark.parametrize("peak", [100.0, 4.0, 0.01])
@pytest.mark.parametrize("name", ["rrin", "cain"])
def test_unusual_ranges_are_treated_as_the_usual_one(name: str, peak: float, middle_only: Model) -> None:
    """Linear HDR and dim pictures give the same picture, brighter or darker."""
    engine = Interpolator(
        untrained(name) if name == "rrin" else middle_only, Options(precision="fp32", backend="torch")
    )
    images = texture(48, 64), texture(48, 64, MOTION)
    images = images[0] / greatest(*images), images[1] / greatest(*images)
    times = [Fraction(1, 4), Fraction(1, 2)]
    usual = engine.interpolate(*images, times)
    unusual = engine.interpolate(images[0] * peak, images[1] * peak, times)
    for frame, expected in zip(unusual, usual, strict=True):
        assert (frame.clamp(0, peak) / peak - expected.clamp(0, 1)).abs().max() < 1e-4


def test_networks_see_the_range_that_they_know(lite: Model) -> None:
    for low, high, seen in ((0.0, 1.0, 1.0), (-0.2, 1.4, 1.4), (0.0, 9.0, 1.0), (-4.0, 2.0, 0.5), (0.0, 0.01, 1.0)):
        backend = recorder(lite)
        image = torch.linspace(low, high, 3 * 48 * 64).view(1, 3, 48, 64)
        (frame,) = Interpolator(lite, backend=backend).interpolate(image, image.flip(3), [0.5])
        assert backend.peaks == [pytest.approx(seen)]
        assert low <= frame.min() < frame.max() <= max(high, 1.0)
    black = torch.zeros(1, 3, 48, 64)
    assert not Interpolator(loader.load("draft"), Options(backend="torch")).interpolate(black, black, [0.5])[0].any()


@pytest.mark.parametrize("name", ["draft", "balanced", "rrin_lite"])
def test_a_dark_picture_has_the_same_gain_in_all_tiles(name: str) -> None:
    """The left half is a tenth as bright as the right one, where the greatest value is."""
    shade = torch.cat((torch.full((160,), 0.004), torch.full((160,), 0.04)))
    images = [texture(128, 320, shift) * shade for shift in ((0.0, 0.0), MOTION)]
    model = loader.load(name)
    backend = recorder(model)
    (tiled,) = Interpolator(model, Options(tile=128, overlap=48), backend=backend).interpolate(*images, [0.5])
    (whole,) = Interpolator(model, Options(tile=0, precision="fp32", backend="torch")).interpolate(*images, [0.5])
    assert len(backend.peaks) > 3
    assert backend.peaks[0] == pytest.approx(greatest(*(image[..., :128] for image in images)) / greatest(*images))
    assert max(backend.peaks) == pytest.approx(1)
    assert psnr(tiled.numpy(), whole.numpy(), 0.04) > 50


def test_samples_that_are_no_numbers_are_replaced(lite: Model) -> None:
    image = texture(48, 64)
    least, most = 0.1, 0.9
    image.clamp_(least, most)
    broken = image.clone()
    broken[0, 0, 5, 7], broken[0, 1, 6, 8], broken[0, 2, 7, 9] = torch.nan, torch.inf, -torch.inf
    engine = Interpolator(lite, Options(backend="torch"))
    picture = engine.ready(broken)
    mended = image.clone()
    mended[0, 0, 5, 7], mended[0, 1, 6, 8], mended[0, 2, 7, 9] = 0, broken[broken.isfinite()].max(), least
    assert torch.equal(picture.image, engine.ready(mended).image)
    assert (picture.low, picture.high) == (0.0, pytest.approx(most))
    assert picture.brightness is not None
    torch.testing.assert_close(torch.from_numpy(picture.brightness), F.avg_pool2d(mended.mean(1), 2)[0])
    assert broken[0, 0, 5, 7].isnan(), "the frame given was changed"
    nothing = torch.full_like(image, torch.nan), torch.full_like(image, torch.inf)
    assert not Interpolator(loader.load("draft"), Options(backend="torch")).interpolate(*nothing, [0.5])[0].any()


@pytest.mark.parametrize("name", ["draft", "balanced", "rrin", "rrin_lite", "cain"])
def test_samples_that_are_no_numbers_stay_where_they_are(name: str, middle_only: Model) -> None:
    model = middle_only if name == "cain" else untrained(name) if name == "rrin" else loader.load(name)
    images = texture(64, 320), texture(64, 320, MOTION)
    broken = images[0].clone(), images[1].clone()
    broken[0][0, 0, 20, 30], broken[1][0, 2, 40, 40] = torch.nan, torch.inf
    (clean,), (frame,) = (
        Interpolator(model, Options(precision="fp32", backend="torch")).interpolate(*pair, [0.5])
        for pair in (images, broken)
    )
    assert frame.isfinite().all()
    # CAIN weighs its channels by their means over the whole picture.
    assert (frame - clean)[..., 200:].abs().max() < (0.02 if name == "cain" else 1e-4)
