"""vsrrin.repair without a list: what its detector reports and replaces in a script."""

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

import vsrrin
from tests.any_order import check_any_order
from tests.conftest import planes, psnr, same_picture
from vsrrin.engine import memory

LISTED: list[int | tuple[int, int]] = [(6, 7), 12, 18, 24]
DAMAGED = {6: "black", 7: "black", 12: "green", 18: "torn", 24: "flash"}


@pytest.fixture
def whole(bunny: vs.VideoNode) -> vs.VideoNode:
    return bunny[:32].resize.Bicubic(240, 136)


@pytest.fixture
def spoilt(whole: vs.VideoNode) -> vs.VideoNode:
    black, green, white = (whole.std.BlankClip(length=1, color=c) for c in ([16, 128, 128], [0, 0, 0], [235, 128, 128]))
    torn = vs.core.std.StackVertical([whole[18].std.CropAbs(240, 80), whole[17].std.CropAbs(240, 56, top=80)])
    clip = whole[:6] + black + black + whole[8:12] + green + whole[13:18] + torn + whole[19:24] + white + whole[25:]
    return clip.std.AssumeFPS(whole).std.SetFrameProps(_Matrix=vs.MATRIX_BT709, _Range=0)


def damage(clip: vs.VideoNode) -> dict[int, str]:
    said = [str(frame.props["_VSRRIN_Damage"]) for frame in clip.frames()]
    return {n: kind for n, kind in enumerate(said) if kind != "none"}


def test_damage_is_reported_and_nothing_changed(spoilt: vs.VideoNode, log_messages: list[str]) -> None:
    clip = vsrrin.repair(spoilt)
    assert damage(clip) == DAMAGED
    assert all(same_picture(*pair) for pair in zip(clip.frames(), spoilt.frames(), strict=True))
    said = sorted(text for text in log_messages if "damaged" in text)
    assert said == [
        "vsrrin: frame 12 is damaged: green",
        "vsrrin: frame 18 is damaged: torn",
        "vsrrin: frame 24 is damaged: flash",
        "vsrrin: frames 6 to 7 are damaged: black",
    ]


def test_what_is_found_is_replaced_as_if_it_had_been_listed(spoilt: vs.VideoNode, whole: vs.VideoNode) -> None:
    mended, listed = vsrrin.repair(spoilt, None, "draft", apply=True), vsrrin.repair(spoilt, LISTED, "draft")
    assert damage(mended) == DAMAGED
    for n, frame in enumerate(mended.frames()):
        assert same_picture(frame, listed.get_frame(n))
        if n not in DAMAGED:
            assert frame.props["_VSRRIN_Kind"] == "source"
            assert same_picture(frame, whole.get_frame(n))
            continue
        assert frame.props["_VSRRIN_Kind"] == "new"
        true, bad = (planes(clip.get_frame(n))[0] for clip in (whole, spoilt))
        assert psnr(planes(frame)[0], true) > psnr(bad, true) + 2
    assert (mended.get_frame(7).props["_VSRRIN_Left"], mended.get_frame(7).props["_VSRRIN_Right"]) == (5, 8)


@pytest.mark.parametrize("frames", [None, LISTED])
def test_any_order_gives_the_same_frames(spoilt: vs.VideoNode, frames: Any) -> None:
    check_any_order(lambda: vsrrin.repair(spoilt, frames, "draft", apply=True))


