"""vsrrin.motion: what a script gets."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import vapoursynth as vs

import vsrrin
from tests.any_order import check_any_order
from tests.checkpoint.conftest import SIDECAR
from tests.conftest import planes, psnr, same_picture, texture
from tests.test_filter import kinds
from vsrrin.checkpoint import loader
from vsrrin.nets import cain

KINDS = ("flow", "mask", "confidence", "sources")
SHIFT = (6.0, -4.0)
FORMATS = [vs.YUV420P8, vs.YUV422P10, vs.RGB48, vs.GRAYS, vs.YUV420PH, vs.YUV411P8]


@pytest.fixture
def pan() -> vs.VideoNode:
    """Three frames of a picture that moves by SHIFT."""
    blank = vs.core.std.BlankClip(format=vs.RGBS, width=160, height=128, length=3, fpsnum=25, fpsden=1)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame, picture = f.copy(), texture(128, 160, (SHIFT[0] * n, SHIFT[1] * n))[0].numpy()
        for plane in range(3):
            np.copyto(np.asarray(frame[plane]), picture[plane])
        return frame

    return blank.std.ModifyFrame(blank, fill)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("format_id", FORMATS, ids=lambda i: vs.core.get_video_format(i).name)
def test_each_frame_belongs_to_one_of_interpolate(bunny: vs.VideoNode, kind: str, format_id: int) -> None:
    clip = (bunny[:2] + bunny[40:42].std.Invert()).resize.Bicubic(64, 48, format=format_id)
    wanted = vsrrin.interpolate(clip, "5/2", "balanced")
    maps = vsrrin.motion(clip, kind, "5/2", "balanced")
    assert (maps.num_frames, maps.fps) == (wanted.num_frames, wanted.fps)
    assert (maps.width, maps.height) == (128 if kind == "sources" else 64, 48)
    own = wanted.format
    grey = vs.core.query_video_format(vs.GRAY, own.sample_type, own.bits_per_sample, 0, 0).id
    assert maps.format.id == {"flow": vs.RGBS, "sources": format_id}.get(kind, grey)
    mine = ("_VSRRIN", "_Duration", "_SceneChange")
    for ours, theirs in zip(maps.frames(), wanted.frames(), strict=True):
        found, expected = ({k: v for k, v in f.props.items() if k.startswith(mine)} for f in (ours, theirs))
        assert ("_VSRRIN_Confidence" in found) == (kind == "confidence")
        found.pop("_VSRRIN_Confidence", None)
        assert found == expected
        if theirs.props["_VSRRIN_Kind"] == "new":
            continue
        if kind == "sources":
            assert all(
                np.array_equal(pair, np.hstack((shown, shown)))
                for pair, shown in zip(planes(ours), planes(theirs), strict=True)
            )
        else:
            white = 1 if own.sample_type == vs.FLOAT else 2**own.bits_per_sample - 1
            assert all((plane == (white if kind == "confidence" else 0)).all() for plane in planes(ours))


@pytest.mark.parametrize("model", ["draft", "rrin_lite"])
def test_flow_of_a_known_shift_is_that_shift(pan: vs.VideoNode, model: str) -> None:
    frame = vsrrin.motion(pan, "flow", 4, model).get_frame(1)
    dx, dy, rest = (plane[24:-24, 24:-24] for plane in planes(frame))
    assert abs(dx.mean() - SHIFT[0]) < 0.2 and abs(dy.mean() - SHIFT[1]) < 0.2
    assert not rest.any()


def test_sources_lie_where_the_new_frame_has_them(pan: vs.VideoNode) -> None:
    both = vsrrin.motion(pan, "sources", 4, "draft").get_frame(1)
    truth = texture(128, 160, (SHIFT[0] / 4, SHIFT[1] / 4))[0].numpy()
    for side in (np.s_[24:-24, 24:136], np.s_[24:-24, 184:296]):
        for plane in range(3):
            own = np.s_[24:-24, 24:136]
            assert psnr(np.asarray(both[plane])[side], truth[plane][own], 1.0) > 35


def test_a_pan_is_trusted_and_what_appears_is_not(pan: vs.VideoNode) -> None:
    def spot(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        if n == 1:
            for plane in range(3):
                np.asarray(frame[plane])[50:80, 70:110] = 1
        return frame

    plain, spotted = (
        vsrrin.motion(clip, "confidence", model="draft", scene="off").get_frame(1)
        for clip in (pan, pan.std.ModifyFrame(pan, spot))
    )
    assert np.asarray(plain[0])[24:-24, 24:-24].mean() > 0.9
    assert np.asarray(spotted[0])[60:70, 85:95].mean() < 0.3
    for frame in (plain, spotted):
        assert frame.props["_VSRRIN_Confidence"] == pytest.approx(np.asarray(frame[0]).mean(), abs=2e-3)


def test_confidence_is_what_a_fallback_goes_by(small_bunny: vs.VideoNode) -> None:
    for model in ("draft", "rrin_lite"):
        found = vsrrin.motion(small_bunny[:3], "confidence", 3, model)
        used = vsrrin.interpolate(small_bunny[:3], 3, model, fallback="blend", fallback_below=0.01)
        for ours, theirs in zip(found.frames(), used.frames(), strict=True):
            assert ours.props["_VSRRIN_Confidence"] == theirs.props["_VSRRIN_Confidence"]


def test_the_mask_merges_the_sources_to_the_new_frame(bunny: vs.VideoNode) -> None:
    clip = bunny[24:26].resize.Bicubic(426, 240)
    new, mask, both = (
        vsrrin.interpolate(clip),
        vsrrin.motion(clip, "mask"),
        vsrrin.motion(clip, "sources"),
    )
    left, right = both.std.Crop(right=426), both.std.Crop(left=426)
    merged = left.std.MaskedMerge(right, mask, first_plane=True).get_frame(1)
    assert psnr(planes(merged)[0], planes(new.get_frame(1))[0]) > 30


def test_confidence_merges_a_picture_of_ones_own(small_bunny: vs.VideoNode) -> None:
    clip = small_bunny.resize.Bicubic(format=vs.YUV420P10)
    new, confidence = vsrrin.interpolate(clip, 2, "draft"), vsrrin.motion(clip, "confidence", 2, "draft")
    merged = new.std.BlankClip(keep=True).std.MaskedMerge(new, confidence, first_plane=True)
    assert same_picture(merged.get_frame(2), new.get_frame(2))
    assert not same_picture(merged.get_frame(1), new.get_frame(1))


@pytest.mark.parametrize("kind", KINDS)
def test_any_order_and_any_threads_give_the_same_bits(small_bunny: vs.VideoNode, kind: str) -> None:
    clip, model = small_bunny.resize.Bicubic(128, 72), "balanced" if kind == "mask" else "draft"
    check_any_order(lambda: vsrrin.motion(clip, kind, 3, model))


def test_networks_without_motion_or_mask(small_bunny: vs.VideoNode, tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "x.safetensors"
    net = cain.CAIN(groups=1, blocks=1, features=16)
    loader.save(net, cain.SPEC, path, arithmetic="published", sidecar=SIDECAR)
    for kind in ("flow", "confidence", "sources"):
        assert kinds(vsrrin.motion(small_bunny[:2], kind, 2, path)) == ["source", "new", "source", "held"]
    for model in (path, "draft"):
        with pytest.raises(
            vs.Error, match=r'^vsrrin.motion: kind="mask" needs a network that weighs both frames \(.*rrin_lite'
        ):
            vsrrin.motion(small_bunny, "mask", model=model)


def test_a_factor_of_one_shows_source_frames_only(small_bunny: vs.VideoNode) -> None:
    maps = vsrrin.motion(small_bunny, "confidence", 1, "draft")
    assert kinds(maps) == ["source"] * 8 and maps.format.id == vs.GRAY8
    spread = vsrrin.motion(small_bunny[0] + small_bunny[:4] + small_bunny[3:], "flow", 1, "draft", duplicates="spread")
    assert "new" in kinds(spread)


def test_clips_with_alpha_are_laid_over_black(small_bunny: vs.VideoNode) -> None:
    alpha = vs.core.std.BlankClip(small_bunny, format=vs.GRAY8, color=255, keep=True)
    clip = small_bunny.std.ClipToProp(alpha, "_Alpha")
    for ours, plain in zip(
        vsrrin.motion(clip, "flow", model="draft").frames(),
        vsrrin.motion(small_bunny, "flow", model="draft").frames(),
        strict=True,
    ):
        assert "_Alpha" not in ours.props
        assert np.abs(planes(ours)[0] - planes(plain)[0]).max() < 0.5


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"kind": "vectors"}, "kind must be one of 'flow', 'mask', 'confidence', 'sources', not 'vectors'"),
        ({"kind": None}, "kind must be one of"),
        ({"kind": "flow", "factor": Fraction(1, 2)}, "factor must be at least 1"),
        ({"kind": "flow", "model": "there_is_none"}, ".*there_is_none"),
    ],
)
def test_mistakes(bunny: vs.VideoNode, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(vs.Error, match=f"^vsrrin.motion: {text}"):
        vsrrin.motion(bunny, **arguments)
    with pytest.raises(TypeError, match=r"^vsrrin\.motion: missing a required argument: 'kind'"):
        vsrrin.motion(bunny)
