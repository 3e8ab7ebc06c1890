"""Moving images as other programs see them, and odd and damaged ones."""

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.convert.animations.files import Picture, Shape, apng, by_ffmpeg, by_opencv, by_pillow, chunk, gif, visible
from vsrrin.convert.animations import canvas as canvas_module
from vsrrin.convert.animations.canvas import Canvas
from vsrrin.convert.animations.kinds import form_of
from vsrrin.convert.animations.reading import load, open_moving
from vsrrin.errors import ConvertError

WIDTH, HEIGHT = 37, 26
PALETTE = np.random.default_rng(7).integers(0, 256, 768, np.uint8).tobytes()
OTHER = np.random.default_rng(8).integers(0, 256, 768, np.uint8).tobytes()


def shown(path: Path) -> list[Picture]:
    animation = load(path)
    canvas = Canvas(animation)
    return [canvas.frame(number) for number in range(len(animation.parts))]


def place(chooser: np.random.Generator) -> tuple[int, int, int, int]:
    width, height = int(chooser.integers(1, WIDTH)), int(chooser.integers(1, HEIGHT))
    return int(chooser.integers(0, WIDTH - width)), int(chooser.integers(0, HEIGHT - height)), width, height


def random_gif(seed: int) -> bytes:
    chooser = np.random.default_rng(seed)
    frames = []
    for n in range(9):
        left, top, width, height = (0, 0, WIDTH, HEIGHT) if n == 0 and seed % 2 else place(chooser)
        picture = chooser.integers(0, 256, (height, width))
        picture[chooser.random(picture.shape) < 0.4] = 3
        frames.append(
            Shape(
                picture, left, top, dispose=int(chooser.integers(0, 4)), transparent=3,
                palette=OTHER if chooser.random() < 0.4 else b"", interlaced=bool(chooser.integers(0, 2)),
            )
        )  # fmt: skip
    return gif(WIDTH, HEIGHT, frames, palette=PALETTE)


def random_apng(seed: int) -> bytes:
    chooser = np.random.default_rng(seed)
    frames = []
    for n in range(9):
        left, top, width, height = (0, 0, WIDTH, HEIGHT) if n == 0 else place(chooser)
        picture = chooser.integers(0, 256, (height, width, 4), np.uint8)
        picture[chooser.random(picture.shape[:2]) < 0.5, 3] = chooser.choice((0, 255))
        frames.append(Shape(picture, left, top, dispose=int(chooser.integers(0, 3)), blend=int(chooser.integers(0, 2))))
    hidden = chooser.integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8) if seed % 3 == 0 else None
    return apng(WIDTH, HEIGHT, frames, hidden=hidden)


@pytest.mark.parametrize("seed", range(6))
def test_gifs_look_as_in_other_programs(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(random_gif(seed))
    own = shown(path)
    for others in (by_ffmpeg(path), by_opencv(path)):
        assert len(own) == len(others) == 9
        assert all(np.array_equal(visible(a), visible(b)) for a, b in zip(own, others, strict=True))


@pytest.mark.parametrize("seed", range(6))
def test_apngs_look_as_in_other_programs(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "a.apng"
    path.write_bytes(random_apng(seed))
    own = shown(path)
    for others in (by_ffmpeg(path), by_opencv(path)):
        assert len(own) == len(others) == 9
        # What is mixed once more is rounded once more.
        assert all(np.abs(visible(a) - visible(b)).max() <= 3 for a, b in zip(own, others, strict=True))


@pytest.mark.parametrize("lossless", [True, False])
def test_webps_look_as_in_pillow(tmp_path: Path, lossless: bool) -> None:
    from PIL import Image

    path = tmp_path / "a.webp"
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    pictures = []
    for n in range(8):
        picture = np.full((HEIGHT, WIDTH, 4), (90, 160, 40, 255), np.uint8)
        distance = np.hypot(x - 9 - 2 * n, y - 12)
        picture[distance < 7] = (250, 30 * n, 20, 255)
        picture[..., 3] = np.clip((16 - distance) * 40, 0, 255)
        pictures.append(Image.fromarray(picture))
    times = [40, 33, 0, 1000, 5, 40, 40, 70]
    more = {"lossless": lossless, "loop": 3, "allow_mixed": not lossless, "minimize_size": True}
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=times, **more)
    own, others, animation = shown(path), by_pillow(path), load(path)
    assert len(own) == len(others) == 8
    assert all(np.abs(visible(a) - visible(b)).max() <= 2 for a, b in zip(own, others, strict=True))
    assert animation.plays == 3
    assert [part.duration * 1000 for part in animation.parts] == [time or 100 for time in times]
    assert {(part.width, part.height) for part in animation.parts} != {(WIDTH, HEIGHT)}  # some are a part


@pytest.mark.parametrize("make", [random_gif, random_apng])
def test_frames_in_any_order_are_those_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[int], bytes]
) -> None:
    path = tmp_path / "a"
    path.write_bytes(make(3))
    wanted = [np.array(picture) for picture in shown(path)]
    monkeypatch.setattr(canvas_module, "_KEPT_BYTES", 3 * WIDTH * HEIGHT * 4)  # three of nine
    canvas = Canvas(load(path))
    for number in random.Random(1).choices(range(9), k=60):
        assert np.array_equal(canvas.frame(number), wanted[number])