@pytest.mark.parametrize(
    "make",
    [
        lambda clip: vsrrin.repair(clip),
        lambda clip: vsrrin.repair(clip, None, "draft", apply=True),
        lambda clip: vsrrin.proxy(clip, 2),
    ],
    ids=["reported", "replaced", "proxy"],
)
def test_memory_is_given_back_where_no_new_frames_are_made(
    whole: vs.VideoNode, make: Callable[[vs.VideoNode], vs.VideoNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the heap of a process that looks at a film grows by gigabytes."""
    size, given_back = count(), []
    tidier = memory.HeapTidier(8, size.__next__, lambda: given_back.append(True))
    monkeypatch.setattr(memory, "heap", lambda: tidier)
    clip = whole.std.Loop(times=2).resize.Bicubic(64, 48)
    for _ in make(clip).frames():
        pass
    assert given_back


def test_a_frame_asks_for_twelve_before_and_after_it(spoilt: vs.VideoNode, counted: Any) -> None:
    clip, asked = counted((spoilt + spoilt + spoilt).std.AssumeFPS(spoilt))
    vsrrin.repair(clip).get_frame(45)
    assert set(asked) - {0} <= set(range(45 - 12, 45 + 13))


@pytest.mark.parametrize(
    "kind", [vs.GRAY8, vs.GRAYH, vs.RGB24, vs.RGBS, vs.YUV444P16, vs.YUV420P10, vs.YUV422P8, vs.YUV444PH]
)
def test_formats(spoilt: vs.VideoNode, kind: int) -> None:
    family = vs.core.get_video_format(kind).color_family
    clip = spoilt.resize.Bicubic(format=kind)
    if family == vs.GRAY:
        clip = clip.std.RemoveFrameProps("_Matrix")
    found = damage(vsrrin.repair(clip))
    # Without colour, green is as dark as black, and what is black twice so near is a strobe.
    assert found == ({18: "torn", 24: "flash"} if family == vs.GRAY else DAMAGED)


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_short_clips(whole: vs.VideoNode, length: int) -> None:
    black = whole.std.BlankClip(length=1, color=[16, 128, 128])
    clip = whole[:length] if length < 3 else whole[:1] + black + whole[2:length]
    assert damage(vsrrin.repair(clip)) == ({1: "black"} if length == 5 else {}) or length == 5
    assert vsrrin.repair(clip, None, "draft", apply=True).num_frames == length


def test_at_the_beginning_the_first_healthy_frame_is_held(whole: vs.VideoNode) -> None:
    green = whole.std.BlankClip(length=2, color=[0, 0, 0])
    mended = vsrrin.repair((green + whole[2:14]).std.AssumeFPS(whole), None, "draft", apply=True)
    for n in (0, 1):
        frame = mended.get_frame(n)
        assert (frame.props["_VSRRIN_Kind"], frame.props["_VSRRIN_Damage"]) == ("held", "green")
        assert same_picture(frame, whole.get_frame(2))


@pytest.mark.parametrize(("at_cut", "shown"), [("hold", (9, 9)), ("nearest", (9, 12))])
def test_green_at_a_cut_is_replaced_as_at_any_cut(whole: vs.VideoNode, at_cut: Any, shown: tuple[int, int]) -> None:
    green = whole.std.BlankClip(length=2, color=[0, 0, 0])
    other = whole.std.Invert(planes=0).std.FlipHorizontal()
    clip = (whole[:10] + green + other[12:24]).std.AssumeFPS(whole)
    mended = vsrrin.repair(clip, None, "draft", apply=True, at_cut=at_cut)
    for n, source in zip((10, 11), shown, strict=True):
        assert mended.get_frame(n).props["_VSRRIN_Kind"] == "held"
        assert same_picture(mended.get_frame(n), clip.get_frame(source))
    begins = [n for n, frame in enumerate(mended.frames()) if frame.props["_SceneChangePrev"]]
    assert begins == [11 if at_cut == "nearest" else 12]


def test_alpha_is_mended_too(spoilt: vs.VideoNode) -> None:
    rgb = spoilt.resize.Bicubic(format=vs.RGB24)
    alpha = vs.core.std.BlankClip(rgb, format=vs.GRAY8, color=200)
    mended = vsrrin.repair(rgb.std.ClipToProp(alpha, "_Alpha"), None, "draft", apply=True)
    assert damage(mended) == DAMAGED
    plane = np.asarray(mended.std.PropToClip("_Alpha").get_frame(7)[0])
    assert np.abs(plane.astype(int) - 200).max() <= 1


def test_new_frames_between_damaged_ones_do_not_count_as_damaged(spoilt: vs.VideoNode) -> None:
    mended = vsrrin.repair(spoilt, None, "draft", apply=True)
    frames = vsrrin.interpolate(mended, 2, "draft")
    assert frames.get_frame(12).props["_VSRRIN_Damage"] == "black"
    assert "_VSRRIN_Damage" not in frames.get_frame(13).props


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({"apply": 1}, "apply must be True or False, not 1"),
        ({"apply": "yes"}, "apply must be True or False, not 'yes'"),
        ({"frames": False}, "frames must be a list of frame numbers and ranges, or a file of them, not False"),
        ({"apply": True, "duplicates": "spread"}, 'duplicates must be "keep" where frames are repaired, not'),
        ({"frames": [3], "duplicates": "spread"}, 'duplicates must be "keep" where frames are repaired, not'),
    ],
)
def test_bad_arguments(whole: vs.VideoNode, arguments: dict[str, Any], wanted: str) -> None:
    with pytest.raises(vs.Error, match=rf"^vsrrin.repair: {wanted}"):
        vsrrin.repair(whole, **{"model": "draft", **arguments})


def test_errors_in_the_middle_name_the_filter_and_the_frames_of_the_clip(
    whole: vs.VideoNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vsrrin.engine.interpolator import Interpolator
    from vsrrin.errors import BackendError

    def fail(*given: Any) -> None:
        raise BackendError("no memory")

    made = vsrrin.repair(whole, [3, (9, 10)], "draft"), vsrrin.retime(whole, "1/2", "draft")
    monkeypatch.setattr(Interpolator, "pair", fail)
    with pytest.raises(vs.Error, match=r"vsrrin.repair: output frame 10 \(between source frames 8 and 11\): no memory"):
        made[0].get_frame(10)
    with pytest.raises(vs.Error, match=r"vsrrin.retime: output frame 3 \(between source frames 1 and 2\)"):
        made[1].get_frame(3)
