"""vsrrin.flow.whole_objects: sprites over grounds at rest and over grounds that move."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.flow.test_block_matching import scene
from vsrrin.flow.dis import DisFlow
from vsrrin.flow.whole_objects import with_whole_objects

HEIGHT, WIDTH = 180, 320


def sprite(seed: int = 0, size: int = 18) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A disc with coarse pixels in it, as of an old game."""
    random = np.random.default_rng(seed)
    cells = random.integers(120, 255, (size // 3, size // 3), np.uint8)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return cells.repeat(3, 0).repeat(3, 1), np.hypot(y, x) < size / 2


def placed(ground: NDArray[np.uint8], *places: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    """The ground with sprites whose upper left corners are at (x, y)."""
    picture = ground.copy()
    for k, (x, y) in enumerate(places):
        looks, inside = sprite(seed + k)
        picture[y : y + len(looks), x : x + len(looks)][inside] = looks[inside]
    return picture


def dim(shift: tuple[int, int] = (0, 0)) -> NDArray[np.uint8]:
    return (scene(HEIGHT, WIDTH, shift) // 3).astype(np.uint8)


def nothing() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.zeros((HEIGHT, WIDTH, 2), np.float32), np.zeros((HEIGHT, WIDTH, 2), np.float32)


def of_a_sprite(flow: NDArray[np.float32], x: int, y: int) -> NDArray[np.float32]:
    _, inside = sprite()
    return flow[y : y + len(inside), x : x + len(inside)][inside]


@pytest.mark.parametrize("motion", [(40, 0), (-30, 25), (0, 60), (100, -30)])
def test_a_sprite_that_has_left_its_place(motion: tuple[int, int]) -> None:
    start = 150, 70
    end = start[0] + motion[0], start[1] + motion[1]
    ground = dim()
    forth, back = with_whole_objects(placed(ground, start), placed(ground, end), *nothing())
    np.testing.assert_array_equal(of_a_sprite(forth, *start), np.full((1, 2), motion).repeat(sprite()[1].sum(), 0))
    np.testing.assert_array_equal(of_a_sprite(back, *end), -of_a_sprite(forth, *start))
    # Nothing else moves, not even the ground that the other frame has hidden.
    moving = [np.argwhere(flow.any(-1)) for flow in (forth, back)]
    for at, (x, y) in zip(moving, (start, end), strict=True):
        assert (at.min(0) >= (y - 4, x - 4)).all() and (at.max(0) < (y + 22, x + 22)).all()


def test_over_a_ground_that_moves_as_one() -> None:
    """The motion is that of the frames; hidden ground goes with the ground."""
    frames = placed(dim(), (60, 90)), placed(dim((6, -2)), (120, 60))
    forth, back = nothing()
    forth[:], back[:] = (6, -2), (-6, 2)
    new_forth, new_back = with_whole_objects(*frames, forth, back)
    np.testing.assert_allclose(of_a_sprite(new_forth, 60, 90), [(60, -30)] * int(sprite()[1].sum()), atol=0.5)
    np.testing.assert_allclose(of_a_sprite(new_back, 120, 60), [(-60, 30)] * int(sprite()[1].sum()), atol=0.5)
    assert np.abs(of_a_sprite(new_forth, 114, 62) - (6, -2)).max() < 0.1
    assert np.abs(of_a_sprite(new_back, 66, 88) - (-6, 2)).max() < 0.1


def test_of_several_that_look_alike_the_nearest_is_the_same() -> None:
    ground = dim()
    starts, ends = [(40, 120), (200, 110)], [(40, 60), (200, 50)]
    looks = [placed(placed(ground, first), second) for first, second in (starts, ends)]
    forth, _ = with_whole_objects(*looks, *nothing())
    for start in starts:
        np.testing.assert_array_equal(of_a_sprite(forth, *start)[0], (0, -60))


def test_what_flow_has_found_already_is_left_alone() -> None:
    frames = placed(dim(), (60, 90)), placed(dim(), (120, 60))
    forth, back = nothing()
    forth[85:115, 55:85], back[55:85, 115:145] = (60.25, -30), (-60.25, 30)
    for found, known in zip(with_whole_objects(*frames, forth, back), (forth, back), strict=True):
        np.testing.assert_array_equal(found, known)


@pytest.mark.parametrize(
    "frames",
    [
        (dim(), dim()),
        (dim(), scene(HEIGHT, WIDTH, seed=9)),  # a cut
        (dim(), placed(dim(), (50, 50))),  # comes from nowhere
        (placed(dim(), (50, 50)), cv2.rectangle(dim(), (120, 50), (124, 110), 250, -1)),  # goes, and another one comes
        (placed(dim(), (50, 50)), placed(dim(), (53, 50))),  # moves by less than its width
    ],
)
def test_where_there_is_none_flow_stays(frames: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    forth, back = nothing()
    for found in with_whole_objects(*frames, forth, back):
        assert not found.any()


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (16, 16)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    grey0, grey1 = (random.integers(0, 255, size, np.uint8) for _ in range(2))
    flow = np.zeros((*size, 2), np.float32)
    for found in with_whole_objects(grey0, grey1, flow, flow):
        assert found.shape == flow.shape


def test_at_the_sides_of_the_picture() -> None:
    ground = dim()
    start, end = (0, HEIGHT - 18), (WIDTH - 18 - 220, 0)
    forth, _ = with_whole_objects(placed(ground, start), placed(ground, end), *nothing())
    assert not forth.any(), "too far to be the same"
    forth, back = with_whole_objects(placed(ground, start), placed(ground, (60, 162)), *nothing())
    np.testing.assert_array_equal(of_a_sprite(forth, *start)[0], (60, 0))
    np.testing.assert_array_equal(of_a_sprite(back, 60, 162)[0], (-60, 0))


@pytest.mark.parametrize("preset", ["fast", "fine"])
def test_dis_finds_a_noisy_one(preset) -> None:
    """As after lossy compression: noise in both frames, soft edges."""
    random = np.random.default_rng(3)
    frames = []
    for place in ((60, 90), (130, 60)):
        picture = cv2.GaussianBlur(placed(dim(), place), (3, 3), 0.7).astype(np.float32)
        frames.append(np.clip(picture + random.normal(0, 2, picture.shape), 0, 255).astype(np.float32) / 255)
    forth, back = DisFlow(preset)(*frames)
    assert np.abs(of_a_sprite(forth, 60, 90) - (70, -30)).max() <= 1
    assert np.abs(of_a_sprite(back, 130, 60) - (-70, 30)).max() <= 1
    assert np.abs(forth[:, 200:]).max() < 2
