"""vsrrin.flow.inverse_search beside OpenCV's DIS on one level, which only differs by the order of patches."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vsrrin.flow import inverse_search
from vsrrin.flow.inverse_search import Patches

from .frames import apart, greys, tensor


def opencv(grey0: NDArray[np.uint8], grey1: NDArray[np.uint8], stride: int, *, spread: bool) -> NDArray[np.float32]:
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    dis.setFinestScale(0)
    dis.setCoarsestScale(0)
    dis.setPatchStride(stride)
    dis.setUseSpatialPropagation(spread)
    return np.asarray(dis.calc(grey0, grey1, None), np.float32)  # type: ignore[call-overload]


@pytest.mark.parametrize("stride", [3, 4, 5, 8])
@pytest.mark.parametrize("size", [(120, 161), (43, 24)])
def test_patches_that_do_not_learn_from_each_other_find_what_opencvs_find(
    monkeypatch: pytest.MonkeyPatch, stride: int, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(inverse_search, "_ROUNDS", 1)
    monkeypatch.setattr(inverse_search, "_STEPS", 12)
    grey0, grey1 = greys(10, 2, *size)
    expected = opencv(grey0, grey1, stride, spread=False)
    patches = Patches(tensor(grey0), tensor(grey1), stride)
    missed = apart(patches.flow(patches.found(patches.at_centres(torch.zeros(1, 2, *size)))), expected)
    assert np.linalg.norm(expected, axis=-1).mean() > 0.1
    assert (missed < 0.01).mean() > 0.98  # rows and columns past the last patch are repeated here
    assert missed.mean() < 0.003


def test_motion_spreads_to_patches_that_do_not_find_it() -> None:
    """Moved by 5 pixels, on one level alone: more than most patches find by themselves."""
    wide = greys(10)[0]
    grey0, grey1 = (np.ascontiguousarray(wide[40:200, x : x + 300]) for x in (60, 55))
    patches = Patches(tensor(grey0), tensor(grey1), 4)
    nothing = torch.zeros(1, 2, 160, 300)
    found = patches.flow(patches.found(patches.at_centres(nothing)))[0, :, 8:-8, 8:-8]

    def right(flow: torch.Tensor) -> float:
        return float(((flow[0] - 5).abs() + flow[1].abs() < 0.5).float().mean())

    alone = torch.from_numpy(opencv(grey0, grey1, 4, spread=False)).permute(2, 0, 1)[:, 8:-8, 8:-8]
    assert right(found) > right(alone) + 0.2


def test_the_best_of_several_motions_is_taken() -> None:
    picture = tensor(greys(10)[0])
    patches = Patches(picture[:, 20:84, 40:120], picture[:, 17:81, 38:118], 4)
    wrong = patches.at_centres(torch.zeros(1, 2, 64, 80))
    right = wrong + torch.tensor([2.0, 3.0])
    best = patches.best(torch.stack((wrong, right, wrong - 1)))
    assert (best == right).all(1).float().mean() > 0.9
    flat = Patches(torch.full((1, 64, 80), 9.0), torch.full((1, 64, 80), 9.0), 4)
    assert torch.equal(flat.best(torch.stack((wrong, right))), wrong)  # the first of equals


def test_patches_are_looked_up_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    both = tensor(*greys(10, 2, 64, 80))

    def flow() -> torch.Tensor:
        patches = Patches(both, both.flip(0), 3)
        return patches.flow(patches.found(patches.at_centres(torch.zeros(2, 2, 64, 80))))

    whole = flow()
    monkeypatch.setattr(inverse_search, "_AT_ONCE", 100)
    torch.testing.assert_close(flow(), whole, atol=1e-3, rtol=0)


def test_a_patch_that_ends_too_far_away_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slope so faint that one level of difference means a hundred pixels."""
    monkeypatch.setattr(inverse_search, "_ROUNDS", 1)
    ramp = torch.arange(32.0).mul(0.01).expand(1, 32, 32)
    patches = Patches(ramp, ramp + torch.arange(32.0) * 0.2, 4)
    start = patches.at_centres(torch.ones(1, 2, 32, 32))
    assert (patches.found(start) - start).norm(dim=1).max() <= inverse_search.SIDE
