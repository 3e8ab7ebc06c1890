"""vsrrin.engine.padding"""

import pytest
import torch

from vsrrin.engine.padding import Padder


def test_pads_right_and_bottom_by_edge_replication_and_crops_back() -> None:
    image = torch.rand(1, 3, 17, 33)
    padder = Padder(17, 33, 16)
    padded = padder.pad(image)
    assert padded.shape[-2:] == padder.padded == (32, 48)
    assert torch.equal(padder.crop(padded), image)
    assert torch.equal(padded[..., :17, 40], image[..., :, 32])
    assert torch.equal(padded[..., 31, :33], image[..., 16, :])


def test_a_fitting_picture_is_passed_through() -> None:
    image = torch.rand(1, 3, 32, 48)
    assert Padder(32, 48, 16).pad(image) is image


def test_single_pixels_and_minimum_sides() -> None:
    padded = Padder(1, 1, 16, minimum=20).pad(torch.full((1, 3, 1, 1), 0.25))
    assert padded.shape[-2:] == (32, 32)
    assert torch.all(padded == 0.25)


@pytest.mark.parametrize("size", [(17, 33), (32, 48), (32, 33), (1, 1)])
def test_the_border_is_filled_in_place_as_padding_does_it(size: tuple[int, int]) -> None:
    padder = Padder(*size, 16)
    image = torch.rand(1, 3, *size)
    memory = torch.full((1, 3, *padder.padded), -1.0)
    padder.crop(memory).copy_(image)
    padder.fill_border(memory)
    assert torch.equal(memory, padder.pad(image))
