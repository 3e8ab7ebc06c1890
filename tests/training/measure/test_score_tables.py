"""Tables of results, and their CSV."""

from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from training.errors import TrainingError
from training.measure import score_tables
from training.measure.score_tables import Score
from training.measure.triplets import Span

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)


def score(*values: Any) -> Score:
    """A score from the values of its fields, in order."""
    return Score(**dict(zip((field.name for field in fields(Score)), values, strict=True)))


SCORES = [
    score("a", "x.mp4", Span(1, 2, HALF), 2.0, "slow", 30.0, 0.9, 50.0, 0.5, 0.1),
    score("b", "x.mp4", Span(1, 2, HALF), 2.0, "slow", 31.0, 0.91, None, 0.4, 0.2),
    score("a", "x.mp4", Span(1, 4, QUARTER), 12.0, "fast", 20.0, 0.5, -100.0, 3.0, 0.3),
    score("b", "x.mp4", Span(1, 4, QUARTER), 12.0, "fast", 22.0, 0.6, -90.0, 2.0, 0.2),
    score("a", "y.mp4", Span(1, 2, HALF), 2.5, "slow", 36.0, 0.95, 80.0, 0.1, 0.2),
    score("b", "y.mp4", Span(1, 2, HALF), 2.5, "slow", 37.0, 0.96, 85.0, 0.0, 0.2),
]


def test_summary_has_means_buckets_and_the_median_time() -> None:
    assert score_tables.summary(SCORES) == [
        ["method", "PSNR dB", "SSIM", "SSIMULACRA2", "tOF px", "slow (2)", "medium (0)", "fast (1)", "s per frame"],
        ["a", "28.67", "0.7833", "10.0", "1.200", "33.00", "-", "20.00", "0.200"],
        ["b", "30.00", "0.8233", "-", "0.800", "34.00", "-", "22.00", "0.200"],
    ]


def test_details_by_motion_and_t() -> None:
    assert score_tables.details(SCORES, score_tables.SSIMULACRA2) == [
        ["SSIMULACRA2", "mean", "median", "slow (2)", "medium (0)", "fast (1)", "t=1/4 (1)", "t=1/2 (2)"],
        ["a", "10.0", "50.0", "65.0", "-", "-100.0", "-100.0", "65.0"],
        ["b", "-", "-", "-", "-", "-90.0", "-90.0", "-"],
    ]


def test_tables_as_text_and_in_markdown() -> None:
    rows = [["method", "dB"], ["a", "28.67"], ["longer name", "9.50"]]
    assert score_tables.rendered(rows).splitlines() == [
        "method          dB",
        "a            28.67",
        "longer name   9.50",
    ]
    assert score_tables.rendered(rows, markdown=True).splitlines() == [
        "| method | dB |",
        "| --- | --- |",
        "| a | 28.67 |",
        "| longer name | 9.50 |",
    ]


def test_csv_keeps_every_result(tmp_path: Path) -> None:
    score_tables.write_csv(tmp_path / "results.csv", SCORES)
    assert score_tables.read_csv(tmp_path / "results.csv") == SCORES


def test_csv_that_is_not_one(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.csv cannot be read \(No such file"):
        score_tables.read_csv(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("name,value\na,1\n")
    with pytest.raises(
        TrainingError, match=r"other\.csv does not hold results .*give results that training\.evaluate wrote"
    ):
        score_tables.read_csv(tmp_path / "other.csv")


def test_new_results_replace_old_ones_of_the_same_method() -> None:
    again = [replace(score, psnr=40.0) for score in SCORES if score.method == "b"]
    found = score_tables.merged(SCORES, again)
    assert [score.psnr for score in found] == [30.0, 20.0, 36.0, 40.0, 40.0, 40.0]
    assert score_tables.merged([], SCORES) == SCORES


def test_results_of_other_triplets_do_not_compare() -> None:
    with pytest.raises(TrainingError, match=r"a and c were measured on different triplets \(3 and 1, 1 in common\)"):
        score_tables.check_comparable([*SCORES, replace(SCORES[0], method="c")])
    score_tables.check_comparable(SCORES)
    score_tables.check_comparable([])
