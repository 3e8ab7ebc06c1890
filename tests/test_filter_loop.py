"""vsrrin.interpolate, proxy, retime and blur with loop=True, and repair of a loop."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

import vsrrin
from tests.any_order import check_any_order
from tests.clip.test_clip_checks import with_durations
from tests.clip.test_repeats import held
from tests.conftest import planes, psnr, same_picture
from tests.test_filter import kinds
from tests.test_filter_duplicates import places


def disc(count: int, *, form: int = vs.RGB24) -> vs.VideoNode:
    """A clip of a disc on a circle, which is back where it began after the last frame."""
    blank = vs.core.std.BlankClip(width=96, height=64, format=vs.RGB24, length=count, fpsnum=10, fpsden=1, keep=True)
    y, x = np.mgrid[0:64, 0:96]

    def draw(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame, angle = f.copy(), 2 * np.pi * n / count
        inside = np.clip(10 - np.hypot(x - 48 - 20 * np.cos(angle), y - 32 - 18 * np.sin(angle)), 0, 1)
        for plane, colour in enumerate((230, 120, 40)):
            ground = 40 + x * 60 // 96
            np.copyto(np.asarray(frame[plane]), (ground + inside * (colour - ground)).astype(np.uint8))
        return frame

    clip = blank.std.ModifyFrame(blank, draw)
    if form == vs.RGB24:
        return clip
    is_rgb = vs.core.get_video_format(form).color_family == vs.RGB
    return clip.resize.Bicubic(format=form, **({} if is_rgb else {"matrix": vs.MATRIX_BT709}))


def loop(clip: vs.VideoNode, factor: int | Fraction | str = 2, **options: Any) -> vs.VideoNode:
    return vsrrin.interpolate(clip, factor, "draft", loop=True, **options)


def test_the_last_frames_lie_between_the_last_and_the_first() -> None:
    output, truth = loop(disc(8)), disc(16)
    assert (output.num_frames, output.fps) == (16, 20)
    assert kinds(output) == ["source", "new"] * 8
    assert places(output)[14:] == [(7, 0, 0), (7, 0, Fraction(1, 2))]
    seam, last, first = (planes(clip.get_frame(n))[1] for clip, n in ((output, 15), (truth, 14), (truth, 0)))
    between = planes(truth.get_frame(15))[1]
    assert psnr(seam, between) > max(psnr(last, between), psnr(first, between)) + 4


@pytest.mark.parametrize("options", [{}, {"factor": 3}, {"factor": "5/2"}, {"fps": 25}, {"duplicates": "spread"}])
def test_a_loop_has_no_beginning(options: dict[str, Any]) -> None:
    clip = held(disc(8), 1, 2, 1, 2, 1, 1, 1, 1)
    turned = clip[4:] + clip[:4]
    one, other = loop(clip, **options), loop(turned, **options)
    by = one.num_frames * 4 // clip.num_frames
    assert one.num_frames % clip.num_frames == 0 or options
    for n in range(one.num_frames):
        assert same_picture(one.get_frame((n + by) % one.num_frames), other.get_frame(n))


def test_motion_is_spread_over_repeats_on_both_sides_of_the_seam() -> None:
    clip = held(disc(6), 2, 2, 2, 2, 2, 2)
    turned = clip[1:] + clip[:1]  # the first frame repeats the last
    found = places(loop(turned, duplicates="spread"))
    assert found[:2] == [(11, 1, Fraction(1, 2)), (11, 1, Fraction(3, 4))]
    assert found[22:] == [(11, 1, 0), (11, 1, Fraction(1, 4))]
    assert kinds(loop(turned, duplicates="spread")).count("source") == 6
    mended = loop(turned, 1, duplicates="spread")
    assert mended.num_frames == 12
    assert places(mended)[0] == (11, 1, Fraction(1, 2))
    assert loop(turned, 1) is turned


def test_a_cut_between_the_last_and_the_first_frame_is_a_cut(small_bunny: vs.VideoNode) -> None:
    other = small_bunny.std.Invert().std.FlipHorizontal()
    clip = small_bunny[:4] + other[4:]
    output = loop(clip)
    assert kinds(output)[14:] == ["source", "held"]
    assert same_picture(output.get_frame(15), clip.get_frame(7))
    assert same_picture(loop(clip, at_cut="nearest").get_frame(15), clip.get_frame(0))
    assert kinds(loop(clip, scene="off"))[14:] == ["source", "new"]


def test_marks_of_the_ends_are_not_about_the_seam() -> None:
    clip = disc(8).std.SetFrameProps(_SceneChangePrev=0, _SceneChangeNext=0)
    first, last = clip[0].std.SetFrameProps(_SceneChangePrev=1), clip[-1].std.SetFrameProps(_SceneChangeNext=1)
    marked = first + clip[1:-1] + last
    for scene in ("auto", "props"):
        assert kinds(loop(marked, scene=scene)) == ["source", "new"] * 8


def test_varying_rates() -> None:
    clip = with_durations(disc(4), [Fraction(n, 10) for n in (1, 2, 1, 4)])
    output = loop(clip)
    assert [Fraction(f.props["_DurationNum"], f.props["_DurationDen"]) for f in output.frames()][6:] == [
        Fraction(1, 5)
    ] * 2
    by_time = loop(clip, fps=20)
    assert by_time.num_frames == 16
    assert places(by_time)[8:] == [(3, 0, Fraction(n, 8)) for n in range(8)]
    untold = clip[:3] + clip[3].std.RemoveFrameProps(["_DurationNum", "_DurationDen"])
    assert loop(untold).get_frame(7).props["_DurationDen"] == 20


@pytest.mark.parametrize("count", [2, 3])
def test_short_loops(count: int) -> None:
    output = loop(disc(count), duplicates="spread", longest_run=64)
    assert output.num_frames == 2 * count
    assert places(output)[-1][:2] == (count - 1, 0)


@pytest.mark.parametrize("form", [vs.YUV420P8, vs.YUV444P16, vs.GRAY8, vs.RGBH], ids=str)
def test_all_formats(form: int) -> None:
    clip = disc(4, form=form)
    output = loop(clip)
    assert output.format == clip.format
    assert all(same_picture(output.get_frame(2 * n), clip.get_frame(n)) for n in range(4))
    assert kinds(output)[-1] == "new"


def test_alpha_moves_over_the_seam_with_the_picture() -> None:
    def alpha(frame: vs.VideoFrame) -> np.ndarray:
        found = frame.props["_Alpha"]
        assert isinstance(found, vs.VideoFrame)
        return planes(found)[0]

    clip, truth = (
        shown.std.ClipToProp(shown.std.ShufflePlanes(0, vs.GRAY).std.Binarize(180), "_Alpha")
        for shown in (disc(8), disc(16))
    )
    output = loop(clip)
    assert places(output)[15] == (7, 0, Fraction(1, 2))
    between = alpha(truth.get_frame(15))
    beside = max(psnr(alpha(truth.get_frame(n)), between) for n in (14, 0))
    assert psnr(alpha(output.get_frame(15)), between) > beside + 2
    assert same_picture(output.get_frame(14), clip.get_frame(7))


def test_any_order_gives_the_same_bits(small_bunny: vs.VideoNode) -> None:
    check_any_order(lambda: loop(small_bunny, 3))
    check_any_order(lambda: vsrrin.blur(small_bunny, samples=3, loop=True))


def test_proxy_and_retime() -> None:
    clip = disc(8)
    near = vsrrin.proxy(clip, loop=True)
    assert places(near) == places(loop(clip))
    assert same_picture(near.get_frame(15), clip.get_frame(7))
    slow = vsrrin.retime(clip, "1/2", model="draft", loop=True)
    assert (slow.num_frames, slow.fps) == (16, 10)
    assert same_picture(slow.get_frame(15), loop(clip).get_frame(15))


@pytest.mark.parametrize(
    ("durations", "arguments"),
    [
        ([1] * 8, {"samples": 5}),
        ([1] * 8, {"fps": 5}),
        ([1, 2, 1, 4], {"fps": 5}),
        ([1] * 4, {"fps": "5/2", "shutter": 360}),  # open for the whole loop, half of it before its beginning
    ],
    ids=["", "lower rate", "varying rate", "one frame"],
)
def test_a_blurred_loop_has_no_beginning(durations: list[int], arguments: dict[str, Any]) -> None:
    clip = disc(len(durations))
    if 2 in durations:
        clip = with_durations(clip, [Fraction(duration, 10) for duration in durations])
    one, two = (vsrrin.blur(each, loop=True, **arguments) for each in (clip, clip * 2))
    rounds = vsrrin.blur(clip * 3, **arguments)
    assert one.num_frames * 3 == rounds.num_frames
    for n, frame in enumerate(one.frames()):
        assert same_picture(frame, rounds.get_frame(one.num_frames + n))
        assert same_picture(frame, two.get_frame(n))
        assert same_picture(frame, two.get_frame(one.num_frames + n))
    assert not same_picture(one.get_frame(0), vsrrin.blur(clip, **arguments).get_frame(0))


def test_blur_mixes_nothing_across_a_cut_at_the_seam(small_bunny: vs.VideoNode) -> None:
    clip = small_bunny[:4] + small_bunny[4:].std.Invert().std.FlipHorizontal()
    output = vsrrin.blur(clip, 360, loop=True)
    for n in (0, 7):
        assert abs(planes(output.get_frame(n))[0].mean() - planes(clip.get_frame(n))[0].mean()) < 2


def test_a_damaged_end_of_a_loop_is_made_of_both_sides_of_the_seam() -> None:
    clip = disc(16)
    broken = clip[:15] + clip[15].std.Invert()
    mended = vsrrin.repair(broken * 3, [15, 31, 47], model="draft")[16:32]
    assert all(same_picture(mended.get_frame(n), clip.get_frame(n)) for n in range(15))
    end, wanted = (planes(each.get_frame(15))[1] for each in (mended, clip))
    assert psnr(end, wanted) > max(psnr(planes(clip.get_frame(n))[1], wanted) for n in (14, 0)) + 4


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda: loop(disc(1)), "interpolate: loop needs a clip of at least 2 frames, and this one has 1"),
        (lambda: vsrrin.proxy(disc(1), loop=True), "proxy: loop needs a clip of at least 2 frames"),
        (lambda: vsrrin.blur(disc(1), loop=True), "blur: loop needs a clip of at least 2 frames"),
        (lambda: vsrrin.interpolate(disc(2), loop=1), "interpolate: loop must be True or False, not 1"),
    ],
)
def test_errors_come_while_the_graph_is_built(make: Callable[[], vs.VideoNode], wanted: str) -> None:
    with pytest.raises(vs.Error, match=rf"^vsrrin\.{wanted}"):
        make()
