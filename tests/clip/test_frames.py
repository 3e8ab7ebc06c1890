"""vsrrin.clip.frames"""

from typing import Any

import numpy as np
import pytest
import torch
import vapoursynth as vs

from tests.conftest import planes, same_picture
from vsrrin.clip import frames
from vsrrin.clip.frames import Colour
from vsrrin.errors import ArgumentError

FORMATS = [
    vs.GRAY8,
    vs.GRAY16,
    vs.GRAYH,
    vs.GRAYS,
    vs.YUV410P8,
    vs.YUV411P8,
    vs.YUV420P8,
    vs.YUV420P10,
    vs.YUV420P16,
    vs.YUV422P10,
    vs.YUV440P8,
    vs.YUV444P12,
    vs.YUV444P16,
    vs.YUV420PH,
    vs.YUV444PS,
    vs.RGB24,
    vs.RGB30,
    vs.RGB48,
    vs.RGBH,
    vs.RGBS,
]


def noise(format_id: int, width: int = 64, height: int = 32, **props: Any) -> vs.VideoFrame:
    """A frame of random samples over the whole range of the format."""
    frame = vs.core.create_video_frame(vs.core.get_video_format(format_id), width, height)
    chooser = np.random.default_rng(1)
    for plane in range(frame.format.num_planes):
        target = np.asarray(frame[plane])
        if frame.format.sample_type == vs.FLOAT:
            target[:] = chooser.uniform(-0.2, 1.2, target.shape)
        else:
            target[:] = chooser.integers(0, 2**frame.format.bits_per_sample, target.shape)
    frame.props.update(props)
    return frame


def colour_of(frame: vs.VideoFrame) -> Colour:
    return Colour.of_frame(frame)