def test_what_is_opaque_has_no_alpha(tmp_path: Path) -> None:
    picture = np.full((HEIGHT, WIDTH), 9)
    small = Shape(np.full((4, 4), 3), 2, 2, transparent=3)
    opaque = [
        [Shape(picture), small],
        [Shape(picture), Shape(np.full((4, 4), 5), dispose=3), Shape(picture)],
        [Shape(picture, transparent=3, dispose=2), Shape(picture)],
    ]
    transparent = [
        [Shape(picture[:-1]), Shape(picture)],
        [Shape(picture, dispose=2), small],
        [Shape(picture), Shape(np.full((4, 4), 5), dispose=2), small],
        [Shape(picture, dispose=3), small],
    ]
    for number, frames in enumerate([*opaque, *transparent]):
        path = tmp_path / f"{number}.gif"
        path.write_bytes(gif(WIDTH, HEIGHT, frames, palette=PALETTE))
        assert ("_Alpha" in open_moving(path).clip.get_frame(1).props) == (number >= len(opaque)), number


TWO = [Shape(np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) % 256), Shape(np.full((5, 5), 7), 3, 3, delay=7)]


@pytest.mark.parametrize(
    ("change", "notes"),
    [
        (lambda data: data + b"garbage" * 50, ()),
        (lambda data: data[:-1], ("the GIF has no mark at its end: frames may be missing",)),
        (lambda data: data[:-1] + b"\x99\x98", ("the GIF has no mark at its end: frames may be missing",)),
        (lambda data: data[:-1] + b"\0\0;", ()),
        (lambda data: data.replace(b"GIF89a", b"GIF87a"), ()),
        (lambda data: data[:-1] + b"!\xfe\x05hello\0!\x01\x03abc\0;", ()),
        (lambda data: data[:6] + b"\0\0\0\0" + data[10:], ()),
    ],
    ids=["garbage", "no end", "nonsense", "zeros", "87a", "comments", "no size"],
)
def test_odd_gifs(tmp_path: Path, change: Callable[[bytes], bytes], notes: tuple[str, ...]) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(gif(WIDTH, HEIGHT, TWO, palette=PALETTE))
    wanted = shown(path)
    path.write_bytes(change(path.read_bytes()))
    assert all(np.array_equal(a, b) for a, b in zip(shown(path), wanted, strict=True))
    assert load(path).notes == notes


