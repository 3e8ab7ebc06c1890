"""training.data.synthetic_samples"""

import numpy as np
import pytest
import torch

from tests.training.pictures import photos, picture, seen_in_both, warped
from training.data.batch import generator
from training.data.moving_layers import flow_of, motions, render
from training.data.pair_flow import PairFlow
from training.data.real_samples import Sampling
from training.data.synthetic_samples import (
    Scene,
    SyntheticSource,
    blob,
    degraded,
    shake,
    streak,
    texture,
    truth,
)
from training.errors import DatasetError

SAMPLING = Sampling(crop=64, margin=16, flow_preset="fast")
SCENES = range(6)


def source(**options: bool) -> SyntheticSource:
    return SyntheticSource(photos(), SAMPLING, 1, **options)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    """Without what cameras do to pictures."""
    return [source(plain=True).scene(generator(7, number), 64) for number in SCENES]


def test_flow_leads_to_the_same_points_of_the_other_frame(scenes: list[Scene]) -> None:
    compared = 0
    for scene in scenes:
        flow, trust = truth(scene.owners(), scene.moves())
        inner = slice(scene.margin, -scene.margin)
        first, last = (frame[inner, inner] for frame in scene.frames)
        for there, back, own, other, clear in (
            (flow[..., :2], flow[..., 2:], first, last, trust[..., 0]),
            (flow[..., 2:], flow[..., :2], last, first, trust[..., 1]),
        ):
            # Where a neighbour is mixed or hidden, bilinear sampling mixes it in.
            mixed = warped(1.0 - np.stack([trust[..., 1 if clear is trust[..., 0] else 0]], -1), there)[..., 0] > 0
            same = seen_in_both(there, back) & (clear == 1) & ~mixed
            difference = np.abs(warped(other, there) - own).max(-1)[same]
            assert same.mean() > 0.2
            assert difference.mean() < 2
            compared += same.sum()
    assert compared > 20_000


def test_the_middle_frame_lies_on_the_way(scenes: list[Scene]) -> None:
    for scene in scenes:
        inner = (scene.margin, scene.margin, scene.margin + 64, scene.margin + 64)
        view = render(scene.layers, scene.t, inner)
        assert np.array_equal(np.rint(view.frame).astype(np.uint8), scene.middle)
        moves = motions(scene.layers, scene.t, 0)
        there = flow_of(view.owner, moves, scene.margin, scene.margin)
        first = render(scene.layers, 0, inner)
        back = flow_of(first.owner, motions(scene.layers, 0, scene.t), scene.margin, scene.margin)
        same = seen_in_both(there, back) & (view.clear == 1)
        mixed = warped(1.0 - first.clear[..., None], there)[..., 0] > 0
        difference = np.abs(warped(first.frame, there) - view.frame).max(-1)[same & ~mixed]
        assert difference.mean() < 2


def test_what_comes_out_from_behind_something_has_its_flow_too(scenes: list[Scene]) -> None:
    hidden = 0
    for scene in scenes:
        flow, trust = truth(scene.owners(), scene.moves())
        assert np.isfinite(flow).all()
        lost = np.linalg.norm(flow[..., :2] + warped(flow[..., 2:], flow[..., :2]), axis=-1) > 1
        hidden += int((lost & (trust[..., 0] == 1)).sum())
    assert hidden > 200


def test_flow_of_a_part_is_exact_too(scenes: list[Scene]) -> None:
    owners, moves = scenes[0].owners(), scenes[0].moves()
    part, trust = truth(owners[8:40, 20:60], moves, 20, 8)
    whole = truth(owners, moves)
    np.testing.assert_allclose(part, whole[0][8:40, 20:60], atol=1e-4)
    assert np.array_equal(trust, whole[1][8:40, 20:60])


def test_a_window_has_flow_that_was_found_on_more_than_it(scenes: list[Scene]) -> None:
    window = scenes[1].window(PairFlow("fast"))
    assert window.frames.shape == (3, 64, 64, 3)
    assert window.flow.shape == (32, 32, 4)
    assert np.array_equal(window.flow, PairFlow("fast")(*scenes[1].frames)[8:-8, 8:-8])


