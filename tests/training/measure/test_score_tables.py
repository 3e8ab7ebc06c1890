"""Tables of results: means, standard errors, differences."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.training.measure.scored import SCORES
from training.errors import TrainingError
from training.measure import score_tables
from training.measure.triplets import Span


def test_standard_error_is_that_of_a_sample() -> None:
    values = [30.0, 20.0, 36.0, 31.5, 28.25]
    assert score_tables.standard_error(values) == pytest.approx(np.std(values, ddof=1) / np.sqrt(5))
    assert score_tables.standard_error([4.0, 4.0]) == 0
    assert score_tables.standard_error([4.0]) is None
    assert score_tables.standard_error([]) is None


def test_summary_has_means_with_their_errors_buckets_and_the_median_time() -> None:
    head, first, second = score_tables.summary(SCORES)
    assert head[:8] == ["method", "PSNR dB", "SSIM", "SSIMULACRA2", "median", "tOF px", "IE", "IE rms"]
    assert head[8:] == ["slow (2)", "fast (1)", "s per frame"]
    assert first[:5] == ["a", "28.67 ± 4.67", "0.7833 ± 0.1424", "10.0 ± 55.7", "50.0"]
    assert first[5:] == ["1.200 ± 0.907", "4.67 ± 2.19", "9.67 ± 5.24", "33.00 ± 3.00", "20.00", "0.200"]
    assert second[:5] == ["b", "30.00 ± 4.36", "0.8233 ± 0.1126", "-", "-"]
    assert second[5:] == ["0.800 ± 0.611", "3.33 ± 1.86", "7.33 ± 3.93", "34.00 ± 3.00", "22.00", "0.200"]


def test_details_by_motion_and_t() -> None:
    assert score_tables.details(SCORES, score_tables.SSIMULACRA2) == [
        ["SSIMULACRA2", "mean", "median", "slow (2)", "fast (1)", "t=1/4 (1)", "t=1/2 (2)"],
        ["a", "10.0 ± 55.7", "50.0", "65.0 ± 15.0", "-100.0", "-100.0", "65.0 ± 15.0"],
        ["b", "-", "-", "-", "-90.0", "-90.0", "-"],
    ]


def test_other_buckets_come_behind_those_of_motion() -> None:
    drawn = [replace(s, bucket="flat") if s.clip == "y.mp4" else s for s in SCORES]
    assert score_tables.buckets([*drawn[4:], *drawn[:4]]) == ["slow", "fast", "flat"]
    assert score_tables.summary(drawn)[0][-4:-1] == ["slow (1)", "fast (1)", "flat (1)"]


def test_a_difference_is_marked_above_two_standard_errors() -> None:
    """Of pairs: +1, +2, +1 dB are surely more, though the means lie within each other's scatter."""
    titles, line = score_tables.differences(SCORES, "a")
    assert titles == [
        *["less a", "PSNR dB", "SSIM", "SSIMULACRA2", "tOF px", "IE", "IE rms", "slow (2)", "fast (1)"],
    ]
    error = np.std([1, 2, 1], ddof=1) / np.sqrt(3)
    assert line[:4] == ["b", f"+1.33 ± {error:.2f} *", "+0.0400 ± 0.0300", "-"]
    assert line[4:] == ["-0.400 ± 0.300", "-1.33 ± 0.33 *", "-2.33 ± 1.33", "+1.00 ± 0.00 *", "+2.00"]
    assert score_tables.differences(SCORES, "b")[1][1] == "-1.33 ± 0.33 *"


def test_a_difference_of_just_two_standard_errors_is_not_marked() -> None:
    """Of four pairs that differ by 1, 1, 1 and 5, the mean is 2 and its error 1."""
    first = [replace(SCORES[0], span=Span(start, 2, Fraction(1, 2))) for start in range(4)]
    second = [replace(s, method="b", psnr=s.psnr + gain) for s, gain in zip(first, (1, 1, 1, 5), strict=True)]
    assert score_tables.differences([*first, *second], "a")[1][1] == "+2.00 ± 1.00"
    surer = [replace(s, psnr=s.psnr + 0.01) for s in second]
    assert score_tables.differences([*first, *surer], "a")[1][1] == "+2.01 ± 1.00 *"


def test_differences_to_what_was_not_measured() -> None:
    with pytest.raises(TrainingError, match="there are no results of c, only of a, b"):
        score_tables.differences(SCORES, "c")


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
