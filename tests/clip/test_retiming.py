"""vsrrin.clip.retiming"""

import random
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from vsrrin.clip.retiming import Ease, Pace, RetimedTiming, Speed
from vsrrin.clip.timing import FrameTime, SourceTimes
from vsrrin.errors import ArgumentError

FILM = SourceTimes.steady(240, Fraction(24))
RAMP: Speed = [(0, 1), (2.5, "1/4"), (4, 1)]


def positions(timing: RetimedTiming, source: SourceTimes) -> list[Fraction]:
    """The moments of the source, in seconds, of all output frames."""
    edges = [*source.starts, source.end]
    times = map(timing.at, range(timing.length))
    return [edges[time.left] + time.t * (edges[time.left + 1] - edges[time.left]) for time in times]


@pytest.mark.parametrize("speed", [1, 2, "1/4", "24/25", Fraction(1001, 1000)])
def test_one_speed_moves_on_evenly_to_the_end(speed: int | Fraction | str) -> None:
    timing = RetimedTiming.at_pace(FILM, Pace(speed, FILM.end), Fraction(24))
    step = Fraction(speed) / 24
    assert positions(timing, FILM) == [n * step for n in range(timing.length)]
    assert (timing.length - 1) * step < FILM.end <= timing.length * step
    assert timing.fps == 24
    assert timing.duration(5, None) == Fraction(1, 24)


def test_steps_change_the_speed_at_once() -> None:
    pace = Pace(RAMP, FILM.end)
    assert pace.length == Fraction(5, 2) + 4 * Fraction(3, 2) + 6
    wanted = {0: 0, Fraction(5, 2): Fraction(5, 2), Fraction(9, 2): 3, Fraction(17, 2): 4, 9: Fraction(9, 2)}
    assert {moment: pace.position(Fraction(moment)) for moment in wanted} == wanted


def test_before_the_first_keyframe_its_speed_holds() -> None:
    pace = Pace([(1, 2), (3, 1)], FILM.end)
    assert pace.position(Fraction(1, 2)) == 1
    assert pace.position(Fraction(3, 2)) == 3
    assert pace.length == Fraction(1, 2) + 1 + 7


@pytest.mark.parametrize(("ease", "half"), [("linear", Fraction(11, 4)), ("smooth", Fraction(11, 4))])
def test_ramps_take_as_long_as_their_mean_speed_and_are_exact(ease: Ease, half: Fraction) -> None:
    pace = Pace([(2, 1), (4, 3)], FILM.end, ease)
    assert pace.position(Fraction(3)) == 4  # 2 s at 1, then 2 s at 2 on the whole
    assert pace.length == 2 + 1 + Fraction(6, 3)
    early, late = (pace.position(Fraction(5, 2) + part) for part in (Fraction(-1, 8), Fraction(1, 8)))
    middle = pace.position(Fraction(5, 2))
    assert middle == (
        Fraction(11, 4) if ease == "linear" else 2 + Fraction(1, 2) + 2 * (Fraction(1, 8) - Fraction(1, 32))
    )
    assert middle - early < late - middle


@pytest.mark.parametrize("ease", ["none", "linear", "smooth"])
def test_the_way_back_from_the_source_to_the_output(ease: Ease) -> None:
    pace = Pace([(0, 1), ("1/3", "1/7"), (2, 8), (9, "5/3")], FILM.end, ease)
    moments = [pace.moment(start) for start in FILM.starts]
    assert all(a < b for a, b in pairwise(moments))
    for start, moment in zip(FILM.starts, moments, strict=True):
        assert abs(pace.position(moment) - start) <= Fraction(8, 10**9)


def test_a_smooth_ramp_begins_and_ends_at_the_speeds_beside_it() -> None:
    pace = Pace([(2, 1), (4, 3)], FILM.end, "smooth")
    small = Fraction(1, 1000)
    begin, end = Fraction(2), Fraction(3)
    assert abs((pace.position(begin + small) - pace.position(begin)) / small - 1) < Fraction(1, 1000)
    assert abs((pace.position(end) - pace.position(end - small)) / small - 3) < Fraction(1, 1000)


def test_nothing_drifts_over_a_million_frames() -> None:
    source = SourceTimes.steady(1_000_000, Fraction(24000, 1001))
    pace = Pace([(0, 1), (10_000, "1/3"), (20_000, 2), (30_000, 1)], source.end, "linear")
    rate = Fraction(60000, 1001)
    timing = RetimedTiming.at_pace(source, pace, rate)
    seen = random.Random(1)
    for n in [seen.randrange(timing.length) for _ in range(2000)]:
        time = timing.at(n)
        assert (time.left + time.t) / Fraction(24000, 1001) == pace.position(n / rate) < source.end
        assert 0 <= time.t < 1


