"""vsrrin.interpolate with a fallback for new frames that cannot be trusted."""

import numpy as np
import pytest
import vapoursynth as vs

import vsrrin
from tests.any_order import check_any_order
from tests.conftest import planes, same_picture
from tests.test_filter import FORMATS, kinds
from vsrrin.clip import frames


def noise(like: vs.VideoNode) -> vs.VideoNode:
    """A clip whose frames have nothing in common."""

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame, chooser = f.copy(), np.random.default_rng(n)
        for plane in range(frame.format.num_planes):
            target = np.asarray(frame[plane])
            is_float = frame.format.sample_type == vs.FLOAT
            top = 1 if is_float else 2**frame.format.bits_per_sample
            lowest = -0.5 if is_float and plane and frame.format.color_family == vs.YUV else 0
            values = chooser.random([side // 4 + 1 for side in target.shape]) * top + lowest
            values = values.repeat(4, 0).repeat(4, 1)[: target.shape[0], : target.shape[1]]
            np.copyto(target, values, casting="unsafe")
        return frame

    return like.std.ModifyFrame(like, fill)


def appearing(clip: vs.VideoNode) -> vs.VideoNode:
    """The clip with noise in the left half of the picture."""
    half = clip.width // 2
    right = clip.std.Crop(left=half)
    return vs.core.std.StackHorizontal([noise(clip).std.Crop(right=half), right])


@pytest.mark.parametrize("format_id", FORMATS, ids=lambda i: vs.core.get_video_format(i).name)
def test_where_nothing_can_be_trusted_the_fallback_takes_its_place(bunny: vs.VideoNode, format_id: int) -> None:
    clip = noise(bunny[:3].resize.Bicubic(64, 48, format=format_id))
    held = vsrrin.interpolate(clip, 3, "draft", scene="off", fallback="hold", fallback_below=1)
    blended = vsrrin.interpolate(clip, 3, "draft", scene="off", fallback="blend", fallback_below=1)
    assert held.format.id == blended.format.id == format_id
    assert kinds(held)[:6] == ["source", "held", "held"] * 2
    assert kinds(blended)[:6] == ["source", "blend", "blend"] * 2
    for n, source in ((1, 0), (2, 1), (4, 1), (5, 2)):
        assert same_picture(held.get_frame(n), clip.get_frame(source))
    mixed = frames.blend(clip.get_frame(0), clip.get_frame(1), 1 / 3, vs.core.core)
    assert same_picture(blended.get_frame(1), mixed)
    assert all(f.props["_VSRRIN_Confidence"] < 0.5 for f in (held.get_frame(1), blended.get_frame(5)))


def test_what_can_be_trusted_stays(small_bunny: vs.VideoNode) -> None:
    clip = appearing(small_bunny)
    plain = vsrrin.interpolate(clip, 2, "draft", scene="off")
    safe = vsrrin.interpolate(clip, 2, "draft", scene="off", fallback="blend", fallback_below=0.7)
    assert kinds(safe) == kinds(plain)  # in part replaced is new
    left, right = np.s_[20:-20, 24:100], np.s_[:, 170:]
    new, old = planes(safe.get_frame(1))[0], planes(plain.get_frame(1))[0]
    blend = planes(frames.blend(clip.get_frame(0), clip.get_frame(1), 0.5, vs.core.core))[0]
    assert np.array_equal(new[left], blend[left])
    assert np.array_equal(new[right], old[right])
    assert 0.3 < safe.get_frame(1).props["_VSRRIN_Confidence"] < 0.7


def test_held_frames_are_held_as_a_whole_and_softly(small_bunny: vs.VideoNode) -> None:
    clip = appearing(small_bunny)
    confidence = vsrrin.motion(clip, "confidence", model="draft", scene="off").get_frame(1).props["_VSRRIN_Confidence"]

    def shown(below: float) -> vs.VideoFrame:
        options = {"fallback": "hold", "fallback_below": below}
        return vsrrin.interpolate(clip, 2, "draft", scene="off", **options).get_frame(1)

    plain = vsrrin.interpolate(clip, 2, "draft", scene="off").get_frame(1)
    assert same_picture(shown(confidence), plain)
    source = clip.get_frame(1)
    middle = frames.blend(plain, source, 0.5, vs.core.core)
    between = shown(confidence / 0.75)
    assert between.props["_VSRRIN_Kind"] == "new"
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(planes(between), planes(middle), strict=True)) <= 1


def test_none_is_as_if_there_were_no_such_option(small_bunny: vs.VideoNode) -> None:
    clip = appearing(small_bunny)
    plain, none = vsrrin.interpolate(clip, 2, "draft"), vsrrin.interpolate(clip, 2, "draft", fallback="none")
    for ours, theirs in zip(none.frames(), plain.frames(), strict=True):
        assert same_picture(ours, theirs) and dict(ours.props) == dict(theirs.props)
        assert "_VSRRIN_Confidence" not in ours.props
    # Nor of a filter before.
    again = vsrrin.interpolate(vsrrin.interpolate(clip, 2, "draft", fallback="blend"), 2, "draft")
    assert not any("_VSRRIN_Confidence" in frame.props for frame in again.frames())


def test_frames_that_are_not_new_are_certain(bunny: vs.VideoNode) -> None:
    clip = (bunny[:2] + bunny[1] + bunny[40:42].std.Invert()).resize.Bicubic(160, 96)
    output = vsrrin.interpolate(clip, 2, "draft", fallback="blend", at_cut="blend")
    assert kinds(output) == ["source", "new", "source", "held", "source", "blend", "source", "new", "source", "held"]
    for frame, kind in zip(output.frames(), kinds(output), strict=True):
        assert (frame.props["_VSRRIN_Confidence"] == 1) == (kind != "new")


def test_any_order_and_any_threads_give_the_same_bits(small_bunny: vs.VideoNode) -> None:
    clip = appearing(small_bunny)
    check_any_order(lambda: vsrrin.interpolate(clip, 4, "draft", scene="off", fallback="blend"))


def test_other_filters_have_it_too(small_bunny: vs.VideoNode) -> None:
    clip = noise(small_bunny)
    mended = vsrrin.repair(clip, [3], "draft", scene="off", fallback="hold", fallback_below=1)
    assert same_picture(mended.get_frame(3), clip.get_frame(4))
    slow = vsrrin.retime(clip, "1/2", model="draft", scene="off", fallback="hold", fallback_below=1)
    assert same_picture(slow.get_frame(1), clip.get_frame(1))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fallback": "freeze"}, "fallback must be one of 'none', 'blend', 'hold', not 'freeze'"),
        ({"fallback": "hold", "fallback_below": 0}, "fallback_below must be a confidence above 0 and up to 1, not 0"),
        ({"fallback": "hold", "fallback_below": "1/2"}, "fallback_below must be a confidence above 0 and up to 1"),
    ],
)
def test_mistakes(bunny: vs.VideoNode, options: dict[str, object], text: str) -> None:
    with pytest.raises(vs.Error, match=f"^vsrrin.interpolate: {text}"):
        vsrrin.interpolate(bunny, 2, "draft", **options)
