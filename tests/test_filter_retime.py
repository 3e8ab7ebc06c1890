"""vsrrin.retime: what a script gets."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs

import vsrrin
from tests.any_order import check_any_order
from tests.conftest import planes, same_picture


def bits(frame: vs.VideoFrame) -> list[bytes]:
    return [plane.tobytes() for plane in planes(frame)]


def place(frame: vs.VideoFrame) -> Fraction:
    """The position of an output frame, in source frames."""
    props: Mapping[str, Any] = frame.props
    return props["_VSRRIN_Left"] + Fraction(props["_VSRRIN_TNum"], props["_VSRRIN_TDen"])


def test_slow_motion_is_that_of_a_factor_at_the_old_rate(bunny: vs.VideoNode) -> None:
    slow = vsrrin.retime(bunny[:4], "1/2", "draft")
    wanted = vsrrin.interpolate(bunny[:4], 2, "draft").std.AssumeFPS(bunny)
    assert (slow.num_frames, slow.fps) == (8, bunny.fps)
    for ours, theirs in zip(slow.frames(), wanted.frames(), strict=True):
        assert bits(ours) == bits(theirs)
        assert Fraction(ours.props["_DurationNum"], ours.props["_DurationDen"]) == 1 / Fraction(bunny.fps)


def test_twice_as_fast_shows_every_second_frame_untouched(bunny: vs.VideoNode) -> None:
    fast = vsrrin.retime(bunny[:9], 2, "draft")
    assert (fast.num_frames, fast.fps) == (5, bunny.fps)
    for n, frame in enumerate(fast.frames()):
        assert frame.props["_VSRRIN_Kind"] == "source"
        assert same_picture(frame, bunny.get_frame(2 * n))


def test_any_order_and_threads_give_the_same_bits_along_a_ramp(bunny: vs.VideoNode) -> None:
    clip = bunny[:8].resize.Bicubic(96, 64)
    end = clip.num_frames / Fraction(clip.fps)

    def ramp() -> vs.VideoNode:
        return vsrrin.retime(clip, [(0, 1), (end / 2, "1/4"), (end, 1)], "draft", ease="smooth", fps=60)

    check_any_order(ramp)
    places = [place(frame) for frame in ramp().frames()]
    assert places == sorted(places)


def test_with_fps_variable_all_source_frames_stay_and_durations_vary(bunny: vs.VideoNode) -> None:
    clip = bunny[:6]
    half = 3 / Fraction(clip.fps)
    retimed = vsrrin.retime(clip, [(0, 2), (half, "1/3")], "draft", fps="variable")
    assert retimed.fps.numerator == 0
    frames = list(retimed.frames())
    sources = [frame for frame in frames if frame.props["_VSRRIN_Kind"] == "source"]
    for n, frame in enumerate(sources):
        assert same_picture(frame, clip.get_frame(n))
    durations = [Fraction(f.props["_DurationNum"], f.props["_DurationDen"]) for f in frames]
    one = 1 / Fraction(clip.fps)
    assert durations == [one / 2] * 3 + [one] * 9


def test_frames_at_chosen_moments(bunny: vs.VideoNode) -> None:
    one = 1 / Fraction(bunny.fps)
    clip = vsrrin.retime(bunny[:4], times=[0, one / 2, one / 2, one, 3 * one], model="draft", fps=30)
    assert [place(frame) for frame in clip.frames()] == [0, Fraction(1, 2), Fraction(1, 2), 1, 3]
    assert clip.fps == 30
    assert (
        bits(clip.get_frame(1))
        == bits(clip.get_frame(2))
        == bits(vsrrin.interpolate(bunny[:4], 2, "draft").get_frame(1))
    )


def test_a_clip_of_varying_rate_needs_a_rate_and_is_mapped_by_durations(bunny: vs.VideoNode, tmp_path: Path) -> None:
    durations = [Fraction(1, 10), Fraction(1, 5), Fraction(1, 10)]

    def timed(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        frame.props["_DurationNum"], frame.props["_DurationDen"] = durations[n].as_integer_ratio()
        return frame

    clip = vs.core.std.BlankClip(bunny[:3], fpsnum=0, fpsden=1).std.ModifyFrame(bunny[:3], timed)
    with pytest.raises(vs.Error, match=r"^vsrrin.retime: fps must be given where the clip's rate varies"):
        vsrrin.retime(clip, "1/2", "draft")
    wanted = [0, Fraction(1, 2), 1, Fraction(5, 4), Fraction(3, 2), Fraction(7, 4), 2, Fraction(5, 2)]
    retimed = vsrrin.retime(clip, "1/2", "draft", fps=10)
    assert [place(frame) for frame in retimed.frames()] == wanted
    codes = tmp_path / "times.txt"
    codes.write_text("# timecode format v2\n0\n100\n300\n400\n")
    retimed = vsrrin.retime(clip, "1/2", "draft", fps=10, timecodes=codes)
    assert [place(frame) for frame in retimed.frames()] == wanted


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({}, r"give speed or times$"),
        ({"speed": 2, "times": [0]}, r"give speed or times, not both"),
        ({"speed": 0}, r"speed must be a positive int"),
        ({"speed": "1/2", "ease": "smooth"}, r"ease='smooth' is the course between keyframes"),
        ({"times": [0], "ease": "smooth"}, r"ease='smooth' is the course between keyframes"),
        ({"times": [0], "fps": "variable"}, r'fps="variable" needs speed'),
        ({"times": [0, 1e9]}, r"times\[1\] is 1000000000.0 s, after the end of the clip"),
        ({"speed": [(0, 1), (1e6, 2)]}, r"speed\[1\] is at 1000000.0 s, after the end of the clip"),
        ({"speed": "1/999999999999"}, r"the output would have \d+ frames; VapourSynth can count"),
    ],
)
def test_bad_arguments_are_errors_when_the_graph_is_built(
    bunny: vs.VideoNode, arguments: dict[str, Any], wanted: str
) -> None:
    with pytest.raises(vs.Error, match=rf"^vsrrin.retime: .*{wanted}"):
        vsrrin.retime(bunny[:4], **{"model": "draft", **arguments})
