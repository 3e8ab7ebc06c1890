"""Joining: the video's frames and times, sound in sync, subtitles, chapters, attachments, labels."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.convert.media.conftest import FONT, SRT
from tests.convert.media.files import (
    RATE,
    beeps,
    blank,
    bunny,
    encode_segments,
    ffmpeg,
    ffprobe,
    flashes,
    gray,
    middles,
    remux,
    sound,
    steady,
    streams,
)
from vsrrin.clip.retiming import Pace
from vsrrin.convert.media.encode import VideoTimes
from vsrrin.convert.media.mux import Cut, join
from vsrrin.convert.media.probe import probe
from vsrrin.convert.media.streams import AudioMode, StreamPlan
from vsrrin.errors import ConvertError

SECONDS = 3
FLASHES = [gray(235 if n % RATE == 0 else 16) for n in range(SECONDS * RATE)]
NOTHING = StreamPlan((), ())
CODECS = {"mkv": ["flac", "pcm_s16le"], "mp4": ["flac", "flac"], "mov": ["alac", "pcm_s16le"]}


def flash_and_beep(folder: Path, name: str, *arguments: str) -> Path:
    """White for one frame and 1 kHz for 0.1 s at the beginning of each second."""
    picture = "color=black:s=160x90:r=25:d=3,drawbox=c=white:t=fill:enable='lt(mod(t,1),0.035)'"
    tone = "aevalsrc='0.8*sin(2*PI*1000*t)*lt(mod(t,1),0.1)':s=48000:d=3"
    ffmpeg(folder, "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, *arguments, name)
    return folder / name


SOURCES = {
    "aac.mp4": ("-c:v", "libx264", "-c:a", "aac"),
    "aac44.mp4": ("-c:v", "libx264", "-c:a", "aac", "-ar", "44100"),
    "aac.mkv": ("-c:v", "libx264", "-c:a", "aac"),
    "aac.ts": ("-c:v", "libx264", "-c:a", "aac"),
    "pcm.mov": ("-c:v", "libx264", "-c:a", "pcm_s24le"),
    "flac.mkv": ("-c:v", "libx264", "-c:a", "flac"),
    "opus.webm": ("-c:v", "libvpx", "-c:a", "libopus"),
    "vorbis.mkv": ("-c:v", "libx264", "-c:a", "libvorbis"),
    "mp3.mkv": ("-c:v", "libx264", "-c:a", "libmp3lame"),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Clips with a flash and a beep in each second."""
    folder = tmp_path_factory.mktemp("sources")
    return {name: flash_and_beep(folder, name, *arguments) for name, arguments in SOURCES.items()}


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """Times and contents of the packets of the first stream of a kind."""
    with av.open(path) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [
            (packet.pts * Fraction(packet.time_base), bytes(packet))
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None
        ]


@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov", "webm"])
@pytest.mark.parametrize("name", SOURCES)
def test_flash_and_beep_keep_their_distance(sources: dict[str, Path], tmp_path: Path, name: str, ending: str) -> None:
    source, target = sources[name], tmp_path / f"out.{ending}"
    start = probe(source).video_start
    remux(source, target, times=steady(len(FLASHES), start=start), pictures=FLASHES)
    before = [beep - flash for beep, flash in zip(beeps(source), flashes(source), strict=True)]
    after = [beep - flash for beep, flash in zip(beeps(target), flashes(target), strict=True)]
    assert len(before) == len(after) == SECONDS
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 0.0006, (before, after)


