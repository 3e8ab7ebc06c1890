"""Real inputs of many kinds through the converter; what came out is read with ffprobe."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

from tests.conftest import BUNNY, same_picture
from tests.convert.media.files import ffmpeg, ffprobe
from vsrrin import ConvertError
from vsrrin.convert import video as convert_module
from vsrrin.convert.source import ClipSource
from vsrrin.convert.video import VideoConversion, convert
from vsrrin.errors import ArgumentError

Settings = partial(convert_module.Settings, model="draft")  # what converts is the same, and it is quick

F = Fraction
SMALL = "scale=160:90,setsar=1"
H264 = ("-c:v", "libx264", "-preset", "ultrafast")
HDR = (
    "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:max-cll=1000,400:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)
TONE = ("-f", "lavfi", "-i", "sine=440:sample_rate=48000:duration=0.8")
TONE2 = ("-f", "lavfi", "-i", "sine=880:sample_rate=48000:duration=0.8")
BUNNY_INPUT = ("-i", str(BUNNY))


def video(*arguments: str, scale: str = SMALL, frames: int = 20) -> tuple[str, ...]:
    """Arguments of ffmpeg for a small version of the bundled clip."""
    return ("-vf", scale, "-frames:v", str(frames), *(arguments or H264))


@dataclass(frozen=True)
class Case:
    """An input, what is asked for, and what must come out."""

    source: str
    make: tuple[str, ...]
    target: str
    frames: int
    video: dict[str, Any]
    streams: str = "video"
    settings: dict[str, Any] = field(default_factory=dict)
    notes: str = ""
    inputs: tuple[str, ...] = BUNNY_INPUT

    def __str__(self) -> str:
        asked = "".join(f" {key}={value}" for key, value in self.settings.items())
        return f"{self.source} to {self.target}{asked}"


H264_50 = {"codec_name": "h264", "pix_fmt": "yuv420p", "r_frame_rate": "50/1"}
AAC = (*H264, "-c:a", "aac", "-shortest")

CASES = (
    Case("h264.mp4", video(), ".mkv", 40, {**H264_50, "width": 160, "height": 90}),
    Case("h264.mkv", video(), ".mp4", 40, H264_50, settings={"fps": F(50)}),
    Case("h264.mov", video(), ".mov", 60, {"r_frame_rate": "75/1"}, settings={"factor": F(3)}),
    Case("mpeg2.ts", video("-c:v", "mpeg2video"), ".mkv", 40, H264_50),
    Case("mpeg4.avi", video("-c:v", "mpeg4"), ".mp4", 40, H264_50),
    Case("vp8.webm", video("-c:v", "libvpx"), ".webm", 40, {"codec_name": "vp9", "pix_fmt": "yuv420p"}),
    Case("vp9.webm", video("-c:v", "libvpx-vp9"), ".webm", 40, {"codec_name": "vp9"}),
    Case("prores.mov", video("-c:v", "prores_ks"), ".mov", 40, {"codec_tag_string": "hvc1", "pix_fmt": "yuv422p10le"}),
    Case("prores.mov", (), ".mov", 40, {"codec_name": "prores"}, settings={"codec": "prores"}),
    Case(
        "ten_bit.mkv",
        video("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", "log-level=none"),
        ".webm",
        40,
        {"codec_name": "av1", "pix_fmt": "yuv420p10le"},
    ),
    Case(
        "colours.mkv",
        video(*H264, "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "pc"),
        ".mp4",
        40,
        {"color_space": "bt709", "color_primaries": "bt709", "color_transfer": "bt709", "color_range": "pc"},
    ),
    Case(
        "vfr.mkv",
        video(*H264, "-fps_mode", "vfr", scale=f"select='not(mod(n,3))+not(mod(n,5))',{SMALL}"),
        ".mkv",
        40,
        {"codec_name": "h264"},
    ),
    Case("vfr.mkv", (), ".mp4", 99, {"r_frame_rate": "60/1", "avg_frame_rate": "60/1"}, settings={"fps": F(60)}),
    Case("ntsc.mkv", video("-r", "24000/1001", *H264), ".mp4", 40, {"r_frame_rate": "48000/1001"}),
    Case("ntsc.mkv", (), ".mp4", 50, {"r_frame_rate": "60000/1001"}, settings={"fps": F(60000, 1001)}),
    Case("odd.mkv", video("-c:v", "ffv1", scale="scale=161:91,setsar=1,format=yuv444p"), ".mp4", 40, {"width": 161}),
    Case("gray.mkv", video("-c:v", "ffv1", scale=f"{SMALL},format=gray"), ".webm", 40, {"pix_fmt": "yuv420p"}),
    Case(
        "rgb.mkv",
        video("-c:v", "ffv1", scale=f"{SMALL},format=bgr0"),
        ".mp4",
        40,
        {"pix_fmt": "yuv420p", "color_space": "bt709", "color_range": "tv"},
        notes="the video is written as YUV 4:2:0 8 bit, its source is RGB 8 bit",
    ),
    Case("anamorphic.mp4", video(scale="scale=160:90,setsar=4/3"), ".mkv", 40, {"sample_aspect_ratio": "4:3"}),
    Case("one.mp4", video(frames=1), ".mp4", 2, H264_50),
    Case("two.mp4", video(frames=2), ".mkv", 5, {"r_frame_rate": "125/2"}, settings={"factor": F(5, 2)}),
    Case("turned.mp4", (*video(), "-metadata:s:v:0", "rotate=90"), ".mp4", 40, {"width": 160}),
    Case(
        "sound.mp4",
        (*video(*AAC), "-map", "0:v", "-map", "1:a"),
        ".mkv",
        40,
        H264_50,
        "video audio:aac",
        inputs=(*BUNNY_INPUT, *TONE),
    ),
    Case("sound.mp4", (), ".webm", 40, {"codec_name": "vp9"}, "video audio:opus", notes="Opus", inputs=()),
    Case("sound.mp4", (), ".mp4", 40, H264_50, "video", settings={"audio": "drop"}),
    Case(
        "sound.mp4",
        (),
        ".mp4",
        80,
        {"r_frame_rate": "25/1"},
        "video audio:aac",
        settings={"factor": F(4), "rate_out": F(25), "audio": "stretch"},
    ),
    Case(
        "two_tracks.mkv",
        (*video(*AAC), "-map", "0:v", "-map", "1:a", "-map", "2:a", "-metadata:s:a:1", "language=fre"),
        ".mkv",
        40,
        H264_50,
        "video audio:aac audio:aac",
        inputs=(*BUNNY_INPUT, *TONE, *TONE2),
    ),
    Case(
        "subtitles.mkv",
        (*video(), "-map", "0:v", "-map", "1:s", "-c:s", "srt"),
        ".mp4",
        40,
        H264_50,
        "video subtitle:mov_text",
        inputs=(*BUNNY_INPUT, "-i", "words.srt"),
    ),
    Case("subtitles.mkv", (), ".mkv", 40, H264_50, "video", settings={"subtitles": False}),
    Case(
        "chapters.mkv",
        (*video(), "-map", "0:v", "-map_metadata", "1"),
        ".mkv",
        40,
        H264_50,
        inputs=(*BUNNY_INPUT, "-i", "chapters.txt"),
    ),
)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the inputs of all cases are made when they are first asked for."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "words.srt").write_text("1\n00:00:00,100 --> 00:00:00,600\nBunny\n")
    (folder / "chapters.txt").write_text(
        ";FFMETADATA1\ntitle=Film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=400\nEND=800\ntitle=Two\n"
    )
    return folder


@pytest.fixture
def source(inputs: Path) -> Callable[[str], Path]:
    """Makes the input of a name."""

    def make(name: str) -> Path:
        path = inputs / name
        if not path.exists():
            case = next(case for case in CASES if case.source == name)
            ffmpeg(inputs, *case.inputs, *case.make, name)
        return path

    return make


def read(path: Path) -> tuple[dict[str, Any], list[str], list[Fraction], Fraction]:
    """(the video stream with its number of decoded frames, kinds of all streams, times of frames, length of file)."""
    found = ffprobe(path, "-count_frames", "-show_streams", "-show_format")
    kinds = [
        stream["codec_type"] if stream["codec_type"] == "video" else f"{stream['codec_type']}:{stream['codec_name']}"
        for stream in found["streams"]
    ]
    packets = ffprobe(path, "-select_streams", "v:0", "-show_entries", "packet=pts_time")["packets"]
    times = sorted(Fraction(packet["pts_time"]) for packet in packets)
    return found["streams"][0], kinds, times, Fraction(found["format"]["duration"])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_goes_in_comes_out(case: Case, source: Callable[[str], Path], tmp_path: Path) -> None:
    path, target = source(case.source), tmp_path / f"out{case.target}"
    said: list[str] = []
    settings = Settings(path, target, segment_frames=16, **case.settings)
    expected = VideoConversion(settings)
    assert not list(tmp_path.iterdir())
    result = convert(settings, say=said.append)
    stream, kinds, times, length = read(target)
    assert (int(stream["nb_read_frames"]), result.frames, expected.frames) == (case.frames,) * 3
    assert {key: stream.get(key) for key in case.video} == case.video
    assert " ".join(kinds) == case.streams
    assert case.notes in " ".join(said)
    assert result.duration == expected.duration
    assert abs(times[-1] - times[0] - result.duration) < 3 * result.duration / result.frames + F(1, 1000)
    assert abs(length - result.duration) < F(1, 20) + result.duration / result.frames
    assert [entry.name for entry in tmp_path.iterdir()] == [target.name]


def test_the_matrix_is_large_enough() -> None:
    assert len({case.source for case in CASES}) >= 20


def test_varying_durations_are_divided(source: Callable[[str], Path], tmp_path: Path) -> None:
    convert(Settings(source("vfr.mkv"), tmp_path / "out.mkv", segment_frames=7))
    before, after = read(source("vfr.mkv"))[2], read(tmp_path / "out.mkv")[2]
    assert len({b - a for a, b in pairwise(before)}) > 1
    assert after[::2] == before
    middles = [(a + b) / 2 for a, b in pairwise(before)]
    assert all(abs(a - b) <= F(1, 1000) for a, b in zip(after[1::2], middles, strict=False))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm"])
def test_hdr_metadata_is_kept(suffix: str, tmp_path: Path) -> None:
    coded = ("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", HDR)
    ffmpeg(tmp_path, *BUNNY_INPUT, *video(*coded, frames=4), "hdr.mkv")
    target = tmp_path / f"out{suffix}"
    convert(Settings(tmp_path / "hdr.mkv", target))
    stream = read(target)[0]
    assert (stream["color_transfer"], stream["color_primaries"]) == ("smpte2084", "bt2020")
    (frame,) = ffprobe(target, "-select_streams", "v", "-read_intervals", "%+#1", "-show_frames")["frames"]
    kept = {key: value for entry in frame["side_data_list"] for key, value in entry.items()}
    assert (kept["max_content"], kept["max_average"]) == (1000, 400)
    assert abs(F(kept["max_luminance"]) - 1000) < 1
    assert abs(F(kept["red_x"]) - F(34, 50)) < F(1, 1000)


@pytest.mark.parametrize(
    "scale", [SMALL, f"{SMALL},format=yuv422p10le", f"{SMALL},format=gray", "scale=161:91,format=bgr0"]
)
def test_lossless_output_has_the_source_frames_bit_for_bit(scale: str, tmp_path: Path) -> None:
    ffmpeg(tmp_path, *BUNNY_INPUT, *video("-c:v", "ffv1", scale=scale, frames=6), "in.mkv")
    convert(Settings(tmp_path / "in.mkv", tmp_path / "out.mkv", codec="ffv1", segment_frames=5))
    before, after = (vs.core.bs.VideoSource(str(tmp_path / name), cachemode=0) for name in ("in.mkv", "out.mkv"))
    assert after.num_frames == 12
    assert all(same_picture(before.get_frame(n), after.get_frame(2 * n)) for n in range(6))
    assert not same_picture(after.get_frame(1), after.get_frame(2))


def test_segments_do_not_show(source: Callable[[str], Path], tmp_path: Path) -> None:
    hashes = set()
    for number, length in enumerate((1000, 7)):
        target = tmp_path / f"{number}.mkv"
        convert(Settings(source("h264.mp4"), target, codec="ffv1", segment_frames=length))
        ffmpeg(tmp_path, "-i", target.name, "-f", "framemd5", f"{number}.txt")
        hashes.add((tmp_path / f"{number}.txt").read_text())
    assert len(hashes) == 1


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "libsvtav1"])
def test_frames_are_in_order_across_segments(codec: str, source: Callable[[str], Path], tmp_path: Path) -> None:
    convert(Settings(source("h264.mp4"), tmp_path / "out.mkv", codec=codec, crf=4, segment_frames=7))
    before, after = (
        [np.asarray(frame[0]).astype(float) for frame in vs.core.bs.VideoSource(str(path), cachemode=0).frames()]
        for path in (source("h264.mp4"), tmp_path / "out.mkv")
    )
    for number, frame in enumerate(before):
        distances = [np.abs(frame - other).mean() for other in after[::2]]
        assert distances.index(min(distances)) == number
        assert distances[number] < 2.5


def test_start_and_end_by_seconds_and_by_frames(source: Callable[[str], Path], tmp_path: Path) -> None:
    cut = Settings(source("h264.mp4"), tmp_path / "a.mkv", start=F(1, 5), end=F(2, 5), codec="ffv1")
    convert(cut)
    convert(Settings(source("h264.mp4"), tmp_path / "b.mkv", start=5, end=10, codec="ffv1"))
    original = vs.core.bs.VideoSource(str(source("h264.mp4")), cachemode=0)
    for name in ("a.mkv", "b.mkv"):
        clip = vs.core.bs.VideoSource(str(tmp_path / name), cachemode=0)
        assert clip.num_frames == 10
        assert same_picture(clip.get_frame(0), original.get_frame(5))
        assert read(tmp_path / name)[2][0] == 0


def test_a_clip_instead_of_a_file(small_bunny: vs.VideoNode, tmp_path: Path) -> None:
    made = small_bunny.resize.Bicubic(format=vs.RGB48)
    clip = ClipSource(lambda: made, {"made": "here"}, ("from memory",))
    said: list[str] = []
    result = convert(Settings(Path("clip"), tmp_path / "out.mp4"), source=clip, say=said.append)
    stream = read(result.target)[0]
    assert (stream["pix_fmt"], stream["color_space"], result.frames) == ("yuv420p10le", "bt709", 16)
    assert "from memory" in said


def test_new_frames_of_rgb_written_as_yuv_are_near(small_bunny: vs.VideoNode, tmp_path: Path) -> None:
    made = small_bunny.resize.Bicubic(format=vs.RGB24)
    convert(Settings(Path("clip"), tmp_path / "out.mp4", crf=1), source=ClipSource(lambda: made, {}))
    clip = vs.core.bs.VideoSource(str(tmp_path / "out.mp4"), cachemode=0).resize.Bicubic(format=vs.RGB24)
    for plane in range(3):
        first, second = (np.asarray(c.get_frame(0)[plane]).astype(int) for c in (made, clip))
        assert np.abs(first - second).mean() < 4


def test_progress_and_cuts_are_told(bunny: vs.VideoNode, tmp_path: Path) -> None:
    small = bunny.resize.Bicubic(160, 90)
    spliced = small[:6] + small[6:12].std.Invert().std.FlipHorizontal()
    seen = []
    clip = ClipSource(lambda: spliced, {})
    settings = Settings(Path("clip"), tmp_path / "out.mkv", segment_frames=5)
    result = convert(settings, source=clip, progress=seen.append)
    assert result.cuts == (12,)
    assert (seen[-1].frames_done, seen[-1].frames_total, seen[-1].cuts) == (24, 24, (12,))
    assert [entry.frames_done for entry in seen] == sorted(entry.frames_done for entry in seen)


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"factor": F(2), "fps": F(60)}, ArgumentError, "not both"),
        ({"rate_out": F(25)}, ArgumentError, "needs a factor"),
        ({"fps": F(20)}, ArgumentError, "fps must be at least the clip's rate of 25"),
        ({"factor": F(4), "rate_out": F(25)}, ArgumentError, "drop it .*, or stretch it"),
        ({"start": F(5)}, ArgumentError, "no frame of .* is from 5.000 s to the end: it has 20 frames"),
        ({"start": 9, "end": 9}, ArgumentError, "no frame of"),
        (
            {"codec": "divx"},
            ArgumentError,
            "codec must be .* .mkv takes, libx264 \\(h264/x264/avc\\), .* not 'divx'",
        ),
        ({"crf": 99}, ArgumentError, "crf of libx264 must be 0 to 51, not 99"),
        ({"preset": "quick"}, ArgumentError, "preset of libx264 must be one of ultrafast"),
        ({"pix_fmt": "yuv9"}, ArgumentError, "pix_fmt must be .*, not 'yuv9'"),
        ({"codec": "ffv1", "crf": 3}, ArgumentError, "crf does not exist for ffv1"),
        ({"segment_frames": 0}, ArgumentError, "segment_frames must be at least 1"),
        ({"model": "nothing"}, Exception, "no model is called 'nothing'"),
        ({"tile": 3}, ArgumentError, "tile must be"),
    ],
    ids=str,
)
def test_mistakes_are_errors_before_the_work(
    settings: dict[str, Any], error: type[Exception], text: str, source: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(error, match=text):
        convert(Settings(source("sound.mp4"), tmp_path / "out.mkv", **settings))
    assert not list(tmp_path.iterdir())


def test_a_varying_rate_has_no_slow_motion_and_no_fractional_factor(
    source: Callable[[str], Path], tmp_path: Path
) -> None:
    for settings in ({"factor": F(5, 2)}, {"factor": F(2), "rate_out": F(25)}):
        with pytest.raises(ArgumentError, match="varies"):
            VideoConversion(Settings(source("vfr.mkv"), tmp_path / "out.mkv", **settings))


def test_targets_that_cannot_be(source: Callable[[str], Path], tmp_path: Path) -> None:
    path = source("h264.mp4")
    (tmp_path / "there.mkv").write_bytes(b"mine")
    (tmp_path / "folder.mkv").mkdir()
    for target, text in (
        (tmp_path / "out.gif", "must be one of .mkv, .mp4"),
        (tmp_path / "no" / "out.mkv", "does not exist"),
        (tmp_path / "folder.mkv", "is a folder"),
        (tmp_path / "there.mkv", "exists: overwrite=True"),
        (path, "same file"),
    ):
        with pytest.raises((ConvertError, ArgumentError), match=text):
            convert(Settings(path, target))
    assert (tmp_path / "there.mkv").read_bytes() == b"mine"
    convert(Settings(path, tmp_path / "there.mkv", overwrite=True))
    assert read(tmp_path / "there.mkv")[0]["codec_name"] == "h264"
