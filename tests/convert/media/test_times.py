"""Times of inputs as people have them: equal, missing, jumping, and of streams that begin in the middle."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.convert.media.files import ffmpeg, streams
from vsrrin import ConvertError
from vsrrin.convert.media.times import read_times
from vsrrin.convert.source import open_file
from vsrrin.convert.video import Settings, convert

F = Fraction
FRAMES = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r={}:d={}")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
SILENT = ("-x265-params", "log-level=none:open-gop=1")
PASS = ("-fps_mode", "passthrough", "-enc_time_base", "1/1000")


def made(folder: Path, name: str, *arguments: str, rate: str = "25", seconds: str = "1") -> Path:
    """A small moving picture."""
    ffmpeg(folder, *(part.format(rate, seconds) for part in FRAMES), *arguments, name)
    return folder / name


@pytest.mark.parametrize(
    ("name", "arguments", "rate", "frames", "note"),
    [
        ("raw.h264", (*X264, "-bf", "2"), "30000/1001", 30, "no times: it is taken for one of 29.97"),
        ("raw.h265", ("-c:v", "libx265", *SILENT), "60", 60, "no times: it is taken for one of 60"),
        ("raw.m2v", ("-c:v", "mpeg2video", "-bf", "2"), "25", 25, ""),
        ("2000.mkv", (*X264, "-bf", "0", "-fps_mode", "passthrough", "-frames:v", "100"), "2000", 100, "one of 2000"),
        (
            "equal.mkv",
            ("-vf", "settb=1/1000,setpts='if(eq(N,10),360,N*40)'", *PASS, *X264, "-bf", "0"),
            "25",
            25,
            "frames at the time of another: 1; they are spread evenly",
        ),
        (
            "negative.mkv",
            ("-vf", "settb=1/1000,setpts=N*40-200", *PASS, "-avoid_negative_ts", "disabled", *X264, "-bf", "0"),
            "25",
            25,
            "frames without a time: 5; they are spread evenly",
        ),
    ],
)  # fmt: skip
def test_frames_that_all_decode_get_times_of_their_own(
    tmp_path: Path, name: str, arguments: tuple[str, ...], rate: str, frames: int, note: str
) -> None:
    source = open_file(made(tmp_path, name, *arguments, rate=rate))
    assert (source.clip.num_frames, source.rate, source.times.starts[0]) == (frames, F(rate), 0)
    assert note in " ".join(source.notes) and bool(source.notes) == bool(note)


def test_bursts_of_equal_times_are_spread_where_they_are(tmp_path: Path) -> None:
    times = "settb=1/1000,setpts='N*40+if(gt(N,5),300)-if(eq(N,12),40)'"
    source = open_file(made(tmp_path, "varies.mkv", "-vf", times, *PASS, *X264, "-bf", "0"))
    assert source.rate is None
    assert [source.times.starts[number] for number in (5, 6, 11, 12, 13)] == [F(n, 50) for n in (10, 27, 37, 39, 41)]


def test_recordings_one_after_the_other_are_told_from_damage(tmp_path: Path) -> None:
    part = made(tmp_path, "part.ts", *X264).read_bytes()
    (tmp_path / "both.ts").write_bytes(part + part)
    with pytest.raises(ConvertError, match=r"go back from 2\.\d+ to 1\.\d+ s midway.*-c copy NEW\.mkv"):
        open_file(tmp_path / "both.ts")


@pytest.fixture(scope="module", params=["h264", "hevc", "mpeg2"])
def open_groups(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two and a half seconds of open groups of pictures, with sound, without their first third."""
    folder = tmp_path_factory.mktemp("middle")
    codec = {
        "h264": (*X264, "-x264-params", "open-gop=1", "-bf", "3"),
        "hevc": ("-c:v", "libx265", "-preset", "ultrafast", "-bf", "3", *SILENT),
        "mpeg2": ("-c:v", "mpeg2video", "-bf", "2"),
    }[request.param]
    tone = ("-f", "lavfi", "-i", "sine=440:d=2.5", "-c:a", "mp2")
    whole = made(folder, "whole.ts", *tone, *codec, "-g", "25", seconds="2.5").read_bytes()
    cut = folder / "cut.ts"
    cut.write_bytes(whole[len(whole) // 188 // 3 * 188 :])
    return cut


@pytest.mark.parametrize("through", ["ts", "mkv"])
def test_what_comes_before_the_first_key_frame_is_left_out(open_groups: Path, tmp_path: Path, through: str) -> None:
    path = open_groups
    if through == "mkv":  # as the message advised
        path = tmp_path / "copied.mkv"
        ffmpeg(tmp_path, "-v", "fatal", "-i", str(open_groups), "-c", "copy", path.name)
    source = open_file(path)
    assert source.rate == 25
    leading = any("begins in the middle" in note for note in source.notes)
    assert leading or through == "mkv"  # FFmpeg's copy itself leaves out most or all
    done = convert(Settings(path, tmp_path / "out.mkv", model="draft"))
    assert done.frames == 2 * source.clip.num_frames
    assert set(source.notes) <= set(done.notes)
    video, sound = streams(tmp_path / "out.mkv")
    assert abs(F(video["start_time"]) - source.times.starts[0]) <= F(1, 1000)
    assert F(sound["start_time"]) == 0


def test_a_hole_in_the_middle_is_damage(open_groups: Path) -> None:
    source = open_file(open_groups)
    first = source.info.start + source.times.starts[0]
    with pytest.raises(ConvertError, match="damaged or incomplete: its video has"):
        read_times(open_groups, source.info.video_track, source.clip.num_frames - 3, first)


def test_a_file_with_a_header_whose_first_key_frame_is_broken_is_damaged(tmp_path: Path) -> None:
    path = made(tmp_path, "whole.mkv", *X264, "-g", "10")
    with pytest.raises(ConvertError, match=r"damaged or incomplete: its video cannot be decoded before 0\.40 s"):
        read_times(path, 0, 15, F(2, 5))
