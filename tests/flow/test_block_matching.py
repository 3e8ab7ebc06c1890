"""vsrrin.flow.block_matching, and what DIS makes of it."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.conftest import texture
from vsrrin.flow.block_matching import _match, coarse_motion
from vsrrin.flow.dis import PRESETS, DisFlow, _dis, brightness


def scene(height: int, width: int, shift: tuple[int, int] = (0, 0), *, seed: int = 4) -> NDArray[np.uint8]:
    """A picture with detail at every scale, moved by whole pixels; what comes into view is part of the same scene."""
    random = np.random.default_rng(seed)
    margin = 256
    total = np.zeros((height + 2 * margin, width + 2 * margin), np.float32)
    for size in (4, 12, 40):
        cells = random.random((total.shape[0] // size + 1, total.shape[1] // size + 1), np.float32)
        total += np.asarray(cv2.resize(cells, total.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)
    grey = np.clip(total * 70, 0, 255).astype(np.uint8)
    dx, dy = shift
    return np.ascontiguousarray(grey[margin - dy : margin - dy + height, margin - dx : margin - dx + width])


@pytest.mark.parametrize("shift", [(0, 0), (40, 0), (-64, 24), (16, -80), (96, 0)])
def test_finds_large_motion_in_both_directions(shift: tuple[int, int]) -> None:
    found = coarse_motion(scene(360, 640), scene(360, 640, shift))
    assert found is not None
    for flow, sign in zip(found, (1, -1), strict=True):
        assert flow.shape == (360, 640, 2)
        assert flow.dtype == np.float32 and flow.flags.c_contiguous
        inner = flow[120:-120, 140:-140].reshape(-1, 2)
        assert np.abs(np.median(inner, 0) - sign * np.array(shift)).max() <= 4


def test_large_frames_are_reduced_more_so_that_reach_grows_with_them() -> None:
    found = coarse_motion(scene(720, 1280), scene(720, 1280, (192, -32)))
    assert found is not None
    assert np.abs(np.median(found[0][200:-200, 300:-300].reshape(-1, 2), 0) - (192, -32)).max() <= 8


def test_flat_pictures_do_not_move() -> None:
    flat = np.full((360, 640), 90, np.uint8)
    found = coarse_motion(flat, flat + np.uint8(3))
    assert found is not None
    assert not found[0].any() and not found[1].any()


@pytest.mark.parametrize(
    ("height", "width", "enough"), [(60, 400, False), (400, 60, False), (64, 64, True), (63, 64, True), (61, 64, False)]
)
def test_small_frames_have_none(height: int, width: int, enough: bool) -> None:
    assert (coarse_motion(scene(height, width), scene(height, width)) is not None) == enough


@pytest.mark.usefixtures("either_search")
def test_dis_follows_a_jump_that_it_does_not_find_alone() -> None:
    shift = (88, -40)
    grey0, grey1 = scene(360, 640), scene(360, 640, shift)
    alone = _dis(PRESETS["fine"]).calc(grey0, grey1, None)  # type: ignore[call-overload]
    started = DisFlow("fine")(*(grey.astype(np.float32) / 255 for grey in (grey0, grey1)))[0]
    inner = slice(100, -100), slice(120, -120)

    def miss(flow: NDArray[np.float32]) -> float:
        return float(np.median(np.linalg.norm(flow[inner] - shift, axis=-1)))

    assert miss(started) < 0.5
    assert miss(np.asarray(alone, np.float32)) > 10


def with_ball(across: int, diameter: int) -> NDArray[np.uint8]:
    """Half of a frame of 854x480, a bright ball on a still, textured ground."""
    frame = (scene(480, 854) * np.float32(0.5) + 60).astype(np.uint8)
    cv2.circle(frame, (across, 240), diameter // 2, 235, cv2.FILLED)
    return np.asarray(cv2.resize(frame, (427, 240), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.usefixtures("either_search")
@pytest.mark.parametrize("diameter", [12, 20])
def test_a_small_ball_is_found_and_its_ground_stays(diameter: int) -> None:
    grey0, grey1 = with_ball(400, diameter), with_ball(440, diameter)
    coarse = coarse_motion(grey0, grey1)
    assert coarse is not None
    fine = DisFlow("fine")(*(grey.astype(np.float32) / 255 for grey in (grey0, grey1)))
    down, across = np.mgrid[:240, :427]
    # The start covers a ball smaller than its blocks in part; DIS makes it whole.
    for found in (coarse, fine) if diameter == 20 else (fine,):
        for flow, centre, sign in zip(found, (200, 220), (1, -1), strict=True):
            distance = np.hypot(across - centre, down - 120)
            missed = np.linalg.norm(flow[distance < diameter / 4] - (sign * 20, 0), axis=-1)
            assert (missed <= 1).mean() > 0.8  # 2 px of the frame
            assert np.abs(flow[np.hypot(across - 210, down - 120) > 50]).mean() < 0.01


def test_what_both_scales_find_does_not_depend_on_the_number_of_threads() -> None:
    pair = with_ball(400, 12), with_ball(440, 12)
    threads = torch.get_num_threads(), cv2.getNumThreads()
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            cv2.setNumThreads(count)
            results.append(coarse_motion(*pair))
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])
    one, other = results
    assert one is not None and other is not None
    assert one[0].any() and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def shifts_by_trying_all(block_of: NDArray[np.float32], within: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each block of 8 x 8, 4 apart, the shift of the least squared difference and length, then the median of 5 x 5
    blocks; the nearest pixel stands for what lies outside."""
    area = np.pad(within, 16, mode="edge")
    rows, columns = ((side - 8) // 4 + 1 for side in block_of.shape)
    found = np.zeros((rows, columns, 2), np.float32)
    for row in range(rows):
        for column in range(columns):
            block, least = block_of[4 * row : 4 * row + 8, 4 * column : 4 * column + 8], np.inf
            for dy in range(-16, 17):
                for dx in range(-16, 17):
                    top, left = 4 * row + dy + 16, 4 * column + dx + 16
                    missed = ((block - area[top : top + 8, left : left + 8]) ** 2).sum() + 128 * np.hypot(dx, dy)
                    if missed < least:
                        least, found[row, column] = missed, (dx, dy)
    around = np.pad(found, ((2, 2), (2, 2), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(around, (5, 5), axis=(0, 1))
    return np.asarray(np.median(windows, axis=(-2, -1)), np.float32)


@pytest.mark.parametrize("kind", ["moved", "noise", "flat"])
def test_blocks_are_matched_as_if_all_shifts_were_tried_one_by_one(kind: str) -> None:
    if kind == "moved":
        first, second = (np.float32(scene(27, 34, shift)) for shift in ((0, 0), (7, -5)))
    elif kind == "noise":
        first, second = np.random.default_rng(0).integers(0, 256, (2, 24, 20)).astype(np.float32)
    else:
        first, second = np.full((16, 20), 200, np.float32), np.full((16, 20), 90, np.float32)
    for one, other in ((first, second), (second, first)):
        assert np.array_equal(_match(one, other), shifts_by_trying_all(one, other))


def test_the_same_pair_gives_the_same_flow_again() -> None:
    motion = DisFlow("fast")
    pair = brightness(texture(200, 320)), brightness(texture(200, 320, (9.0, 4.0)))
    first = motion(*pair)
    motion(pair[1], pair[0])
    assert all(np.array_equal(a, b) for a, b in zip(first, motion(*pair), strict=True))
