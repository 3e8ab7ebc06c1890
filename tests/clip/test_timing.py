"""vsrrin.clip.timing"""

import math
from fractions import Fraction
from pathlib import Path

import pytest

from vsrrin.clip.timing import (
    MAX_FRAMES,
    ConstantTiming,
    FrameTime,
    VariableTiming,
    exact_rate,
    parse_ratio,
    read_timecodes,
    whole_durations,
)
from vsrrin.errors import ArgumentError


def positions(timing: ConstantTiming | VariableTiming) -> list[Fraction]:
    return [timing.at(n).left + timing.at(n).t for n in range(timing.length)]


def test_factor_two_alternates_source_frames_and_middles_and_holds_the_last() -> None:
    timing = ConstantTiming(3, Fraction(2), Fraction(24))
    half = Fraction(1, 2)
    assert [timing.at(n) for n in range(timing.length)] == [
        FrameTime(0, 1, Fraction(0)),
        FrameTime(0, 1, half),
        FrameTime(1, 2, Fraction(0)),
        FrameTime(1, 2, half),
        FrameTime(2, 2, Fraction(0)),
        FrameTime(2, 2, half),
    ]
    assert timing.fps == 48
    assert not timing.at(5).is_pair
    assert not timing.at(5).is_source


@pytest.mark.parametrize("factor", [Fraction(1), Fraction(2), Fraction(3), Fraction(5, 2), Fraction(1001, 1000)])
@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_output_frames_are_evenly_spaced_and_cover_the_input(factor: Fraction, length: int) -> None:
    timing = ConstantTiming(length, factor, Fraction(24))
    assert positions(timing) == [n / factor for n in range(timing.length)]
    assert (timing.length - 1) / factor < length <= timing.length / factor
    assert all(0 <= timing.at(n).right < length for n in range(timing.length))


def test_source_frames_appear_exactly_at_whole_positions() -> None:
    timing = ConstantTiming(101, Fraction(5, 2), Fraction(24))
    sources = [timing.at(n).left for n in range(timing.length) if timing.at(n).is_source]
    assert sources == list(range(0, 101, 2))


def test_nothing_drifts_over_ten_million_frames() -> None:
    factor = Fraction(60) / Fraction(24000, 1001)
    timing = ConstantTiming(10_000_000, factor, Fraction(24000, 1001))
    for n in (1, 12_345_678, 25_000_000, timing.length - 1):
        time = timing.at(n)
        assert (time.left + time.t) / Fraction(24000, 1001) == Fraction(n, 60)


def test_a_day_of_an_odd_rate_to_60_is_planned_at_once() -> None:
    rate = Fraction(1_000_000, 33_367)
    length = int(24 * 3600 * rate)
    timing = ConstantTiming(length, 60 / rate, rate)
    assert timing.fps == 60
    assert timing.length == math.ceil(length * 60 / rate) == 24 * 3600 * 60 - 1


def test_whole_factors_share_each_frames_own_duration() -> None:
    timing = ConstantTiming(4, Fraction(3), None)
    assert timing.fps is None
    assert timing.duration(4, Fraction(1, 10)) == Fraction(1, 30)
    assert timing.duration(4, None) is None


def test_fractional_factors_have_the_duration_of_their_rate() -> None:
    timing = ConstantTiming(4, Fraction(5, 2), Fraction(24))
    assert timing.duration(0, Fraction(1, 24)) == Fraction(1, 60)


