"""vsrrin.flow.own_flow_scale: which size of the picture motion is found on."""

import av
import pytest
import torch
from torch import Tensor

from tests.conftest import BUNNY, psnr, texture
from tests.engines import recorder, untrained
from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.flow.own_flow_scale import best_explaining, shrunk_flow, smaller_scales, unlike

HEIGHT, WIDTH = 384, 640


def panned(pixels: int) -> Tensor:
    """A part of a real frame, (1, 3, HEIGHT, WIDTH), further right by so many pixels."""
    with av.open(str(BUNNY)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    part = picture[40 : 40 + HEIGHT, 40 + pixels : 40 + pixels + WIDTH]
    return torch.from_numpy(part.copy()).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def half() -> Model:
    return loader.load("rrin_half")


def score(frame: Tensor, truth: Tensor) -> float:
    inner = (..., slice(16, -16), slice(80, -80))  # nobody sees what comes in from outside
    return psnr(frame[inner].numpy(), truth[inner].numpy(), 1.0)


def test_motion_that_is_too_far_for_the_network_is_found_on_a_smaller_picture(half: Model) -> None:
    img0, img1, truth = panned(0), panned(64), panned(32)
    backend = recorder(half)
    (found,) = Interpolator(half, backend=backend).interpolate(img0, img1, [0.5])
    (whole,) = Interpolator(half, Options(precision="fp32", device="cpu", scale=1, backend="torch")).interpolate(
        img0, img1, [0.5]
    )
    assert score(found, truth) > score(whole, truth) + 3
    assert backend.estimates == [
        torch.Size((1, 3, HEIGHT, WIDTH) if size == 1 else (1, 3, HEIGHT // size, WIDTH // size)) for size in (1, 2, 4)
    ]


def test_near_motion_is_found_on_the_whole_picture(half: Model) -> None:
    img0, img1 = panned(0), panned(4)
    backend = recorder(half)
    (found,) = Interpolator(half, backend=backend).interpolate(img0, img1, [0.5])
    assert [shape[-1] for shape in backend.estimates] == [WIDTH, WIDTH // 2]
    (whole,) = Interpolator(half, Options(precision="fp32", device="cpu", scale=1, backend="torch")).interpolate(
        img0, img1, [0.5]
    )
    assert torch.equal(found, whole)


def test_a_scale_that_was_asked_for_is_the_only_one(half: Model) -> None:
    backend = recorder(half)
    Interpolator(half, Options(scale=0.5), backend=backend).interpolate(panned(0), panned(64), [0.5])
    assert [shape[-1] for shape in backend.estimates] == [WIDTH // 2]


def test_published_weights_do_what_is_published() -> None:
    model = untrained("rrin")
    assert model.arithmetic == "published"
    backend = recorder(model)
    engine = Interpolator(model, backend=backend)
    engine.prepare(engine.ready(texture(192, 256)), engine.ready(texture(192, 256, (3.0, 0.0))))
    assert backend.estimates == [torch.Size((1, 3, 192, 256))]


def test_small_tiles_are_not_made_smaller(half: Model) -> None:
    backend = recorder(half)
    engine = Interpolator(half, Options(tile=160, overlap=32, scale=None), backend=backend)
    engine.prepare(engine.ready(panned(0)), engine.ready(panned(64)))
    assert {shape[-1] for shape in backend.estimates} == {160}


def test_large_frames_are_judged_in_a_smaller_size() -> None:
    img0, img1 = texture(64, 2304), texture(64, 2304, (6.0, 0.0))
    exact = torch.tensor([6.0, 0.0, -6.0, 0.0]).view(1, 4, 1, 1).expand(1, 4, 64, 2304).contiguous()
    assert unlike(img0, img1, exact) < 0.2 * unlike(img0, img1, 0 * exact)
    assert unlike(img0, img1, exact) < 0.2 * unlike(img0, img1, 3 * exact)


def test_tiles_get_parts_of_what_was_found_on_the_whole_smaller_picture(half: Model) -> None:
    img0, img1, truth = panned(0), panned(64), panned(32)
    backend = recorder(half)
    (tiled,) = Interpolator(half, Options(tile=(384, 384), overlap=96), backend=backend).interpolate(img0, img1, [0.5])
    (whole,) = Interpolator(half, Options(precision="fp32", device="cpu", backend="torch")).interpolate(
        img0, img1, [0.5]
    )
    assert [tuple(shape[-2:]) for shape in backend.estimates] == [(384, 384), (384, 384), (192, 320), (96, 160)]
    assert score(tiled, truth) > score(whole, truth) - 0.5


def test_flow_of_smaller_pictures_is_in_pixels_of_the_frames() -> None:
    seen = []

    def estimate(img0: Tensor, img1: Tensor) -> Tensor:
        seen.append((img0.shape, img1.shape))
        return torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1).expand(1, 4, *img0.shape[-2:])

    flow = shrunk_flow(estimate, texture(96, 144), texture(96, 144), 0.5, 16)
    assert seen == [(torch.Size((1, 3, 48, 64)),) * 2]  # 72 is no multiple of 16
    assert flow.shape == (1, 4, 96, 144)
    torch.testing.assert_close(flow[0, :, 5, 7], torch.tensor([2.25, 4.0, 6.75, 8.0]))


def test_exact_flow_leaves_little_unexplained_and_no_flow_much() -> None:
    img0, img1 = texture(96, 128), texture(96, 128, (5.0, 3.0))
    exact = torch.tensor([5.0, 3.0, -5.0, -3.0]).view(1, 4, 1, 1).expand(1, 4, 96, 128).contiguous()
    assert unlike(img0, img1, exact) < 0.3 * unlike(img0, img1, torch.zeros(1, 4, 96, 128))
    assert unlike(img0, img1, torch.cat((exact[:, :2], -exact[:, 2:]), 1)) > 2 * unlike(img0, img1, exact)
    assert unlike(img0, img0, torch.zeros(1, 4, 96, 128)) < 0.01


@pytest.mark.parametrize(
    ("scale", "size", "expected"),
    [
        (1.0, (480, 854), [0.5, 0.25]),
        (1.0, (360, 640), [0.5]),
        (1.0, (144, 256), []),
        (0.5, (1080, 1920), [0.25, 0.125]),
        (0.25, (2160, 3840), [0.125, 0.0625]),
        (1.0, (1000, 150), []),
    ],
)
def test_smaller_pictures_stay_large_enough(scale: float, size: tuple[int, int], expected: list[float]) -> None:
    assert list(smaller_scales(scale, *size)) == expected


@pytest.mark.parametrize(
    ("left", "best", "tried"),
    [
        ({1: 10.0, 0.5: 9.8, 0.25: 1.0}, 1, [1, 0.5]),  # too little to change for, and no reason to go on
        ({1: 10.0, 0.5: 9.6, 0.25: 9.5}, 0.5, [1, 0.5, 0.25]),
        ({1: 10.0, 0.5: 9.0, 0.25: 8.0}, 0.25, [1, 0.5, 0.25]),
        ({1: 0.0, 0.5: 0.0}, 1, [1, 0.5]),
        ({1: 10.0, 0.5: float("nan"), 0.25: 1.0}, 1, [1, 0.5]),
    ],
)
def test_smaller_ones_are_tried_while_they_explain_more(
    left: dict[float, float], best: float, tried: list[float]
) -> None:
    asked: list[float] = []

    def find(scale: float) -> float:
        asked.append(scale)
        return scale

    assert best_explaining(find, left.__getitem__, 1, 480, 854) == best
    assert asked == tried


def test_where_nothing_smaller_can_be_tried_nothing_is_measured() -> None:
    assert best_explaining(lambda scale: scale, lambda flow: pytest.fail("measured"), 1.0, 100, 100) == 1.0
