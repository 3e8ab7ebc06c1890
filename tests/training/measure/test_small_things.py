"""training.measure.small_things"""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.training.moving import write_video
from tests.training.pictures import moving, picture
from training.errors import DatasetError
from training.measure.small_things import HIDDEN, THINGS, SmallThings, pasted, small_things, write


@pytest.fixture(scope="module")
def made() -> list[SmallThings]:
    frames = [np.ascontiguousarray(frame) for frame in moving(3, 240, 320, (2, 1)).pictures]
    return [pasted("x", frames, picture(90, 90, seed=5), np.random.default_rng(seed)) for seed in range(6)]


def test_outside_of_the_mask_the_frames_are_the_videos_own(made: list[SmallThings]) -> None:
    for found in made:
        for frame, own in zip(found.frames, moving(3, 240, 320, (2, 1)).pictures, strict=True):
            away = found.mask == 0
            assert np.abs(frame[away].astype(int) - own[away]).max() <= 25  # a trace of a thing is no thing
            assert np.mean(np.any(frame[away] != own[away], axis=-1)) < 0.01


def test_the_mask_marks_things_in_the_true_frame_and_what_they_hide_in_others(made: list[SmallThings]) -> None:
    for found in made:
        own = moving(3, 240, 320, (2, 1)).pictures
        changed = [np.any(frame != base, axis=-1) for frame, base in zip(found.frames, own, strict=True)]
        assert set(np.unique(found.mask)) == {0, HIDDEN, THINGS}
        assert changed[1][found.mask == THINGS].mean() > 0.95
        assert changed[1][found.mask == HIDDEN].mean() < 0.2
        assert (changed[0] | changed[2])[found.mask == HIDDEN].mean() > 0.95


def test_things_are_few_and_small_and_move_along(made: list[SmallThings]) -> None:
    for found in made:
        count, _, stats, _ = cv2.connectedComponentsWithStats((found.mask == THINGS).astype(np.uint8))
        assert 2 <= count <= 8
        assert stats[1:, cv2.CC_STAT_AREA].max() < 3 * 45**2
        assert 0.002 < (found.mask == THINGS).mean() < 0.08
        assert (found.mask == HIDDEN).sum() > (found.mask == THINGS).sum() / 2


def test_the_same_folder_gives_the_same_triplets_whose_files_are_lossless(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_video(tmp_path / f"{name}.mp4", 6, 3.0)
    first, again = list(small_things(tmp_path, 3)), list(small_things(tmp_path, 3))
    assert [found.name for found in first] == ["00_a", "01_b", "02_a"]
    for found, other in zip(first, again, strict=True):
        assert all(map(np.array_equal, found.frames, other.frames)) and np.array_equal(found.mask, other.mask)
    assert not np.array_equal(first[0].frames[1], first[2].frames[1])
    write(first[1], tmp_path / "out")
    read = [cv2.imread(str(tmp_path / f"out/{name}.png"), cv2.IMREAD_COLOR_RGB) for name in NAMES]
    assert all(map(np.array_equal, first[1].frames, read))
    assert np.array_equal(cv2.imread(str(tmp_path / "out/mask.png"), cv2.IMREAD_UNCHANGED), first[1].mask)


NAMES = ("frame10", "frame10i11", "frame11")


def test_videos_that_are_too_short_are_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "short.mp4", 2, 3.0)
    with pytest.raises(DatasetError, match="has no video file of 3 or more frames; give a folder of short clips"):
        list(small_things(tmp_path, 1))
