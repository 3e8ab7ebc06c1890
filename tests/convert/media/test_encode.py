"""Encoders chosen, segments written, and the way of frames and their description into them."""

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import vapoursynth as vs

from tests.conftest import planes
from vsrrin import ArgumentError, ConvertError
from vsrrin.convert.media.encode import ColourTags, Hdr, SegmentWriter, VideoTimes
from vsrrin.convert.media.encoders import EncoderSettings, choose_encoder
from vsrrin.convert.media.pixels import Pixels, to_av

F = Fraction
SIZE = (256, 144)


def choose(container: str, pixels: Pixels, size: tuple[int, int] = SIZE, **options: object) -> EncoderSettings:
    return choose_encoder(container, pixels, size=size, rate=F(50), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("container", "pixels", "expected"),
    [
        (".mkv", Pixels("yuv", 8, (1, 1)), ("libx264", "yuv420p")),
        (".mp4", Pixels("yuv", 10, (1, 1)), ("libx265", "yuv420p10le")),
        (".mov", Pixels("yuv", 12, (1, 0)), ("libx265", "yuv422p12le")),
        (".webm", Pixels("yuv", 8, (0, 0)), ("libvpx-vp9", "yuv444p")),
        (".webm", Pixels("yuv", 10, (1, 1)), ("libsvtav1", "yuv420p10le")),
        (".mkv", Pixels("yuv", 8, (2, 0)), ("libx264", "yuv422p")),
        (".mkv", Pixels("yuv", 9, (1, 1)), ("libx265", "yuv420p10le")),
        (".mkv", Pixels("yuv", 32, (1, 1), True), ("libx265", "yuv420p12le")),
        (".mkv", Pixels("gray", 8), ("libx264", "gray")),
        (".webm", Pixels("gray", 8), ("libvpx-vp9", "yuv420p")),
        (".mp4", Pixels("gray", 16), ("libx265", "gray12le")),
        (".mp4", Pixels("rgb", 8), ("libx264", "yuv420p")),
        (".mp4", Pixels("rgb", 16), ("libx265", "yuv420p10le")),
    ],
    ids=str,
)
def test_the_usual_encoder_that_holds_the_clip(container: str, pixels: Pixels, expected: tuple[str, str]) -> None:
    chosen = choose(container, pixels)
    assert (chosen.codec, chosen.pixel_format) == expected


def test_rgb_of_odd_size_is_not_subsampled_and_ffv1_keeps_it() -> None:
    assert choose(".mp4", Pixels("rgb", 8), (161, 90)).pixel_format == "yuv444p"
    assert choose(".mkv", Pixels("rgb", 8), (161, 91), codec="ffv1").pixel_format == "bgr0"
    assert choose(".mkv", Pixels("rgb", 16), codec="ffv1").pixel_format == "gbrp16le"


def test_what_is_asked_for_is_given() -> None:
    chosen = choose(".mkv", Pixels("yuv", 8, (1, 1)), codec="HEVC", crf=21.5, preset="fast", pix_fmt="yuv444p10le")
    assert str(chosen) == "libx265, yuv444p10le, crf 21.5, preset fast"
    assert (chosen.options["crf"], chosen.options["preset"]) == ("21.5", "fast")
    assert choose(".webm", Pixels("yuv", 8, (1, 1)), preset="6").options["cpu-used"] == "6"
    assert choose(".mkv", Pixels("yuv", 10, (1, 1)), codec="x264").pixel_format == "yuv420p10le"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"codec": "prores"}, "codec prores goes into .mov, .mkv, not into .webm, which takes libvpx-vp9 "),
        ({"crf": 20.5}, "whole number"),
        ({"preset": "fast"}, "preset of libvpx-vp9 must be one of 0, 1"),
        ({"pix_fmt": "gray"}, "gray cannot be written into .webm: libvpx-vp9 writes yuv420p"),
        ({"pix_fmt": "yuv420p", "size": (161, 90)}, "needs even sides"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        choose(".webm", Pixels("yuv", 8, (0, 0)), **options)  # type: ignore[arg-type]


def test_a_clip_that_no_encoder_holds_is_an_error_that_says_what_they_hold() -> None:
    with pytest.raises(
        ConvertError, match=r"no encoder for .webm writes YUV 4:2:2 10 bit.*libsvtav1 writes.*pix_fmt=FORMAT"
    ):
        choose(".webm", Pixels("yuv", 10, (1, 0)))
    with pytest.raises(ConvertError, match="at most 240 frames per second, not 300"):
        choose_encoder(".webm", Pixels("yuv", 10, (1, 1)), size=SIZE, rate=F(300))


@pytest.mark.parametrize(
    ("video_format", "name"),
    [
        (vs.YUV420P8, "yuv420p"),
        (vs.YUV422P10, "yuv422p10le"),
        (vs.GRAY16, "gray16le"),
        (vs.RGB24, "bgr0"),
        (vs.RGB24, "gbrp"),
        (vs.RGB48, "gbrp16le"),
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(256, 144), (34, 18)], ids=str)
def test_frames_keep_every_sample(
    video_format: int, name: str, size: tuple[int, int], small_bunny: vs.VideoNode
) -> None:
    frame = small_bunny.resize.Bicubic(*size, format=video_format, matrix_in=1).get_frame(0)
    picture = to_av(frame, name)
    expected = planes(frame)
    if frame.format.color_family == vs.RGB:
        found = picture.to_ndarray(format="gbrp16le" if name == "gbrp16le" else "rgb24")
        assert np.array_equal(found, np.stack(expected, -1))
    else:
        for plane, samples in zip(picture.planes, expected, strict=True):
            rows = np.frombuffer(plane, samples.dtype).reshape(-1, plane.line_size // samples.itemsize)
            assert np.array_equal(rows[: samples.shape[0], : samples.shape[1]], samples)


def write(
    path: Path,
    clip: vs.VideoNode,
    encoder: EncoderSettings,
    times: VideoTimes,
    first: int = 0,
    tags: ColourTags | None = None,
) -> bytes:
    """A segment of all frames of a clip; its headers."""
    with SegmentWriter(path, encoder, (clip.width, clip.height), times, tags or ColourTags()) as writer:
        for number, frame in enumerate(clip.frames()):
            writer.write(frame, first + number)
    return writer.headers


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "libsvtav1", "ffv1"])
def test_segments_begin_alike_have_exact_times_and_repeat_themselves(
    codec: str, small_bunny: vs.VideoNode, tmp_path: Path
) -> None:
    encoder = choose(".mkv", Pixels("yuv", 8, (1, 1)), codec=codec)
    times = VideoTimes(start=F(0), time_base=F(1001, 48000), frames=100, step=1, pts=None, last=1)
    headers, sums = set(), []
    for number, first in enumerate((0, 64, 64)):
        path = tmp_path / f"{number}.nut"
        headers.add(write(path, small_bunny, encoder, times, first))
        with av.open(str(path)) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
            stamps = sorted(
                packet.pts * F(packet.time_base.numerator, packet.time_base.denominator) for packet in packets
            )
            sums.append(hashlib.md5(b"".join(bytes(packet) for packet in packets)).digest())
        assert stamps == [times.seconds(first + n) for n in range(8)]
        assert packets[0].is_keyframe
    assert len(headers) == 1
    assert sums[0] == sums[1] == sums[2]


