"""Marks of the video beside its pictures: stereo, 360 degrees, edges that players cut off, the aspect of pixels."""

import struct
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import pytest

from tests.convert.media.files import bunny, ffmpeg
from vsrrin.convert import video as video_module
from vsrrin.convert.media.matroska import VIDEO, added, element
from vsrrin.convert.media.probe import probe
from vsrrin.convert.video import VideoConversion, convert

Settings = partial(video_module.Settings, model="draft")
ENDINGS = pytest.mark.parametrize("ending", ["mkv", "mp4", "mov", "webm"])


def marked(folder: Path, *elements: tuple[int, bytes]) -> Path:
    """A Matroska file whose video has some elements that ffmpeg cannot be told to write."""
    path = bunny(folder, "plain.mkv", frames=2)
    data = path.read_bytes().replace(b"\x11\x4d\x9b\x74", b"\x11\x4d\x9b\x75")  # no list of places, which change
    for name, content in elements:
        data = added(data, VIDEO, element(name, content))
    (folder / "in.mkv").write_bytes(data)
    return folder / "in.mkv"


def side_data(path: Path) -> dict[str, bytes]:
    """Side data of the video stream alone, not of its pictures."""
    with av.open(path) as container:
        return {str(name): data for name, data in container.streams.video[0].codec_context.coded_side_data.items()}


def packing(path: Path) -> str | None:
    """How two views are packed, as Matroska has it."""
    with av.open(path) as container:
        return container.streams.video[0].metadata.get("stereo_mode")


@ENDINGS
@pytest.mark.parametrize(("mode", "code"), [("left_right", 2), ("top_bottom", 1)])
def test_two_views_in_a_picture(tmp_path: Path, mode: str, code: int, ending: str) -> None:
    source = bunny(tmp_path, "in.mkv", "-metadata:s:v", f"stereo_mode={mode}", frames=2)
    target = tmp_path / f"out.{ending}"
    notes = convert(Settings(source, target)).notes
    if ending == "mov":  # FFmpeg would write that there are two views, and not where
        assert notes == ("the packing of a stereoscopic video is left out: QuickTime has no place for it",)
        return
    assert notes == ()
    if ending == "mp4":
        assert b"\x00\x00\x00\x0dst3d\x00\x00\x00\x00" + bytes([code]) in target.read_bytes()
        return
    assert packing(target) == mode
    assert probe(target).sample_aspect == 1


@pytest.mark.parametrize(
    ("mode", "ending", "name"), [("row_interleaved_lr", "webm", "WebM"), ("right_left", "mp4", "MP4")]
)
def test_a_packing_that_only_matroska_takes_is_left_out_and_said(
    tmp_path: Path, mode: str, ending: str, name: str
) -> None:
    source = bunny(tmp_path, "in.mkv", "-metadata:s:v", f"stereo_mode={mode}", frames=2)
    assert convert(Settings(source, tmp_path / "out.mkv")).notes == ()
    assert packing(tmp_path / "out.mkv") == mode
    done = convert(Settings(source, tmp_path / f"out.{ending}"))
    assert done.notes == (f"the packing of a stereoscopic video is left out: {name} has no place for it",)


def test_views_that_alternate_are_mixed_and_it_is_said(tmp_path: Path) -> None:
    source = bunny(tmp_path, "in.mp4", "-x264-params", "frame-packing=5", frames=2)
    assert "eyes alternate from frame to frame" in VideoConversion(Settings(source, tmp_path / "out.mkv")).losses[0]


def test_a_packing_that_the_encoded_video_tells_is_told_by_the_container(tmp_path: Path) -> None:
    source = bunny(tmp_path, "in.mp4", "-x264-params", "frame-packing=3", frames=2)
    assert "stereo_3d" not in side_data(source)
    assert convert(Settings(source, tmp_path / "out.mkv")).notes == ()
    assert packing(tmp_path / "out.mkv") == "left_right"


