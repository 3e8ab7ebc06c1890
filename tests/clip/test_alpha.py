"""Interpolation with alpha."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs

import vsrrin
from tests.any_order import check_any_order
from tests.conftest import planes, psnr, same_picture
from tests.image_files import picture, write, write_sequence
from vsrrin.clip import graph
from vsrrin.clip.alpha import alpha_of, interpolate_with_alpha, premultiplied
from vsrrin.clip.clip_checks import make_timing
from vsrrin.convert.images import read_folder
from vsrrin.engine.options import Options


def doubled(clip: vs.VideoNode) -> vs.VideoNode:
    return interpolate_with_alpha(clip, vsrrin.interpolate)


def alpha(frame: vs.VideoFrame) -> vs.VideoFrame:
    found = frame.props["_Alpha"]
    assert isinstance(found, vs.VideoFrame)
    return found


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 4])
def test_source_frames_and_their_alpha_stay_bit_for_bit(tmp_path: Path, depth: int, channels: int) -> None:
    folder = write_sequence(tmp_path / "in", 4, channels=4, depth=depth)
    if channels == 1:  # grey with alpha
        for n in range(4):
            grey = picture(n, channels=4, depth=depth)
            grey[..., :3] = grey[..., :1]
            write(folder / f"{n + 8}.png", grey)
    clip = read_folder(folder).clip
    out = doubled(clip)
    assert (out.num_frames, out.fps, out.format.id) == (8, 2 * clip.fps, clip.format.id)
    for n in range(4):
        source, frame = clip.get_frame(n), out.get_frame(2 * n)
        assert frame.props["_VSRRIN_Kind"] == "source"
        assert same_picture(frame, source)
        assert same_picture(alpha(frame), alpha(source))
    held = out.get_frame(7)
    assert held.props["_VSRRIN_Kind"] == "held"
    assert same_picture(held, clip.get_frame(3))
    assert same_picture(alpha(held), alpha(clip.get_frame(3)))


def moving_disc(n: int, hidden: int) -> np.ndarray:
    """A disc of one colour; what is under the transparent pixels differs from frame to frame."""
    image = picture(n, channels=4)
    image[..., :3] = np.random.default_rng(hidden + n).integers(0, 256, image[..., :3].shape)
    image[image[..., 3] > 0, :3] = (40, 120, 200)
    return image


def test_alpha_moves_and_what_is_hidden_does_not_bleed(tmp_path: Path) -> None:
    for hidden, name in ((0, "one"), (100, "two")):
        (tmp_path / name).mkdir()
        for n in range(3):
            write(tmp_path / name / f"{n}.png", moving_disc(2 * n, hidden))
    frames = [list(doubled(read_folder(tmp_path / name).clip).frames()) for name in ("one", "two")]
    for n in (1, 3):
        frame = frames[0][n]
        assert frame.props["_VSRRIN_Kind"] == "new"
        (mask,) = planes(alpha(frame))
        columns = np.arange(mask.shape[1])
        assert (mask * columns).sum() / mask.sum() == pytest.approx(24 + 2 * n, abs=0.2)
        (expected,) = [moving_disc(n, 0)[..., 3]]
        assert np.abs(mask.astype(int) - expected).mean() < 1
        visible = mask > 25
        for plane, value in zip(planes(frame), (200, 120, 40), strict=True):
            wrong = np.abs(plane[visible].astype(int) - value)
            assert wrong[mask[visible] > 40].max() <= 3
            # What is a tenth opaque is divided by a tenth, and an error of it with it: there, as it is seen.
            assert (wrong * (mask[visible] / 255)).max() <= 1
            assert not plane[mask == 0].any()
        assert same_picture(frame, frames[1][n])
        assert same_picture(alpha(frame), alpha(frames[1][n]))


def test_cuts_are_those_of_the_colours_for_both(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for n in range(8):
        image = picture(n, channels=4)
        if n >= 4:  # another scene, of about the same shape
            image[..., :3] = np.random.default_rng(5).integers(0, 256, (48, 1, 3))
        write(tmp_path / "in" / f"{n}.png", image)
    clip = read_folder(tmp_path / "in").clip
    marked = (
        clip[:4].std.SetFrameProps(_SceneChangeNext=0)[:3] + clip[3].std.SetFrameProps(_SceneChangeNext=1) + clip[4:]
    )
    out = doubled(marked)
    frame = out.get_frame(7)
    assert frame.props["_VSRRIN_Kind"] == "held"
    assert frame.props["_SceneChangeNext"] == 1
    assert same_picture(alpha(frame), alpha(clip.get_frame(3)))
    uncut = interpolate_with_alpha(marked, partial(vsrrin.interpolate, scene="off"), Options(scene="off")).get_frame(7)
    assert uncut.props["_VSRRIN_Kind"] == "new"
    assert not same_picture(alpha(uncut), alpha(clip.get_frame(3)))


@pytest.mark.parametrize("count", [1, 2])
def test_very_short_clips(tmp_path: Path, count: int) -> None:
    clip = read_folder(write_sequence(tmp_path / "in", count, channels=4)).clip
    frames = list(doubled(clip).frames())
    assert len(frames) == 2 * count
    assert all("_Alpha" in frame.props for frame in frames)
    assert same_picture(frames[-1], clip.get_frame(count - 1))


def test_a_factor_of_one_changes_nothing(tmp_path: Path) -> None:
    clip = read_folder(write_sequence(tmp_path / "in", 2, channels=4)).clip
    assert interpolate_with_alpha(clip, partial(vsrrin.interpolate, factor=1)) is clip


def test_over_black(tmp_path: Path) -> None:
    clip = read_folder(write_sequence(tmp_path / "in", 1, channels=4)).clip
    image = picture(channels=4).astype(np.float64)
    shown = premultiplied(clip).get_frame(0)
    assert "_Alpha" not in shown.props
    expected = np.rint(image[..., :3] * image[..., 3:] / 255)
    for plane, channel in zip(planes(shown), (2, 1, 0), strict=True):
        assert np.abs(plane - expected[..., channel]).max() <= 1
    assert np.array_equal(planes(alpha_of(clip).get_frame(0))[0], image[..., 3])


def test_repeats_are_those_of_colours_and_alpha_together(tmp_path: Path) -> None:
    """Here colours are on twos, and alpha on ones in the second half."""
    (tmp_path / "in").mkdir()
    for n in range(16):
        image = picture(n // 2, channels=4)
        if n >= 8:
            image[..., 3] = picture(n, channels=4)[..., 3]
        write(tmp_path / "in" / f"{n:02}.png", image)
    clip = read_folder(tmp_path / "in").clip
    options = Options(model="draft", duplicates="spread", scene="off")

    def mend(part: vs.VideoNode, runs: vs.VideoNode) -> vs.VideoNode:
        return graph.build(part, make_timing(part, 1), options, runs)

    out = interpolate_with_alpha(clip, mend, options)
    kinds = [frame.props["_VSRRIN_Kind"] for frame in out.frames()]
    assert kinds == ["source", "new"] * 4 + ["source"] * 8
    for n in range(16):
        same = kinds[n] == "source"
        assert same_picture(out.get_frame(n), clip.get_frame(n)) == same
        assert same_picture(alpha(out.get_frame(n)), alpha(clip.get_frame(n))) == same


def disc(n: int, format_id: int, left: int = 20) -> vs.VideoNode:
    """One frame: a bright disc with soft edges, opaque on transparent black, and black below it."""
    shape = vs.core.get_video_format(format_id)
    y, x = np.mgrid[0:48, 0:96]
    mask = np.clip(13 - np.hypot(y - 24, x - (left + 2 * n)), 0, 1).astype(np.float32)
    frame = vs.core.std.BlankClip(format=vs.GRAYS, width=96, height=48, length=1)

    def draw(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        made = f.copy()
        np.copyto(np.asarray(made[0]), mask)
        return made

    alpha = frame.std.ModifyFrame(frame, draw)
    floats = {vs.GRAY: vs.GRAYS, vs.RGB: vs.RGBS, vs.YUV: vs.YUV444PS}[shape.color_family]
    colour = vs.core.std.BlankClip(frame, format=floats, color=[0.7, 0.2, -0.1][: 1 if floats == vs.GRAYS else 3])
    colour = colour.resize.Point(format=format_id)
    kind = vs.FLOAT if shape.sample_type == vs.FLOAT else vs.INTEGER
    grey = vs.core.query_video_format(vs.GRAY, kind, shape.bits_per_sample)
    alpha = alpha.resize.Point(format=grey.id, range_s="full")
    return colour.std.ClipToProp(alpha, "_Alpha")


@pytest.mark.parametrize(
    "format_id", [vs.RGB24, vs.RGBS, vs.YUV420P8, vs.YUV422P10, vs.YUV444P16, vs.GRAY8, vs.YUV444PS]
)
def test_the_filter_moves_alpha_with_the_picture_in_any_format(format_id: int) -> None:
    clip = disc(0, format_id) + disc(1, format_id) + disc(2, format_id)
    out = vsrrin.interpolate(clip, 2, "draft")
    assert out.format.id == format_id
    for n in range(3):
        assert same_picture(out.get_frame(2 * n), clip.get_frame(n))
        assert same_picture(alpha(out.get_frame(2 * n)), alpha(clip.get_frame(n)))
    new, wanted = out.get_frame(1), disc(0, format_id, left=21).get_frame(0)
    assert new.props["_VSRRIN_Kind"] == "new"
    (made,), (right,) = planes(alpha(new)), planes(alpha(wanted))
    peak = 1 if made.dtype.kind == "f" else 2**clip.format.bits_per_sample - 1
    assert np.abs(made.astype(float) - right).mean() < 0.01 * peak
    opaque = np.asarray(right) > 0.9 * peak
    for mine, theirs in zip(planes(new), planes(wanted), strict=True):
        rows, columns = (opaque.shape[axis] // mine.shape[axis] for axis in (0, 1))
        inside = opaque[::rows, ::columns] & opaque[rows - 1 :: rows, columns - 1 :: columns]
        wrong = np.abs(mine.astype(float) - theirs)[inside]
        assert wrong.mean() <= 0.005 * peak
        assert wrong.max() <= 0.05 * peak  # where chroma is shared with what is transparent


def over_green(frame: vs.VideoFrame) -> np.ndarray:
    opacity, ground = planes(alpha(frame))[0] / 255, np.array([60, 200, 60]).reshape(3, 1, 1)
    return np.stack(planes(frame)) * opacity + ground * (1 - opacity)


@pytest.mark.parametrize("model", ["draft", "rrin_lite"])
def test_colours_and_alpha_of_what_moves_far_keep_together(model: str) -> None:
    """A disc of 26 pixels that moves by 16: laid over another colour it has no ghost and no rim."""
    clip = disc(0, vs.RGB24) + disc(0, vs.RGB24, left=36)
    new = over_green(vsrrin.interpolate(clip, 2, model, scene="off").get_frame(1))
    assert psnr(new, over_green(disc(0, vs.RGB24, left=28).get_frame(0))) > 35


def test_retimed_and_mended_frames_have_their_own_alpha() -> None:
    clip = disc(0, vs.RGB24) + disc(1, vs.RGB24) + disc(2, vs.RGB24)
    between = alpha(vsrrin.interpolate(clip, 2, "draft").get_frame(1))
    assert same_picture(alpha(vsrrin.retime(clip, "1/2", "draft").get_frame(1)), between)
    mended = vsrrin.repair(clip, [1], "draft").get_frame(1)
    (made,), (right,) = planes(alpha(mended)), planes(alpha(clip.get_frame(1)))
    assert np.abs(made.astype(int) - right).mean() < 2


def test_any_order_gives_the_same_frames_and_alpha(tmp_path: Path) -> None:
    clip = read_folder(write_sequence(tmp_path / "in", 6, channels=4)).clip
    check_any_order(lambda: vsrrin.interpolate(clip, 3, "draft"))


@pytest.mark.parametrize(("width", "format_id"), [(48, vs.GRAY8), (96, vs.GRAY16), (96, vs.RGB24)])
def test_alpha_that_does_not_fit_is_an_error_when_the_graph_is_built(width: int, format_id: int) -> None:
    other = vs.core.std.BlankClip(width=width, height=48, format=format_id, length=1)
    clip = disc(0, vs.RGB24).std.RemoveFrameProps("_Alpha").std.ClipToProp(other, "_Alpha") * 2
    with pytest.raises(vs.Error, match=r"^vsrrin.interpolate: .* _Alpha must be GRAY of the same size and depth"):
        vsrrin.interpolate(clip, 2, "draft")
