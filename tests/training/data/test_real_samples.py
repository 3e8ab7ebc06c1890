"""training.data.real_samples"""

import pickle
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from tests.training.pictures import ArrayShot, moving, picture
from training.data.batch import Sample
from training.data.mixed_samples import MixedSource, Turns
from training.data.real_samples import RealSource, Sampling
from training.errors import DatasetError, RecipeError
from vsrrin.nets.parts.warp import backward_warp

SAMPLING = Sampling(crop=64, margin=16, candidates=2, flow_preset="fast")


@pytest.fixture(scope="module")
def shots() -> list[ArrayShot]:
    return [moving(9, 96, 128, (2.0, 1.0)), moving(6, 80, 110, (-3.0, 0.0), seed=1)]


def assert_equal(first: Sample, second: Sample) -> None:
    assert first.t == second.t
    for name in ("img0", "img1", "target", "flow", "truth", "trust"):
        assert torch.equal(getattr(first, name), getattr(second, name))


def test_samples_depend_on_their_number_alone(shots: list[ArrayShot]) -> None:
    source, other = RealSource(shots, SAMPLING, 1), RealSource(shots, SAMPLING, 1)
    samples = [source.sample(number) for number in range(6)]
    for number in (5, 2, 0, 4, 1, 3):
        assert_equal(samples[number], other.sample(number))
    assert_equal(samples[3], pickle.loads(pickle.dumps(source)).sample(3))
    assert not torch.equal(samples[0].img0, samples[1].img0)
    assert not torch.equal(RealSource(shots, SAMPLING, 2).sample(0).img0, samples[0].img0)


def test_flow_leads_from_frame_to_frame(shots: list[ArrayShot]) -> None:
    source = RealSource(shots, replace(SAMPLING, largest_gap=3), 1)
    for number in range(8):
        sample = source.sample(number)
        assert sample.img0.shape == (3, 64, 64)
        assert sample.flow.shape == (4, 32, 32)
        assert 0 < sample.t < 1
        warped = backward_warp(sample.img1[None], sample.truth[None, :2])[0]
        trusted = sample.trust[0] == 1
        assert float(trusted.float().mean()) > 0.3
        assert float((warped - sample.img0).abs().mean(0)[trusted].mean()) < 0.02
        assert float(sample.truth[:2].norm(dim=0)[trusted].mean()) > 2


def test_flow_is_estimated_on_more_than_the_crop(shots: list[ArrayShot]) -> None:
    # A thing that comes into the crop from outside: its flow at the border is right only if it was seen outside.
    errors = {}
    for margin in (0, 24):
        source = RealSource([moving(9, 160, 160, (6.0, 0.0))], replace(SAMPLING, margin=margin, largest_gap=2), 1)
        samples = [source.sample(number) for number in range(6)]
        flows = torch.stack([sample.truth for sample in samples])
        speeds = torch.maximum(flows[:, 0:2].norm(dim=1), flows[:, 2:4].norm(dim=1))
        errors[margin] = float((speeds - 12).abs().mean())
    assert errors[24] < 0.6 * errors[0]


def test_the_hardest_of_several_windows_is_taken() -> None:
    frames = np.stack([picture(64, 320)] * 9)
    for number in range(9):  # something flickers in the first fifth; the rest stands still
        frames[number, :, :48] = picture(64, 48, seed=20 + number)
    shot = ArrayShot(frames, motion=3.0)
    errors = {}
    for candidates in (1, 8):
        sampling = replace(SAMPLING, candidates=candidates, margin=0, hard=1.0)
        samples = [RealSource([shot], sampling, 1).sample(number) for number in range(20)]
        errors[candidates] = np.mean([float((s.img0 - s.img1).abs().mean()) > 0.01 for s in samples])
    assert errors[8] > errors[1] + 0.3
    sampling = replace(SAMPLING, candidates=8, margin=0, hard=0.0)
    samples = [RealSource([shot], sampling, 1).sample(number) for number in range(20)]
    assert np.mean([float((s.img0 - s.img1).abs().mean()) > 0.01 for s in samples]) < errors[8] - 0.3


def test_shots_as_small_as_the_crop_will_do_and_smaller_ones_will_not(shots: list[ArrayShot]) -> None:
    assert RealSource([moving(3, 64, 65, (1.0, 0.0))], SAMPLING, 1).sample(0).img0.shape == (3, 64, 64)
    with pytest.raises(DatasetError, match="at least 128x128"):
        RealSource(shots, replace(SAMPLING, crop=128), 1)


@dataclass
class Constant:
    """Samples that say who made them."""

    value: float

    def sample(self, index: int) -> Sample:
        empty = torch.full((1,), self.value)
        return Sample(img0=empty, img1=empty, target=empty, t=float(index), flow=empty, truth=empty, trust=empty)


def test_sources_take_turns_in_their_shares_evenly() -> None:
    mixed = MixedSource([(Constant(1), 0.75), (Constant(2), 0.25), (Constant(3), 0)])
    made = [float(mixed.sample(number).img0) for number in range(400)]
    counts = Counter(made)
    assert set(counts) == {1, 2}
    assert abs(counts[2] - 100) <= 2
    in_batches = [made[start : start + 8].count(2) for start in range(0, 400, 8)]
    assert set(in_batches) <= {1, 2, 3}
    assert mixed.sample(7).t == 7


def test_turns_do_not_depend_on_what_came_before() -> None:
    turns = Turns([1, 2, 3])
    in_order = [turns.of(number) for number in range(50)]
    assert [turns.of(number) for number in reversed(range(50))] == in_order[::-1]
    assert set(in_order) == {0, 1, 2}


@pytest.mark.parametrize("shares", [[], [0.0, 0.0], [1.0, -0.5], [float("nan")]])
def test_shares_that_are_none_are_refused(shares: list[float]) -> None:
    with pytest.raises(RecipeError, match="give numbers from 0 on, at least one above 0"):
        MixedSource([(Constant(1), share) for share in shares])