def sphere(kind: int, private: bytes) -> tuple[int, bytes]:
    angles = b"".join(element(0x7673 + place, struct.pack(">d", angle)) for place, angle in enumerate((10, 20, 30)))
    return 0x7670, element(0x7671, bytes([kind])) + element(0x7672, private) + angles


@pytest.mark.parametrize("kind", [1, 2], ids=["equirectangular", "cube map"])
def test_a_360_degree_video(tmp_path: Path, kind: int) -> None:
    source = marked(tmp_path, sphere(kind, bytes(20 if kind == 1 else 12)))
    assert struct.unpack("=4i", side_data(source)["spherical"][:16]) == (kind - 1, 10 << 16, 20 << 16, 30 << 16)
    for ending in ("mkv", "webm"):
        assert convert(Settings(source, tmp_path / f"out.{ending}")).notes == ()
        assert side_data(tmp_path / f"out.{ending}")["spherical"] == side_data(source)["spherical"]
    assert convert(Settings(source, tmp_path / "out.mp4")).notes == ()
    (lost,) = convert(Settings(source, tmp_path / "out.mov")).notes
    assert "or its direction, is left out: QuickTime" in lost
    turned = b"prhd" + struct.pack(">4i", 0, 10 << 16, 20 << 16, 30 << 16)
    assert turned in (tmp_path / "out.mp4").read_bytes()


def test_a_part_of_a_sphere(tmp_path: Path) -> None:
    source = marked(tmp_path, sphere(1, struct.pack(">5I", 0, 0, 0, 1 << 30, 1 << 30)))
    assert struct.unpack("=i", side_data(source)["spherical"][:4]) == (2,)
    assert convert(Settings(source, tmp_path / "out.mkv")).notes == ()
    assert side_data(tmp_path / "out.mkv")["spherical"] == side_data(source)["spherical"]


@ENDINGS
def test_edges_that_players_cut_off(tmp_path: Path, ending: str) -> None:
    source = marked(tmp_path, (0x54BB, b"\x02"), (0x54AA, b"\x04"), (0x54CC, b"\x06"), (0x54DD, b"\x08"))
    target = tmp_path / f"out.{ending}"
    assert convert(Settings(source, target)).notes == ()
    assert struct.unpack("<4I", side_data(target)["frame_cropping"]) == (2, 4, 6, 8)
    assert abs(probe(target).sample_aspect / probe(source).sample_aspect - 1) < 0.02


@pytest.mark.parametrize(
    ("ending", "codec"), [("webm", "vp9"), ("webm", "av1"), ("mkv", "vp9"), ("mkv", "ffv1"), ("mp4", "vp9")]
)
def test_pixels_that_are_not_square_in_codecs_that_do_not_tell(tmp_path: Path, ending: str, codec: str) -> None:
    labels = ("-metadata:s:v", "title=A view", "-metadata", "title=A film")
    bunny(tmp_path, "plain.mkv", *labels, frames=2)
    ffmpeg(tmp_path, "-i", "plain.mkv", "-vf", "setsar=16/10", "-c:v", "libx264", "in.mkv")
    target = tmp_path / f"out.{ending}"
    assert convert(Settings(tmp_path / "in.mkv", target, codec=codec)).notes == ()
    found = probe(target)
    assert found.sample_aspect == Fraction(16, 10)
    assert (found.video.metadata.get("title") or found.video.metadata["handler_name"]) == "A view"
    assert found.metadata["title"] == "A film"
    ffmpeg(tmp_path, "-v", "warning", "-xerror", "-i", target.name, "-f", "null", "-")


def test_the_marks_of_another_file_are_not_kept(tmp_path: Path) -> None:
    plain = bunny(tmp_path, "plain.mp4", frames=2)
    convert(Settings(plain, tmp_path / "out.mp4"))
    assert side_data(tmp_path / "out.mp4").keys() <= {"cpb_properties"}
    assert VideoConversion(Settings(plain, tmp_path / "again.mp4")).losses == []
