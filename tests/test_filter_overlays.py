"""vsrrin.interpolate with overlays="guard", the default, "still" and "off"."""

import cv2
import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray

import vsrrin
from tests.any_order import check_any_order
from tests.conftest import planes, psnr, same_picture
from tests.test_filter import FORMATS


def drawn(clip: vs.VideoNode) -> tuple[vs.VideoNode, NDArray[np.bool_]]:
    """Return a clip with outlined text on the first plane, and where it is."""
    shape = np.zeros((clip.height, clip.width), np.uint8)
    cv2.putText(shape, "TEXT", (clip.width // 4, clip.height * 3 // 4), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (1,), 6)

    def draw(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        plane = np.asarray(frame[0])
        plane[cv2.dilate(shape, np.ones((5, 5), np.uint8)) > 0] = 16
        plane[shape > 0] = 230
        return frame

    return clip.std.ModifyFrame(clip, draw), shape > 0


def panning(length: int = 3, step: int = 10, format_id: int = vs.YUV420P8) -> vs.VideoNode:
    """Return a clip of blots that move evenly."""
    random_ = np.random.default_rng(2)
    small = random_.uniform(40, 200, (16, 60)).astype(np.float32)
    wide = cv2.resize(small, (480, 128), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    blank = vs.core.std.BlankClip(format=vs.YUV420P8, width=256, height=128, length=length, keep=True)

    def write(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        np.copyto(np.asarray(frame[0]), wide[:, n * step : n * step + 256])
        return frame

    clip = blank.std.ModifyFrame(blank, write).std.SetFrameProps(_Matrix=1, _Range=0)
    if format_id == vs.YUV420P8:
        return clip
    rgb = vs.core.get_video_format(format_id).color_family == vs.RGB
    return clip.resize.Bicubic(format=format_id) if rgb else clip.resize.Bicubic(format=format_id, matrix=1)


def luma(clip: vs.VideoNode, n: int) -> NDArray[np.generic]:
    return planes(clip.get_frame(n))[0]


def test_text_stays_and_its_surroundings_move() -> None:
    clip, text = drawn(panning())
    truth = luma(drawn(panning(5, 5))[0], 1)
    guarded, without = (luma(vsrrin.interpolate(clip, 2, "draft", overlays=how), 1) for how in ("guard", "off"))
    assert psnr(guarded[text], truth[text]) > psnr(without[text], truth[text]) + 3
    assert np.array_equal(guarded[text], truth[text])
    ring = (cv2.dilate(text.astype(np.uint8), np.ones((17, 17))) > 0) & ~text
    assert psnr(guarded[ring], truth[ring]) > psnr(without[ring], truth[ring])


def test_source_frames_and_pictures_without_overlays_are_those_of_off(small_bunny: vs.VideoNode) -> None:
    for clip in (panning(), small_bunny[:3]):
        guarded, without = (vsrrin.interpolate(clip, 2, "draft", overlays=how) for how in ("guard", "off"))
        for n in range(0, guarded.num_frames, 2):
            assert same_picture(guarded.get_frame(n), clip.get_frame(n // 2))
        assert same_picture(guarded.get_frame(1), without.get_frame(1))


@pytest.mark.parametrize("format_id", FORMATS)
def test_still_parts_are_the_sources_in_every_plane(format_id: int) -> None:
    first = panning(1, format_id=format_id)
    second = first.std.CropAbs(64, 128, 0, 0).std.FlipVertical()
    pair = first + vs.core.std.StackHorizontal([second, first.std.CropAbs(192, 128, 64, 0)])
    new = vsrrin.interpolate(pair, 2, "draft", scene="off").get_frame(1)
    for made, source in zip(planes(new), planes(first.get_frame(0)), strict=True):
        still = slice(made.shape[1] * 96 // 256, None)  # 32 pixels beside what changes
        assert np.array_equal(made[:, still], source[:, still])


def test_frames_in_any_order_by_any_thread_are_the_same(small_bunny: vs.VideoNode) -> None:
    clip, _ = drawn(small_bunny)
    check_any_order(lambda: vsrrin.interpolate(clip, 3, "draft", overlays="guard"))


def test_the_guard_is_the_default() -> None:
    clip, text = drawn(panning())
    guarded, still = (luma(vsrrin.interpolate(clip, 2, "draft", overlays=how), 1) for how in ("guard", "still"))
    assert np.array_equal(luma(vsrrin.interpolate(clip, 2, "draft"), 1), guarded)
    assert not np.array_equal(still[text], guarded[text])


def test_another_value_is_an_error() -> None:
    with pytest.raises(
        vs.Error, match=r"^vsrrin.interpolate: overlays must be one of 'still', 'guard', 'off', not 'on'$"
    ):
        vsrrin.interpolate(panning(), overlays="on")  # type: ignore[arg-type]
