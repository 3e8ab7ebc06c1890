"""The baselines, the filter and the bare network, on motion that is known."""

from fractions import Fraction

import numpy as np
import pytest
import vapoursynth as vs

from tests.training.moving import picture
from training.errors import TrainingError
from training.measure import methods
from training.measure.metrics import psnr
from training.measure.vs_clips import to_clip, to_picture
from vsrrin.checkpoint import loader

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)


def test_blend_rounds_and_weighs_the_right_frame_by_t() -> None:
    left, right = np.full((4, 4, 3), 10, np.uint8), np.full((4, 4, 3), 21, np.uint8)
    assert np.all(methods.blend(left, right, QUARTER) == 13)
    assert np.all(methods.blend(right, left, QUARTER) == 18)


def test_backward_warp_samples_between_pixels_and_repeats_the_border() -> None:
    ramp = np.repeat(np.arange(0, 80, 10, np.uint8)[None, :, None], 3, axis=2).repeat(4, axis=0)
    flow = np.zeros((4, 8, 2), np.float32)
    flow[..., 0] = 0.25
    assert methods.backward_warp(ramp, flow)[0, :, 0] == pytest.approx([2.5, 12.5, 22.5, 32.5, 42.5, 52.5, 62.5, 70])


@pytest.mark.parametrize("t", [HALF, QUARTER])
def test_plain_dis_and_filter_follow_the_motion(t: Fraction) -> None:
    left, truth, right = picture(), picture(8 * float(t)), picture(8)
    baseline = psnr(methods.blend(left, right, t), truth)
    assert psnr(methods.plain_dis(left, right, t), truth) > baseline + 6
    assert psnr(methods.filtered("rrin_lite")(left, right, t), truth) > baseline + 6
    assert psnr(methods.filtered("rrin_lite", "YUV444P16")(left, right, t), truth) > baseline + 6


@pytest.mark.parametrize("t", [HALF, QUARTER])
def test_mvtools_follows_the_motion(t: Fraction) -> None:
    left, truth, right = picture(), picture(8 * float(t)), picture(8)
    mvtools = methods.make("mvtools")
    assert psnr(mvtools(left, right, t), truth) > psnr(methods.blend(left, right, t), truth) + 6


def test_bare_network_and_filter_agree() -> None:
    left, right = picture(), picture(8)
    bare = methods.bare(loader.load("rrin_lite"))
    assert psnr(bare(left, right, QUARTER), methods.filtered("rrin_lite")(left, right, QUARTER)) > 55


def test_methods_by_name() -> None:
    assert methods.make("blend") is methods.blend
    assert methods.make("dis") is methods.plain_dis
    with pytest.raises(TrainingError, match=r"no method 'rife'; there are blend, dis, mvtools, rife-4\.0, rife-4\.2x"):
        methods.make("rife")


def test_clip_holds_the_pictures() -> None:
    clip = to_clip([picture(), picture(3)])
    assert (clip.format.id, clip.num_frames) == (vs.RGB24, 2)
    assert np.array_equal(to_picture(clip.get_frame(1)), picture(3))


def test_tensor_holds_the_picture() -> None:
    tensor = methods.to_tensor(picture())
    assert tuple(tensor.shape) == (1, 3, 96, 160)
    assert float(tensor[0, 2, 5, 7]) == pytest.approx(picture()[5, 7, 2] / 255)
    assert np.array_equal(methods.from_tensor(tensor), picture())
    assert np.array_equal(methods.from_tensor(tensor - 2), np.zeros_like(picture()))