@pytest.mark.parametrize("ending", ["mkv", "mp4", "webm"])
@pytest.mark.parametrize(("video", "audio"), [(0.5, 0), (0, 0.5)], ids=["late video", "late sound"])
def test_streams_that_start_late_stay_late(tmp_path: Path, video: float, audio: float, ending: str) -> None:
    early = flash_and_beep(tmp_path, "early.mkv", "-c:v", "libx264", "-c:a", "pcm_s16le")
    late = ("-itsoffset", str(video), "-i", early.name, "-itsoffset", str(audio), "-i", early.name)
    ffmpeg(tmp_path, *late, "-map", "0:v", "-map", "1:a", "-c", "copy", "late.mkv")
    source, target = tmp_path / "late.mkv", tmp_path / f"out.{ending}"
    assert probe(source).video_start == Fraction(video)
    remux(source, target, times=steady(len(FLASHES), start=Fraction(video)), pictures=FLASHES)
    assert flashes(target) == pytest.approx([video + n for n in range(SECONDS)], abs=1e-6)
    assert beeps(target) == pytest.approx([audio + n for n in range(SECONDS)], abs=0.0006)


@pytest.mark.parametrize("length", [1, 5])
@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_sound_shorter_or_longer_than_the_video_is_kept_whole(tmp_path: Path, length: int, ending: str) -> None:
    inputs = ("-f", "lavfi", "-i", f"sine=500:d={length}:r=48000")
    source = bunny(tmp_path, "source.mkv", "-map", "0:v", "-map", "1:a", "-c:a", "flac", inputs=inputs, frames=50)
    remux(source, tmp_path / f"out.{ending}", times=steady(50))
    samples, start, rate = sound(tmp_path / f"out.{ending}")
    assert (len(samples), start, rate) == (48000 * length, 0, 48000)
    assert np.array_equal(samples, sound(source)[0])


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_copied_packets_are_the_same_bytes(sources: dict[str, Path], tmp_path: Path, ending: str) -> None:
    remux(sources["aac.mp4"], tmp_path / f"out.{ending}")
    before, after = (packets(path, "audio") for path in (sources["aac.mp4"], tmp_path / f"out.{ending}"))
    assert [data for _, data in after] == [data for _, data in before]
    assert max(abs(a - b) for (a, _), (b, _) in zip(after, before, strict=True)) <= Fraction(1, 2000)


def test_sound_that_is_copied_out_of_matroska_gets_exact_times_again(tmp_path: Path) -> None:
    """Milliseconds become samples: no packet of an MP4 file is longer or shorter than the encoder made it."""
    source = flash_and_beep(tmp_path, "source.mp4", "-c:v", "libx264", "-c:a", "aac", "-ar", "44100")
    remux(source, tmp_path / "middle.mkv")
    remux(tmp_path / "middle.mkv", tmp_path / "out.mp4")
    times = [time for time, _ in packets(tmp_path / "out.mp4", "audio")]
    assert {b - a for a, b in pairwise(times)} == {Fraction(1024, 44100)}


