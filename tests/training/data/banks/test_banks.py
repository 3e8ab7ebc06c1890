"""Banks: what is in them, how they are made, and the samples that are drawn from them."""

import json
import pickle
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.banks import SETTINGS, contents
from tests.training.pictures import ArrayShot, moving, photos
from training.data.banks.building import Data, make_bank
from training.data.banks.files import BankReader, from_steps, to_steps
from training.data.banks.maker import BankMaker, window_worth
from training.data.banks.samples import BankSource, GrowingMotion
from training.data.pair_flow import PairFlow
from training.data.shots import open_shots
from training.errors import DatasetError
from vsrrin.nets.parts.warp import backward_warp

# --- making ----------------------------------------------------------------------------------------------------------


def test_flow_is_that_of_whole_frames_and_frames_are_those_of_the_shot(bank: Path, bank_data: Data) -> None:
    reader, shots = BankReader(bank), open_shots(bank_data.shots[0]).shots
    real = [entry for entry in map(reader.entry, range(15)) if entry.owners is None]
    assert {int(entry.record["shot"]) for entry in real} == {0, 1}
    for entry in real:
        line = entry.record
        first, last = (shots[line["shot"]].frame(line["start"] + step) for step in (0, line["gap"]))
        height, width, top, left = (int(line[name]) for name in ("height", "width", "top", "left"))
        assert (height, width) == ((80, 80) if line["shot"] == 0 else (70, 80))
        assert np.array_equal(entry.frames[0], first[top : top + height, left : left + width])
        assert np.array_equal(entry.frames[2], last[top : top + height, left : left + width])
        whole = PairFlow("fast")(first, last)
        part = whole[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2]
        np.testing.assert_allclose(from_steps(entry.flow), part, atol=1 / 127)
        assert line["t"] == line["middle"] / line["gap"]


def test_about_the_share_asked_for_is_synthetic(bank: Path) -> None:
    layers = BankReader(bank).index["layers"]
    assert 4 <= np.count_nonzero(layers) <= 8


def test_a_bank_is_the_same_however_it_is_made(bank: Path, bank_data: Data, tmp_path: Path) -> None:
    steps = make_bank(tmp_path / "stopped", 15, SETTINGS, bank_data)
    assert [next(steps) for _ in range(4)] == [0, 2, 4, 6]
    steps.close()
    assert json.loads((tmp_path / "stopped/manifest.json").read_text())["done"] == 0  # saved every few seconds only
    list(make_bank(tmp_path / "stopped", 15, SETTINGS, bank_data))
    list(make_bank(tmp_path / "grown", 9, SETTINGS, bank_data))
    assert next(make_bank(tmp_path / "grown", 15, SETTINGS, bank_data)) == 9
    list(make_bank(tmp_path / "grown", 15, SETTINGS, bank_data))
    assert contents(tmp_path / "stopped") == contents(tmp_path / "grown") == contents(bank)


def test_several_processes_make_the_same_bank(bank: Path, bank_data: Data, tmp_path: Path) -> None:
    list(make_bank(tmp_path / "spread", 15, SETTINGS, bank_data, processes=2))
    assert contents(tmp_path / "spread") == contents(bank)


def test_a_bank_of_other_settings_or_data_is_not_gone_on_with(bank: Path, bank_data: Data) -> None:
    before = contents(bank)
    with pytest.raises(DatasetError, match=r"begun with times = any, not middle, seed = 1, not 2; give what it was"):
        list(make_bank(bank, 20, replace(SETTINGS, seed=2, times="middle"), bank_data))
    with pytest.raises(DatasetError, match="begun with other shots or photos"):
        list(make_bank(bank, 20, SETTINGS, replace(bank_data, shots=bank_data.shots * 2)))
    assert contents(bank) == before


