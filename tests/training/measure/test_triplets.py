"""Which triplets there are, and what they hold."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.training.moving import picture, write_video
from training.errors import DatasetError
from training.measure import triplets
from training.measure.metrics import psnr

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)


def test_size_keeps_small_pictures_and_is_even() -> None:
    assert triplets.target_size(1280, 720) == (640, 360)
    assert triplets.target_size(720, 1280) == (360, 640)
    assert triplets.target_size(720, 404) == (640, 360)
    assert triplets.target_size(320, 180) == (320, 180)


def test_slow_shots_give_wide_gaps_too() -> None:
    places = [[(s.start, s.gap, s.t) for s in kind] for kind in triplets.spans(17, 1.4)]
    assert places == [[(1, 2, HALF), (11, 2, HALF)], [(1, 4, QUARTER), (11, 4, QUARTER)], [(1, 6, HALF)]]
    assert triplets.spans(17, 1.5)[2] == []
    assert triplets.spans(16, 1.4)[1][-1].start == 11  # frames 11 to 15
    assert triplets.spans(15, 1.4)[1][-1].start == 1
    assert triplets.spans(3, 0.0) == [[], [], []]


SHOTS = {"b": (9, 9.0), "a": (9, 0.5), "c": (9, 9.0)}


def test_every_second_triplet_of_the_list_by_kind() -> None:
    selected = triplets.chosen(SHOTS)
    assert {name: [(s.gap, s.start) for s in found] for name, found in selected.items()} == {
        "a": [(2, 1), (6, 1)],
        "b": [(4, 1)],
        "c": [(2, 1)],
    }


def test_or_all_of_them() -> None:
    selected = triplets.chosen(SHOTS, split=False)
    assert {name: [s.gap for s in found] for name, found in selected.items()} == {
        "a": [2, 4, 6],
        "b": [2, 4],
        "c": [2, 4],
    }


def test_a_limit_spreads_over_the_list() -> None:
    selected = triplets.chosen(SHOTS, split=False)
    kept = triplets.thinned(selected, 3)
    assert {name: [s.gap for s in found] for name, found in kept.items()} == {"a": [2, 6], "b": [4], "c": []}
    assert triplets.thinned(selected, None) == triplets.thinned(selected, 99) == selected


@pytest.mark.parametrize("with_manifest", [True, False])
def test_triplets_of_a_folder(tmp_path: Path, with_manifest: bool) -> None:
    write_video(tmp_path / "slow.mp4", 9, 1.0)
    write_video(tmp_path / "fast.mkv", 9, 5.0)
    (tmp_path / "notes.txt").write_text("no video")
    if with_manifest:  # it is believed, so that a list of triplets does not depend on the flow
        clips = [{"file": n, "motion_mean_px": m, "w": 160, "h": 96} for n, m in (("slow.mp4", 4.0), ("fast.mkv", 0.1))]
        (tmp_path / "manifest.json").write_text(json.dumps({"clips": clips}))
    found = triplets.triplets(tmp_path)
    wide = "fast.mkv" if with_manifest else "slow.mp4"
    assert {(t.clip, t.span.gap) for t in found} == {("fast.mkv", 2), ("fast.mkv", 4), (wide, 6)}
    quarter = next(t for t in found if t.span.gap == 4)
    assert psnr(quarter.left, picture(5.0)) > 35
    assert psnr(quarter.truth, picture(10.0)) > 35
    assert psnr(quarter.right, picture(25.0)) > 35
    assert quarter.motion == pytest.approx(20, rel=0.3)
    assert quarter.bucket == "fast"
    assert str(quarter.span) == "1+4 t=1/4"


def test_files_that_do_not_fit_into_memory_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4", 5, 1.0)
    write_video(tmp_path / "b.mp4", 5, 2.0)
    kept = triplets.triplets(tmp_path, split=False)
    monkeypatch.setattr(triplets, "CACHE_BYTES", 5 * 160 * 96 * 3)  # the first one fits
    again = triplets.triplets(tmp_path, split=False)
    assert [(t.clip, t.span) for t in again] == [(t.clip, t.span) for t in kept]
    assert {t.clip for t in again} == {"a.mp4", "b.mp4"}
    assert all(np.array_equal(a.truth, b.truth) for a, b in zip(again, kept, strict=True))


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is not a folder"):
        triplets.triplets(tmp_path / "none")
    with pytest.raises(DatasetError, match="has no video file"):
        triplets.triplets(tmp_path)
    write_video(tmp_path / "short.mp4", 3, 1.0)
    with pytest.raises(DatasetError, match="has no video file of 4 or more frames"):
        triplets.triplets(tmp_path)
    (tmp_path / "damaged.mp4").write_bytes(b"no video")
    with pytest.raises(DatasetError, match=r"damaged\.mp4 cannot be decoded"):
        triplets.triplets(tmp_path)
    (tmp_path / "manifest.json").write_text('{"clips": [{"file": "short.mp4"}]}')
    with pytest.raises(DatasetError, match=r"manifest\.json is no list of clips \(KeyError: 'motion_mean_px'\)"):
        triplets.triplets(tmp_path)
