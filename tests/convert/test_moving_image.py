"""Conversions to and from GIF, APNG and animated WebP."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.convert.animations.files import Shape, apng, by_opencv, gif, visible
from tests.image_files import frames_of_bunny, read
from vsrrin import ConvertError, convert_file
from vsrrin.convert.animations.canvas import Canvas
from vsrrin.convert.animations.parts import Picture
from vsrrin.convert.animations.reading import load
from vsrrin.convert.run import Progress
from vsrrin.convert.work_folder import folder_of
from vsrrin.errors import ArgumentError

WIDTH, HEIGHT = 96, 64
PALETTE = np.random.default_rng(3).integers(0, 256, 768, np.uint8).tobytes()
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH]


def frames(path: Path) -> list[Picture]:
    animation = load(path)
    canvas = Canvas(animation)
    return [canvas.frame(number) for number in range(len(animation.parts))]


def lasting(path: Path) -> list[Fraction]:
    return [part.duration for part in load(path).parts]


def disc(n: int, count: int) -> Picture:
    """Numbers of colours: stripes, and a disc on a circle; number 3 is around it."""
    angle = 2 * np.pi * n / count
    ground = np.where(X // 8 % 2, 40, 41)
    return np.where(np.hypot(X - 48 - 20 * np.cos(angle), Y - 32 - 16 * np.sin(angle)) < 10, 7, ground)


def moving(path: Path, count: int = 6, *, delays: tuple[int, ...] = (), **more: Any) -> Path:
    """A GIF of a disc that comes round."""
    shapes = [
        Shape(disc(n, count), delay=delays[n] if delays else 8, dispose=2 if "transparent" in more else 1, **more)
        for n in range(count)
    ]
    path.write_bytes(gif(WIDTH, HEIGHT, shapes, palette=PALETTE, loop=0))
    return path


def convert(source: Path, target: Path, **settings: Any) -> list[str]:
    """Messages of a conversion."""
    said: list[str] = []
    convert_file(source, target, say=said.append, **{"model": "draft", **settings})
    return said


@pytest.mark.parametrize("suffix", [".gif", ".apng", ".webp"])
def test_frames_of_the_source_times_and_plays_stay(tmp_path: Path, suffix: str) -> None:
    source, target = moving(tmp_path / "in.gif"), tmp_path / f"out{suffix}"
    assert convert(source, target)[:1] == (
        ["a GIF has 256 colours, and times in hundredths of a second"] * (suffix == ".gif")
    )
    made, animation = frames(target), load(target)
    assert animation.form == {".gif": "GIF", ".apng": "APNG", ".webp": "WebP"}[suffix]
    assert animation.plays == 0
    assert lasting(target) == [Fraction(4, 100)] * 10 + (
        [Fraction(8, 100)] if suffix == ".webp" else [Fraction(4, 100)] * 2
    )
    for n, picture in enumerate(frames(source)):
        assert np.array_equal(made[2 * n], picture)
    assert all(np.array_equal(a, b) for a, b in zip(made, by_opencv(target), strict=True))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("suffix", [".gif", ".apng", ".webp"])
def test_transparency_stays(tmp_path: Path, suffix: str) -> None:
    source, target = moving(tmp_path / "in.gif", transparent=40), tmp_path / f"out{suffix}"
    said = convert(source, target, loop=True)
    made = frames(target)
    assert len(made) == 12
    assert all(np.array_equal(visible(made[2 * n]), visible(picture)) for n, picture in enumerate(frames(source)))
    assert {int(value) for value in np.unique(made[11][..., 3])} >= {0, 255}
    assert (made[11][32, 68, 3], made[11][32, 84, 3]) == (255, 255)
    note = "pixels that are transparent by less than half become opaque, all others fully transparent"
    assert (note in said) == (suffix == ".gif")


def test_a_loop_moves_from_the_last_frame_to_the_first(tmp_path: Path) -> None:
    source, target = moving(tmp_path / "in.gif"), tmp_path / "out.apng"
    convert(source, target, loop=True)
    made, shown = frames(target), [frames(source)[n] for n in (5, 0)]
    assert not any(np.array_equal(made[11], picture) for picture in shown)
    colour = np.frombuffer(PALETTE, np.uint8).reshape(-1, 3)[7]
    x, y = 48 + 20 * np.cos(-np.pi / 6), 32 + 16 * np.sin(-np.pi / 6)
    assert np.abs(made[11][round(y), round(x), :3].astype(int) - colour).max() < 40  # half way between

    turned = tmp_path / "turned.gif"
    shapes = [Shape(disc((n + 2) % 6, 6), delay=8) for n in range(6)]
    turned.write_bytes(gif(WIDTH, HEIGHT, shapes, palette=PALETTE, loop=0))
    convert(turned, tmp_path / "turned.apng", loop=True)
    again = frames(tmp_path / "turned.apng")
    assert all(np.array_equal(made[(n + 4) % 12], again[n]) for n in range(12))


@pytest.mark.parametrize(("suffix", "tick"), [(".gif", 100), (".apng", 100), (".webp", 1000)])
def test_varying_times_are_divided_and_their_sum_stays(tmp_path: Path, suffix: str, tick: int) -> None:
    delays = (5, 7, 5, 30, 5, 9)
    source, target = moving(tmp_path / "in.gif", delays=delays), tmp_path / f"out{suffix}"
    convert(source, target, loop=True)
    found = lasting(target)
    assert sum(found) == Fraction(sum(delays), 100)
    ends = np.cumsum([float(duration) for duration in found])
    exact = np.cumsum([part / 200 for delay in (5, 7, 5, 25, 5, 5, 9) for part in (delay, delay)])
    if suffix != ".webp":  # which shows equal frames as one
        assert np.abs(ends - exact).max() <= 0.5 / tick + 1e-9
    assert np.isin(np.round(exact[1::2], 6), np.round(ends, 6)).sum() >= 6


def test_a_rate_that_no_hundredths_have(tmp_path: Path) -> None:
    frames_of_bunny(tmp_path, 8)
    images = tmp_path / "images"
    images.mkdir()
    for path in tmp_path.glob("*.png"):
        path.rename(images / path.name)
    convert(images, tmp_path / "out.gif", image_rate="40000/1001", factor=1)
    assert lasting(tmp_path / "out.gif") == [Fraction(n, 100) for n in (3, 2, 3, 2, 3, 2, 3, 2)]
    convert(images, tmp_path / "out.apng", image_rate="40000/1001")
    assert lasting(tmp_path / "out.apng") == [Fraction(n, 1000) for n in (13, 12) * 8]
    convert(images, tmp_path / "exact.apng", image_rate="24000/1001")
    assert lasting(tmp_path / "exact.apng") == [Fraction(1001, 48000)] * 16
    convert(images, tmp_path / "out.webp", image_rate="25")
    assert lasting(tmp_path / "out.webp") == [Fraction(20, 1000)] * 14 + [Fraction(40, 1000)]


@pytest.mark.parametrize(("plays", "wanted"), [(0, 0), (1, 1), (7, 7)])
def test_times_that_it_is_played(tmp_path: Path, plays: int, wanted: int) -> None:
    source = tmp_path / "in.png"
    pictures = [np.full((24, 40, 4), 60 * n, np.uint8) | 0xF for n in range(4)]
    source.write_bytes(apng(40, 24, [Shape(picture, delay=10) for picture in pictures], plays=plays))
    for suffix in (".gif", ".apng", ".webp"):
        convert(source, tmp_path / f"out{suffix}")
        assert load(tmp_path / f"out{suffix}").plays == wanted
    if plays == 1:
        said = convert(source, tmp_path / "loop.gif", loop=True)
        assert "the source is played once, and the new file for ever, as it is a loop" in said
        assert load(tmp_path / "loop.gif").plays == 0


def test_into_videos_and_folders(tmp_path: Path) -> None:
    source = moving(tmp_path / "in.gif", delays=(5, 7, 5, 6, 5, 9))
    said = convert(source, tmp_path / "out.mkv", codec="ffv1", pix_fmt="bgr0")
    assert "the source is played for ever, which a video does not say: players have a setting for it" in said
    convert(source, tmp_path / "images")
    images = sorted((tmp_path / "images").iterdir())
    assert len(images) == 12
    first = frames(source)[0]
    assert np.array_equal(read(images[0]), first[..., 2::-1])
    said = convert(tmp_path / "out.mkv", tmp_path / "again.apng", factor=1)
    again = frames(tmp_path / "again.apng")
    assert len(again) == 12
    assert np.array_equal(again[0], first)
    assert sum(lasting(tmp_path / "again.apng")) == Fraction(37, 100)


@pytest.mark.parametrize(
    ("target", "settings", "error", "wanted"),
    [
        (
            "a.gif",
            {"factor": 8},
            ArgumentError,
            r'shown for 0\.01 s, .* in a GIF for 0\.1 s: fps="50" makes as many as a GIF',
        ),
        ("a.gif", {"codec": "gif"}, ArgumentError, r"codec is for videos: .*a\.gif is a GIF"),
        ("a.apng", {"crf": 3}, ArgumentError, "crf is for videos and WebP"),
        ("a.webp", {"crf": 101}, ArgumentError, r"crf must be from 0 \(lossless\) to 100 for WebP, not 101"),
        ("in.gif", {"overwrite": True}, ArgumentError, "source and target are the same file"),
        ("none/a.gif", {}, ConvertError, "none of the target does not exist"),
        ("there.gif", {}, ConvertError, r"there\.gif exists: overwrite=True replaces it"),
    ],
)
def test_mistakes_are_told_before_anything_is_made(
    tmp_path: Path, target: str, settings: dict[str, Any], error: type[Exception], wanted: str
) -> None:
    source = moving(tmp_path / "in.gif")
    (tmp_path / "there.gif").write_bytes(b"mine")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(error, match=wanted):
        convert(source, tmp_path / target, **settings)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.gif").read_bytes() == b"mine"


def test_a_gif_of_one_picture_does_not_move(tmp_path: Path) -> None:
    source = moving(tmp_path / "in.gif", 1)
    with pytest.raises(ConvertError, match=r"in\.gif has one picture, which does not move"):
        convert(source, tmp_path / "out.webp")
    with pytest.raises(ArgumentError, match="loop needs a clip of at least 2 frames"):
        convert(source, tmp_path / "out.mkv", loop=True)
    convert(source, tmp_path / "out.mkv")


def test_frames_that_are_all_the_same(tmp_path: Path) -> None:
    source = tmp_path / "in.gif"
    source.write_bytes(gif(WIDTH, HEIGHT, [Shape(disc(0, 6))] * 3, palette=PALETTE))
    for suffix in (".gif", ".apng"):
        convert(source, tmp_path / f"out{suffix}", fps=50)
        assert sum(lasting(tmp_path / f"out{suffix}")) == Fraction(16, 100)
    with pytest.raises(ConvertError, match=r"one picture, of which WebP makes a still image: write \.gif or \.apng"):
        convert(source, tmp_path / "out.webp")


def test_pauses(tmp_path: Path) -> None:
    source = moving(tmp_path / "in.gif", 3, delays=(6, 30_000, 6))
    for suffix in (".gif", ".apng", ".webp"):
        convert(source, tmp_path / f"out{suffix}")
        assert sum(lasting(tmp_path / f"out{suffix}")) == Fraction(30_012, 100)


def test_an_interrupted_run_is_continued(tmp_path: Path) -> None:
    source, target = moving(tmp_path / "in.gif"), tmp_path / "out.gif"
    convert(source, tmp_path / "whole.gif")

    def stop(progress: Progress) -> None:
        if progress.frames_done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, target, progress=stop)
    assert not target.exists()
    assert folder_of(target).exists()
    with pytest.raises(ConvertError, match="resume=True continues it"):
        convert(source, target)
    assert "of 12 frames were finished before" in " ".join(convert(source, target, resume=True))
    assert target.read_bytes() == (tmp_path / "whole.gif").read_bytes()
    assert not folder_of(target).exists()


def test_damage_in_the_middle_is_told_with_its_place(tmp_path: Path) -> None:
    source = tmp_path / "in.gif"
    data = bytearray(moving(source).read_bytes())
    place = [at for at in range(len(data)) if data[at : at + 4] == b"!\xf9\x04\x04"][3] + 8 + 10 + 4
    data[place : place + 40] = b"\xff" * 40
    source.write_bytes(data)
    with pytest.raises(
        ConvertError, match=r"the frame at 0\.240 s \(number 3 .* cannot be read: frame 3: it cannot be"
    ):
        convert(source, tmp_path / "out.gif")


def test_quality_of_webp(tmp_path: Path) -> None:
    frames_of_bunny(tmp_path, 4, name="%d.png")
    images = tmp_path / "images"
    images.mkdir()
    for path in tmp_path.glob("*.png"):
        path.rename(images / path.name)
    sizes = []
    for crf in (None, 20, 80):
        target = tmp_path / f"{crf}.webp"
        convert(images, target, crf=crf)
        sizes.append(target.stat().st_size)
        with Image.open(target) as image:
            assert image.is_animated
    assert sizes[0] > 2 * sizes[1] > 2 * sizes[2]


LOST = ["left out, as GIF holds none: audio, chapters", 'the tag title "Bunny" of the file is left out: GIF has no']


def test_what_a_video_has_besides_is_told(tmp_path: Path) -> None:
    from tests.conftest import BUNNY
    from tests.image_files import ffmpeg

    source = tmp_path / "in.mkv"
    marks = tmp_path / "marks.txt"
    marks.write_text(";FFMETADATA1\ntitle=Bunny\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=200\ntitle=One\n")
    sound = ("-f", "lavfi", "-i", "sine=440:duration=0.2", "-i", marks, "-map_metadata", "2", "-c:a", "flac")
    ffmpeg("-i", BUNNY, *sound, "-frames:v", "5", "-vf", "scale=64:36", source)
    said = convert(source, tmp_path / "out.gif")
    assert all(any(message.startswith(lost) for message in said) for lost in LOST)
    assert lasting(tmp_path / "out.gif") == [Fraction(2, 100)] * 10


@pytest.mark.parametrize("change", [lambda data: data[: len(data) // 2], lambda data: data[:700] + data[900:]])
def test_damaged_sources_are_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    source = tmp_path / "in.png"
    source.write_bytes(
        change(
            apng(
                WIDTH,
                HEIGHT,
                [Shape(np.random.default_rng(n).integers(0, 255, (HEIGHT, WIDTH, 4), np.uint8)) for n in range(3)],
            )
        )
    )
    with pytest.raises(ConvertError, match=r"in\.png is damaged or incomplete: .*Get the file again"):
        convert(source, tmp_path / "out.webp")
    assert not (tmp_path / "out.webp").exists()
