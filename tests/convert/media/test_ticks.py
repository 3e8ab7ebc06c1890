"""Times of output frames as containers hold them: kept, moved by ticks, or refused before the work."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from tests.convert.media.files import ffmpeg, ffprobe, steady
from vsrrin import ConvertError
from vsrrin.convert.media.containers import CONTAINERS
from vsrrin.convert.media.encode import VideoTimes
from vsrrin.convert.media.ticks import settled
from vsrrin.convert.video import Settings, VideoConversion, convert

F = Fraction
BURST = (
    "-vf", "settb=1/1000,setpts='if(eq(N,10),361,N*40)'", "-fps_mode", "passthrough", "-enc_time_base", "1/1000"
)  # fmt: skip


def test_frames_within_one_millisecond_are_moved_in_matroska_alone() -> None:
    times = VideoTimes(start=F(1, 3), time_base=F(1, 2000), frames=5, step=None, pts=(0, 80, 81, 82, 160), last=80)
    moved, notes = settled(times, CONTAINERS[".mkv"])
    assert [moved.start + moved.seconds(n) for n in range(6)] == [F(n, 1000) for n in (333, 373, 374, 375, 413, 453)]
    assert "1 of 5 frames are moved by 0.001 s at most" in notes[0]
    assert settled(times, CONTAINERS[".mp4"]) == (times, ())


def test_times_that_differ_after_rounding_stay_exact() -> None:
    times = VideoTimes(start=F(0), time_base=F(1, 48000), frames=4, step=None, pts=(0, 1001, 1100, 5000), last=999)
    assert settled(times, CONTAINERS[".webm"]) == (times, ())


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (steady(9, 2000), r"Matroska holds at most 1000 frames per second, not the 2000 .*\.mp4, \.m4v, \.mov"),
        (VideoTimes(start=F(0), time_base=F(1, 9000), frames=50, step=None, pts=tuple(range(50)), last=1), "in places"),
        (steady(9, F(33333333333, 1111111111)), 'too fine a fraction .* such as fps="30"'),
        (steady(9, F(1000000007, 33366700), F(1, 30)), 'too fine a fraction .* such as fps="'),
    ],
)
def test_rates_that_a_container_cannot_hold_are_refused_with_another_way(times: VideoTimes, message: str) -> None:
    with pytest.raises(ConvertError, match=message):
        settled(times, CONTAINERS[".mkv"])


def test_a_burst_of_frames_is_converted_to_matroska_and_a_higher_rate_is_refused_at_once(tmp_path: Path) -> None:
    small = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=0.8")
    ffmpeg(tmp_path, *small, *BURST, "-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p", "burst.mkv")
    done = convert(Settings(tmp_path / "burst.mkv", tmp_path / "out.mkv", model="draft"))
    assert "frames are moved by 0.001 s" in " ".join(done.notes)
    packets = ffprobe(tmp_path / "out.mkv", "-show_packets", "-select_streams", "v")["packets"]
    shown = sorted(int(packet["pts"]) for packet in packets)
    assert all(before < after for before, after in pairwise(shown))
    assert [time for time in shown if 340 < time < 440] == [360, 361, 362, 401]
    with pytest.raises(ConvertError, match="at most 1000 frames per second"):
        VideoConversion(Settings(tmp_path / "burst.mkv", tmp_path / "fast.mkv", model="draft", fps=F(1001)))