def test_a_setting_that_was_not_known_yet_counts_as_the_usual_one(bank: Path, bank_data: Data, tmp_path: Path) -> None:
    shutil.copytree(bank, tmp_path / "bank")
    manifest = json.loads((bank / "manifest.json").read_text())
    del manifest["settings"]["flow_scale"]
    (tmp_path / "bank/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match=r"begun with flow_scale = 1.0, not 0.5; give what it was"):
        list(make_bank(tmp_path / "bank", 15, replace(SETTINGS, flow_scale=0.5), bank_data))
    assert set(make_bank(tmp_path / "bank", 15, SETTINGS, bank_data)) == {15}  # none was to be made


def test_the_manifest_says_what_it_was_made_of(bank: Path) -> None:
    manifest = json.loads((bank / "manifest.json").read_text())
    assert manifest["settings"] == asdict(SETTINGS)
    assert manifest["licences"] == {"CC0": 2}


def test_hard_windows_are_chosen_and_do_not_cover_each_other() -> None:
    shot = moving(3, 64, 320, (1.0, 0.0))
    frames = shot.pictures.copy()
    frames[1, :, 200:260] = photos()[0][:64, :60]  # the middle frame shows something else there
    settings = replace(SETTINGS, window=64, synthetic=0.0, hard=1.0, per_pair=3)
    entries = BankMaker(settings, [ArrayShot(frames, 1.0)], []).job(0)
    lefts = [int(entry.record["left"]) for entry in entries]
    assert 140 <= lefts[0] <= 260
    assert min(abs(a - b) for n, a in enumerate(lefts) for b in lefts[:n]) >= 32
    assert entries[0].record["error"] > 2 * entries[2].record["error"]


def test_the_worth_of_windows_is_that_of_their_mean() -> None:
    error = np.zeros((40, 60), np.float32)
    error[10:20, 30:40] = 0.03
    motion = np.zeros_like(error)
    worth = window_worth(error, motion, 20, 20)  # 10x10 at half size
    assert worth.shape == (8, 13)
    assert worth[2, 7] == pytest.approx(0.03 * 8 / 10 * 8 / 10)
    assert worth[0, 0] == 0
    assert window_worth(error * 10, motion, 20, 20)[2, 7] == 0  # all is lost there
    motion[:20] = 40
    assert window_worth(error, motion, 20, 20)[2, 7] == 0  # and there
    assert window_worth(error, motion, 20, 20)[4, 8] > 0


def test_flow_keeps_its_precision() -> None:
    flow = np.random.default_rng(0).normal(0, 30, (8, 8, 4)).astype(np.float32)
    assert np.abs(from_steps(to_steps(flow)) - flow).max() <= 1 / 128
    assert from_steps(to_steps(np.full((1, 1, 4), 1e4, np.float32))).max() > 500


# --- using -----------------------------------------------------------------------------------------------------------


def test_samples_depend_on_their_number_alone(bank: Path) -> None:
    source = BankSource(bank, crop=64, seed=1)
    samples = [source.sample(number) for number in range(40)]
    other = pickle.loads(pickle.dumps(source))
    for number in (39, 3, 17, 0):
        again = other.sample(number)
        assert again.t == samples[number].t
        for name in ("img0", "img1", "target", "flow", "truth", "trust"):
            assert torch.equal(getattr(again, name), getattr(samples[number], name))
    assert samples[0].img0.shape == (3, 64, 64)
    assert samples[0].flow.shape == (4, 32, 32)


def test_every_epoch_has_every_sample_once_in_another_order(bank: Path) -> None:
    source = BankSource(bank, crop=64, seed=1)
    epochs = [[source._number(number) for number in range(start, start + 15)] for start in (0, 15, 30)]
    assert all(sorted(epoch) == list(range(15)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert len({source.sample(number).img0.numpy().tobytes() for number in range(45)}) == 45


def test_windows_are_taken_by_their_motion_which_grows(bank: Path) -> None:
    reader = BankReader(bank)

    def moves(number: int) -> float:
        flow = 2 * from_steps(reader.entry(number).flow[::8, ::8])
        return float(np.quantile(np.hypot(flow[..., 0::2], flow[..., 1::2]), 0.9))

    every = sorted(moves(number) for number in range(15))
    first, later = every[4], every[10]
    assert first < later < every[-1]
    stays = BankSource(bank, crop=64, seed=1, motion=GrowingMotion(first))
    taken = {stays._number(number) for number in range(200)}
    assert len(taken) == 5 and max(moves(number) for number in taken) == first
    grows = BankSource(bank, crop=64, seed=1, motion=GrowingMotion(first, doubles=10**6))
    at = round(10**6 * float(np.log2(later / first))) + 2
    assert max(moves(grows._number(number)) for number in range(20)) == first
    assert max(moves(grows._number(number)) for number in range(at, at + 100)) == later
    assert {grows._number(number) for number in range(10**8, 10**8 + 300)} == set(range(15))
    again = pickle.loads(pickle.dumps(grows))
    numbers = range(0, 2 * at, at // 20)
    assert [again._number(number) for number in numbers] == [grows._number(number) for number in numbers]
    with pytest.raises(DatasetError, match=r"data\.motion is 0\.01 pixels, and what moves least in the bank .* moves"):
        BankSource(bank, crop=64, seed=1, motion=GrowingMotion(0.01))


def test_exact_flow_is_exact_after_all_changes(bank: Path) -> None:
    source, reader = BankSource(bank, crop=64, seed=1), BankReader(bank)
    checked = 0
    for number in range(30):
        if reader.entry(source._number(number)).owners is None:
            continue
        sample = source.sample(number)
        flow, back = sample.truth[None, :2], sample.truth[None, 2:]
        seen = ((flow + backward_warp(back, flow)).norm(dim=1) < 0.02) & (sample.trust[None, 0] == 1)
        # Noise and another light are in the frames on purpose.
        difference = (backward_warp(sample.img1[None], flow) - sample.img0).mean(1)[seen]
        assert float((difference - difference.median()).abs().median()) < 0.02
        checked += int(seen.sum() > 200)
    assert checked > 4


def test_a_bank_that_is_missing_unfinished_or_too_small_is_refused(bank: Path, bank_data: Data, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere holds no bank; make one with python -m training\.bank --out"):
        BankSource(tmp_path / "nowhere", crop=64, seed=1)
    with pytest.raises(
        DatasetError, match=r"has other times than 1/2; make one with python -m training\.bank --times middle"
    ):
        BankSource(bank, crop=64, seed=1, times="middle")
    steps = make_bank(tmp_path / "begun", 15, SETTINGS, bank_data)
    next(steps)
    steps.close()
    with pytest.raises(DatasetError, match=r"is not finished, it has 0 of 15 samples; give the command"):
        BankSource(tmp_path / "begun", crop=64, seed=1)
    with pytest.raises(
        DatasetError,
        match=r"windows of 70 pixels, less than a crop of 80; make one with python -m training\.bank --crop 80",
    ):
        BankSource(bank, crop=80, seed=1)
    list(make_bank(tmp_path / "begun", 2, SETTINGS, bank_data))
    with (tmp_path / "begun/flow.bin").open("r+b") as file:
        file.truncate(100)
    with pytest.raises(DatasetError, match=r"flow\.bin has 100 bytes, .* make the bank anew"):
        BankSource(tmp_path / "begun", crop=64, seed=1)
    (tmp_path / "begun/manifest.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"manifest\.json is not the manifest of a bank"):
        BankSource(tmp_path / "begun", crop=64, seed=1)


# --- the command -----------------------------------------------------------------------------------------------------