def test_a_source_of_varying_rate_is_mapped_by_its_times() -> None:
    source = SourceTimes([Fraction(1, 10), Fraction(1, 5), Fraction(1, 10), Fraction(3, 10)])
    timing = RetimedTiming.at_pace(source, Pace("1/2", source.end), Fraction(10))
    assert timing.length == 14
    wanted = [
        0,
        Fraction(1, 2),
        1,
        1 + Fraction(1, 4),
        1 + Fraction(1, 2),
        1 + Fraction(3, 4),
        2,
        2 + Fraction(1, 2),
        3,
    ]
    assert [timing.at(n).left + timing.at(n).t for n in range(9)] == wanted
    assert not timing.at(12).is_pair  # the last frame is held


def test_with_all_frames_every_source_frame_is_there_and_none_is_shown_longer_than_before() -> None:
    source = SourceTimes([Fraction(1, 24)] * 12 + [Fraction(1, 12)] * 6 + [Fraction(1, 60)] * 30)
    pace = Pace([(0, 2), ("1/2", "1/3"), (1, 1)], source.end, "smooth")
    timing = RetimedTiming.with_all_frames(source, pace)
    times = [timing.at(n) for n in range(timing.length)]
    assert [time.left for time in times if time.is_source] == list(range(48))
    assert timing.fps is None
    starts = [*source.starts, source.end]
    durations = [timing.duration(n, None) for n in range(timing.length)]
    for time, duration in zip(times, durations, strict=True):
        assert duration is not None and duration <= starts[time.left + 1] - starts[time.left]
    assert sum(duration for duration in durations if duration) == pace.length
    assert all(a.left + a.t < b.left + b.t for a, b in pairwise(times))


def test_moments_are_taken_as_they_are_given() -> None:
    timing = RetimedTiming.at_moments(FILM, [0, "1/48", 0.1, 0.1, Fraction(5), 10], Fraction(30))
    assert [timing.at(n) for n in range(5)] == [
        FrameTime(0, 1, Fraction(0)),
        FrameTime(0, 1, Fraction(1, 2)),
        FrameTime(2, 3, Fraction(2, 5)),
        FrameTime(2, 3, Fraction(2, 5)),
        FrameTime(120, 121, Fraction(0)),
    ]
    assert timing.at(5).left == timing.at(5).right == 239  # the end of the clip shows its last frame
    assert (timing.length, timing.fps) == (6, 30)


@pytest.mark.parametrize(
    ("speed", "ease", "wanted"),
    [
        (0, "none", r'speed must be a positive int, a Fraction or a text like "5/2", not 0'),
        ("-1/2", "none", r"speed must be a positive int"),
        (0.25, "none", r'floats are inexact: write "1/4" instead'),
        ([], "none", r"speed has no keyframes: give at least one"),
        ([(0, 1), (2, 0)], "none", r"speed\[1\] must be a positive int"),
        ([(0, 1), 2], "none", r'speed\[1\] must be a keyframe such as \(2.5, "1/4"\), seconds and speed, not 2'),
        ([(0, 1), (3, 1), (2, 1)], "none", r"speed\[2\] is at 2 s, which must be after the keyframe before it"),
        ([(0, 1), (11, 1)], "none", r"speed\[1\] is at 11 s, after the end of the clip at 10 s"),
        ([(-1, 1)], "none", r"speed\[0\] must not be before the clip's beginning, at 0 s, but is at -1 s"),
        ([(float("nan"), 1)], "none", r"speed\[0\] must be at a number of seconds .* not nan"),
        ([("later", 1)], "none", r"speed\[0\] must be at a number of seconds .* not 'later'"),
        ([(0, 1), (1, 2)], "soft", r"ease must be one of none, linear, smooth, not 'soft'"),
    ],
)
def test_bad_speeds(speed: Any, ease: Any, wanted: str) -> None:
    with pytest.raises(ArgumentError, match=wanted):
        Pace(speed, FILM.end, ease)


@pytest.mark.parametrize(
    ("times", "wanted"),
    [
        ([], r"times must be the seconds of the source for each output frame, not \[\]"),
        ("0 1 2", r"times must be the seconds of the source for each output frame, not '0 1 2'"),
        ([0, 2, 1], r"times\[2\] goes back, from 2 to 1 s"),
        ([0, 10.5], r"times\[1\] is 10.5 s, after the end of the clip at 10 s"),
        ([-1, 0], r"times\[0\] must not be before the clip's beginning"),
    ],
)
def test_bad_moments(times: Any, wanted: str) -> None:
    with pytest.raises(ArgumentError, match=wanted):
        RetimedTiming.at_moments(FILM, times, Fraction(24))