def test_samples_depend_on_their_number_alone() -> None:
    first, second = source(), source()
    backwards = [second.sample(number) for number in (3, 2, 1, 0)][::-1]
    for number, other in enumerate(backwards):
        sample = first.sample(number)
        assert sample.t == other.t
        assert torch.equal(sample.img0, other.img0)
        assert torch.equal(sample.flow, other.flow)
        assert torch.equal(sample.truth, other.truth)
    assert not torch.equal(backwards[0].img0, backwards[1].img0)
    assert not torch.equal(SyntheticSource(photos(), SAMPLING, 2).sample(0).img0, backwards[0].img0)


def test_samples_have_their_shapes_and_ranges() -> None:
    sample = source().sample(5)
    assert sample.img0.shape == sample.img1.shape == sample.target.shape == (3, 64, 64)
    assert sample.flow.shape == (4, 32, 32)
    assert sample.truth.shape == (4, 64, 64)
    assert sample.trust.shape == (2, 64, 64)
    assert 0 <= float(sample.img0.min()) <= float(sample.img0.max()) <= 1
    assert set(sample.trust.unique().tolist()) <= {0.0, 1.0}


def test_only_the_middle_can_be_asked_for() -> None:
    middle = SyntheticSource(photos(), Sampling(crop=64, margin=0, times="middle", flow_preset="fast"), 1)
    assert {middle.sample(number).t for number in range(6)} == {0.5}
    assert len({source().sample(number).t for number in range(8)}) > 2


def test_pictures_are_changed_as_cameras_change_them_but_for_noise_in_the_middle() -> None:
    flat = np.full((16, 16, 3), 100, np.float32)
    noisy = bright = 0
    for seed in range(120):
        first, middle, last = degraded([flat, flat, flat], 0.5, np.random.default_rng(seed))
        assert middle.std() < 1e-3
        noisy += first.std() > 0.3 and last.std() > 0.3
        bright += abs(float(first.mean() - last.mean())) > 1.5
        assert abs(float(first.mean() + last.mean()) / 2 - float(middle.mean())) < 1
    assert 15 < noisy < 60
    assert 8 < bright < 45
    assert np.all(flat == 100)


def test_a_shaken_picture_is_smeared_along_a_short_path_and_stays_in_its_place() -> None:
    rng, longest = np.random.default_rng(3), 0.0
    for _ in range(30):
        path = shake(rng)
        kernel = streak(path)
        assert kernel.shape[0] == kernel.shape[1] and kernel.shape[0] % 2 == 1
        assert kernel.min() >= 0 and abs(float(kernel.sum()) - 1) < 1e-5
        y, x = np.mgrid[: len(kernel), : len(kernel)] - (len(kernel) - 1) / 2
        np.testing.assert_allclose([(kernel * x).sum(), (kernel * y).sum()], 0, atol=1e-4)
        longest = max(longest, float(np.linalg.norm(np.ptp(path, axis=0))))
    assert 4 < longest <= 6


def test_pictures_of_a_shaken_camera_differ_in_their_blur() -> None:
    sharp = np.random.default_rng(0).uniform(0, 255, (48, 48, 3)).astype(np.float32)
    differing = 0
    for seed in range(120):
        pictures = degraded([sharp, sharp, sharp], 0.5, np.random.default_rng(seed))
        first, _, last = (float(np.abs(np.diff(picture, axis=1)).mean()) for picture in pictures)
        differing += max(first, last) > 1.25 * min(first, last)  # a change of light makes less
    assert 6 < differing < 30


def test_textures_are_pieces_of_the_photo_of_the_size_asked_for() -> None:
    photo = picture(100, 140)
    rng = np.random.default_rng(0)
    assert {texture(photo, 40, rng).shape for _ in range(5)} == {(40, 40, 3)}
    assert texture(photo, 200, rng).shape == (100, 140, 3)


def test_things_have_an_inside_and_an_outside() -> None:
    for seed in range(5):
        opacity = blob(50, 60, np.random.default_rng(seed))
        assert opacity.shape == (50, 60)
        assert opacity[25, 30] > 200
        assert not opacity[0].any()
        assert not opacity[:, -1].any()


def test_no_photos_are_an_error() -> None:
    with pytest.raises(DatasetError, match="no photos to make synthetic motion of; give a folder"):
        SyntheticSource([], SAMPLING, 1)
