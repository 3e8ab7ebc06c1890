"""vsrrin.blur: what a script gets."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

import vsrrin
from tests.any_order import check_any_order
from tests.conftest import planes, same_picture

BAR = 8


def sliding(length: int = 6, step: int = 8, **kind: Any) -> vs.VideoNode:
    """A bright bar on black that moves to the right by some pixels a frame, over a noise-free ground."""
    base = vs.core.std.BlankClip(width=192, height=64, length=length, fpsnum=24, **{"format": vs.GRAY8, **kind})

    def draw(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        left = 40 + step * n
        np.asarray(frame[0])[16:48, left : left + BAR] = 200
        frame.props["_Range"] = 1
        return frame

    return base.std.ModifyFrame(base, draw)


def bits(frame: vs.VideoFrame) -> list[bytes]:
    return [plane.tobytes() for plane in planes(frame)]


def test_frames_are_the_weighted_means_of_the_new_frames_while_the_shutter_is_open(bunny: vs.VideoNode) -> None:
    clip = bunny[:4].resize.Bicubic(160, 96)
    blurred = vsrrin.blur(clip, 180, samples=5)
    assert (blurred.num_frames, blurred.fps, blurred.format.id) == (4, clip.fps, clip.format.id)
    many = [planes(frame)[0].astype(np.float64) for frame in vsrrin.interpolate(clip, 8, "draft").frames()]
    wanted = sum(weight * many[8 + at] for weight, at in zip((1, 2, 2, 2, 1), (-2, -1, 0, 1, 2), strict=True)) / 8
    assert np.abs(planes(blurred.get_frame(1))[0] - wanted).max() <= 0.5
    assert blurred.get_frame(1).props["_VSRRIN_Kind"] == "blur"


@pytest.mark.parametrize("linear", [False, True])
def test_a_bar_leaves_a_trace_as_long_as_the_shutter_is_open(linear: bool) -> None:
    for angle, trace in ((90, 2), (360, 8)):
        frame = vsrrin.blur(sliding(), angle, samples=9, linear=linear).get_frame(3)
        row = planes(frame)[0][32].astype(int)
        lit = np.flatnonzero(row > 4)
        assert abs(lit[-1] - lit[0] + 1 - (BAR + trace)) <= 2
        assert abs((lit[0] + lit[-1]) / 2 - (40 + 8 * 3 + (BAR - 1) / 2)) <= 1


def test_linear_light_leaves_brighter_traces() -> None:
    plain, linear = (vsrrin.blur(sliding(), 360, linear=linear).get_frame(3) for linear in (False, True))
    edge = np.s_[32, 40 + 24 - 2]
    assert planes(linear)[0][edge] > planes(plain)[0][edge] + 20


@pytest.mark.parametrize("format_id", [vs.YUV420P8, vs.YUV422P10, vs.RGB24, vs.GRAY16, vs.RGBS, vs.RGBH])
@pytest.mark.parametrize("linear", [False, True])
def test_still_pictures_stay_as_they_are(bunny: vs.VideoNode, format_id: int, linear: bool) -> None:
    still = bunny[0].resize.Bicubic(96, 64, format=format_id) * 4
    frame = vsrrin.blur(still, linear=linear).get_frame(2)
    for ours, theirs in zip(planes(frame), planes(still.get_frame(2)), strict=True):
        assert np.abs(ours.astype(np.float64) - theirs).max() <= (0.002 if ours.dtype.kind == "f" else 0)


def test_nothing_is_mixed_across_a_cut(bunny: vs.VideoNode) -> None:
    clip = (bunny[:5] + bunny[:5].std.Invert()).resize.Bicubic(160, 96)
    blurred = vsrrin.blur(clip, 360)
    last, first = (planes(blurred.get_frame(n))[0].astype(int) for n in (4, 5))
    # The brightness of each side keeps to its own scene.
    assert abs(last.mean() - planes(clip.get_frame(4))[0].mean()) < 2
    assert abs(first.mean() - planes(clip.get_frame(5))[0].mean()) < 2


def test_a_lower_rate_has_fewer_frames_of_the_same_moments(bunny: vs.VideoNode) -> None:
    clip = bunny[:10].resize.Bicubic(96, 64)
    blurred = vsrrin.blur(clip, fps=Fraction(clip.fps) / 2)
    assert (blurred.num_frames, Fraction(blurred.fps)) == (5, Fraction(clip.fps) / 2)
    for n, frame in enumerate(blurred.frames()):
        assert (frame.props["_VSRRIN_Left"], frame.props["_VSRRIN_TNum"]) == (2 * n, 0)
        assert Fraction(frame.props["_DurationNum"], frame.props["_DurationDen"]) == 2 / Fraction(clip.fps)


def test_any_order_and_threads_give_the_same_bits(bunny: vs.VideoNode) -> None:
    clip = bunny[:10].resize.Bicubic(96, 64)
    check_any_order(lambda: vsrrin.blur(clip, samples=5, linear=True))


def test_one_frame_is_that_frame(bunny: vs.VideoNode) -> None:
    assert same_picture(vsrrin.blur(bunny[0]).get_frame(0), bunny.get_frame(0))


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({"shutter": 0}, r"shutter must be an angle above 0 and up to 360 degrees, not 0"),
        ({"shutter": 361}, r"shutter must be an angle above 0 and up to 360 degrees, not 361"),
        ({"shutter": "half"}, r"shutter must be an angle .* not 'half'"),
        ({"samples": 4}, r"samples must be an odd number from 3 to 31, not 4"),
        ({"samples": 33}, r"samples must be an odd number from 3 to 31, not 33"),
        ({"samples": 9.0}, r"samples must be an odd number from 3 to 31, not 9.0"),
        ({"fps": 59.94}, r'fps must be a positive int, .* write "60000/1001" instead'),
        ({"model": "none.pth"}, r"none.pth"),
    ],
)
def test_bad_arguments_are_errors_when_the_graph_is_built(
    bunny: vs.VideoNode, arguments: dict[str, Any], wanted: str
) -> None:
    with pytest.raises(vs.Error, match=rf"^vsrrin.blur: .*{wanted}"):
        vsrrin.blur(bunny[:4], **arguments)
