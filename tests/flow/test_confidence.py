"""vsrrin.flow.confidence: high where motion explains the pair, low where it does not."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.conftest import texture
from vsrrin.flow.confidence import Map, ReducedPair, confidence, enlarged, reduced

SHIFT = (8.0, -4.0)


def judged(img0: Tensor, img1: Tensor, new: Tensor, shift: tuple[float, float], t: float = 0.5) -> Map:
    flow = torch.tensor((*shift, *(-side for side in shift))).view(1, 4, 1, 1).expand(1, 4, *img0.shape[-2:]) / 4
    pair = ReducedPair(reduced(img0), reduced(img1), reduced(flow))
    return confidence(pair, reduced(new), t)


def inside(trust: Map) -> Map:
    return trust[4:-4, 4:-4]


@pytest.mark.parametrize("t", [0.5, 0.1, 0.75])
def test_a_pan_by_the_flow_is_trusted(t: float) -> None:
    trust = judged(texture(96, 128), texture(96, 128, SHIFT), texture(96, 128, (8 * t, -4 * t)), SHIFT, t)
    assert trust.shape == (24, 32) and trust.dtype == np.float32
    assert inside(trust).mean() > 0.9


def test_flow_that_does_not_fit_is_not() -> None:
    frames = texture(96, 128), texture(96, 128, SHIFT)
    right, wrong = (inside(judged(*frames, texture(96, 128, (4, -2)), shift)) for shift in (SHIFT, (-12.0, 12.0)))
    assert wrong.mean() < 0.5 * right.mean()


def test_doubt_is_where_something_appears() -> None:
    img0, img1, new = texture(96, 128), texture(96, 128, SHIFT), texture(96, 128, (4, -2))
    img1[..., 40:60, 60:90] = 1 - img1[..., 40:60, 60:90]
    trust = judged(img0, img1, new, SHIFT)
    around = np.zeros_like(trust, dtype=bool)
    around[6:19, 11:26] = True
    assert trust[11:14, 15:20].max() < 0.4
    assert np.where(around, 1, trust)[4:-4, 4:-4].min() > 0.8


def test_noise_is_not_trusted() -> None:
    torch.manual_seed(0)
    frames = torch.rand(3, 1, 3, 16, 16).repeat_interleave(8, -1).repeat_interleave(8, -2)
    assert judged(*frames, (0.0, 0.0)).max() < 0.4


def test_a_new_frame_unlike_its_sources_is_not_trusted() -> None:
    frames = texture(96, 128), texture(96, 128, SHIFT)
    like, unlike = (judged(*frames, new, SHIFT).mean() for new in (texture(96, 128, (4, -2)), texture(96, 128, seed=1)))
    assert unlike < like
    assert judged(*frames, torch.full((1, 3, 96, 128), torch.nan), SHIFT).max() == 0


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (33, 18)])
def test_any_size_has_a_map(size: tuple[int, int]) -> None:
    trust = judged(*(texture(*size) for _ in range(3)), (0.0, 0.0))
    assert trust.shape == (-(-size[0] // 4), -(-size[1] // 4))
    assert enlarged(trust, *size).shape == size
    assert trust.min() >= 0 and trust.max() <= 1


def test_times_next_to_a_source_frame_are_numbers() -> None:
    frames = texture(32, 32), texture(32, 32, SHIFT)
    for t in (1e-300, 1 - 2**-53):
        assert np.isfinite(judged(*frames, frames[0], SHIFT, t)).all()
