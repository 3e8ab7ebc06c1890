"""training.data.batch"""

import pytest
import torch

from training.data.batch import Sample, collate, generator
from training.errors import TrainingError


def sample(value: float, side: int = 8) -> Sample:
    """Every member filled with a number of its own."""
    shapes = {"img0": 3, "img1": 3, "target": 3, "flow": 4, "truth": 4, "trust": 2}
    members = {
        name: torch.full(
            (channels, side // 2, side // 2) if name == "flow" else (channels, side, side), float(value + at)
        )
        for at, (name, channels) in enumerate(shapes.items())
    }
    return Sample(t=value / 10, **members)


def test_samples_are_stacked_in_order() -> None:
    batch = collate([sample(1), sample(2)])
    assert len(batch) == 2
    assert batch.t.shape == (2, 1, 1, 1)
    torch.testing.assert_close(batch.t.flatten(), torch.tensor([0.1, 0.2]))
    assert batch.flow.shape == (2, 4, 4, 4)
    assert [float(each[1].mean()) for each in (batch.img0, batch.img1, batch.target)] == [2, 3, 4]
    assert [float(each[1].mean()) for each in (batch.flow, batch.truth, batch.trust)] == [5, 6, 7]


def test_samples_of_several_sizes_are_no_batch() -> None:
    with pytest.raises(TrainingError, match=r"\(3, 8, 8\), \(3, 16, 16\).*one size"):
        collate([sample(0), sample(0, 16)])
    with pytest.raises(TrainingError, match="no samples"):
        collate([])


def test_the_memory_layout_can_be_chosen_without_changing_values() -> None:
    batch = collate([sample(1), sample(2)])
    moved = batch.to("cpu", channels_last=True)
    assert moved.img0.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(moved.img0, batch.img0)


def test_random_numbers_depend_on_every_number_given() -> None:
    assert generator(1, 2, 3).random() == generator(1, 2, 3).random()
    assert len({float(generator(*numbers).random()) for numbers in ((1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4))}) == 4
