"""Frames of five small scripts against recorded ones: nobody's pictures change by accident.

The recordings lie in data/recorded_frames.npz. A processor may round in another way, so new frames agree within two
levels of 8 bit; source frames and times are equal.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

import vsrrin
from tests.conftest import planes

RECORDED = Path(__file__).parent / "data" / "recorded_frames.npz"
PLAIN: dict[str, Any] = {"device": "cpu", "precision": "fp32", "backend": "torch"}
DURATIONS = (1, 2, 1, 3)


def source(bunny: vs.VideoNode) -> vs.VideoNode:
    return bunny[10:14].resize.Bicubic(128, 96)


def varying(clip: vs.VideoNode) -> vs.VideoNode:
    """The clip with frames of 1 to 3 thirtieths of a second, and no rate."""

    def last(n: int) -> vs.VideoNode:
        return clip[n].std.SetFrameProps(_DurationNum=DURATIONS[n], _DurationDen=30)

    return vs.core.std.BlankClip(clip, fpsnum=0, fpsden=1).std.FrameEval(last)


def scripts(clip: vs.VideoNode) -> dict[str, tuple[vs.VideoNode, vs.VideoNode]]:
    deep = clip.resize.Point(format=vs.YUV422P10)
    rgb = clip.resize.Bicubic(format=vs.RGB24)
    return {
        "8 bit": (clip, vsrrin.interpolate(clip, tile=0, **PLAIN)),
        "10 bit": (deep, vsrrin.interpolate(deep, "5/2", "balanced", tile=0, **PLAIN)),
        "RGB": (rgb, vsrrin.interpolate(rgb, 3, "draft", tile=0, **PLAIN)),
        "VFR": (clip, vsrrin.interpolate(varying(clip), fps=60, model="draft", tile=0, **PLAIN)),
        "tiles": (clip, vsrrin.interpolate(clip, tile=(96, 64), overlap=16, **PLAIN)),
    }


def times(clip: vs.VideoNode) -> list[list[int]]:
    keys = ("_VSRRIN_Left", "_VSRRIN_Right", "_DurationNum", "_DurationDen")
    return [[int(frame.props[key]) for key in keys] for frame in clip.frames(close=True)]


def first_new(clip: vs.VideoNode) -> tuple[int, vs.VideoFrame]:
    return next((n, f) for n, f in enumerate(clip.frames()) if f.props["_VSRRIN_Kind"] == "new")


@pytest.mark.parametrize("name", ["8 bit", "10 bit", "RGB", "VFR", "tiles"])
def test_frames_and_times_are_those_that_were_recorded(name: str, bunny: vs.VideoNode) -> None:
    clip, output = scripts(source(bunny))[name]
    recorded = np.load(RECORDED)
    assert times(output) == recorded[f"{name} times"].tolist()
    number, new = first_new(output)
    assert number == recorded[f"{name} number"]
    level = 2 ** (clip.format.bits_per_sample - 8)
    for plane, samples in enumerate(planes(new)):
        apart = np.abs(samples.astype(int) - recorded[f"{name} plane {plane}"].astype(int))
        assert apart.max() <= 2 * level and apart.mean() <= 0.05 * level
    total = sum((Fraction(*pair[2:]) for pair in times(output)), Fraction(0))
    assert output.num_frames * Fraction(output.fps.denominator, output.fps.numerator) == total
    kept = [f for f in output.frames() if f.props["_VSRRIN_Kind"] == "source"]
    for frame in kept:
        before = clip.get_frame(frame.props["_VSRRIN_Left"])
        assert all(np.array_equal(a, b) for a, b in zip(planes(frame), planes(before), strict=True))
