"""vsrrin.interpolate with duplicates="spread", and vsrrin.dedup."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import vapoursynth as vs

import vsrrin
from tests.any_order import check_any_order
from tests.clip.test_clip_checks import with_durations
from tests.clip.test_repeats import grainy, held
from tests.conftest import planes, psnr, same_picture
from tests.test_filter import FORMATS, kinds

TWOS = (2,) * 8


def spread(clip: vs.VideoNode, factor: int | Fraction | str = 2, **options: Any) -> vs.VideoNode:
    return vsrrin.interpolate(clip, factor, "draft", duplicates="spread", **options)


def places(clip: vs.VideoNode) -> list[tuple[int, int, Fraction]]:
    """Left and right source frame and time of each output frame."""
    return [
        (f.props["_VSRRIN_Left"], f.props["_VSRRIN_Right"], Fraction(f.props["_VSRRIN_TNum"], f.props["_VSRRIN_TDen"]))
        for f in clip.frames()
    ]


def test_each_frame_between_two_distinct_ones_has_its_true_time(small_bunny: vs.VideoNode) -> None:
    clip = held(small_bunny, 2, 3, 1, 4, 2)
    output = spread(clip)
    assert (output.num_frames, output.fps) == (2 * clip.num_frames, 2 * clip.fps)
    found = places(output)
    for first, following in ((0, 2), (2, 5), (5, 6), (6, 10)):
        for n in range(2 * first, 2 * following):
            assert found[n] == (first, following, Fraction(n - 2 * first, 2 * (following - first)))
    assert kinds(output)[:20] == [kind for k in (2, 3, 1, 4) for kind in ["source"] + ["new"] * (2 * k - 1)]
    mended = [int(n > 0) for k in (2, 3, 1, 4) for n in range(k) for _ in range(2)]
    assert [f.props["_VSRRIN_Repeat"] for f in output.frames()] == [*mended, *[0] * 4]
    for first in (0, 2, 5, 6, 10):
        assert same_picture(output.get_frame(2 * first), clip.get_frame(first))


def test_a_run_gets_the_frames_that_the_distinct_frames_alone_would_get(small_bunny: vs.VideoNode) -> None:
    mended = vsrrin.dedup(held(small_bunny, *TWOS), model="draft")
    distinct = vsrrin.interpolate(small_bunny, 2, "draft")
    for n in range(15):
        assert same_picture(mended.get_frame(n), distinct.get_frame(n))


def test_motion_on_twos_comes_nearer_to_that_on_ones(bunny: vs.VideoNode) -> None:
    clip = bunny[:17].resize.Bicubic(426, 240)
    twos = grainy(held(clip[::2], *(2,) * 9)[:17], 2)
    mended = vsrrin.dedup(twos, model="draft")
    for n in range(1, 16, 2):
        truth, repeated, new = (planes(c.get_frame(n))[0] for c in (clip, twos, mended))
        assert psnr(new, truth) > psnr(repeated, truth) + 2


def test_dedup_is_interpolate_by_one(small_bunny: vs.VideoNode) -> None:
    clip = held(small_bunny, *TWOS)
    one, other = vsrrin.dedup(clip, model="draft", longest_run=2), spread(clip, 1, longest_run=2)
    assert one.num_frames == clip.num_frames
    assert one.fps == clip.fps
    assert kinds(one) == ["source", "new"] * 7 + ["source", "source"]
    assert all(same_picture(one.get_frame(n), other.get_frame(n)) for n in range(16))
    with pytest.raises(vs.Error, match=r"^vsrrin\.dedup: longest_run must be a whole number of frames from 2 to 64"):
        vsrrin.dedup(clip, longest_run=0)
    assert vsrrin.dedup(clip, duplicates="keep") is clip


def test_a_hold_is_still_until_its_last_step(small_bunny: vs.VideoNode) -> None:
    clip = held(small_bunny, 1, 5, 1, 1)
    output = spread(clip)
    assert places(output)[2:12] == [(n // 2, n // 2 + 1, Fraction(n % 2, 2)) for n in range(2, 12)]
    assert kinds(output)[2:12] == ["source", "held"] * 4 + ["source", "new"]
    kept = vsrrin.interpolate(clip, 2, "draft")
    assert all(same_picture(a, b) for a, b in zip(output.frames(), kept.frames(), strict=True))
    longer = spread(clip, longest_run=5)
    assert kinds(longer)[2:12] == ["source"] + ["new"] * 9


def test_nothing_crosses_a_cut(bunny: vs.VideoNode) -> None:
    clip = bunny.resize.Bicubic(256, 144)
    other = clip.std.FlipHorizontal().std.FlipVertical().std.Levels(max_out=170)
    spliced = held(clip[:6], *(2,) * 6) + held(other[:6], *(2,) * 6)
    output = spread(spliced)
    assert kinds(output) == ((["source"] + ["new"] * 3) * 5 + ["source", "held"] * 2) * 2
    assert [n for n, f in enumerate(output.frames()) if f.props["_SceneChangeNext"]] == [23]
    assert [n for n, f in enumerate(output.frames()) if f.props["_SceneChangePrev"]] == [24]
    for n in (20, 21, 22, 23):
        assert same_picture(output.get_frame(n), spliced.get_frame(n // 2))


def test_clips_without_repeats_are_as_ever(small_bunny: vs.VideoNode) -> None:
    for factor in (2, "5/2"):
        kept, output = vsrrin.interpolate(small_bunny, factor, "draft"), spread(small_bunny, factor)
        assert all(same_picture(a, b) for a, b in zip(kept.frames(), output.frames(), strict=True))
        assert places(kept) == places(output)
    assert "_VSRRIN_Repeat" not in kept.get_frame(0).props


@pytest.mark.parametrize("length", [1, 2, 3])
def test_the_shortest_clips(small_bunny: vs.VideoNode, length: int) -> None:
    """A repeat at the end has nothing to move to."""
    clip = held(small_bunny, *TWOS)[:length]
    assert kinds(spread(clip, 1)) == [["source"], ["source"] * 2, ["source", "new", "source"]][length - 1]
    assert (
        kinds(spread(clip))
        == [
            ["source", "held"],
            ["source", "held"] * 2,
            ["source", "new", "new", "new", "source", "held"],
        ][length - 1]
    )


@pytest.mark.parametrize("format_id", FORMATS, ids=lambda i: vs.core.get_video_format(i).name)
def test_any_format(small_bunny: vs.VideoNode, format_id: int) -> None:
    clip = held(small_bunny.resize.Bicubic(256, 144, format=format_id), 2, 3, 1)
    output = spread(clip, 1)
    assert output.format.id == format_id
    assert kinds(output) == ["source", "new", "source", "new", "new", "source"]
    for n in (0, 2, 5):
        assert same_picture(output.get_frame(n), clip.get_frame(n))


@pytest.mark.parametrize("factor", [3, 1])  # 1 is what dedup does
def test_any_order_and_any_number_of_threads_give_the_same_bits(small_bunny: vs.VideoNode, factor: int) -> None:
    clip = grainy(held(small_bunny, 2, 3, 1, 4, 5, 2, 1, 3))
    check_any_order(lambda: vsrrin.dedup(clip, model="draft") if factor == 1 else spread(clip, factor))


def test_jumping_about_asks_only_for_nearby_source_frames(
    bunny: vs.VideoNode, counted: Callable[[vs.VideoNode], tuple[vs.VideoNode, list[int]]]
) -> None:
    clip, asked = counted(bunny.resize.Bicubic(64, 48))
    output = spread(clip, longest_run=3)
    asked.clear()
    output.get_frame(51)
    assert set(asked) <= set(range(25 - 12, 26 + 12))


def test_times_are_true_where_durations_vary(small_bunny: vs.VideoNode) -> None:
    durations = [Fraction(k, 60) for k in (2, 3, 2, 3, 2, 3, 2, 3)]
    clip = with_durations(held(small_bunny, 2, 2, 2, 2), durations)
    output = spread(clip, fps=60)
    assert places(output)[:15] == [(2 * (n // 5), 2 * (n // 5) + 2, Fraction(n % 5, 5)) for n in range(15)]
    mended = spread(clip, 1)
    assert [Fraction(f.props["_DurationNum"], f.props["_DurationDen"]) for f in mended.frames()] == durations
    assert kinds(mended) == ["source", "new"] * 3 + ["source", "source"]
