"""Still parts of moving images."""

import numpy as np
import pytest
import vapoursynth as vs

import vsrrin
from tests.conftest import planes, same_picture
from vsrrin.convert.animations.stillness import keep_still
from vsrrin.convert.images import frame_of

Y, X = np.mgrid[0:64, 0:128]
PATTERN = np.where((X + Y) % 2, 150, 110)


def clip_of(*pictures: np.ndarray, alpha: np.ndarray | None = None) -> vs.VideoNode:
    """Pictures that are (H, W) grey, as RGB24."""
    blank = vs.core.std.BlankClip(
        width=128, height=64, format=vs.RGB24, length=len(pictures), fpsnum=10, fpsden=1, keep=True
    )

    def draw(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = frame_of([pictures[n].astype(np.uint8)] * 3, f.format)
        if alpha is not None:
            frame.props["_Alpha"] = frame_of([alpha.astype(np.uint8)], vs.core.get_video_format(vs.GRAY8))
        return frame

    return blank.std.ModifyFrame(blank, draw)


def new(picture: np.ndarray, alpha: np.ndarray | None = None) -> vs.VideoNode:
    return clip_of(picture, alpha=alpha).std.SetFrameProps(_VSRRIN_Kind="new", _VSRRIN_Left=0, _VSRRIN_Right=1)


def disc(x: int) -> np.ndarray:
    return np.where(np.hypot(X - x, Y - 32) < 9, 250, PATTERN)


def test_a_pattern_that_motion_carries_along_is_put_back() -> None:
    source = clip_of(disc(20), disc(50))
    averaged = np.where(np.hypot(X - 35, Y - 32) < 9, 250, 130)
    kept = planes(keep_still(new(averaged), source).get_frame(0))[0]
    assert np.array_equal(kept[:, 70:], PATTERN[:, 70:])
    assert (kept[30:34, 33:38] == 250).all()  # what passes between the two
    assert (kept[30:34, 18:23] == 130).all()  # where it was is not still


def test_alpha_is_kept_with_the_picture() -> None:
    solid = np.full(X.shape, 255)
    source = clip_of(PATTERN, PATTERN, alpha=solid)
    frame = keep_still(new(PATTERN[:, ::-1], alpha=solid - 5), source).get_frame(0)
    found = frame.props["_Alpha"]
    assert isinstance(found, vs.VideoFrame)
    assert (planes(found)[0] == 255).all()
    assert np.array_equal(planes(frame)[0], PATTERN)


@pytest.mark.parametrize("model", ["draft", "rrin_lite"])
def test_interpolated_frames(model: str) -> None:
    source = clip_of(*(disc(20 + 6 * n) for n in range(4)))
    made = vsrrin.interpolate(source, 2, model)
    kept = keep_still(made, source)
    for n in range(8):
        before, after, left = (planes(c.get_frame(k))[0] for c, k in ((made, n), (kept, n), (source, n // 2)))
        if n % 2 == 0 or n == 7:
            assert same_picture(kept.get_frame(n), made.get_frame(n))
            continue
        assert (after[:, 70:] == left[:, 70:]).mean() > 0.99
        assert (after != left).sum() > 20  # the disc moves
        assert (after != left).sum() <= (before != left).sum()
