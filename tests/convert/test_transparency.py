"""Transparency in videos: kept, interpolated, or laid over black with a message."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray

from tests.conftest import planes
from tests.convert.media.files import ffmpeg, streams
from tests.convert.test_video import BUNNY_INPUT
from vsrrin import ArgumentError, ConvertError, convert_file
from vsrrin.convert.media.verify import verify
from vsrrin.convert.prepare import Settings, prepare

convert = partial(convert_file, model="draft")
FRAMES = 6
HOLE = "clip(60*(hypot(X-40-6*N,Y-45)-20),0,255)"
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "20", "-b:v", "0")


def glass(folder: Path, name: str, *codec: str, alpha: str = HOLE, size: str = "160:90", frames: int = FRAMES) -> Path:
    """A video of some frames with a hole that moves."""
    drawn = f"scale={size},setsar=1,format=yuva444p,geq=lum='lum(X,Y)':cb='cb(X,Y)':cr='cr(X,Y)':a='{alpha}'"
    ffmpeg(folder, *BUNNY_INPUT, "-vf", drawn, "-frames:v", str(frames), *codec, name)
    return folder / name


def decoded(path: Path, decoder: str | None = None) -> list[NDArray[np.uint8]]:
    """All frames as (H, W, 4) in 8 bits, the last of four being alpha, by FFmpeg alone."""
    with av.open(str(path)) as container:
        context = av.CodecContext.create(decoder, "r") if decoder else None
        pictures = [
            picture
            for packet in container.demux(video=0)
            for picture in (context.decode(packet) if context is not None else packet.decode())
        ]
    return [picture.to_ndarray(format="rgba") for picture in pictures]


def stored(path: Path, frames: Sequence[int]) -> list[list[NDArray[np.generic]]]:
    """Planes of some frames as their decoder gives them, alpha last."""
    clip = vs.core.bs.VideoSource(str(path), cachemode=0)
    found = [clip.get_frame(n) for n in frames]
    return [[*planes(frame), *planes(frame.props["_Alpha"])] for frame in found]


def test_ffv1_has_the_alpha_of_source_frames_bit_for_bit_and_it_moves_between_them(tmp_path: Path) -> None:
    source = glass(tmp_path, "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuva422p10le")
    result = convert(source, tmp_path / "out.mkv")
    assert any("transparent parts are kept: the video becomes FFV1" in note for note in result.notes)
    for before, after in zip(stored(source, range(FRAMES)), stored(tmp_path / "out.mkv", range(0, 12, 2)), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    for n, (*_, alpha) in enumerate(stored(tmp_path / "out.mkv", range(1, 9, 2))):
        x, y = np.meshgrid(np.arange(160), np.arange(90))
        away = np.hypot(x - 40 - 6 * (n + 0.5), y - 45)
        assert alpha[away < 16].max() < 100 and alpha[away > 26].min() > 923


@pytest.mark.parametrize(("codec", "decoder"), [("libvpx-vp9", "libvpx-vp9"), ("libvpx", "libvpx")])
def test_alpha_of_vp9_and_vp8_is_that_of_their_own_decoders(tmp_path: Path, codec: str, decoder: str) -> None:
    source = glass(tmp_path, "in.webm", "-c:v", codec, "-auto-alt-ref", "0", "-g", "3", "-pix_fmt", "yuva420p")
    convert(source, tmp_path / "out.mkv")
    made = [alpha for *_, alpha in stored(tmp_path / "out.mkv", range(0, 12, 2))]
    assert all(np.array_equal(a[..., 3], b) for a, b in zip(decoded(source, decoder), made, strict=True))
    cut = convert(source, tmp_path / "cut.mkv", start=3)
    assert cut.frames == 2 * (FRAMES - 3)
    assert np.array_equal(stored(tmp_path / "cut.mkv", [0])[0][-1], made[3])


def test_webm_has_alpha_that_players_find(tmp_path: Path) -> None:
    source = glass(tmp_path, "in.webm", *VP9, "-pix_fmt", "yuva420p")
    result = convert(source, tmp_path / "out.webm", segment_frames=5)
    assert result.notes == ()
    (video,) = streams(tmp_path / "out.webm")
    assert {key.lower(): value for key, value in video["tags"].items()}["alpha_mode"] == "1"
    assert b"\x53\xc0\x81\x01" in (tmp_path / "out.webm").read_bytes()  # Matroska's own mark, AlphaMode
    before, after = decoded(source, "libvpx-vp9"), decoded(tmp_path / "out.webm", "libvpx-vp9")
    assert len(after) == 2 * FRAMES
    for a, b in zip(before, after[::2], strict=True):
        assert np.abs(a[..., 3].astype(int) - b[..., 3]).mean() < 2
    again = convert(tmp_path / "out.webm", tmp_path / "again.mkv", fps="50")  # which is read by the same way
    assert (again.frames, stored(tmp_path / "again.mkv", [3])[0][-1].min()) == (12, 0)


@pytest.mark.parametrize("size", ["160:90", "97:53"])
def test_mov_has_prores_4444(tmp_path: Path, size: str) -> None:
    source = glass(tmp_path, "in.mov", "-c:v", "png", "-pix_fmt", "rgba", size=size)
    result = convert(source, tmp_path / "out.mov")
    assert any("transparent parts are kept: the video becomes ProRes 4444" in note for note in result.notes)
    (video,) = streams(tmp_path / "out.mov")
    assert (video["codec_name"], video["codec_tag_string"]) == ("prores", "ap4h")
    with av.open(str(tmp_path / "out.mov")) as container:
        assert container.streams.video[0].codec_context.bits_per_coded_sample == 32  # by which editors know of alpha
    for a, b in zip(decoded(source), decoded(tmp_path / "out.mov")[::2], strict=True):
        assert np.abs(a[..., 3].astype(int) - b[..., 3]).max() <= 1
        seen = a[..., 3] > 128
        assert np.abs(a[seen, :3].astype(int) - b[seen, :3]).mean() < 3


def test_folders_and_videos_have_the_same_frames(tmp_path: Path) -> None:
    source = glass(tmp_path, "in.mov", "-c:v", "qtrle", "-pix_fmt", "argb")
    convert(source, tmp_path / "images")
    convert(tmp_path / "images", tmp_path / "again.mov", codec="qtrle", image_rate=25)
    convert(source, tmp_path / "out.mkv")
    images = [decoded(path)[0] for path in sorted((tmp_path / "images").iterdir())]
    assert all(np.array_equal(a, b) for a, b in zip(images, decoded(tmp_path / "out.mkv"), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(images, decoded(tmp_path / "again.mov")[::2], strict=True))


def test_a_turned_video_is_turned_with_its_alpha(tmp_path: Path) -> None:
    glass(tmp_path, "stored.mov", "-c:v", "qtrle", "-pix_fmt", "argb", frames=2)
    ffmpeg(tmp_path, "-i", "stored.mov", "-c", "copy", "-metadata:s:v", "rotate=90", "in.mov")
    convert(tmp_path / "in.mov", tmp_path / "images")
    ffmpeg(tmp_path, "-i", "in.mov", "-frames:v", "1", "-pix_fmt", "rgba", "upright.png")
    (made,), (upright,) = decoded(tmp_path / "images" / "000001.png"), decoded(tmp_path / "upright.png")
    assert made.shape == (160, 90, 4)
    assert np.array_equal(made, upright)


def test_deinterlaced_video_has_deinterlaced_alpha(tmp_path: Path) -> None:
    glass(tmp_path, "fields.mkv", "-c:v", "ffv1", frames=8)
    woven = ("-vf", "tinterlace=interleave_top,setfield=tff", "-c:v", "prores_ks", "-pix_fmt", "yuva444p10le")
    ffmpeg(tmp_path, "-i", "fields.mkv", *woven, "-flags", "+ildct", "in.mov")
    convert(tmp_path / "in.mov", tmp_path / "out.mkv", deinterlace="field")
    fields = [frame[..., 3].astype(int) for frame in decoded(tmp_path / "fields.mkv")]
    made = [frame[..., 3].astype(int) for frame in decoded(tmp_path / "out.mkv")[::2]]
    assert len(made) == len(fields)
    for n in range(1, 7):
        apart = [np.abs(made[n] - fields[k]).mean() for k in range(8)]
        assert apart[n] < 2 and apart[n] < min(apart[n - 1], apart[n + 1]) / 2, (n, apart)


def test_new_edges_have_no_fringes_whatever_is_hidden(tmp_path: Path) -> None:
    """A blue square moves over what is red where it is transparent; blended with red, its edges would show it."""
    drawn = "geq=r='255*not(gte(X,20+8*N)*lt(X,50+8*N))':g=0:b='255*gte(X,20+8*N)*lt(X,50+8*N)':a='b(X,Y)'"
    drawn = drawn.replace("b(X,Y)", "255*gte(X,20+8*N)*lt(X,50+8*N)")
    ffmpeg(tmp_path, "-f", "lavfi", "-i", f"color=s=128x64:r=25:d=0.16,format=gbrap,{drawn}", "-c:v", "ffv1", "in.mkv")
    convert(tmp_path / "in.mkv", tmp_path / "out.mkv")
    for frame in decoded(tmp_path / "out.mkv")[1::2]:
        over_green = frame[..., :3] * (frame[..., 3:] / 255)
        assert over_green[..., 0].max() < 3, "red from under the transparent pixels"
        assert frame[..., 3].max() == 255


@pytest.mark.parametrize(
    ("target", "settings", "said"),
    [
        ("out.mp4", {}, "MP4 holds no transparency: a folder of images, .mkv, .mov and .webm keep them"),
        ("out.mkv", {"codec": "x264"}, 'has none: codec="ffv1" or codec="libvpx-vp9" or codec="prores_ks" keeps them'),
        ("out.mkv", {"codec": "ffv1", "pix_fmt": "yuv420p"}, '"prores_ks" without pix_fmt keeps them'),
        ("out.webm", {"size": "161:91"}, "libvpx-vp9 has it only with even sides: a folder of images, .mkv and .mov"),
    ],
)
def test_where_there_is_no_place_transparent_parts_become_black_and_it_is_said(
    tmp_path: Path, target: str, settings: dict[str, str], said: str
) -> None:
    settings = dict(settings)
    source = glass(tmp_path, "in.mkv", "-c:v", "ffv1", alpha="255*gte(X,80)", size=settings.pop("size", "160:90"))
    notes = "; ".join(convert(source, tmp_path / target, crf=None, **settings).notes)
    assert "transparent parts become black, as " in notes and said in notes
    made = vs.core.bs.VideoSource(str(tmp_path / target), cachemode=0).get_frame(0)
    assert np.abs(planes(made)[0][:, :78].astype(int) - 16).max() <= 3
    if settings.get("codec") == "ffv1":
        ((*colours, _),) = stored(source, [0])
        assert np.array_equal(planes(made)[0][:, 82:], colours[0][:, 82:])


def test_alpha_that_is_opaque_throughout_changes_nothing(tmp_path: Path) -> None:
    source = glass(tmp_path, "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuva420p", alpha="255")
    result = convert(source, tmp_path / "out.mkv")
    assert result.notes == ("the alpha of the source is left out, as all of its frames are opaque",)
    (video,) = streams(tmp_path / "out.mkv")
    assert (video["codec_name"], video["pix_fmt"]) == ("h264", "yuv420p")
    convert(source, tmp_path / "kept.mkv", pix_fmt="yuva420p")
    assert stored(tmp_path / "kept.mkv", [1])[0][-1].min() == 255
    late = glass(tmp_path, "late.mkv", "-c:v", "ffv1", "-pix_fmt", "yuva420p", alpha="255*lt(N,5)")
    assert stored(convert(late, tmp_path / "late_out.mkv").target, [11])[0][-1].max() == 0


def test_formats_with_alpha_can_be_asked_for(tmp_path: Path) -> None:
    source = glass(tmp_path, "in.mov", "-c:v", "qtrle", "-pix_fmt", "argb", frames=2)
    encoder = prepare(Settings(source, tmp_path / "out.mkv", model="draft", pix_fmt="yuva444p10le")).encoder
    assert (encoder.codec, encoder.pixel_format) == ("ffv1", "yuva444p10le")
    with pytest.raises(ArgumentError, match=r"yuva420p cannot be written into \.mp4"):
        convert(source, tmp_path / "out.mp4", codec="vp9", pix_fmt="yuva420p")
    bare = glass(tmp_path, "bare.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", frames=2)
    with pytest.raises(ArgumentError, match="pix_fmt yuva420p has alpha, which the source, YUV 4:2:0 8 bit, has not"):
        convert(bare, tmp_path / "out.mkv", pix_fmt="yuva420p")


def remuxed(source: Path, target: Path, without: Sequence[int], mark: bool = True) -> Path:
    """A copy of a WebM file, some of whose packets have no alpha beside them."""
    with av.open(str(source)) as read, av.open(str(target), "w") as write:
        stream = read.streams.video[0]
        copy = write.add_stream_from_template(stream, opaque=True)
        copy.metadata.update({"alpha_mode": "1"} if mark else {})
        for number, packet in enumerate(read.demux(stream)):
            if packet.size and number in without:
                bare = av.Packet(bytes(packet))
                bare.pts, bare.dts, bare.time_base = packet.pts, packet.dts, packet.time_base
                bare.is_keyframe, packet = packet.is_keyframe, bare
            packet.stream = copy
            if packet.size:
                write.mux_one(packet)
    return target


def test_alpha_of_vp9_that_is_odd(tmp_path: Path) -> None:
    source = glass(tmp_path, "in.webm", *VP9, "-g", "3", "-pix_fmt", "yuva420p")
    unmarked = convert(remuxed(source, tmp_path / "a.webm", (), mark=False), tmp_path / "a.mkv")
    assert stored(unmarked.target, [0])[0][-1].min() == 0
    some = convert(remuxed(source, tmp_path / "b.webm", (0, 1, 2)), tmp_path / "b.mkv")
    assert "frames without alpha, which are opaque: 3" in some.notes
    assert [frame[-1].min() for frame in stored(some.target, [0, 4, 6, 10])] == [255, 255, 0, 0]
    broken = convert(remuxed(source, tmp_path / "c.webm", (0, 3)), tmp_path / "c.mkv")
    assert any("transparent parts become opaque, as the alpha beside the video" in note for note in broken.notes)
    none = convert(remuxed(source, tmp_path / "d.webm", range(FRAMES)), tmp_path / "d.mkv")
    assert none.notes == ()


def test_a_file_without_its_alpha_fails_verification(tmp_path: Path) -> None:
    source = glass(tmp_path, "in.webm", *VP9, "-pix_fmt", "yuva420p")
    prepared = prepare(Settings(source, tmp_path / "out.webm", model="draft"))
    convert(source, tmp_path / "out.webm")
    verify(tmp_path / "out.webm", prepared.times, prepared.plan)
    for number, (without, mark) in enumerate((((7,), True), ((), False))):
        poor = remuxed(tmp_path / "out.webm", tmp_path / f"{number}.webm", without, mark)
        with pytest.raises(ConvertError, match="transparency is missing"):
            verify(poor, prepared.times, prepared.plan)


def test_a_killed_run_is_continued_to_the_same_frames(tmp_path: Path) -> None:
    source = glass(tmp_path, "in.webm", *VP9, "-pix_fmt", "yuva420p", frames=8)
    target, settings = tmp_path / "out.webm", {"segment_frames": 6, "model": "draft"}
    killed = (
        "import os, signal; from vsrrin import convert_file\n"
        "def die(progress): progress.frames_done < 8 or os.kill(os.getpid(), signal.SIGKILL)\n"
        f"convert_file({str(source)!r}, {str(target)!r}, progress=die, **{settings})"
    )
    (temporary := tmp_path / "temporary").mkdir()
    run = subprocess.run(
        [sys.executable, "-c", killed], check=False, timeout=120, env={**os.environ, "TMPDIR": str(temporary)}
    )
    assert run.returncode == -signal.SIGKILL
    assert list(temporary.iterdir()) == []  # the alpha beside the video is read from a file of its own
    continued = convert(source, target, resume=True, segment_frames=6)
    assert continued.resumed_frames == 6
    convert(source, tmp_path / "whole.webm", segment_frames=6)
    both = [decoded(path, "libvpx-vp9") for path in (target, tmp_path / "whole.webm")]
    assert len(both[0]) == 16
    assert all(np.array_equal(a, b) for a, b in zip(*both, strict=True))


def test_spread_and_retimed_frames_have_alpha(tmp_path: Path) -> None:
    held = "clip(60*(hypot(X-40-12*floor(N/2),Y-45)-20),0,255)"
    source = glass(tmp_path, "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuva444p", alpha=held)
    spread = convert(source, tmp_path / "spread.mkv", factor=1, duplicates="spread")
    assert spread.frames == FRAMES
    slow = convert(source, tmp_path / "slow.mkv", speed="1/2")
    assert (slow.frames, len(decoded(slow.target))) == (2 * FRAMES, 2 * FRAMES)
    assert all(alpha.min() == 0 for *_, alpha in stored(slow.target, range(slow.frames)))