@pytest.mark.parametrize(
    ("length", "factor", "fps", "words"),
    [
        (10, Fraction(1, 2), Fraction(24), "at least 1, not 1/2"),
        (10, Fraction(5, 2), None, "needs a constant frame rate"),
        (MAX_FRAMES, Fraction(2), Fraction(24), "VapourSynth can count"),
    ],
)
def test_impossible_factors_are_refused(length: int, factor: Fraction, fps: Fraction | None, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        ConstantTiming(length, factor, fps)


def test_variable_rate_is_mapped_by_time_not_by_index() -> None:
    durations = [Fraction(1, 10), Fraction(3, 10), Fraction(1, 10), Fraction(1, 10)]
    timing = VariableTiming(durations, Fraction(20))
    assert timing.length == 12
    assert [timing.at(n).left for n in range(12)] == [0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3]
    assert timing.at(3).t == Fraction(1, 6)  # 0.05 s into a frame of 0.3 s
    assert timing.at(11) == FrameTime(3, 3, Fraction(1, 2))
    assert timing.duration(3, durations[1]) == Fraction(1, 20)


def test_variable_timing_of_equal_durations_is_constant_timing() -> None:
    variable = VariableTiming([Fraction(1001, 24000)] * 50, Fraction(60))
    constant = ConstantTiming(50, 60 / Fraction(24000, 1001), Fraction(24000, 1001))
    assert variable.length == constant.length
    assert [variable.at(n) for n in range(variable.length)] == [constant.at(n) for n in range(constant.length)]


def test_variable_timing_refuses_rates_below_the_average_and_bad_durations() -> None:
    with pytest.raises(ArgumentError, match=r"average rate of 10\.000, not 9"):
        VariableTiming([Fraction(1, 10)] * 5, Fraction(9))
    with pytest.raises(ArgumentError, match="source frame 1 has the duration 0"):
        VariableTiming([Fraction(1, 10), Fraction(0)], Fraction(60))


@pytest.mark.parametrize(
    ("value", "ratio"),
    [
        (2, Fraction(2)),
        ("5/2", Fraction(5, 2)),
        ("60000/1001", Fraction(60000, 1001)),
        (Fraction(7, 3), Fraction(7, 3)),
    ],
)
def test_ratios_are_read_exactly(value: object, ratio: Fraction) -> None:
    assert parse_ratio(value, "factor") == ratio


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "not 0"),
        (-1, "not -1"),
        ("0/5", "not '0/5'"),
        ("5/0", "not '5/0'"),
        ("fast", "not 'fast'"),
        ("nan", "not 'nan'"),
        (float("nan"), "floats are inexact"),
        (59.94, '"60000/1001"'),
        (2.5, '"5/2"'),
        (True, "bool"),
        (None, "NoneType"),
        ([2], "list"),
    ],
)
def test_other_values_are_refused_with_a_hint(value: object, words: str) -> None:
    with pytest.raises(ArgumentError, match="fps must be a positive int") as caught:
        parse_ratio(value, "fps")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("rate", "exact"),
    [
        ("23.98", "24000/1001"),
        ("23.976", "24000/1001"),
        ("29.97", "30000/1001"),
        ("59.94", "60000/1001"),
        ("119.88", "120000/1001"),
        ("12.5", "25/2"),
        ("24.1", "241/10"),
        ("24", "24"),
        ("5.0", "5"),
        ("0.002", "1/500"),
    ],
)
def test_rates_with_decimals_stand_for_ntsc_rates(rate: str, exact: str) -> None:
    assert exact_rate(Fraction(rate)) == Fraction(exact)


def test_timecodes_are_read_exactly(tmp_path: Path) -> None:
    path = tmp_path / "times.txt"
    path.write_text("# timecode format v2\n0\n41.708333\n83.5\n")
    assert read_timecodes(path, 3) == [
        Fraction("0.041708333"),
        Fraction("0.041791667"),
        Fraction("0.041791667"),
    ]
    assert read_timecodes(path, 2) == [Fraction("0.041708333"), Fraction("0.041791667")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must begin with"),
        ("# timecode format v1\nAssume 24", "must begin with"),
        ("# timecode format v2\n0\nx\n", "not a number"),
        ("# timecode format v2\n0\n40\n", "has 2 times, but the clip has 5 frames"),
    ],
)
def test_bad_timecode_files_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "times.txt"
    path.write_text(text)
    with pytest.raises(ArgumentError, match=words):
        read_timecodes(path, 5)


def test_a_missing_timecode_file_and_a_single_time_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="cannot be read"):
        read_timecodes(tmp_path / "none.txt", 5)
    (tmp_path / "one.txt").write_text("# timecode format v2\n0\n")
    with pytest.raises(ArgumentError, match="one time only"):
        read_timecodes(tmp_path / "one.txt", 1)


def test_missing_durations_are_refused() -> None:
    assert whole_durations([Fraction(1, 2)]) == [Fraction(1, 2)]
    assert whole_durations([Fraction(1, 2), Fraction(1, 3), None]) == [Fraction(1, 2), Fraction(1, 3), Fraction(1, 3)]
    with pytest.raises(ArgumentError, match="source frame 1 has no _DurationNum"):
        whole_durations([Fraction(1, 2), None, None])
    with pytest.raises(ArgumentError, match="source frame 0 has no _DurationNum"):
        whole_durations([None])


def test_moments_between_frames_farther_apart() -> None:
    constant = ConstantTiming(9, Fraction(2), Fraction(24))
    assert constant.between(constant.at(9), 3, 6) == FrameTime(3, 6, Fraction(1, 2))
    assert constant.between(constant.at(9), 4, 5) == constant.at(9)
    variable = VariableTiming([Fraction(1, 10), Fraction(3, 10), Fraction(1, 10), Fraction(1, 10)], Fraction(20))
    assert variable.between(variable.at(3), 0, 3) == FrameTime(0, 3, Fraction(3, 10))  # 0.15 s of 0.5 s
    assert variable.between(variable.at(3), 1, 2) == variable.at(3)


@pytest.mark.parametrize(("encoding", "end"), [("utf-8", "\n"), ("utf-8-sig", "\r\n"), ("utf-8", "\r")])
def test_timecodes_of_any_editor_are_read(encoding: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "times.txt"
    path.write_bytes(end.join(["# timecode format v2", "0", "40", "90", ""]).encode(encoding))
    assert read_timecodes(path, 3)[:2] == [Fraction(40, 1000), Fraction(50, 1000)]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_timecodes_in_another_encoding_are_refused(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "times.txt"
    path.write_bytes("# timecode format v2\n# café\n0\n40\n90\n".encode(encoding))
    with pytest.raises(ArgumentError, match=r"times\.txt' is no text in UTF-8: save it as UTF-8"):
        read_timecodes(path, 3)
