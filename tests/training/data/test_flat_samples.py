"""training.data.flat_samples"""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.training.pictures import photos, seen_in_both, warped
from training.data.banks.files import LAYERS
from training.data.batch import generator
from training.data.flat_samples import FlatSource
from training.data.moving_layers import flow_of, motions, render
from training.data.real_samples import Sampling
from training.data.synthetic_samples import MIXED, Scene, truth

SAMPLING = Sampling(crop=96, margin=16, flow_preset="fast")


def source(count: int = 3, *, plain: bool = False, seed: int = 1) -> FlatSource:
    return FlatSource(photos(count) if count else [], SAMPLING, seed, plain=plain)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    """Without what cameras do to pictures."""
    return [source(plain=True).scene(generator(7, number), 96) for number in range(24)]


def sharp(scene: Scene) -> NDArray[np.bool_]:
    """Layers that are not smeared: on a curved path smears are not alike at different times."""
    return np.array([not layer.shutter for layer in scene.layers])


@pytest.mark.parametrize("end", [0, 1])
def test_the_middle_is_either_frame_warped_by_exact_flow(scenes: list[Scene], end: int) -> None:
    things, differences = 0, []
    for scene in scenes:
        inner = (scene.margin, scene.margin, scene.margin + 96, scene.margin + 96)
        view, other = render(scene.layers, scene.t, inner), render(scene.layers, end, inner)
        assert np.array_equal(np.rint(view.frame).astype(np.uint8), scene.middle)
        there = flow_of(view.owner, motions(scene.layers, scene.t, end), scene.margin, scene.margin)
        back = flow_of(other.owner, motions(scene.layers, end, scene.t), scene.margin, scene.margin)
        mixed = warped(1.0 - other.clear[..., None], there)[..., 0] > 0
        same = seen_in_both(there, back) & (view.clear == 1) & ~mixed & sharp(scene)[view.owner]
        difference = np.abs(warped(other.frame, there) - view.frame).max(-1)[same]
        assert difference.mean() < 3  # stripes and dots are interpolated twice
        differences.append(difference)
        things += int((same & (view.owner > 0)).sum())
    assert len(np.concatenate(differences)) > 100_000 and things > 5_000
    assert np.concatenate(differences).mean() < 1


def test_flow_between_the_frames_leads_to_the_same_points(scenes: list[Scene]) -> None:
    differences = []
    for scene in scenes:
        flow, trust = truth(scene.owners(), scene.moves())
        inner = slice(scene.margin, -scene.margin)
        first, last = (view.frame[inner, inner] for view in (scene.first, scene.last))
        for own, other, at in ((first, last, 0), (last, first, 1)):
            there, back = flow[..., 2 * at : 2 * at + 2], flow[..., 2 - 2 * at : 4 - 2 * at]
            mixed = warped(1.0 - trust[..., 1 - at, None], there)[..., 0] > 0
            own_layer = scene.owners()[..., at] % MIXED
            same = seen_in_both(there, back) & (trust[..., at] == 1) & ~mixed & sharp(scene)[own_layer]
            differences.append(np.abs(warped(other, there) - own).max(-1)[same])
            assert differences[-1].mean() < 3
    assert np.concatenate(differences).mean() < 1


def test_scenes_fit_into_banks_and_things_own_their_pixels(scenes: list[Scene]) -> None:
    owned = 0
    for scene in scenes:
        assert 2 <= len(scene.layers) <= LAYERS
        owners = scene.owners()
        assert (owners % MIXED).max() < len(scene.layers)
        owned += int(((owners > 0) & (owners < MIXED)).any())
    assert owned > 18


def test_there_are_curved_paths_joints_smears_and_small_fast_things(scenes: list[Scene]) -> None:
    layers = [layer for scene in scenes for layer in scene.layers[1:]]
    assert any(layer.motion.arc_x for layer in layers)
    assert any(layer.motion.on is not None and layer.motion.on.on is not None for layer in layers)
    assert any(layer.shutter for layer in layers)
    small = [layer for layer in layers if max(layer.texture.shape) * layer.motion.scale <= 31]
    fast = [np.hypot(layer.motion.dx, layer.motion.dy) for layer in small if layer.motion.scale == 0.5]
    assert len(fast) > 5 and min(fast) >= 20 and max(fast) <= 80


def test_samples_depend_on_seed_and_number_alone() -> None:
    first, second = source(), source()
    backwards = [second.sample(number) for number in (4, 3, 2, 1, 0)][::-1]
    for number, other in enumerate(backwards):
        sample = first.sample(number)
        assert sample.t == other.t
        assert torch.equal(sample.img0, other.img0) and torch.equal(sample.target, other.target)
        assert torch.equal(sample.truth, other.truth) and torch.equal(sample.trust, other.trust)
    assert not torch.equal(source(seed=2).sample(0).img0, backwards[0].img0)


def test_photos_are_not_needed() -> None:
    sample = source(0).sample(3)
    assert sample.img0.shape == (3, 96, 96) and sample.flow.shape == (4, 48, 48)
    assert torch.isfinite(sample.truth).all()
    grounds = [source(0).scene(generator(7, number), 96).layers[0].texture for number in range(8)]
    assert np.median([len(np.unique(ground.reshape(-1, 3), axis=0)) for ground in grounds]) < 3000
