"""Results, their CSV, and which of them compare."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.measure.scored import SCORES
from training.errors import TrainingError
from training.measure import scores


def test_csv_keeps_every_result(tmp_path: Path) -> None:
    scores.write_csv(tmp_path / "results.csv", SCORES)
    assert scores.read_csv(tmp_path / "results.csv") == SCORES


def test_csv_that_is_not_one(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.csv cannot be read \(No such file"):
        scores.read_csv(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("name,value\na,1\n")
    with pytest.raises(
        TrainingError, match=r"other\.csv does not hold results .*give results that training\.evaluate wrote"
    ):
        scores.read_csv(tmp_path / "other.csv")


def test_new_results_replace_old_ones_of_the_same_method_and_data() -> None:
    again = [replace(score, psnr=40.0) for score in SCORES if score.method == "b"]
    found = scores.merged(SCORES, again)
    assert [score.psnr for score in found] == [30.0, 20.0, 36.0, 40.0, 40.0, 40.0]
    assert scores.merged([], SCORES) == SCORES
    elsewhere = [replace(score, data="two") for score in again]
    assert scores.merged(SCORES, elsewhere) == [*SCORES, *elsewhere]


def test_of_results_in_several_files_the_last_counts() -> None:
    later = replace(SCORES[2], psnr=21.0)
    found = scores.merged([*SCORES, later], [])
    assert [score.psnr for score in found] == [30.0, 31.0, 21.0, 22.0, 36.0, 37.0]


def test_results_of_other_triplets_do_not_compare() -> None:
    with pytest.raises(TrainingError, match=r"a and c .* different triplets of one \(3 and 1, 1 in common\)"):
        scores.check_comparable([*SCORES, replace(SCORES[0], method="c")])
    scores.check_comparable(SCORES)
    scores.check_comparable([*SCORES, replace(SCORES[0], method="c", data="two")])
    scores.check_comparable([])


def test_methods_that_were_measured_on_all_data() -> None:
    both = [*SCORES, *(replace(s, data="two") for s in SCORES if s.method == "a")]
    assert {s.method for s in scores.on_all_data(both)} == {"a"}
    assert len(scores.on_all_data(both)) == 6
    assert scores.on_all_data(SCORES) == [*SCORES[::2], *SCORES[1::2]]
    assert {name: len(found) for name, found in scores.by_data(both).items()} == {"one": 6, "two": 3}
