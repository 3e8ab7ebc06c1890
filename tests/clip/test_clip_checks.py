"""vsrrin.clip.clip_checks: frame rates and durations, as the filter sees them."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import vapoursynth as vs

import vsrrin


def with_durations(clip: vs.VideoNode, durations: list[Fraction], fps: Fraction = Fraction(0)) -> vs.VideoNode:
    """A clip of variable frame rate: durations on the frames, whatever rate is claimed."""
    blank = clip.std.BlankClip(length=clip.num_frames, fpsnum=fps.numerator, fpsden=fps.denominator, keep=True)

    def time(n: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
        frame = f[1].copy()
        frame.props["_DurationNum"], frame.props["_DurationDen"] = durations[n].numerator, durations[n].denominator
        return frame

    return blank.std.ModifyFrame([blank, clip], time)


UNEVEN = [Fraction(1, 25), Fraction(2, 25), Fraction(1, 50), Fraction(1, 25)] * 2


def durations_of(clip: vs.VideoNode) -> list[Fraction]:
    return [Fraction(f.props["_DurationNum"], f.props["_DurationDen"]) for f in clip.frames()]


@pytest.mark.parametrize("claimed", [Fraction(0), 8 / sum(UNEVEN)], ids=["no rate", "average rate"])
def test_variable_rate_with_a_whole_factor_divides_each_duration(small_bunny: vs.VideoNode, claimed: Fraction) -> None:
    output = vsrrin.interpolate(with_durations(small_bunny, UNEVEN, claimed), 2)
    assert durations_of(output) == [d / 2 for d in UNEVEN for _ in range(2)]
    assert Fraction(output.fps) == claimed * 2 if claimed else output.fps == 0


@pytest.mark.parametrize("claimed", [Fraction(0), 8 / sum(UNEVEN)], ids=["no rate", "average rate"])
def test_variable_rate_to_a_constant_one_maps_by_time(small_bunny: vs.VideoNode, claimed: Fraction) -> None:
    """Source filters give variable files their average rate, so the durations decide, not the claim."""
    output = vsrrin.interpolate(with_durations(small_bunny, UNEVEN, claimed), fps=100)
    assert (output.fps, output.num_frames) == (100, 36)
    lefts = [f.props["_VSRRIN_Left"] for f in output.frames()]
    assert [lefts.count(i) for i in range(8)] == [int(d * 100) for d in UNEVEN]


def test_a_last_frame_without_duration_lasts_as_long_as_the_one_before(small_bunny: vs.VideoNode) -> None:
    timed = with_durations(small_bunny, UNEVEN, Fraction(1000))
    last = timed.std.RemoveFrameProps(["_DurationNum", "_DurationDen"])[7]
    durations = durations_of(vsrrin.interpolate(timed[:7] + last, 2))
    assert durations == [d / 2 for d in [*UNEVEN[:7], UNEVEN[6]] for _ in range(2)]


def test_frames_without_durations_get_those_of_the_rate(small_bunny: vs.VideoNode) -> None:
    bare = small_bunny.std.RemoveFrameProps(["_DurationNum", "_DurationDen"])
    assert durations_of(vsrrin.interpolate(bare, 2)) == [Fraction(1, 50)] * 16


def test_a_variable_clip_is_made_constant_at_its_own_average_rate_too(small_bunny: vs.VideoNode) -> None:
    average = 8 / sum(UNEVEN)
    output = vsrrin.interpolate(with_durations(small_bunny, UNEVEN, average), fps=average)
    assert durations_of(output) == [1 / average] * 8
    assert [f.props["_VSRRIN_Left"] for f in output.frames()] != list(range(8))


def test_a_rate_that_changes_late_is_noticed(bunny: vs.VideoNode) -> None:
    durations = [Fraction(1, 25)] * 45 + [Fraction(1, 5)] * 5
    output = vsrrin.interpolate(with_durations(bunny.resize.Bicubic(64, 48), durations, Fraction(25)), fps=50)
    assert output.num_frames == sum(durations) * 50


def test_timecodes_take_the_place_of_reading_all_frames(
    small_bunny: vs.VideoNode, tmp_path: Path, counted: Callable[[vs.VideoNode], tuple[vs.VideoNode, list[int]]]
) -> None:
    path = tmp_path / "times.txt"
    starts = [float(sum(UNEVEN[:i], Fraction(0)) * 1000) for i in range(9)]
    path.write_text("# timecode format v2\n" + "\n".join(map(str, starts)))
    clip, asked = counted(with_durations(small_bunny, UNEVEN))
    output = vsrrin.interpolate(clip, fps=100, timecodes=path)
    assert set(asked) == {0}
    assert [f.props["_VSRRIN_Left"] for f in output.frames()].count(1) == 8


def test_durations_rounded_to_milliseconds_are_a_constant_rate(small_bunny: vs.VideoNode) -> None:
    rounded = [Fraction(33 if i % 3 else 34, 1000) for i in range(8)]
    clip = with_durations(small_bunny, rounded, Fraction(30))
    assert vsrrin.interpolate(clip, fps=60).num_frames == 16


def test_an_endless_clip_is_not_read_for_its_durations(
    counted: Callable[[vs.VideoNode], tuple[vs.VideoNode, list[int]]],
) -> None:
    endless = vs.core.std.BlankClip(
        width=64, height=48, format=vs.YUV420P8, length=2**31 // 16 - 1, fpsnum=0, keep=True
    )
    clip, asked = counted(endless)
    with pytest.raises(vs.Error, match=r"134217727 frames.*factor=N.*AssumeFPS"):
        vsrrin.interpolate(clip, fps=60, model="draft")
    assert len(asked) < 100
    assert vsrrin.interpolate(clip, 2, "draft").num_frames == 2 * endless.num_frames
    assert vsrrin.interpolate(clip.std.AssumeFPS(fpsnum=24), fps=60, model="draft").fps == 60
