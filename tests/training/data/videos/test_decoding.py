"""Frames of files have the colours that the filter sees, upright, and their times."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray

from tests.conftest import BUNNY
from tests.convert.media.files import ffmpeg
from tests.training.video_files import pan, write_video
from training.data.videos.decoding import Converter, Video, VideoError, colour_of
from vsrrin.clip.frames import Colour, to_tensor

SMALL, LARGE = (36, 64), (720, 1280)
LIMITED, FULL, UNKNOWN = 1, 2, 0


def planes_of(form: vs.VideoFormat, height: int, width: int) -> list[NDArray[np.unsignedinteger]]:
    """Random samples in the inner half of their range, and some at its ends."""
    rng = np.random.default_rng(0)
    peak, kind = 2**form.bits_per_sample, np.uint8 if form.bits_per_sample == 8 else np.uint16
    planes = []
    for number in range(form.num_planes):
        shape = (height >> form.subsampling_h, width >> form.subsampling_w) if number else (height, width)
        samples = rng.integers(peak // 4, peak * 3 // 4, shape)
        if number == 0:
            samples[0, :8], samples[1, :8] = 0, peak - 1
        planes.append(samples.astype(kind))
    return planes


def filter_sees(form: vs.VideoFormat, planes: Sequence[NDArray[np.generic]], **props: int) -> NDArray[np.float64]:
    """(H, W, 3), 0 to 255, not rounded."""
    height, width = planes[0].shape
    frame = vs.core.create_video_frame(form, width, height)
    for number, samples in enumerate(planes):
        np.copyto(np.asarray(frame[number]), samples)
    image = to_tensor(frame, Colour.of(form, width, height, props))
    return np.clip(image[0].permute(1, 2, 0).numpy().astype(np.float64) * 255, 0, 255)


def av_frame(name: str, planes: Sequence[NDArray[np.generic]], matrix: int, color_range: int) -> av.VideoFrame:
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], name)
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(plane, samples.dtype).reshape(-1, plane.line_size // samples.dtype.itemsize)
        rows[: samples.shape[0], : samples.shape[1]] = samples
    frame.colorspace, frame.color_range = matrix, color_range
    return frame


@pytest.mark.parametrize(
    ("name", "form", "size", "matrix", "color_range"),
    [
        ("yuv420p", vs.YUV420P8, SMALL, 1, LIMITED),
        ("yuv420p", vs.YUV420P8, SMALL, 9, LIMITED),
        ("yuv420p", vs.YUV420P8, SMALL, 2, UNKNOWN),  # BT.601 by its size
        ("yuv420p", vs.YUV420P8, LARGE, 2, UNKNOWN),  # BT.709 by its size
        ("yuv422p", vs.YUV422P8, SMALL, 6, FULL),
        ("yuv420p10le", vs.YUV420P10, SMALL, 1, LIMITED),
        ("yuv420p10le", vs.YUV420P10, SMALL, 1, FULL),
        ("yuv444p16le", vs.YUV444P16, SMALL, 9, FULL),
        ("yuv444p12le", vs.YUV444P12, SMALL, 7, LIMITED),
        ("gray", vs.GRAY8, SMALL, 2, LIMITED),
        ("gray10le", vs.GRAY10, SMALL, 2, FULL),
        ("gray10le", vs.GRAY10, SMALL, 2, UNKNOWN),
        ("gbrp", vs.RGB24, SMALL, 0, FULL),
        ("gbrp10le", vs.RGB30, SMALL, 0, FULL),
    ],
)
def test_colours_are_those_that_the_filter_sees(
    name: str, form: int, size: tuple[int, int], matrix: int, color_range: int
) -> None:
    video_format = vs.core.get_video_format(form)
    planes = planes_of(video_format, *size)
    props = {"_Matrix": matrix, **({"_Range": color_range - 1} if color_range else {})}
    expected = filter_sees(video_format, planes, **props)
    ordered = [planes[1], planes[2], planes[0]] if name.startswith("gbr") else planes  # FFmpeg's order is G, B, R
    found = Converter()(av_frame(name, ordered, matrix, color_range))
    assert found.dtype == np.uint8
    error = found - expected
    assert np.abs(error).max() < 0.52  # rounding, and 0.02 for FFmpeg's arithmetic
    assert abs(error.mean()) < 0.02


def test_other_layouts_of_the_same_samples() -> None:
    planes = planes_of(vs.core.get_video_format(vs.YUV420P8), *SMALL)
    expected = Converter()(av_frame("yuv420p", planes, 5, LIMITED))
    interleaved = np.stack(planes[1:], axis=-1).reshape(planes[1].shape[0], -1)
    assert np.array_equal(Converter()(av_frame("nv12", [planes[0], interleaved], 5, LIMITED)), expected)
    full = Converter()(av_frame("yuv420p", planes, 5, FULL))
    assert np.array_equal(Converter()(av_frame("yuvj420p", planes, 5, UNKNOWN)), full)


def test_what_cannot_be_converted_is_said() -> None:
    floats = av.VideoFrame(64, 36, "gbrpf32le")
    with pytest.raises(VideoError, match="gbrpf32le, is not supported"):
        colour_of(floats)
    frame = av_frame("yuv420p", planes_of(vs.core.get_video_format(vs.YUV420P8), *SMALL), 8, LIMITED)
    with pytest.raises(VideoError, match="colour matrix"):
        Converter()(frame)


def test_every_frame_of_a_file_with_its_time() -> None:
    frames = list(Video(BUNNY).frames())
    assert [frame.number for frame in frames] == list(range(50))
    assert [frame.time - frames[0].time for frame in frames] == [Fraction(number, 25) for number in range(50)]
    clip = vs.core.bs.VideoSource(str(BUNNY), cachemode=0)
    for number in (0, 31, 49):
        frame = clip.get_frame(number)
        image = to_tensor(frame, Colour.of(frame.format, frame.width, frame.height, frame.props))
        expected = image[0].permute(1, 2, 0).numpy().clip(0, 1) * 255
        assert np.abs(frames[number].picture - expected).max() < 0.52


def test_reading_from_a_frame_on_gives_the_same_frames(tmp_path: Path) -> None:
    pictures = pan(12)
    video = Video(write_video(tmp_path / "a.mkv", pictures))
    assert video.rate == 25
    found = list(video.frames(7))
    assert [frame.number for frame in found] == [7, 8, 9, 10, 11]
    assert all(np.array_equal(frame.picture, pictures[frame.number]) for frame in found)


def test_large_pictures_are_scaled_down(tmp_path: Path) -> None:
    original = pan(1, size=(90, 160))[0]
    path = write_video(tmp_path / "a.mkv", [original])
    (scaled,) = [frame.picture for frame in Video(path, 100).frames()]
    assert scaled.shape == (56, 100, 3)
    assert np.array_equal(scaled, cv2.resize(original, (100, 56), interpolation=cv2.INTER_AREA))
    (kept,) = [frame.picture for frame in Video(path, 160).frames()]
    assert np.array_equal(kept, original)


@pytest.mark.parametrize(("flag", "quarters"), [("90", 1), ("180", 2), ("270", 3)])
def test_pictures_are_turned_upright(tmp_path: Path, flag: str, quarters: int) -> None:
    write_video(tmp_path / "a.mp4", pan(2), codec="libx264", pix_fmt="yuv444p")
    ffmpeg(tmp_path, "-i", "a.mp4", "-c", "copy", "-metadata:s:v:0", f"rotate={flag}", "turned.mp4")
    stored, turned = (next(iter(Video(tmp_path / name).frames())).picture for name in ("a.mp4", "turned.mp4"))
    assert np.array_equal(turned, np.rot90(stored, quarters))
    ffmpeg(tmp_path, "-i", "turned.mp4", "-frames:v", "1", "seen.png")  # as a player would show it
    seen = cv2.imread(str(tmp_path / "seen.png"), cv2.IMREAD_COLOR_RGB)
    assert np.abs(turned.astype(int) - seen).mean() < 4


def test_interlaced_video_is_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", pan(4))
    ffmpeg(tmp_path, "-i", "a.mkv", "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-top", "1", "interlaced.mpg")
    with pytest.raises(VideoError, match=r"interlaced\.mpg, frame 0: it is interlaced.*deinterlace it first"):
        list(Video(tmp_path / "interlaced.mpg").frames())


def test_a_damaged_file_gives_the_frames_before_the_damage(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", pan(40), codec="mpeg4", pix_fmt="yuv420p")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = bytes(600)
    path.write_bytes(data)
    found = []
    with pytest.raises(VideoError, match=r"a\.mkv, frame \d+: "):
        for frame in Video(path).frames():
            found.append(frame.number)
    assert found == list(range(len(found)))
    assert 5 <= len(found) < 40


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"a\.mp4 cannot be read as a video"):
        Video(tmp_path / "a.mp4")