@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov"])
def test_labels_survive(rich: Path, tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"out.{ending}"
    remux(rich, target, subtitles=ending != "mov")
    tracks = [stream for stream in streams(target) if stream["codec_type"] == "audio"]
    assert [track["codec_name"] for track in tracks] == CODECS[ending]
    assert [track["tags"]["language"] for track in tracks] == ["ger" if ending == "mov" else "deu", "eng"]
    key = "title" if ending == "mkv" else "handler_name"
    assert [track["tags"][key] for track in tracks] == ["Deutsch", "Commentary"]
    assert [track["disposition"]["default"] for track in tracks] == [0, 1]
    assert ffprobe(target, "-show_format")["format"]["tags"]["title"] == "A film"


@pytest.mark.parametrize("ending", ["mkv", "mp4", "webm"])
def test_chapters_survive(rich: Path, tmp_path: Path, ending: str) -> None:
    remux(rich, tmp_path / f"out.{ending}", times=steady(50))
    chapters = probe(tmp_path / f"out.{ending}").chapters
    assert [(chapter.start, chapter.end, chapter.metadata["title"]) for chapter in chapters] == [
        (0, Fraction(2, 5), "Opening"),
        (Fraction(2, 5), 2, "The rest"),
    ]


def test_chapters_follow_a_cut_and_a_change_of_speed(rich: Path, tmp_path: Path) -> None:
    cut = Cut(Fraction(1, 5), Fraction(6, 5))
    remux(rich, tmp_path / "out.mkv", audio="drop", tempo=Fraction(2), cut=cut, times=steady(50))
    chapters = probe(tmp_path / "out.mkv").chapters
    assert [(chapter.start, chapter.end) for chapter in chapters] == [(0, Fraction(2, 5)), (Fraction(2, 5), 2)]


def test_fonts_and_covers_stay_in_matroska(rich: Path, tmp_path: Path) -> None:
    plan, _ = remux(rich, tmp_path / "out.mkv")
    assert plan.notes == ()
    with av.open(rich) as before, av.open(tmp_path / "out.mkv") as after:
        fonts = [[stream for stream in file.streams if stream.type == "attachment"] for file in (before, after)]
        assert [font.data for font in fonts[1]] == [font.data for font in fonts[0]] == [FONT]  # type: ignore[attr-defined]
        assert fonts[1][0].metadata["filename"] == "font.ttf"
        assert fonts[1][0].metadata["mimetype"] == fonts[0][0].metadata["mimetype"]
    covers = [[s.index for s in probe(path).others if s.is_picture] for path in (rich, tmp_path / "out.mkv")]
    assert len(covers[0]) == len(covers[1]) == 1
    pictures = []
    for path, (index,) in zip((rich, tmp_path / "out.mkv"), covers, strict=True):
        with av.open(path) as container:
            pictures.append(next(bytes(p) for p in container.demux(container.streams[index]) if p.size))
    assert pictures[0] == pictures[1]


def test_a_cover_goes_into_mp4_and_fonts_do_not(rich: Path, tmp_path: Path) -> None:
    plan, _ = remux(rich, tmp_path / "out.mp4")
    assert any("font.ttf" in note and "left out" in note for note in plan.notes)
    found = probe(tmp_path / "out.mp4")
    assert [stream.codec for stream in found.others if stream.is_picture] == ["png"]
    assert not [stream for stream in found.others if stream.kind == "attachment"]


@pytest.mark.parametrize("name", ["aac.mp4", "aac.ts", "opus.webm", "flac.mkv"])
@pytest.mark.parametrize("ending", ["mkv", "mp4", "webm"])
def test_a_cut_keeps_the_offset(sources: dict[str, Path], tmp_path: Path, name: str, ending: str) -> None:
    """From 0.92 s on, so that a beep and a flash come 0.08 s after the new beginning."""
    source, target = sources[name], tmp_path / f"out.{ending}"
    start = Fraction(23, 25)
    shown = probe(source).video_start
    first = next(n for n in range(len(FLASHES)) if shown + Fraction(n, RATE) >= start)
    times = steady(40, start=shown + Fraction(first, RATE) - start)
    remux(source, target, cut=Cut(start, start + Fraction(8, 5)), times=times, pictures=FLASHES[first:])
    before = [beep - flash for beep, flash in zip(beeps(source), flashes(source), strict=True)]
    after = [beep - flash for beep, flash in zip(beeps(target), flashes(target), strict=True)]
    assert len(after) == 2
    assert after == pytest.approx(before[1:], abs=0.001)
    samples, begin, rate = sound(target)
    assert 0 <= begin < 0.1  # within a packet
    assert float(begin) + len(samples) / rate == pytest.approx(1.6, abs=0.1)


def test_a_cut_of_transcoded_sound_is_exact_to_the_sample(sources: dict[str, Path], tmp_path: Path) -> None:
    cut = Cut(Fraction(1, 3), Fraction(4, 3))
    remux(sources["pcm.mov"], tmp_path / "out.mp4", cut=cut, times=steady(25))
    samples, begin, rate = sound(tmp_path / "out.mp4")
    assert begin == 0
    assert np.array_equal(samples, sound(sources["pcm.mov"])[0][rate // 3 : rate // 3 + rate])


@pytest.mark.parametrize("tempo", [Fraction(2), Fraction(5, 2), Fraction(4, 5)])
@pytest.mark.parametrize("ending", ["mkv", "mp4", "webm"])
def test_stretched_sound_keeps_pitch_length_and_place(
    sources: dict[str, Path], tmp_path: Path, tempo: Fraction, ending: str
) -> None:
    target = tmp_path / f"out.{ending}"
    frames = round(SECONDS * RATE * tempo)
    remux(sources["aac.mp4"], target, audio="stretch", tempo=tempo, times=steady(frames))
    samples, begin, rate = sound(target)
    assert begin == 0
    assert len(samples) / rate == pytest.approx(float(SECONDS * tempo), abs=0.03)
    expected = [float((n + Fraction(1, 20)) * tempo) for n in range(SECONDS)]
    assert middles(target) == pytest.approx(expected, abs=0.05)
    loudest = samples[: rate // 10]
    spectrum = np.abs(np.fft.rfft(loudest * np.hanning(len(loudest))))
    assert np.argmax(spectrum) * rate / len(loudest) == pytest.approx(1000, abs=15)


def test_a_gap_in_the_sound_becomes_silence(tmp_path: Path) -> None:
    source = flash_and_beep(tmp_path, "whole.mkv", "-c:v", "libx264", "-c:a", "flac")
    drop = "noise=drop='between(n\\,5\\,16)'"  # packets of 96 ms
    ffmpeg(tmp_path, "-i", source.name, "-c", "copy", "-bsf:a", drop, "gap.mkv")
    remux(tmp_path / "gap.mkv", tmp_path / "out.webm", times=steady(len(FLASHES)), pictures=FLASHES)
    assert beeps(tmp_path / "out.webm") == pytest.approx([0, 2], abs=0.0006)


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_sound_that_goes_back_in_time_is_copied_on(tmp_path: Path, ending: str) -> None:
    """As FFmpeg's command does: containers refuse times that go back."""
    bunny(tmp_path, "a.ts", "-c:a", "aac", inputs=("-f", "lavfi", "-i", "sine=d=1"))
    (tmp_path / "b.ts").write_bytes((tmp_path / "a.ts").read_bytes() * 2)
    remux(tmp_path / "b.ts", tmp_path / f"out.{ending}", times=steady(50))
    times = [time for time, _ in packets(tmp_path / f"out.{ending}", "audio")]
    assert len(times) == 2 * len(packets(tmp_path / "a.ts", "audio"))
    assert times == sorted(times)


@pytest.mark.parametrize(("audio", "tempo"), [("keep", 1), ("stretch", 2)])
def test_sound_that_changes_its_layout_and_rate_goes_on(tmp_path: Path, audio: AudioMode, tempo: int) -> None:
    """As in television: what follows is of other channels and another rate."""
    for name, rate, channels, pitch in (("a.ts", "44100", "2", 500), ("b.ts", "48000", "1", 1000)):
        inputs = ("-f", "lavfi", "-i", f"sine={pitch}:r={rate}:d=1")
        coded = ("-c:a", "mp2", "-ac", channels, "-output_ts_offset", "0" if name == "a.ts" else "1")
        bunny(tmp_path, name, *coded, inputs=inputs)
    (tmp_path / "both.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    remux(tmp_path / "both.ts", tmp_path / "out.webm", audio=audio, tempo=Fraction(tempo), times=steady(50 * tempo))
    samples, _, rate = sound(tmp_path / "out.webm")
    assert len(samples) / rate == pytest.approx(2.05 * tempo, abs=0.06)
    for middle, pitch in ((0.5, 500), (1.5, 1000)):
        part = samples[int((middle - 0.25) * tempo * rate) : int((middle + 0.25) * tempo * rate)]
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
        assert np.argmax(spectrum) * rate / len(part) == pytest.approx(pitch, abs=15)


@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov"])
@pytest.mark.parametrize("matrix", ["90", "180", "270"])
def test_the_rotation_is_copied(tmp_path: Path, ending: str, matrix: str) -> None:
    plain = bunny(tmp_path, "plain.mp4")
    ffmpeg(tmp_path, "-i", plain.name, "-c", "copy", "-metadata:s:v:0", f"rotate={matrix}", "turned.mp4")
    source = probe(tmp_path / "turned.mp4")
    assert source.rotation in (int(matrix), 360 - int(matrix))
    remux(tmp_path / "turned.mp4", tmp_path / f"out.{ending}")
    found = probe(tmp_path / f"out.{ending}")
    assert (found.rotation, found.display_matrix) == (source.rotation, source.display_matrix)


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
@pytest.mark.parametrize("bframes", ["0", "3"])
def test_segments_follow_each_other_without_a_break(tmp_path: Path, ending: str, bframes: str) -> None:
    source = bunny(tmp_path, "source.mp4", frames=2)
    times = steady(31, rate=Fraction(60000, 1001))
    pictures = [gray(30 + 6 * n) for n in range(31)]
    options = {"preset": "fast", "bf": bframes, "b-adapt": "0"} if bframes != "0" else {"bf": "0"}
    segments = encode_segments(tmp_path, pictures, times, lengths=(10, 1, 9, 11), options=options)
    target = tmp_path / f"out.{ending}"
    join(segments, target, probe(source), NOTHING, frame_times=times, cut=Cut(), pace=Pace(1))
    with av.open(target) as container:
        stamps = [(p.dts, p.pts) for p in container.demux(video=0) if p.size]
        assert all(a[0] < b[0] for a, b in pairwise(stamps) if a[0] is not None and b[0] is not None)
        assert all(dts <= pts for dts, pts in stamps if dts is not None and pts is not None)
    with av.open(target) as container:
        shown = [
            (frame.pts * Fraction(frame.time_base), float(frame.to_ndarray(format="gray").mean()))
            for frame in container.decode(video=0)
            if frame.pts is not None and frame.time_base is not None
        ]
    rounding = Fraction(1, 2000) if ending == "mkv" else 0
    assert len(shown) == 31
    assert all(abs(time - times.seconds(n)) <= rounding for n, (time, _) in enumerate(shown))
    levels = [level for _, level in shown]
    assert all(b - a > 3 for a, b in pairwise(levels))  # in order, none twice
    found = streams(target)[0]
    for rate in (found["avg_frame_rate"], found["r_frame_rate"]):  # Matroska: whole nanoseconds per frame
        assert float(Fraction(rate)) == pytest.approx(60000 / 1001, abs=1e-4)


def test_times_of_a_variable_rate_are_kept(tmp_path: Path) -> None:
    source = bunny(tmp_path, "source.mp4", frames=2)
    ticks = (0, 40, 60, 120, 160, 260, 280, 300, 340, 400)
    times = VideoTimes(
        start=Fraction(1, 10), time_base=Fraction(1, 1000), frames=len(ticks), step=None, pts=ticks, last=60
    )
    options = {"preset": "fast", "bf": "3"}
    segments = encode_segments(tmp_path, blank(10), times, lengths=(4, 6), options=options)
    for target in (tmp_path / "out.mkv", tmp_path / "out.mp4"):
        join(segments, target, probe(source), NOTHING, frame_times=times, cut=Cut(), pace=Pace(1))
        assert sorted(time for time, _ in packets(target, "video")) == [Fraction(tick + 100, 1000) for tick in ticks]
        assert probe(target).video_start == 0  # alone in the file, it begins it
        assert streams(target)[0]["start_time"] == "0.100000"


def test_missing_frames_and_foreign_segments_are_noticed(tmp_path: Path) -> None:
    source = probe(bunny(tmp_path, "source.mp4", frames=2))
    segments = encode_segments(tmp_path, blank(10), steady(10), lengths=(5, 5))
    with pytest.raises(ConvertError, match="hold 10 frames instead of 11"):
        join(segments, tmp_path / "o.mkv", source, NOTHING, frame_times=steady(11), cut=Cut(), pace=Pace(1))
    other = tmp_path / "other"
    other.mkdir()
    alien = encode_segments(other, blank(10), steady(5), lengths=(5,), options={"profile": "baseline"})
    with pytest.raises(ConvertError, match="other settings"):
        both = [segments[0], *alien]
        join(both, tmp_path / "o.mkv", source, NOTHING, frame_times=steady(10), cut=Cut(), pace=Pace(1))
    segments[1].write_bytes(b"")
    with pytest.raises(ConvertError, match=r"000001\.nut cannot be read"):
        join(segments, tmp_path / "o.mkv", source, NOTHING, frame_times=steady(10), cut=Cut(), pace=Pace(1))


def test_a_disk_that_is_full_is_an_error(tmp_path: Path) -> None:
    source = probe(bunny(tmp_path, "source.mp4", frames=2))
    segments = encode_segments(tmp_path, blank(10), steady(10), lengths=(5, 5))
    target = tmp_path / "out.mkv"
    target.symlink_to("/dev/full")
    with pytest.raises(ConvertError, match="cannot be written: No space left"):
        join(segments, target, source, NOTHING, frame_times=steady(10), cut=Cut(), pace=Pace(1))


def test_stale_facts_are_not_repeated(rich: Path, tmp_path: Path) -> None:
    tags = ("BPS-eng=123", "NUMBER_OF_FRAMES=7", "timecode=01:00:00:00", "title=Picture")
    arguments = [part for tag in tags for part in ("-metadata:s:v", tag)]
    ffmpeg(tmp_path, "-i", str(rich), "-map", "0:v:0", "-c", "copy", *arguments, "stale.mkv")
    remux(tmp_path / "stale.mkv", tmp_path / "out.mkv")
    found = {key.upper(): value for key, value in streams(tmp_path / "out.mkv")[0]["tags"].items()}
    assert (found["TITLE"], found["TIMECODE"]) == ("Picture", "01:00:00:00")
    assert not found.keys() & {"BPS-ENG", "NUMBER_OF_FRAMES"}


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
def test_telemetry_of_cameras_goes_where_it_can_be_held(tmp_path: Path, ending: str) -> None:
    """A track as GoPro's, made of subtitles: ffmpeg makes none."""
    (tmp_path / "texts.srt").write_text(SRT)
    maps = ("-map", "0:v", "-map", "1", "-c:s", "mov_text")
    source = bunny(tmp_path, "in.mp4", *maps, inputs=("-i", "texts.srt"), frames=50)
    source.write_bytes(source.read_bytes().replace(b"tx3g", b"gpmd").replace(b"sbtl", b"meta"))
    plan, _ = remux(source, tmp_path / f"out.{ending}", times=steady(50))
    assert bool(plan.losses) == (ending == "mkv")
    if ending == "mkv":
        assert plan.losses[0].endswith("is left out: Matroska holds no data of this kind")
        return
    assert packets(tmp_path / f"out.{ending}", "data") == packets(source, "data")
    assert [s["codec_tag_string"] for s in streams(tmp_path / f"out.{ending}")][1] == "gpmd"
    cut = Cut(Fraction(4, 5))
    remux(source, tmp_path / f"slow.{ending}", audio="drop", tempo=Fraction(2), cut=cut, times=steady(60))
    moved = packets(tmp_path / f"slow.{ending}", "data")
    assert [(time, data[2:5]) for time, data in moved if data[2:]] == [(Fraction(2, 5), b"Two")]