def test_frames_beyond_the_canvas_are_cut_but_the_first_enlarges_it(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(gif(10, 10, [Shape(np.full((12, 14), 9)), Shape(np.full((30, 30), 5), 7, 3)], palette=PALETTE))
    first, second = shown(path)
    assert first.shape == second.shape == (12, 14, 4)
    assert (second[3:, 7:] == second[3, 7]).all()
    assert (second[:3] == first[:3]).all()


@pytest.mark.parametrize(("loop", "plays"), [(None, 1), (0, 0), (1, 2), (300, 301)])
def test_times_of_gifs(tmp_path: Path, loop: int | None, plays: int) -> None:
    path = tmp_path / "a.gif"
    frames = [Shape(np.full((HEIGHT, WIDTH), n), delay=delay) for n, delay in enumerate((0, 1, 2, 3, 9))]
    path.write_bytes(gif(WIDTH, HEIGHT, frames, palette=PALETTE, loop=loop))
    animation = load(path)
    assert [part.duration * 100 for part in animation.parts] == [10, 10, 2, 3, 9]
    assert animation.plays == plays
    assert animation.notes == ("frames of 0 or 1 hundredths of a second, 2, last 10, as browsers show them",)


def test_a_hold_becomes_two_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    delays = (5, 5, 20, 5, 21, 5, 300)
    frames = [Shape(np.full((HEIGHT, WIDTH), n), delay=delay) for n, delay in enumerate(delays)]
    path.write_bytes(gif(WIDTH, HEIGHT, frames, palette=PALETTE))
    moving = open_moving(path)
    edges = [*moving.times.starts, moving.times.end]
    lasting = [(b - a) * 100 for a, b in pairwise(edges)]
    assert lasting == [5, 5, 20, 5, 16, 5, 5, 295, 5]
    assert moving.notes == ("frames shown for more than 4 times as long as most stay still until their last step: 2",)
    red = [int(np.asarray(frame[0])[0, 0]) for frame in moving.clip.frames()]
    assert red == [PALETTE[3 * n] for n in (0, 1, 2, 3, 4, 4, 5, 6, 6)]
    assert moving.times.end == Fraction(sum(delays), 100)


@pytest.mark.parametrize("make", [random_gif, random_apng])
def test_files_that_are_cut_off_are_refused(tmp_path: Path, make: Callable[[int], bytes]) -> None:
    path, data = tmp_path / "a", make(1)
    for size in range(len(data) // 20, len(data) - 13, len(data) // 23):
        path.write_bytes(data[:size])
        try:
            found = open_moving(path)
        except ConvertError as error:
            assert "is damaged or incomplete: " in str(error)
        else:  # between two frames
            assert found.notes == ("the GIF has no mark at its end: frames may be missing",)
            assert found.clip.num_frames < 9


def apng_with(change: Callable[[bytes], bytes]) -> bytes:
    return change(random_apng(1))


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (gif(65_535, 65_535, TWO, palette=PALETTE), "a frame of it, is 65535x65535 pixels large"),
        (gif(WIDTH, HEIGHT, [], palette=PALETTE), "it has no picture"),
        (gif(WIDTH, HEIGHT, [Shape(np.full((4, 4), 1))])[:31] + b"\2\1\xff\0;", "frame 0: it cannot be decoded"),
        (apng_with(lambda data: data.replace(b"fdAT", b"fdAX", 1)), "a chunk of kind fdAX is not as it was written"),
        (
            apng_with(lambda data: data[:33] + chunk(b"acTL", b"\0\0\0\x0b\0\0\0\0") + data[53:]),
            "has 11 frames, and has 9",
        ),
        (b"RIFF\xff\xff\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x09\0\0\x09\0\0", "it ends too early"),
        (b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x09\0\0\x09\0\0", "it has no frame"),
    ],
    ids=["huge", "empty", "codes", "checksum", "count", "size", "nothing"],
)
def test_damaged_files(tmp_path: Path, data: bytes, wanted: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    assert form_of(path) is not None
    with pytest.raises(ConvertError, match=f"a is damaged or incomplete: .*{wanted}"):
        open_moving(path)


def test_still_images_are_no_moving_ones(tmp_path: Path) -> None:
    from tests.image_files import picture, write

    for name in ("a.png", "a.webp", "a.jpg"):
        assert form_of(write(tmp_path / name, picture(0))) is None
    assert form_of(tmp_path / "none.gif") is None
