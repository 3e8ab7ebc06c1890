"""vsrrin.filter: what a script gets."""

import gc
import weakref
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

import vsrrin
from tests.any_order import REQUESTS, check_any_order
from tests.conftest import planes, psnr, same_picture
from vsrrin.engine.interpolator import Interpolator

FORMATS = [vs.YUV420P8, vs.YUV422P10, vs.YUV444P16, vs.GRAY8, vs.GRAY16, vs.RGB24, vs.RGB48, vs.RGBS, vs.RGBH]
FORMATS += [vs.GRAYS, vs.YUV444PS, vs.YUV420PH, vs.YUV411P8, vs.YUV410P8]


def kinds(clip: vs.VideoNode) -> list[str]:
    return [str(frame.props["_VSRRIN_Kind"]) for frame in clip.frames()]


def marked(clip: vs.VideoNode, *, next_at: set[int] = frozenset(), prev_at: set[int] = frozenset()) -> vs.VideoNode:
    """The clip with scene marks, as a detector would leave them."""

    def mark(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        if next_at:
            frame.props["_SceneChangeNext"] = int(n in next_at)
        if prev_at:
            frame.props["_SceneChangePrev"] = int(n in prev_at)
        return frame

    return clip.std.ModifyFrame(clip, mark)


@pytest.mark.parametrize("format_id", FORMATS, ids=lambda i: vs.core.get_video_format(i).name)
@pytest.mark.parametrize("size", [(427, 239), (33, 17), (1, 1)])
def test_any_format_and_size_comes_out_as_it_went_in(
    bunny: vs.VideoNode, format_id: int, size: tuple[int, int]
) -> None:
    video_format = vs.core.get_video_format(format_id)
    # VapourSynth itself has no 4:2:0 frame of odd size; the nearest it has is taken.
    width = max(size[0] >> video_format.subsampling_w, 1) << video_format.subsampling_w
    height = max(size[1] >> video_format.subsampling_h, 1) << video_format.subsampling_h
    clip = bunny[:3].resize.Bicubic(width, height, format=format_id)
    output = vsrrin.interpolate(clip)
    assert (output.format.id, output.width, output.height) == (format_id, width, height)
    assert (output.num_frames, output.fps) == (6, 2 * clip.fps)
    for n in range(3):
        assert same_picture(output.get_frame(2 * n), clip.get_frame(n))
    new, left, right = output.get_frame(1), clip.get_frame(0), clip.get_frame(1)
    for key in ("_Matrix", "_Range", "_Transfer", "_Primaries", "_ChromaLocation"):
        assert new.props.get(key) == left.props.get(key)
    low, middle, high = (np.mean(planes(f)[0].astype(np.float64)) for f in (left, new, right))
    # Brightness stays between that of both frames, but for an 8-bit level that the network may add.
    assert min(low, high) - 4e-3 * abs(low) - 0.5 <= middle <= max(low, high) + 4e-3 * abs(high) + 0.5


@pytest.mark.parametrize("model", ["draft", "rrin_lite"])
@pytest.mark.parametrize("format_id", [vs.GRAYS, vs.RGBS], ids=["GRAYS", "RGBS"])
def test_samples_that_are_no_numbers_spoil_only_what_is_around_them(
    bunny: vs.VideoNode, format_id: int, model: str
) -> None:
    clip = bunny[:3].resize.Bicubic(426, 240, format=format_id)

    def spoil(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        if n < 2:
            np.asarray(frame[clip.format.num_planes - 1])[(60, 190)[n], 60] = (np.nan, np.inf)[n]
        return frame

    spoiled = clip.std.ModifyFrame(clip, spoil)
    output, clean = vsrrin.interpolate(spoiled, 2, model), vsrrin.interpolate(clip, 2, model)
    assert kinds(output) == kinds(clean)
    assert not np.isfinite(planes(output.get_frame(0))[-1][60, 60])
    for n in (1, 3):
        found, expected = (np.stack(planes(made.get_frame(n))) for made in (output, clean))
        assert np.isfinite(found).all()
        apart = np.abs(found - expected)
        assert apart.max() > 0
        assert apart[..., 260:].max() < 0.01  # a coarse motion goes by blocks of 64 pixels, and by a median of five
        assert np.mean(apart > 0.01) < 0.02


@pytest.mark.parametrize("format_id", [vs.RGB24, vs.YUV420P8, vs.YUV444P16])
def test_new_frames_are_much_nearer_to_the_truth_than_a_blend(bunny: vs.VideoNode, format_id: int) -> None:
    clip = bunny.resize.Bicubic(426, 240, format=format_id)[:25]
    output = vsrrin.interpolate(clip[::2], 2, scene="off")
    ours, blended = [], []
    peak = 2**clip.format.bits_per_sample - 1
    for n in range(1, 24, 2):
        truth, left, right = planes(clip.get_frame(n)), planes(clip.get_frame(n - 1)), planes(clip.get_frame(n + 1))
        ours.append(psnr(planes(output.get_frame(n))[0], truth[0], peak))
        blended.append(psnr((left[0].astype(float) + right[0]) / 2, truth[0], peak))
    assert np.mean(ours) > np.mean(blended) + 2
    assert min(np.array(ours) - np.array(blended)) > -0.5


def test_every_second_frame_is_the_source_frame_and_says_so(small_bunny: vs.VideoNode) -> None:
    output = vsrrin.interpolate(small_bunny)
    assert kinds(output) == ["source", "new"] * 7 + ["source", "held"]
    for n, frame in enumerate(output.frames()):
        assert frame.props["_VSRRIN_Left"] == n // 2
        assert frame.props["_VSRRIN_Right"] == min(n // 2 + 1, 7)
        assert Fraction(frame.props["_VSRRIN_TNum"], frame.props["_VSRRIN_TDen"]) == Fraction(n % 2, 2)
        assert Fraction(frame.props["_DurationNum"], frame.props["_DurationDen"]) == Fraction(1, 50)
        assert ("_PictType" in frame.props) == (n % 2 == 0)
    assert same_picture(output.get_frame(15), small_bunny.get_frame(7))


@pytest.mark.parametrize("factor", [3, Fraction(5, 2), "7/3", 1.0])
def test_factors_of_other_kinds(small_bunny: vs.VideoNode, factor: int | Fraction | str | float) -> None:
    if isinstance(factor, float):
        with pytest.raises(vs.Error, match=r"vsrrin\.interpolate: factor must be a positive int"):
            vsrrin.interpolate(small_bunny, factor)  # type: ignore[arg-type]
        return
    output = vsrrin.interpolate(small_bunny, factor)
    ratio = Fraction(factor)
    assert output.num_frames == -(-8 * ratio.numerator // ratio.denominator)
    assert Fraction(output.fps) == Fraction(small_bunny.fps) * ratio
    for n, frame in enumerate(output.frames()):
        position = n / ratio
        assert frame.props["_VSRRIN_Left"] == int(position)
        if position.denominator == 1:
            assert same_picture(frame, small_bunny.get_frame(int(position)))


def test_several_devices_share_the_pairs_and_change_nothing(
    small_bunny: vs.VideoNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: dict[int, set[tuple[int, int]]] = {}
    original = Interpolator.pair

    def note(engine: Interpolator, key: Any, load: Any) -> Any:
        done.setdefault(id(engine), set()).add(key)
        return original(engine, key, load)

    monkeypatch.setattr(Interpolator, "pair", note)
    one = vsrrin.interpolate(small_bunny, 3, "balanced", device="cpu")
    expected = [planes(frame) for frame in one.frames()]
    done.clear()
    several = vsrrin.interpolate(small_bunny, 3, "balanced", device=["cpu", "cpu", "cpu"])
    for n in (20, 3, 4, 1, 11, *range(24)):
        for found, wanted in zip(planes(several.get_frame(n)), expected[n], strict=True):
            assert np.array_equal(found, wanted)
    assert sorted(done.values(), key=min) == [{(0, 1), (5, 6)}, {(1, 2), (3, 4)}, {(2, 3), (4, 5), (6, 7)}]


def test_time_steps_move_the_picture_forward(small_bunny: vs.VideoNode) -> None:
    """Frames of one pair get farther from the left and nearer to the right source frame."""
    output = vsrrin.interpolate(small_bunny, 4)
    frames = [planes(output.get_frame(n))[0] for n in range(4, 9)]
    from_left = [psnr(frame, frames[0]) for frame in frames[1:4]]
    from_right = [psnr(frame, frames[4]) for frame in frames[1:4]]
    assert from_left == sorted(from_left, reverse=True)
    assert from_right == sorted(from_right)


def test_fps_is_a_target_rate(small_bunny: vs.VideoNode) -> None:
    output = vsrrin.interpolate(small_bunny, fps="60000/1001")
    assert Fraction(output.fps) == Fraction(60000, 1001)
    assert output.num_frames == 20  # 0.32 s hold 19.18 frames
    assert vsrrin.interpolate(small_bunny, fps=50).num_frames == 16


def test_factor_one_and_the_same_rate_return_the_clip(small_bunny: vs.VideoNode) -> None:
    assert vsrrin.interpolate(small_bunny, 1) is small_bunny
    assert vsrrin.interpolate(small_bunny, fps=25) is small_bunny


def test_a_day_of_video_at_an_odd_rate_builds_at_once_and_ends_right() -> None:
    rate = Fraction(1_000_000, 33_367)
    length = int(24 * 3600 * rate)
    clip = vs.core.std.BlankClip(
        width=64, height=64, format=vs.GRAY8, length=length, fpsnum=1_000_000, fpsden=33_367, keep=True
    )
    output = vsrrin.interpolate(clip, fps=60)
    assert (output.num_frames, output.fps) == (-(-length * 60 * 33_367 // 1_000_000), 60)
    last = output.get_frame(output.num_frames - 1).props
    assert (last["_VSRRIN_Left"], last["_VSRRIN_Kind"]) == (length - 1, "held")
    middle = output.get_frame(output.num_frames // 2).props
    position = Fraction(output.num_frames // 2, 60) * rate
    assert middle["_VSRRIN_Left"] == int(position)
    assert Fraction(middle["_VSRRIN_TNum"], middle["_VSRRIN_TDen"]) == position - int(position)


@pytest.mark.parametrize(("model", "requests"), [("draft", REQUESTS), ("rrin_lite", 48)])
def test_any_order_and_any_number_of_threads_give_the_same_bits(
    small_bunny: vs.VideoNode, model: str, requests: int
) -> None:
    check_any_order(lambda: vsrrin.interpolate(small_bunny, 3, model), requests)


def test_jumping_about_asks_only_for_nearby_source_frames(
    bunny: vs.VideoNode, counted: Callable[[vs.VideoNode], tuple[vs.VideoNode, list[int]]]
) -> None:
    clip, asked = counted(bunny.resize.Bicubic(64, 48))
    output = vsrrin.interpolate(clip)
    asked.clear()
    output.get_frame(61)
    assert set(asked) <= set(range(27, 36))
    assert {30, 31} <= set(asked)


def test_source_frames_are_asked_for_once_in_a_row(
    bunny: vs.VideoNode, counted: Callable[[vs.VideoNode], tuple[vs.VideoNode, list[int]]]
) -> None:
    """An expensive filter before ours must not run several times per frame."""
    clip, asked = counted(bunny[:12].resize.Bicubic(64, 48))
    output = vsrrin.interpolate(clip, 3)
    asked.clear()
    for _ in output.frames(close=True):
        pass
    assert len(asked) <= 12 + 2


def test_a_still_clip_stays_still_bit_for_bit(bunny: vs.VideoNode) -> None:
    for format_id in (vs.YUV420P8, vs.RGB24, vs.YUV422P10):
        still = bunny.resize.Bicubic(128, 96, format=format_id)[3] * 3
        assert all(same_picture(frame, still.get_frame(0)) for frame in vsrrin.interpolate(still, 2).frames())


def test_nearly_still_frames_do_not_change_colour(bunny: vs.VideoNode) -> None:
    """One pixel differs, so the pair is interpolated; everything far from it must stay as it is."""
    still = bunny.resize.Bicubic(128, 96)[3] * 2

    def change(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        if n == 1:
            np.asarray(frame[0])[0, 0] ^= 8
        return frame

    output = vsrrin.interpolate(still.std.ModifyFrame(still, change), 2)
    new, source = output.get_frame(1), still.get_frame(0)
    assert new.props["_VSRRIN_Kind"] == "new"
    for a, b in zip(planes(new), planes(source), strict=True):
        assert np.abs(a[16:, 16:].astype(int) - b[16:, 16:]).max() <= 1
        assert np.mean(a[16:, 16:] != b[16:, 16:]) < 0.05
        assert abs(np.mean(a[16:, 16:].astype(int) - b[16:, 16:])) < 0.01


@pytest.mark.parametrize(
    "marks", [{"next_at": {3}}, {"prev_at": {4}}, {"next_at": {3}, "prev_at": {4}}], ids=["next", "prev", "both"]
)
def test_marks_of_any_detector_stop_interpolation(small_bunny: vs.VideoNode, marks: dict[str, set[int]]) -> None:
    clip = marked(small_bunny, **marks)
    output = vsrrin.interpolate(clip, 2)
    expected = ["source", "new"] * 3 + ["source", "held"] + ["source", "new"] * 3 + ["source", "held"]
    assert kinds(output) == expected
    assert same_picture(output.get_frame(7), clip.get_frame(3))
    ends = [n for n, f in enumerate(output.frames()) if f.props["_SceneChangeNext"]]
    begins = [n for n, f in enumerate(output.frames()) if f.props["_SceneChangePrev"]]
    assert (ends, begins) == ([7], [8])


@pytest.mark.parametrize(
    ("at_cut", "shown", "ends"),
    [("hold", [3, 3, 3, 3], 15), ("nearest", [3, 3, 4, 4], 13)],
)
def test_what_is_shown_at_a_cut(small_bunny: vs.VideoNode, at_cut: str, shown: list[int], ends: int) -> None:
    clip = marked(small_bunny, next_at={3})
    output = vsrrin.interpolate(clip, 4, at_cut=at_cut)  # type: ignore[arg-type]
    for n, source in zip(range(12, 16), shown, strict=True):
        assert same_picture(output.get_frame(n), clip.get_frame(source))
    assert [n for n, f in enumerate(output.frames()) if f.props["_SceneChangeNext"]] == [ends]
    assert [n for n, f in enumerate(output.frames()) if f.props["_SceneChangePrev"]] == [ends + 1]


def test_a_blend_at_a_cut(small_bunny: vs.VideoNode) -> None:
    clip = marked(small_bunny, next_at={3})
    frame = vsrrin.interpolate(clip, 4, at_cut="blend").get_frame(13)
    assert frame.props["_VSRRIN_Kind"] == "blend"
    left, right = planes(clip.get_frame(3))[0].astype(float), planes(clip.get_frame(4))[0]
    assert np.abs(planes(frame)[0] - (left * 0.75 + right * 0.25)).max() <= 0.5


def test_cuts_are_found_without_marks_and_only_there(bunny: vs.VideoNode) -> None:
    clip = bunny.resize.Bicubic(256, 144)
    other = clip.std.FlipHorizontal().std.FlipVertical().std.Levels(max_out=170)
    spliced = clip[:10] + other[20:30] + clip[30:40]
    output = vsrrin.interpolate(spliced)
    held = [n for n, kind in enumerate(kinds(output)) if kind == "held"]
    assert held == [19, 39, 59]
    assert [n for n, f in enumerate(output.frames()) if f.props["_SceneChangeNext"]] == [19, 39]


def test_scene_modes(small_bunny: vs.VideoNode) -> None:
    cut = small_bunny[:4] + small_bunny.std.Invert()[4:]
    wrong_mark = marked(cut, next_at={5})
    assert kinds(vsrrin.interpolate(wrong_mark, scene="auto")).index("held") == 11
    assert kinds(vsrrin.interpolate(wrong_mark, scene="props")).index("held") == 11
    assert kinds(vsrrin.interpolate(wrong_mark, scene="detect")).index("held") == 7
    assert kinds(vsrrin.interpolate(wrong_mark, scene="off")).index("held") == 15
    assert kinds(vsrrin.interpolate(cut, scene="props")).index("held") == 15
    assert "_SceneChangeNext" not in vsrrin.interpolate(cut, scene="props").get_frame(7).props
    assert kinds(vsrrin.interpolate(cut, scene_threshold=1.0)).index("held") == 15


@pytest.mark.parametrize("length", [1, 2])
def test_the_shortest_clips(bunny: vs.VideoNode, length: int) -> None:
    output = vsrrin.interpolate(bunny[:length].resize.Bicubic(64, 48), 3)
    assert kinds(output) == (["source", "new", "new"] * (length - 1)) + ["source", "held", "held"]


def test_marks_on_a_few_frames_only_are_kept(small_bunny: vs.VideoNode) -> None:
    def mark(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        if n == 5:
            frame.props["_SceneChangePrev"] = 1
        return frame

    clip = small_bunny.std.ModifyFrame(small_bunny, mark)
    frames = list(vsrrin.interpolate(clip, scene="props").frames())
    assert [n for n, f in enumerate(frames) if f.props.get("_SceneChangeNext")] == [9]
    assert [n for n, f in enumerate(frames) if f.props.get("_SceneChangePrev")] == [10]
    assert frames[9].props["_VSRRIN_Kind"] == "held"


def test_pairs_are_only_kept_where_they_are_used_again(small_bunny: vs.VideoNode) -> None:
    from vsrrin.clip.timing import ConstantTiming, several_per_pair

    reused = [several_per_pair(ConstantTiming(9, Fraction(f), Fraction(25))) for f in ("2", "3", "5/2", "3/2", "4")]
    assert reused == [False, True, True, False, True]


def test_guesses_are_said_in_the_log_and_nothing_goes_to_stdout(
    small_bunny: vs.VideoNode, log_messages: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    bare = small_bunny.std.RemoveFrameProps(["_Matrix", "_Range", "_ColorRange"])
    vsrrin.interpolate(bare).get_frame(1)
    assert any(
        "matrix BT.601 (525 lines) and limited range assumed, as the clip does not say" in text for text in log_messages
    )
    assert capfd.readouterr().out == ""


def test_the_guess_does_not_alter_the_output(small_bunny: vs.VideoNode) -> None:
    known = small_bunny.std.SetFrameProps(_Matrix=6, _Range=0)
    bare = known.std.RemoveFrameProps(["_Matrix", "_Range", "_ColorRange"])
    first, second = vsrrin.interpolate(known).get_frame(1), vsrrin.interpolate(bare).get_frame(1)
    assert same_picture(first, second)
    assert "_Matrix" not in second.props


def test_colours_outside_rgb_are_kept() -> None:
    """Superwhite and colours that no RGB in [0, 1] has must not be clipped in new frames only."""
    first = vs.core.std.BlankClip(width=64, height=64, format=vs.YUV444P8, length=1, color=[245, 128, 128])
    second = vs.core.std.BlankClip(width=64, height=64, format=vs.YUV444P8, length=1, color=[245, 129, 128])
    odd = vs.core.std.BlankClip(width=64, height=64, format=vs.YUV444P8, length=1, color=[17, 200, 40])
    for clip in (
        first + second,
        odd + odd.std.Expr(["x", "x", "x 1 +"]) if hasattr(vs.core.std, "Expr") else odd + odd,
    ):
        new = planes(vsrrin.interpolate(clip, scene="off").get_frame(1))
        for plane, before, after in zip(new, planes(clip.get_frame(0)), planes(clip.get_frame(1)), strict=True):
            assert np.minimum(before, after).min() <= plane.min()
            assert plane.max() <= np.maximum(before, after).max()


def test_filters_and_frames_are_freed(small_bunny: vs.VideoNode) -> None:
    from vsrrin.clip import graph as module

    engines: list[weakref.ref[object]] = []
    original = module.Interpolator

    class Watched(original):  # type: ignore[misc, valid-type]
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            engines.append(weakref.ref(self))

    module.Interpolator = Watched  # type: ignore[misc]
    try:
        output = vsrrin.interpolate(small_bunny, 3)
        output.get_frame(4)
        assert engines[0]() is not None
        del output
        gc.collect()
        assert engines[0]() is None
    finally:
        module.Interpolator = original  # type: ignore[misc]
