"""Headers of images against what decoders find in them."""

import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.image_files import HEIGHT, WIDTH, exif, ffmpeg, picture, read, tiff_with, with_exif, write
from vsrrin.convert.image_headers import read_header
from vsrrin.errors import ConvertError

# name, ffmpeg's pixel format or None for OpenCV's: channels and depth
FILES = [
    ("rgb.png", 3, 8),
    ("grey.png", 1, 8),
    ("rgba.png", 4, 8),
    ("rgb16.png", 3, 16),
    ("grey16.png", 1, 16),
    ("rgba16.png", 4, 16),
    ("rgb.jpg", 3, 8),
    ("grey.jpg", 1, 8),
    ("rgb.webp", 3, 8),
    ("rgba.webp", 4, 8),
    ("rgb.tiff", 3, 8),
    ("grey16.tiff", 1, 16),
    ("rgb16.tiff", 3, 16),
]


@pytest.mark.parametrize(("name", "channels", "depth"), FILES)
def test_a_header_says_what_the_decoder_finds(tmp_path: Path, name: str, channels: int, depth: int) -> None:
    header = read_header(write(tmp_path / name, picture(channels=channels, depth=depth)))
    assert (header.width, header.height, header.depth) == (WIDTH, HEIGHT, depth)
    assert (header.grey, header.alpha) == (channels == 1, channels == 4)
    assert header.form.lower()[:3] in {"png", "jpe", "web", "tif"}
    assert (header.orientation, header.premultiplied, header.profile) == (1, False, False)
    image = read(tmp_path / name)
    assert image.shape[:2] == (HEIGHT, WIDTH)
    assert image.dtype.itemsize * 8 == depth


@pytest.mark.parametrize(
    ("name", "pixels", "grey", "alpha", "depth"),
    [
        ("pal.png", "pal8", False, True, 8),  # ffmpeg writes the transparency of its palettes
        ("ya.png", "ya8", True, True, 8),
        ("ya16.png", "ya16be", True, True, 16),
        ("mono.png", "monob", True, False, 8),
        ("rgba.tiff", "rgba", False, True, 8),
        ("rgba16.tiff", "rgba64le", False, True, 16),
        ("pal.tiff", "pal8", False, False, 8),
    ],
)
def test_rarer_kinds(tmp_path: Path, name: str, pixels: str, grey: bool, alpha: bool, depth: int) -> None:
    source = write(tmp_path / "source.png", picture(channels=4))
    if pixels == "pal8":
        palette = "split[a][b];[a]palettegen[p];[b][p]paletteuse"
        ffmpeg("-i", source, "-vf", palette, "-pix_fmt", pixels, tmp_path / name)
    else:
        ffmpeg("-i", source, "-pix_fmt", pixels, tmp_path / name)
    header = read_header(tmp_path / name)
    assert (header.size, header.grey, header.alpha, header.depth) == ((WIDTH, HEIGHT), grey, alpha, depth)


@pytest.mark.parametrize("extension", ["png", "jpg", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, extension: str, orientation: int) -> None:
    header = read_header(with_exif(tmp_path / f"a.{extension}", picture(), orientation))
    assert header.orientation == orientation
    assert header.size == ((HEIGHT, WIDTH) if orientation > 4 else (WIDTH, HEIGHT))


def test_tiff_orientation_and_premultiplied_alpha(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    ffmpeg("-i", write(tmp_path / "source.png", picture(channels=4)), "-pix_fmt", "rgba", path)
    header = read_header(tiff_with(path, orientation=8, extra_samples=1))
    assert (header.orientation, header.premultiplied, header.size) == (8, True, (HEIGHT, WIDTH))


def test_exif_that_makes_no_sense_says_nothing(tmp_path: Path) -> None:
    for data in (b"garbage", exif(9), exif(1)[:12]):
        path = tmp_path / "a.png"
        chunk = np.frombuffer(data, np.uint8)
        assert cv2.imwriteWithMetadata(str(path), picture(), [cv2.IMAGE_METADATA_EXIF], [chunk])
        assert read_header(path).orientation == 1


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_a_file_that_is_cut_short_is_damaged(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, picture())
    data = path.read_bytes()
    for length in (0, 3, 20, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:length])
        with pytest.raises(ConvertError, match=r"a\.\w+ is damaged, or not a PNG, JPEG, WebP or TIFF: "):
            read_header(path)
    path.write_bytes(data + b"something appended")
    assert read_header(path).size == (WIDTH, HEIGHT)


def test_what_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("<html>sign in</html>")
    with pytest.raises(ConvertError, match=r"a\.png is damaged, or not a PNG.*its first bytes are of no such file"):
        read_header(path)
    with pytest.raises(ConvertError, match=r"b\.png cannot be read: No such file"):
        read_header(tmp_path / "b.png")


def test_samples_of_other_kinds_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "float.tiff", picture().astype(np.float32))
    with pytest.raises(ConvertError, match=r"float\.tiff"):
        read_header(tmp_path / "float.tiff")


def test_tags_that_make_no_sense_are_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tiff", picture())
    data = path.read_bytes()
    for tag in (256, 257, 258, 262, 277):
        at = data.index(tag.to_bytes(2, "little") + b"\3\0", int.from_bytes(data[4:8], "little"))
        path.write_bytes(data[: at + 2] + b"\2\0" + data[at + 4 :])  # a text instead of a number
        with pytest.raises(ConvertError, match=r"a\.tiff is damaged, .*: its \w+ is missing or no number"):
            read_header(path)


def test_large_pictures_are_taken_in_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", picture())
    data = path.read_bytes()
    head = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + data[24:29]
    path.write_bytes(data[:12] + head + zlib.crc32(head).to_bytes(4, "big") + data[33:])
    assert read_header(path).size == (60_000, 60_000)
