"""The order of samples, and the processes that make them."""

import multiprocessing
from dataclasses import replace
from itertools import islice

import pytest
import torch

from tests.training.tiny import ALONE, MovingTexture, recipe
from training.data.batch import collate
from training.run.loader import feed, numbers, samples_per_step

OPTIM = recipe(optim={"steps": 3, "batch": 2, "accumulate": 2}).optim


def test_samples_follow_each_other_from_any_step_on() -> None:
    assert list(numbers(0, OPTIM, ALONE)) == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]]
    assert list(numbers(2, OPTIM, ALONE)) == [[8, 9], [10, 11]]
    assert list(numbers(3, OPTIM, ALONE)) == []
    assert samples_per_step(OPTIM, ALONE) == 4


def test_processes_that_share_a_step_see_what_one_with_a_larger_batch_sees() -> None:
    shared = recipe(optim={"steps": 3, "batch": 2}).optim
    teams = [replace(ALONE, rank=rank, world=2) for rank in (0, 1)]
    both = [list(numbers(0, shared, team)) for team in teams]
    assert both == [[[0, 2], [4, 6], [8, 10]], [[1, 3], [5, 7], [9, 11]]]
    whole = numbers(0, recipe(optim={"steps": 3, "batch": 4}).optim, ALONE)
    assert [sorted(first + second) for first, second in zip(*both, strict=True)] == list(whole)


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_do_not_depend_on_who_makes_them(workers: int) -> None:
    state = torch.get_rng_state()
    found = list(islice(feed(MovingTexture, workers, 1, OPTIM, ALONE), 3))
    assert torch.equal(torch.get_rng_state(), state)
    for batch, own in zip(found, ([4, 5], [6, 7], [8, 9]), strict=True):
        expected = collate([MovingTexture().sample(number) for number in own])
        assert all(
            torch.equal(getattr(batch, name), getattr(expected, name)) for name in ("img0", "target", "t", "flow")
        )
    assert not multiprocessing.active_children()  # they went with the iterator
