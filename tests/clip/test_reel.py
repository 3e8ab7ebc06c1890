"""vsrrin.clip.reel: frames of a source that plays, and their times."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest
import vapoursynth as vs

from vsrrin.clip.reel import EndOfReelError, Reel

LENGTH = (2**31 - 1) // 16
type Lasting = Callable[[int], tuple[int, int] | None]


def source(lasting: Lasting, end: int = 10**9, length: int = LENGTH) -> tuple[vs.VideoNode, list[int]]:
    """A clip whose frames have durations, that ends, and the frames asked of it."""
    asked: list[int] = []
    blank = vs.core.std.BlankClip(None, 16, 16, vs.GRAY8, length=length, fpsnum=0, fpsden=1, keep=True)
    bare = blank.std.RemoveFrameProps(["_DurationNum", "_DurationDen"])

    def give(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        asked.append(n)
        if n >= end:
            raise vs.Error("no more")
        frame = f.copy()
        if duration := lasting(n):
            frame.props["_DurationNum"], frame.props["_DurationDen"] = duration
        frame.props["number"] = n
        return frame

    return bare.std.ModifyFrame(bare, give), asked


def starts(reel: Reel, count: int) -> list[Fraction]:
    """Starts of the first frames, found by moments between them."""
    found: dict[int, Fraction] = {}
    step = Fraction(1, 1000)
    moment = Fraction(0)
    while len(found) < count:
        place = reel.find(moment)
        found.setdefault(place.left, moment)
        moment += step
    return [found[number] for number in sorted(found)][:count]


@pytest.mark.parametrize(("rate", "microseconds"), [(Fraction(30), 33333), (Fraction(24000, 1001), 41708)])
def test_rounded_durations_of_a_constant_rate_never_drift(rate: Fraction, microseconds: int) -> None:
    reel = Reel(source(lambda n: (microseconds, 1_000_000))[0], rate, 4, timed=True)
    for number in (0, 1, 1000, 3000):
        place = reel.find(number / rate)
        assert (place.left, place.t) == (number, 0)
    assert reel.find(Fraction(3000) / rate + 1 / (2 * rate)).t == Fraction(1, 2)


def test_a_wrong_rate_does_not_move_frames_from_their_own_times() -> None:
    reel = Reel(source(lambda n: (40, 1000))[0], Fraction(24), 4, timed=True)
    for number in (1, 10, 100, 1000):
        place = reel.find(Fraction(40 * number + 20, 1000))
        assert place.left == number
        assert abs(place.t - Fraction(1, 2)) < Fraction(1, 15)


def test_frames_of_no_duration_are_passed_over() -> None:
    reel = Reel(source(lambda n: (0 if n in (3, 4) else 40, 1000))[0], None, 4, timed=True)
    assert [reel.find(Fraction(ms, 1000)).left for ms in (80, 119, 120, 160, 200)] == [2, 2, 5, 6, 7]


@pytest.mark.parametrize("duration", [None, (0, 1), (-5, 1000)], ids=str)
def test_a_clip_without_durations_goes_by_its_rate(duration: tuple[int, int] | None) -> None:
    reel = Reel(source(lambda n: duration)[0], Fraction(50), 4, timed=True)
    assert [reel.find(Fraction(n, 50)).left for n in (0, 1, 2, 100)] == [0, 1, 2, 100]


@pytest.mark.parametrize("end", [1, 2, 5])
def test_a_last_frame_of_no_duration_is_shown_as_long_as_the_one_before(end: int) -> None:
    reel = Reel(source(lambda n: (0 if n == end - 1 else 40, 1000), end=end)[0], Fraction(25), 4, timed=True)
    assert reel.find(Fraction(40 * end - 1, 1000)).left == end - 1
    for _ in range(2):
        with pytest.raises(EndOfReelError):
            reel.find(Fraction(40 * end, 1000))


def test_a_file_without_a_frame_has_none_to_find() -> None:
    with pytest.raises(EndOfReelError, match="before frame 0"):
        Reel(source(lambda n: (40, 1000), end=0)[0], None, 4, timed=True).find(Fraction(0))


def test_every_frame_is_read_once_in_order_by_many_threads() -> None:
    clip, asked = source(lambda n: (1, 50))
    reel = Reel(clip, Fraction(50), 40, timed=True)
    with ThreadPoolExecutor(8) as threads:
        places = list(threads.map(lambda n: reel.find(Fraction(n, 100)), range(200)))
    assert [(place.left, place.t) for place in places] == [(n // 2, Fraction(n % 2, 2)) for n in range(200)]
    assert asked == list(range(100))


def test_a_moment_long_ago_is_found_again_by_reading_anew() -> None:
    clip, asked = source(lambda n: (20 + n % 7, 1000))
    reel = Reel(clip, None, 4, timed=True)
    early = reel.find(Fraction(1, 3))
    reel.find(Fraction(100))
    assert reel.find(Fraction(1, 3)) == early
    assert asked.count(0) == 2


def test_what_is_kept_is_bounded() -> None:
    reel = Reel(source(lambda n: (8 + n % 7, 1000))[0], None, 6, timed=True)
    sizes = []
    for n in range(1200):
        place = reel.find(Fraction(n, 50))
        reel.is_cut(place.left, 0.5)
        kept = reel._frames, reel._durations, reel._thumbnails, reel._changes, reel._cuts, reel._starts
        sizes.append([len(each) for each in kept])
    most = [max(column) for column in zip(*sizes, strict=True)]
    assert all(size <= limit for size, limit in zip(most, [6, 9, 9, 9, 9, 2048], strict=True)), most


def test_the_end_is_the_first_frame_that_cannot_be_had() -> None:
    clip, asked = source(lambda n: (40, 1000), end=5)
    reel = Reel(clip, None, 4, timed=True)
    assert reel.has(4)
    assert not reel.has(5)
    assert reel.find(Fraction(199, 1000)).left == 4
    with pytest.raises(EndOfReelError, match=r"ended before frame 5: .*no more"):
        reel.find(Fraction(200, 1000))
    assert asked == [0, 1, 2, 3, 4, 5]


def test_a_file_that_is_damaged_in_the_middle_has_not_ended_there() -> None:
    reel = Reel(source(lambda n: (40, 1000), end=5, length=20)[0], None, 4, timed=True)
    with pytest.raises(vs.Error, match="no more"):
        reel.find(Fraction(1))


def test_a_file_has_an_end() -> None:
    clip, asked = source(lambda n: (40, 1000), length=5)
    reel = Reel(clip, None, 4, timed=True)
    assert not reel.has(5)
    assert asked == [0, 1, 2, 3, 4]


def test_frames_without_times_are_had_in_any_order() -> None:
    clip, asked = source(lambda n: (n + 1, 1000))
    reel = Reel(clip, None, 4, timed=False)
    numbers = [0, 1, 5000, 5001, 3, 70]
    assert [reel.frame(number).props["number"] for number in numbers] == numbers
    assert reel.duration(5001) == Fraction(5002, 1000)
    assert len(asked) < 20
