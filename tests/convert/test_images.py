"""Folders of images as clips, and frames as PNGs."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import vapoursynth as vs

from tests.conftest import planes
from tests.image_files import (
    HEIGHT,
    WIDTH,
    Picture,
    ffmpeg,
    frames_of_bunny,
    icc_profile,
    picture,
    read,
    tiff_with,
    with_exif,
    write,
    write_sequence,
)
from vsrrin.convert.images import ImageClip, natural_key, read_folder, write_png
from vsrrin.errors import ConvertError


def as_stored(frame: vs.VideoFrame) -> Picture:
    """A frame as OpenCV has a picture, with its alpha."""
    stack = planes(frame)[::-1]
    if "_Alpha" in frame.props:
        stack += planes(frame.props["_Alpha"])
    return stack[0] if len(stack) == 1 else np.stack(stack, axis=-1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    path.mkdir()
    return path


@pytest.mark.parametrize("extension", ["png", "tiff", "webp"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_kind_is_read_as_it_was_written(folder: Path, extension: str, depth: int, channels: int) -> None:
    if extension == "webp" and (depth, channels) not in {(8, 3), (8, 4)}:
        extension = "PNG"
    if (extension, channels) == ("tiff", 4):  # OpenCV writes them, but not as others do
        source = write(folder.parent / "source.png", picture(channels=4, depth=depth))
        ffmpeg("-i", source, "-pix_fmt", "rgba" if depth == 8 else "rgba64le", folder / "1.tiff")
    elif extension == "webp":
        cv2.imwrite(str(folder / "1.webp"), picture(channels=channels), [cv2.IMWRITE_WEBP_QUALITY, 101])
    else:
        write(folder / f"1.{extension}", picture(channels=channels, depth=depth))
    found = read_folder(folder)
    image = picture(channels=channels, depth=depth)
    frame = found.clip.get_frame(0)
    assert found.has_alpha == (channels == 4)
    assert frame.format.name == {1: f"Gray{depth}"}.get(channels, "RGB24" if depth == 8 else "RGB48")
    shown = image[..., 3] > 0 if channels == 4 else np.ones(image.shape[:2], bool)  # WebP forgets what is hidden
    assert np.array_equal(as_stored(frame)[shown], image[shown])
    assert found.notes == ()


def test_jpeg_and_palette(folder: Path) -> None:
    write(folder / "1.JPG", picture())
    assert np.array_equal(as_stored(read_folder(folder).clip.get_frame(0)), read(folder / "1.JPG"))
    (folder / "1.JPG").unlink()
    palette = "split[a][b];[a]palettegen[p];[b][p]paletteuse"
    source = write(folder.parent / "source.png", picture())
    ffmpeg("-i", source, "-vf", palette, "-pix_fmt", "pal8", folder / "1.png")
    found = read_folder(folder)
    difference = as_stored(found.clip.get_frame(0))[..., :3].astype(int) - picture()
    assert found.clip.format.id == vs.RGB24
    assert np.abs(difference).mean() < 8  # 256 colours, dithered


def test_grey_with_alpha_stays_grey(folder: Path) -> None:
    source = write(folder.parent / "source.png", picture(channels=4))
    ffmpeg("-i", source, "-pix_fmt", "ya8", folder / "1.png")
    found = read_folder(folder)
    assert (found.clip.format.id, found.has_alpha) == (vs.GRAY8, True)
    frame, stored = found.clip.get_frame(0), read(folder / "1.png")
    assert np.array_equal(planes(frame)[0], stored[..., 0])
    assert np.array_equal(planes(frame.props["_Alpha"])[0], stored[..., 3])
    assert np.abs(stored[..., 3].astype(int) - picture(channels=4)[..., 3]).max() <= 1


def test_order_rate_and_properties(folder: Path) -> None:
    write_sequence(folder, 4, name="Img{}.png")
    found = read_folder(folder, Fraction(30000, 1001))
    assert [file.name for file in found.files] == ["Img8.png", "Img9.png", "Img10.png", "Img11.png"]
    assert (found.clip.num_frames, found.clip.fps) == (4, Fraction(30000, 1001))
    for n in (3, 0, 2, 1):  # any order
        frame = found.clip.get_frame(n)
        assert np.array_equal(as_stored(frame), picture(n))
        assert (frame.props["_DurationNum"], frame.props["_DurationDen"]) == (1001, 30000)
        assert (frame.props["_Matrix"], frame.props["_Range"], frame.props["_Transfer"]) == (0, 1, 13)
    assert not found.has_alpha
    assert read_folder(folder).clip.fps == 24


def test_natural_order() -> None:
    names = ["b1", "a10", "A9", "a09", "a1b2", "a1b10", "2", "10", "a"]
    ordered = sorted(names, key=natural_key)
    assert [name for name in ordered if name not in ("A9", "a09")] == ["2", "10", "a", "a1b2", "a1b10", "a10", "b1"]
    assert {ordered[5], ordered[6]} == {"A9", "a09"}
    assert len({natural_key(name) for name in names}) == len(names)


@pytest.mark.parametrize("extension", ["png", "jpg", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(folder: Path, extension: str, orientation: int) -> None:
    path = with_exif(folder / f"1.{extension}", picture(), orientation)
    upright = cv2.imread(str(path), cv2.IMREAD_COLOR)  # OpenCV turns the picture then
    assert upright is not None
    assert np.array_equal(as_stored(read_folder(folder).clip.get_frame(0)), upright)


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (8, 1), (3, 2), (6, 3)])
def test_tiffs_are_turned_upright(folder: Path, orientation: int, turns: int) -> None:
    tiff_with(write(folder / "1.tiff", picture()), orientation=orientation)
    assert np.array_equal(as_stored(read_folder(folder).clip.get_frame(0)), np.rot90(picture(), turns))


def test_tiffs_with_colours_multiplied_by_alpha_become_straight(folder: Path) -> None:
    image = picture(channels=4)
    multiplied = image.copy()
    multiplied[..., :3] = np.rint(image[..., :3] / 255 * image[..., 3:])
    source = write(folder.parent / "source.png", multiplied)
    ffmpeg("-i", source, "-pix_fmt", "rgba", folder / "1.tiff")
    tiff_with(folder / "1.tiff", extra_samples=1)
    found = as_stored(read_folder(folder).clip.get_frame(0))
    solid = image[..., 3] > 127
    assert np.array_equal(found[..., 3], image[..., 3])
    assert np.abs(found[solid].astype(int) - image[solid]).max() <= 1


def test_what_can_be_made_alike_is(folder: Path) -> None:
    write(folder / "1.png", picture(0, channels=1))
    write(folder / "2.png", picture(1, channels=4))
    write(folder / "3.tif", picture(2))
    found = read_folder(folder)
    assert found.clip.format.id == vs.RGB24
    assert [planes(frame.props["_Alpha"])[0].min() for frame in found.clip.frames()] == [255, 0, 255]
    assert all(np.array_equal(plane, picture(0, channels=1)) for plane in planes(found.clip.get_frame(0)))
    assert found.notes == (
        "images of several kinds: 2 PNG, 1 TIFF",
        "grey images among colour ones: all become colour",
        "some images have no alpha (1.png is the first): they are opaque",
    )


def test_what_cannot_be_made_alike_is_refused(folder: Path) -> None:
    write_sequence(folder, 3)
    write(folder / "11.png", picture(depth=16))
    with pytest.raises(ConvertError, match=r"11\.png has 16 bits per sample, but the first image, 8\.png, has 8 bits"):
        read_folder(folder)
    write(folder / "9.png", picture()[:, :60])
    with pytest.raises(ConvertError, match=r"9\.png has 60x48, but the first image, 8\.png, has 64x48: all must"):
        read_folder(folder)


def test_what_else_is_in_the_folder_is_said(folder: Path) -> None:
    write_sequence(folder, 3)
    write(folder / "14.png", picture())
    write(folder / "16.png", picture())
    for name in ("notes.txt", "a.psd", ".DS_Store"):
        (folder / name).write_text("x")
    (folder / "more.png").mkdir()
    assert read_folder(folder).notes == (
        "left out, not images: a.psd, more.png, notes.txt",
        "numbers missing, the images beside them are taken as neighbours: 11 to 13, 15",
    )


def test_folders_that_hold_no_sequence(folder: Path) -> None:
    with pytest.raises(ConvertError, match=r"the folder .*missing does not exist"):
        read_folder(folder / "missing")
    (folder / "a.txt").write_text("x")
    with pytest.raises(ConvertError, match=r"in holds no images \(\.png, \.jpg"):
        read_folder(folder)
    write(folder / "1.png", picture())
    write(folder / "1.jpg", picture())
    with pytest.raises(ConvertError, match="have the same name: keep one of them"):
        read_folder(folder)


def test_damage_in_the_middle_is_an_error_not_a_grey_picture(folder: Path) -> None:
    write_sequence(folder, 3)
    data = bytearray((folder / "9.png").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    (folder / "9.png").write_bytes(data)
    clip = read_folder(folder).clip
    assert np.array_equal(as_stored(clip.get_frame(2)), picture(2))
    with pytest.raises(vs.Error, match=r"9\.png is damaged"):
        clip.get_frame(1)


def test_a_file_that_changed_is_an_error(folder: Path) -> None:
    write_sequence(folder, 2)
    clip = read_folder(folder).clip
    write(folder / "9.png", picture()[:20])
    with pytest.raises(vs.Error, match=r"9\.png has changed since the work began: begin again with overwrite=True"):
        clip.get_frame(1)
    (folder / "8.png").unlink()
    with pytest.raises(vs.Error, match=r"8\.png cannot be"):
        clip.get_frame(0)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_is_written_is_what_was_read(folder: Path, depth: int, channels: int) -> None:
    write(folder / "1.png", picture(channels=channels, depth=depth))
    target = folder.parent / "written.png"
    write_png(read_folder(folder).clip.get_frame(0), target)
    assert np.array_equal(read(target), picture(channels=channels, depth=depth))
    assert [path.name for path in folder.parent.iterdir() if path.is_file()] == ["written.png"]


def test_profiles_are_kept(folder: Path) -> None:
    profile = icc_profile()
    chunk = np.frombuffer(profile, np.uint8)
    for extension in ("png", "jpg", "webp"):
        name = str(folder / f"1.{extension}")
        assert cv2.imwriteWithMetadata(name, picture(), [cv2.IMAGE_METADATA_ICCP], [chunk])
        found: ImageClip = read_folder(folder)
        assert found.profile == profile
        target = folder.parent / "written.png"
        write_png(found.clip.get_frame(0), target, found.profile)
        assert cv2.imreadWithMetadata(str(target), flags=cv2.IMREAD_UNCHANGED)[2][0].tobytes() == profile
        assert np.array_equal(read(target), read(Path(name)))
        Path(name).unlink()


def test_a_folder_that_cannot_be_written_to(folder: Path) -> None:
    write(folder / "1.png", picture())
    frame = read_folder(folder).clip.get_frame(0)
    with pytest.raises(ConvertError, match=r"1\.png cannot be written: "):
        write_png(frame, folder / "missing" / "1.png")


def test_frames_from_ffmpeg(folder: Path) -> None:
    frames_of_bunny(folder, 4)
    found = read_folder(folder)
    assert [file.name for file in found.files] == ["8.png", "9.png", "10.png", "11.png"]
    assert (found.clip.width, found.clip.height) == (WIDTH, HEIGHT)
    assert np.array_equal(as_stored(found.clip.get_frame(2)), read(folder / "10.png"))
