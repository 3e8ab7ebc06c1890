"""vsrrin.clip.damage_score: which frames are damaged, and which only look as if they were?"""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from tests.conftest import texture
from vsrrin.clip.damage_score import Found, Picture, Window, change, find, picture, sight

HEIGHT, WIDTH, FRAMES = 135, 240, 24
GREEN, GREY, BLACK, WHITE = (-16 / 219, -4 / 7, -4 / 7), (0.511, 0, 0), (0, 0, 0), (1, 0, 0)


@pytest.fixture(scope="module")
def pan() -> list[Picture]:
    """A picture of colours that moves by two pixels a frame."""
    return [moved(2.0 * n) for n in range(FRAMES)]


def moved(by: float, seed: int = 1) -> Picture:
    return picture(texture(HEIGHT, WIDTH, (by, by / 2), seed)[0].numpy(), is_rgb=True)


def level(colour: tuple[float, float, float]) -> Picture:
    return np.broadcast_to(np.array(colour, np.float32)[:, None, None], (3, HEIGHT, WIDTH)).copy()


def found(pictures: list[Picture], n: int) -> Found | None:
    near = range(max(n - 8, 0), min(n + 9, len(pictures)))
    changes = {k: change(pictures[k - 1], pictures[k]) for k in near if k}
    return find(Window({k: pictures[k] for k in near}, {k: sight(pictures[k]) for k in near}, changes), n)


def reported(pictures: list[Picture]) -> dict[int, str]:
    return {n: run.kind for n in range(len(pictures)) if (run := found(pictures, n))}


def replaced(pictures: list[Picture], first: int, *others: Picture) -> list[Picture]:
    return [*pictures[:first], *others, *pictures[first + len(others) :]]


def patched(first: Picture, second: Picture, rows: slice, columns: slice = slice(None)) -> Picture:
    made = first.copy()
    made[:, rows, columns] = second[:, rows, columns]
    return made


def lit(yuv: Picture, gain: float) -> Picture:
    return np.asarray(np.clip(yuv * np.float32(gain), -1, 1), np.float32)


def test_whole_frames_are_healthy(pan: list[Picture]) -> None:
    assert reported(pan) == {}


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("black", lambda p: [level(BLACK)]),
        ("black", lambda p: [level(BLACK)] * 4),
        ("flash", lambda p: [level(WHITE)]),
        ("flash", lambda p: [lit(p[10], 1.5)]),
        ("green", lambda p: [level(GREEN)] * 3),
        ("green", lambda p: [patched(p[10], level(GREEN), slice(100, 120))]),
        ("green", lambda p: [patched(p[10], level(GREY), slice(30, 60), slice(40, 120))]),
        ("torn", lambda p: [patched(p[10], p[9], slice(70, None))]),
        ("torn", lambda p: [patched(p[10], p[11], slice(50))]),
        ("torn", lambda p: [patched(p[10], moved(0, seed=5), slice(60, None))]),
        ("frozen", lambda p: [p[9]]),
        ("frozen", lambda p: [p[9], p[9]]),
    ],
)
def test_damage_is_found_as_far_as_it_goes(
    pan: list[Picture], kind: str, make: Callable[[list[Picture]], list[Picture]]
) -> None:
    made = make(pan)
    spoilt = replaced(pan, 10, *made)
    assert reported(spoilt) == dict.fromkeys(range(10, 10 + len(made)), kind)
    assert found(spoilt, 10) == Found(kind, 10, 9 + len(made))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda p: [*p[:10], level(BLACK), *(moved(n, seed=5) for n in range(10))],
        lambda p: [*p[:10], level(WHITE), *(moved(n, seed=5) for n in range(10))],
        lambda p: replaced(p, 8, *[level(BLACK)] * 5),
        lambda p: [level(BLACK) if n % 6 == 0 else each for n, each in enumerate(p)],
        lambda p: [lit(each, 1.5 if n % 4 == 0 else 1) for n, each in enumerate(p)],
        lambda p: [lit(each, {10: 1.6, 11: 1.2}.get(n, 1)) for n, each in enumerate(p)],
        lambda p: [lit(each, 0.4 if n == 10 else 1) for n, each in enumerate(p)],
        lambda p: [each * min(abs(n - 12) / 6, 1) for n, each in enumerate(p)],
        lambda p: [(level((1, 0, 0)) * (1 - n / 23) + level(BLACK) * n / 23) for n in range(24)],
        lambda p: [*p[:11], *p[10:]],
        lambda p: [p[n // 2] for n in range(FRAMES)],
        lambda p: [p[n - n // 5] for n in range(FRAMES)],
        lambda p: [p[min(n, 12)] for n in range(FRAMES)],
        lambda p: [p[0]] * FRAMES,
    ],
    ids=[
        "black at a cut",
        "white at a cut",
        "black for long",
        "black strobe",
        "bright strobe",
        "light that fades",
        "a dark frame",
        "black in a fade",
        "fade of white",
        "repeat without a jump",
        "on twos",
        "every fifth frame twice",
        "freeze",
        "still",
    ],
)
def test_what_is_meant_stays(pan: list[Picture], make: Callable[[list[Picture]], list[Picture]]) -> None:
    assert reported(make(pan)) == {}


def test_green_at_a_cut_and_at_the_ends_is_damage_as_no_picture_has_it(pan: list[Picture]) -> None:
    other = [moved(n, seed=5) for n in range(10)]
    assert reported([*pan[:10], level(GREEN), *other]) == {10: "green"}
    assert reported([level(GREEN), *pan[:10], level(GREEN)]) == {0: "green", 11: "green"}


def test_grey_parts_of_pictures_without_colour_are_pictures(pan: list[Picture]) -> None:
    grey = [each * np.array([1, 0, 0], np.float32)[:, None, None] for each in pan]
    assert reported(replaced(grey, 10, patched(grey[10], level(GREY), slice(30, 60), slice(40, 120)))) == {}


@pytest.mark.parametrize("size", [(1, 1), (1, 240), (240, 1), (3, 5), (20, 30)])
def test_tiny_pictures(pan: list[Picture], size: tuple[int, int]) -> None:
    tiny = [np.stack([np.asarray(cv2.resize(plane, size[::-1])).reshape(size) for plane in each]) for each in pan[:12]]
    black = np.zeros((3, *size), np.float32)
    assert reported(replaced(tiny, 6, black)).get(6) in ("black", None)


def test_samples_that_are_no_numbers_are_black_or_white() -> None:
    rgb = np.full((3, 4, 4), np.nan, np.float32)
    rgb[:, 0] = np.inf
    assert np.isfinite(picture(rgb, is_rgb=True)).all()
    assert picture(rgb[:1], is_rgb=False).shape == (3, 4, 4)
