"""vsrrin.flow.device_matching beside the search of vsrrin.flow.block_matching, which is tried one by one there."""

import numpy as np
import pytest
import torch

from vsrrin.flow.block_matching import _match, reduced_size
from vsrrin.flow.device_matching import _match as match_on_device
from vsrrin.flow.device_matching import coarse_flow

from .frames import greys
from .test_block_matching import scene


@pytest.mark.parametrize("size", [(16, 20), (27, 34), (45, 80)])
def test_blocks_are_matched_as_on_the_host(size: tuple[int, int]) -> None:
    pictures = [scene(*size).astype(np.float32), scene(*size, (7, -5)).astype(np.float32)]
    pictures += [
        *np.random.default_rng(0).integers(0, 256, (2, *size)).astype(np.float32),
        np.full(size, 90, np.float32),
    ]
    first = torch.from_numpy(np.stack(pictures))
    found = match_on_device(first, first.roll(1, 0))
    for k in range(len(pictures)):
        expected = _match(pictures[k], pictures[k - 1])
        assert np.array_equal(found[k].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("shift", [(0, 0), (40, 0), (-64, 24), (16, -80)])
def test_large_motion_is_found(shift: tuple[int, int]) -> None:
    pictures = torch.from_numpy(np.stack([scene(360, 640), scene(360, 640, shift)]).astype(np.float32))
    flow = coarse_flow(pictures, pictures.flip(0))
    assert flow is not None and flow.shape == (2, 2, 360, 640)
    for direction, sign in ((0, 1), (1, -1)):
        inner = flow[direction, :, 120:-120, 140:-140].flatten(1).median(1).values
        assert (inner - sign * torch.tensor(shift)).abs().max() <= 4


def test_small_pictures_have_none() -> None:
    picture = torch.from_numpy(greys(10, height=61, width=64)[0].astype(np.float32))[None]
    assert reduced_size(61, 64) is None and coarse_flow(picture, picture) is None
    assert reduced_size(64, 64) == (16, 16)