def test_varying_times_are_kept(small_bunny: vs.VideoNode, tmp_path: Path) -> None:
    ticks = (0, 7, 50, 51, 120, 180, 200, 300)
    times = VideoTimes(start=F(0), time_base=F(1, 2000), frames=8, step=None, pts=ticks, last=25)
    assert (times.duration, times.rate) == (F(325, 2000), 8 / F(325, 2000))
    write(tmp_path / "a.nut", small_bunny, choose(".mkv", Pixels("yuv", 8, (1, 1))), times)
    with av.open(str(tmp_path / "a.nut")) as container:
        frames = list(container.decode(video=0))
    assert [F(f.pts) * F(f.time_base.numerator, f.time_base.denominator) for f in frames] == [F(t, 2000) for t in ticks]


def test_colours_are_those_of_the_frame(small_bunny: vs.VideoNode, tmp_path: Path) -> None:
    clip = small_bunny.std.SetFrameProps(_Matrix=9, _Primaries=9, _Transfer=16, _Range=1, _ChromaLocation=2)
    tags = ColourTags.of(clip.get_frame(0), F(4, 3))
    assert tags == ColourTags(matrix=9, primaries=9, transfer=16, full_range=True, chroma=2, aspect=F(4, 3))
    path = tmp_path / "a.nut"
    times = VideoTimes(start=F(0), time_base=F(1, 50), frames=8, step=1, pts=None, last=1)
    write(path, clip, choose(".mkv", Pixels("yuv", 8, (1, 1))), times, tags=tags)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        found = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        assert [int(value) for value in found] == [9, 9, 16, 2]
        assert (context.sample_aspect_ratio.numerator, context.sample_aspect_ratio.denominator) == (4, 3)


def test_a_frame_that_says_nothing_is_not_described(small_bunny: vs.VideoNode) -> None:
    clip = small_bunny.std.RemoveFrameProps()
    assert ColourTags.of(clip.get_frame(0), F(1)) == ColourTags()


def test_hdr_metadata_in_each_encoders_words() -> None:
    props = {
        "MasteringDisplayPrimariesX": [0.68, 0.265, 0.15],
        "MasteringDisplayPrimariesY": [0.32, 0.69, 0.06],
        "MasteringDisplayWhitePointX": 0.3127,
        "MasteringDisplayWhitePointY": 0.329,
        "MasteringDisplayMinLuminance": 0.0001,
        "MasteringDisplayMaxLuminance": 1000.0,
        "ContentLightLevelMax": 1000,
        "ContentLightLevelAverage": 400,
    }
    hdr = Hdr.of(props)
    assert hdr is not None
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    assert hdr.options("libx265") == {"master-display": display, "max-cll": "1000,400"}
    assert hdr.options("libx264") == {"mastering-display": display, "cll": "1000,400"}
    assert hdr.options("libsvtav1")["content-light"] == "1000,400"
    assert hdr.options("libvpx-vp9") == {}
    assert Hdr.of({}) is None


def test_a_segment_that_cannot_be_written_is_an_error(small_bunny: vs.VideoNode, tmp_path: Path) -> None:
    encoder = choose(".mkv", Pixels("yuv", 8, (1, 1)))
    times = VideoTimes(start=F(0), time_base=F(1, 50), frames=8, step=1, pts=None, last=1)
    with pytest.raises(ConvertError, match="cannot be written: No such file"):
        write(tmp_path / "no" / "a.nut", small_bunny, encoder, times)
