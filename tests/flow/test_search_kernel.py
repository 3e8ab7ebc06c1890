"""vsrrin.flow.search_kernel beside the same search as tensor operations, and beside OpenCV's DIS."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.conftest import needs_numba
from vsrrin.flow import inverse_search
from vsrrin.flow.inverse_search import SIDE, Patches

from .frames import Grey, greys, tensor

pytestmark = needs_numba


def around(grey: Grey) -> NDArray[np.float32]:
    from vsrrin.flow.search_kernel import MARGIN

    return np.pad(grey.astype(np.float32), MARGIN, mode="edge")


def searched(grey0: Grey, grey1: Grey, guesses: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    from vsrrin.flow.search_kernel import search

    across, down = (np.asarray(slope, np.float32) for slope in cv2.spatialGradient(grey0))
    motions = guesses.copy()
    search(grey0.astype(np.float32), across, down, around(grey1), motions, stride)
    return motions[0]


def laid(grey0: Grey, grey1: Grey, motion: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    from vsrrin.flow.search_kernel import lay

    flow = np.full((*grey0.shape, 2), np.nan, np.float32)
    lay(grey0.astype(np.float32), around(grey1), motion, flow, stride)
    return flow


def costs(patches: Patches, motion: NDArray[np.float32]) -> NDArray[np.float32]:
    found = torch.from_numpy(motion).reshape(-1, 2)
    return inverse_search._cost(patches._difference(found, slice(None))).numpy().reshape(motion.shape[:2])


def grid(height: int, width: int, stride: int) -> tuple[int, int]:
    return 1 + (height - SIDE) // stride, 1 + (width - SIDE) // stride


@pytest.mark.parametrize("stride", [3, 4, 8])
@pytest.mark.parametrize("size", [(240, 427), (43, 24), (8, 9)])
def test_flow_of_pixels_is_that_of_the_tensor_operations(size: tuple[int, int], stride: int) -> None:
    grey0, grey1 = greys(10, 2, *size)
    motion = np.random.default_rng(0).normal(0, 9, (*grid(*size, stride), 2)).astype(np.float32)
    expected = Patches(tensor(grey0), tensor(grey1), stride).flow(torch.from_numpy(motion).view(-1, 2))[0]
    found = laid(grey0, grey1, motion, stride)
    # Parts of a pixel are of places in the picture, which float32 rounds by a millionth of their size.
    np.testing.assert_allclose(found, expected.permute(1, 2, 0).numpy(), atol=2e-2, rtol=0)


@pytest.mark.parametrize("place", [(30, 200), (100, 150), (150, 300)])
def test_a_patch_without_neighbours_descends_as_by_tensor_operations(
    monkeypatch: pytest.MonkeyPatch, place: tuple[int, int]
) -> None:
    from vsrrin.flow import search_kernel

    monkeypatch.setattr(inverse_search, "_ROUNDS", 1)
    monkeypatch.setattr(inverse_search, "_STEPS", search_kernel._STEPS)
    top, left = place
    grey0, grey1 = (np.ascontiguousarray(grey[top : top + SIDE, left : left + SIDE]) for grey in greys(10, 1))
    start = np.array((0.3, -0.2), np.float32).reshape(1, 1, 1, 2)
    patches = Patches(tensor(grey0), tensor(grey1), SIDE)
    stepped = patches.found(torch.from_numpy(start).view(1, 2)).numpy().reshape(1, 1, 2)
    found = searched(grey0, grey1, start, SIDE)
    before, expected, cost = (float(costs(patches, motion)[0, 0]) for motion in (start[0], stepped, found))
    assert before > cost
    assert cost <= expected + 1e-2  # the last step, which fitted no better, is taken back


def test_patches_fit_better_than_opencvs() -> None:
    grey0, grey1 = greys(10, 2)
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    for setting, value in (("FinestScale", 0), ("CoarsestScale", 0), ("PatchStride", 4)):
        getattr(dis, f"set{setting}")(value)
    flow = np.asarray(dis.calc(grey0, grey1, None), np.float32)  # type: ignore[call-overload]
    found = laid(grey0, grey1, searched(grey0, grey1, np.zeros((1, *grid(240, 427, 4), 2), np.float32), 4), 4)

    def missed(by: NDArray[np.float32]) -> float:
        warped = cv2.remap(grey1, by, None, cv2.INTER_LINEAR | cv2.WARP_RELATIVE_MAP)  # type: ignore[call-overload]
        return float(np.abs(warped.astype(float) - grey0)[8:-8, 8:-8].mean())

    assert missed(found) < 1.02 * missed(flow) < 0.9 * missed(np.zeros_like(flow))
    assert np.median(np.linalg.norm(found - flow, axis=-1)) < 0.1


def test_motion_spreads_there_and_back() -> None:
    """One patch is told; noise has no slopes that would lead the others there, but for their neighbours."""
    wide = np.random.default_rng(0).integers(0, 256, (200, 320), np.uint8)
    grey0, grey1 = (np.ascontiguousarray(wide[:, x : x + 300]) for x in (20, 9))
    guesses = np.zeros((1, *grid(200, 300, 4), 2), np.float32)
    alone = searched(grey0, grey1, guesses, 4)
    guesses[0, 24, 36] = 11, 0
    told = searched(grey0, grey1, guesses, 4)

    def right(motion: NDArray[np.float32]) -> float:
        return float((np.abs(motion - (11, 0)).max(-1) < 0.2).mean())

    assert right(told) > right(alone) + 0.3
    assert right(told[:24]) > 0.5  # before it
    assert right(told[25:]) > 0.5  # and after it


def test_the_best_of_several_guesses_is_taken() -> None:
    wide = greys(10)[0]
    grey0, grey1 = wide[20:84, 40:120].copy(), wide[17:81, 38:118].copy()
    wrong = np.zeros((*grid(64, 80, 4), 2), np.float32)
    found = searched(grey0, grey1, np.stack((wrong, wrong + np.float32((2, 3)), wrong - 40)), 4)
    assert (np.abs(found - (2, 3)).max(-1) < 0.1).mean() > 0.9


def test_where_all_fits_alike_each_patch_keeps_its_guess() -> None:
    flat = np.full((64, 80), 9, np.uint8)
    guesses = np.random.default_rng(0).normal(0, 3, (1, *grid(64, 80, 4), 2)).astype(np.float32)
    assert np.array_equal(searched(flat, flat, guesses, 4), guesses[0])


def test_a_patch_that_ends_too_far_away_goes_back() -> None:
    """A slope so faint that one level of difference means a hundred pixels."""
    x = np.arange(32)
    grey0, grey1 = (np.broadcast_to(np.rint(slope).astype(np.uint8), (32, 32)).copy() for slope in (x * 0.1, x * 3.0))
    guesses = np.ones((1, *grid(32, 32, 4), 2), np.float32)
    assert np.linalg.norm(searched(grey0, grey1, guesses, 4) - guesses[0], axis=-1).max() <= SIDE


@pytest.mark.parametrize("far", [1e3, 1e9, 1e30, -1e30, np.inf, -np.inf, np.nan])
def test_no_motion_leads_out_of_memory(far: float) -> None:
    grey0, grey1 = greys(10, 2, 64, 80)
    guesses = np.full((2, *grid(64, 80, 3), 2), far, np.float32)
    guesses[1] = 0
    found = searched(grey0, grey1, guesses, 3)
    assert found.shape == guesses[0].shape
    assert laid(grey0, grey1, np.full_like(found, far), 3).shape == (64, 80, 2)
