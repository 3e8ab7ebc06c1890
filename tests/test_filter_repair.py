"""vsrrin.repair: what a script gets."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs

import vsrrin
from tests.conftest import planes, psnr, same_picture


@pytest.fixture
def whole(bunny: vs.VideoNode) -> vs.VideoNode:
    return bunny[:12].resize.Bicubic(320, 180)


def damaged(clip: vs.VideoNode, *numbers: int) -> vs.VideoNode:
    """The clip, of which some frames cannot be had."""

    def refuse(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        if n in numbers:
            raise ValueError(f"frame {n} is damaged")
        return f

    return clip.std.ModifyFrame(clip, refuse)


def kinds(clip: vs.VideoNode) -> list[str]:
    return [str(frame.props["_VSRRIN_Kind"]) for frame in clip.frames()]


def test_damaged_frames_come_from_the_healthy_ones_at_their_places_and_all_others_stay(whole: vs.VideoNode) -> None:
    mended = vsrrin.repair(damaged(whole, 2, 5, 6, 7), [2, (5, 7)], "draft")
    assert (mended.num_frames, mended.fps) == (12, whole.fps)
    for n, frame in enumerate(mended.frames()):
        props = frame.props
        if n not in (2, 5, 6, 7):
            assert props["_VSRRIN_Kind"] == "source"
            assert same_picture(frame, whole.get_frame(n))
            continue
        before, after = (1, 3) if n == 2 else (4, 8)
        assert (props["_VSRRIN_Left"], props["_VSRRIN_Right"]) == (before, after)
        assert Fraction(props["_VSRRIN_TNum"], props["_VSRRIN_TDen"]) == Fraction(n - before, after - before)
        made, held, right = (planes(f)[0] for f in (frame, whole.get_frame(before), whole.get_frame(n)))
        assert psnr(made, right) > psnr(held, right) + 2


def test_a_single_frame_is_the_new_frame_of_a_factor_of_two(whole: vs.VideoNode) -> None:
    mended = vsrrin.repair(whole, [3], "draft").get_frame(3)
    wanted = vsrrin.interpolate(whole[2] + whole[4], 2, "draft").get_frame(1)
    assert [p.tobytes() for p in planes(mended)] == [p.tobytes() for p in planes(wanted)]


def test_at_both_ends_the_nearest_healthy_frame_is_held(whole: vs.VideoNode) -> None:
    mended = vsrrin.repair(damaged(whole, 0, 1, 11), [(0, 1), 11], "draft")
    assert kinds(mended) == ["held"] * 2 + ["source"] * 9 + ["held"]
    for held, shown in ((0, 2), (1, 2), (11, 10)):
        assert same_picture(mended.get_frame(held), whole.get_frame(shown))


def test_across_a_cut_nothing_is_interpolated(whole: vs.VideoNode) -> None:
    clip = whole[:6] + whole[:6].std.Invert()
    assert kinds(vsrrin.repair(clip, [(5, 6)], "draft"))[4:8] == ["source", "held", "held", "source"]
    nearest = vsrrin.repair(clip, [(5, 6)], "draft", at_cut="nearest")
    assert same_picture(nearest.get_frame(5), clip.get_frame(4))
    assert same_picture(nearest.get_frame(6), clip.get_frame(7))


def test_a_list_file(whole: vs.VideoNode, tmp_path: Path) -> None:
    listed = tmp_path / "frames #1.txt"
    listed.write_text("\ufeff# from the archive\n2\n\n 5 - 7  # a scratch\n2\r\n", encoding="utf-8")
    assert kinds(vsrrin.repair(whole, listed, "draft")) == kinds(vsrrin.repair(whole, [2, (5, 7)], "draft"))
    assert kinds(vsrrin.repair(whole, str(listed), "draft")).count("new") == 4


def test_without_damage_it_is_the_clip(whole: vs.VideoNode) -> None:
    assert vsrrin.repair(whole, []) is whole


@pytest.mark.parametrize(
    ("frames", "wanted"),
    [
        ([12], r"frames\[0\] is 12, but the clip has the frames 0 to 11"),
        ([3, (9, 12)], r"frames\[1\] is 9 to 12, but the clip has the frames 0 to 11"),
        ([-1], r"frames\[0\] is -1, but the clip has the frames 0 to 11"),
        ([(5, 3)], r"frames\[0\] is 5 to 3, but"),
        (["3"], r"frames\[0\] must be a frame number, or a range such as \(20, 25\), first and last, not '3'"),
        ([1.0], r"frames\[0\] must be a frame number, .* not 1.0"),
        ([range(2, 8, 2)], r"frames\[0\] must be a frame number, .* not range\(2, 8, 2\)"),
        ([(0, 11)], r"frames names all 12 frames of the clip"),
        (5, r"frames must be a list of frame numbers and ranges, or a file of them, not 5"),
        ("none.txt", r"frames 'none.txt' cannot be read: .*No such file"),
    ],
)
def test_bad_lists_are_errors_when_the_graph_is_built(whole: vs.VideoNode, frames: Any, wanted: str) -> None:
    with pytest.raises(vs.Error, match=rf"^vsrrin.repair: {wanted}"):
        vsrrin.repair(whole, frames, "draft")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2\nfive\n", r"line 2 of frames '.*' must be a frame number, or a range such as 20-25, .* not 'five'"),
        ("2\n\n3-\n", r"line 3 of frames '.*' must be"),
        ("9-12", r"line 1 of frames '.*' is 9 to 12, but the clip has the frames 0 to 11"),
        ("7-5", r"line 1 of frames '.*' is 7 to 5"),
    ],
)
def test_bad_lines_are_errors_when_the_graph_is_built(
    whole: vs.VideoNode, tmp_path: Path, text: str, wanted: str
) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(text)
    with pytest.raises(vs.Error, match=rf"^vsrrin.repair: {wanted}"):
        vsrrin.repair(whole, listed, "draft")
