"""vsrrin.nets.parts.opencv_layout"""

import numpy as np
import pytest
import torch

from vsrrin.nets.parts.opencv_layout import as_planes, interleaved


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_order_in_memory_does_not_matter(channels: int) -> None:
    planes = torch.rand(channels, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = planes.numpy().transpose(1, 2, 0)
    for same in (planes, planes.permute(1, 2, 0).contiguous().permute(2, 0, 1), planes.mT.contiguous().mT):
        assert np.array_equal(interleaved(same), expected)
    assert np.array_equal(interleaved(planes[:1].expand(channels, 5, 7)), expected[..., :1].repeat(channels, 2))


def test_what_is_in_order_is_not_copied_though_rows_be_longer() -> None:
    planes = torch.zeros(8, 9, 3).permute(2, 0, 1)[:, :6, :7]
    interleaved(planes)[...] = 1
    assert planes.sum() == 3 * 6 * 7


def test_half_precision_becomes_single() -> None:
    assert interleaved(torch.ones(3, 2, 2, dtype=torch.float16)).dtype == np.float32


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3)])
def test_pictures_are_tensors_without_a_copy(shape: tuple[int, ...]) -> None:
    picture = np.zeros(shape, np.float32)
    planes = as_planes(picture)
    assert planes.shape == (1, shape[2] if len(shape) == 3 else 1, 4, 6)
    planes[0, -1, 1, 2] = 5
    assert picture.reshape(4, 6, -1)[1, 2, -1] == 5