@pytest.mark.parametrize("format_id", FORMATS, ids=lambda i: vs.core.get_video_format(i).name)
@pytest.mark.parametrize("full", [0, 1], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", [1, 6, 8, 9, 10])
def test_to_rgb_and_back_is_the_same_frame(format_id: int, full: int, matrix: int) -> None:
    frame = noise(format_id, _Range=full, _Matrix=matrix, Kept=42)
    colour = colour_of(frame)
    image = frames.to_tensor(frame, colour)
    assert (tuple(image.shape), image.dtype) == ((1, 3, 32, 64), torch.float32)
    back = frames.from_tensor(image, frame, colour, vs.core.core)
    assert back.props["Kept"] == 42
    if frame.format.sample_type == vs.INTEGER:
        assert same_picture(back, frame)
    else:
        tolerance = 2e-3 if frame.format.bits_per_sample == 16 else 1e-6
        for a, b in zip(planes(back), planes(frame), strict=True):
            np.testing.assert_allclose(a, b, atol=tolerance)


@pytest.mark.parametrize("format_id", [vs.YUV444P8, vs.YUV444P10, vs.YUV444PS, vs.GRAY8, vs.RGB24, vs.RGB48])
@pytest.mark.parametrize("matrix", [1, 4, 6, 7, 8, 9])
@pytest.mark.parametrize("full", [0, 1])
def test_rgb_is_what_vapoursynths_resizer_makes_of_it(format_id: int, matrix: int, full: int) -> None:
    source = noise(format_id, _Range=full)
    clip = vs.core.std.BlankClip(width=64, height=32, format=format_id, length=1, keep=True).std.ModifyFrame(
        vs.core.std.BlankClip(width=64, height=32, format=format_id, length=1), lambda n, f: source
    )
    wanted = {"format": vs.GRAYS} if source.format.color_family == vs.GRAY else {"format": vs.RGBS}
    if source.format.color_family == vs.YUV:
        source.props["_Matrix"] = matrix
        wanted["matrix_in"] = matrix
    reference = planes(clip.resize.Point(**wanted, range_in=full).get_frame(0))
    ours = frames.to_tensor(source, colour_of(source))[0].numpy()
    for channel in range(3):
        np.testing.assert_allclose(ours[channel], reference[min(channel, len(reference) - 1)], atol=2e-5)


def test_subsampled_chroma_is_repeated_over_its_block_and_averaged_back() -> None:
    frame = noise(vs.YUV420P8, 4, 2, _Matrix=1, _Range=1)
    image = frames.to_tensor(frame, colour_of(frame))
    red_minus_luma = image[0, 0] - torch.from_numpy(planes(frame)[0] / 255.0).float()
    assert torch.allclose(red_minus_luma[:, :2], red_minus_luma[0, 0].expand(2, 2), atol=1e-6)
    image[0, :, 0, 0] += 0.4  # one grey pixel brighter: chroma must not change
    back = frames.from_tensor(image, frame, colour_of(frame), vs.core.core)
    assert np.array_equal(np.asarray(back[1]), np.asarray(frame[1]))


@pytest.mark.parametrize("format_id", [vs.YUV420P8, vs.YUV411P8, vs.RGB48, vs.GRAYH])
def test_order_in_memory_does_not_matter(format_id: int) -> None:
    """Planes or pixels, of a picture that is part of a larger one."""
    frame = noise(format_id, 64, 144)
    expected = frames.to_tensor(frame, colour_of(frame))
    for memory in (torch.zeros(1, 3, 150, 70), torch.zeros(1, 150, 70, 3).permute(0, 3, 1, 2)):
        out = memory[..., :144, :64]
        assert frames.to_tensor(frame, colour_of(frame), out) is out
        assert torch.equal(out, expected)
        assert not memory[..., 144:, :].any() and not memory[..., 64:].any()
        assert same_picture(frames.from_tensor(out, frame, colour_of(frame), vs.core.core), frame)


def test_samples_that_are_no_numbers_spoil_no_other_channel_of_rgb() -> None:
    frame = noise(vs.RGBS, 4, 2)
    np.asarray(frame[0])[1, 2] = np.nan
    image = frames.to_tensor(frame, colour_of(frame))
    assert torch.isfinite(image).sum() == image.numel() - 1
    like = noise(vs.RGB24, 4, 2)
    assert np.asarray(frames.from_tensor(image, like, colour_of(like), vs.core.core)[0])[1, 2] == 0


def test_yuv_as_rgb_matrix_is_gbr() -> None:
    frame = noise(vs.YUV444P8, _Matrix=0, _Range=1)
    image = frames.to_tensor(frame, colour_of(frame))
    np.testing.assert_allclose(image[0, 1].numpy() * 255, np.asarray(frame[0]), atol=1e-3)
    assert same_picture(frames.from_tensor(image, frame, colour_of(frame), vs.core.core), frame)


@pytest.mark.parametrize(
    ("size", "props", "matrix"),
    [
        ((720, 480), {}, 6),
        ((720, 576), {}, 5),
        ((640, 360), {"_Matrix": 2}, 6),
        ((1280, 720), {}, 1),
        ((1920, 1080), {"_Matrix": 2}, 1),
        ((3840, 2160), {"_Transfer": 16}, 9),
        ((3840, 2160), {"_Primaries": 9}, 9),
        ((720, 480), {"_Matrix": 1}, 1),
    ],
)
def test_an_unknown_matrix_is_guessed_by_size_and_transfer(
    size: tuple[int, int], props: dict[str, int], matrix: int
) -> None:
    colour = Colour.of(vs.core.get_video_format(vs.YUV420P8), *size, {"_Range": 0, **props})
    assert colour.matrix == matrix
    assert ("matrix" in colour.guessed) == (props.get("_Matrix", 2) == 2)


@pytest.mark.parametrize(
    ("format_id", "props", "full"),
    [
        (vs.YUV420P8, {}, False),
        (vs.GRAY8, {}, False),
        (vs.RGB24, {}, True),
        (vs.YUV420P8, {"_Range": 1}, True),
        (vs.YUV420P8, {"_ColorRange": 0}, True),
        (vs.RGB24, {"_ColorRange": 1}, False),
        (vs.YUV420P8, {"_Range": 0, "_ColorRange": 0}, False),
    ],
)
def test_both_spellings_of_the_range_are_read(format_id: int, props: dict[str, int], full: bool) -> None:
    assert Colour.of(vs.core.get_video_format(format_id), 640, 480, props).full_range is full


def test_rgb_guesses_nothing() -> None:
    assert Colour.of(vs.core.get_video_format(vs.RGB24), 640, 480, {}).guessed == ""
    assert "limited range" in Colour.of(vs.core.get_video_format(vs.GRAY8), 640, 480, {}).guessed


def test_values_are_rounded_not_truncated_and_clipped_to_the_format() -> None:
    like = noise(vs.RGB24, 4, 1)
    image = torch.tensor([100.4, 100.6, 300.0, -20.0]).div(255).view(1, 1, 1, 4).expand(1, 3, 1, 4).contiguous()
    frame = frames.from_tensor(image, like, colour_of(like), vs.core.core)
    assert np.asarray(frame[0]).tolist() == [[100, 101, 255, 0]]


def test_luma_is_the_brightness_in_0_to_1() -> None:
    frame = noise(vs.YUV420P10, _Range=0)
    np.testing.assert_allclose(
        frames.luma(frame, colour_of(frame)), (np.asarray(frame[0]).astype(float) - 64) / 876, atol=1e-5
    )
    rgb = noise(vs.RGBS)
    green = np.asarray(rgb[1])
    np.testing.assert_allclose(frames.luma(rgb, colour_of(rgb))[green <= 1], green[green <= 1], atol=1e-6)


def test_luma_brighter_than_white_is_compressed() -> None:
    frame = noise(vs.GRAYS, 4, 1)
    np.asarray(frame[0])[:] = [1, 10, 100, 0.5]
    np.testing.assert_allclose(frames.luma(frame, colour_of(frame)), [[1, 1.5756, 2.1513, 0.5]], atol=1e-3)


@pytest.mark.parametrize("format_id", [vs.GRAY8, vs.GRAY16, vs.GRAYH, vs.GRAYS])
def test_luma_of_large_frames_is_averaged(format_id: int) -> None:
    frame = noise(format_id, 512, 288, _Range=1)
    peak = 1 if frame.format.sample_type == vs.FLOAT else 2**frame.format.bits_per_sample - 1
    blocks = np.asarray(frame[0]).astype(np.float64).reshape(144, 2, 256, 2).mean((1, 3)) / peak
    blocks = np.where(blocks > 1, 1 + np.log(np.maximum(blocks, 1)) / 4, blocks)
    small = frames.luma(frame, colour_of(frame))
    assert small.shape == (144, 256)
    np.testing.assert_allclose(small, blocks, atol=0.003)


@pytest.mark.parametrize("format_id", FORMATS, ids=lambda i: vs.core.get_video_format(i).name)
def test_a_part_is_that_of_the_whole_frame(format_id: int) -> None:
    frame = noise(format_id)
    whole = frames.to_tensor(frame, colour_of(frame))[0].permute(1, 2, 0).numpy()
    for part in (np.s_[8:24, 16:64], np.s_[0:32, 0:8]):
        # OpenCV rounds the last bit by where a pixel lies in its registers.
        assert np.allclose(frames.part_to_rgb(part, frame, colour_of(frame)), whole[part], rtol=0, atol=2e-6)


@pytest.mark.parametrize("format_id", FORMATS, ids=lambda i: vs.core.get_video_format(i).name)
@pytest.mark.parametrize("size", [(64, 32), (48, 24), (24, 12)])
def test_grey_is_brightness_from_0_to_255(format_id: int, size: tuple[int, int]) -> None:
    frame = noise(format_id)
    scale, offset = colour_of(frame).luma
    for plane in range(frame.format.num_planes):
        np.asarray(frame[plane])[:] = 0.6 * scale + offset
        np.asarray(frame[plane])[:, 40:] = offset - min(offset, 0.05 * scale)  # below black
    grey = frames.grey(frame, colour_of(frame), *size)
    assert grey.dtype == np.uint8
    assert grey.shape == size[::-1]
    assert np.abs(grey[:, : size[0] // 2].astype(int) - 153).max() <= 1
    assert grey[:, size[0] * 3 // 4 :].max() == 0


def test_equal_looks_at_every_sample_of_every_plane() -> None:
    first, second = noise(vs.YUV420P8), noise(vs.YUV420P8)
    assert frames.equal(first, second)
    changed = second.copy()
    np.asarray(changed[2])[-1, -1] ^= 1
    assert not frames.equal(first, changed)


@pytest.mark.parametrize("format_id", [vs.YUV420P8, vs.RGB48, vs.GRAYH])
def test_blend_mixes_samples(format_id: int) -> None:
    first, second = noise(format_id, Kept=1), noise(format_id)
    for plane in planes(second):
        plane[:] = plane[::-1]
    mixed = frames.blend(first, second, 0.25, vs.core.core)
    assert mixed.props["Kept"] == 1
    for a, b, c in zip(planes(first), planes(second), planes(mixed), strict=True):
        np.testing.assert_allclose(c.astype(float), a.astype(float) * 0.75 + b.astype(float) * 0.25, atol=0.501)


@pytest.mark.parametrize("name", ["GRAY32", "YUV444P32"])
def test_other_formats_are_refused(name: str) -> None:
    family = vs.GRAY if name.startswith("GRAY") else vs.YUV
    with pytest.raises(ArgumentError, match="8 to 16 bit, half or float"):
        frames.require_supported(vs.core.query_video_format(family, vs.INTEGER, 32, 0, 0))
