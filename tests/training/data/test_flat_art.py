"""training.data.flat_art"""

import numpy as np
import pytest

from training.data import flat_art
from training.data.flat_art import Shape, ground, painted, palette

SHAPES = [
    flat_art.polygon,
    flat_art.smooth,
    flat_art.ball,
    flat_art.limb,
    flat_art.ring,
    flat_art.lattice,
    flat_art.holed,
    flat_art.text,
    flat_art.strokes,
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("side", [12, 61, 200])
def test_shapes_lie_inside_their_square_and_have_smooth_edges(shape: Shape, side: int) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        drawn = painted(shape, side, palette(rng), rng, outline=2.0 * (seed % 2))
        assert drawn.shape == (side, side, 4) and drawn.dtype == np.uint8
        opacity = drawn[..., 3]
        assert not opacity[0].any() and not opacity[-1].any() and not opacity[:, 0].any() and not opacity[:, -1].any()
        assert opacity.max() > 50
        assert side < 61 or (opacity.max() == 255 and ((opacity > 0) & (opacity < 255)).any())


def test_an_outline_has_its_colour_and_width() -> None:
    colours = np.array([[9, 9, 9]] + [[200, 100, 50]] * 4 + [[0, 0, 255]], np.float32)
    drawn = painted(flat_art.ball, 100, colours, np.random.default_rng(1), outline=6, plain=True)
    row = drawn[50]
    left = int(np.argmax(row[:, 3] > 127))
    assert row[left + 1 : left + 5, :3].tolist() == [[0, 0, 255]] * 4
    assert row[left + 8 : 50, :3].tolist() == [[200, 100, 50]] * (42 - left)


def test_rings_and_fences_can_be_looked_through() -> None:
    for seed in range(6):
        assert flat_art.ring(90, np.random.default_rng(seed))[45, 45] == 0
        bars = flat_art.lattice(90, np.random.default_rng(seed))
        assert 0.15 < (bars[10:80, 10:80] > 0).mean() < 0.95


def test_a_limb_has_its_joint_in_the_middle() -> None:
    for seed in range(4):
        drawn = flat_art.limb(200, np.random.default_rng(seed))
        assert drawn[100, 100] == drawn[100, 180] == 255
        assert not drawn[:, :75].any()


def test_a_ground_without_anything_on_it_is_said_to_be_one() -> None:
    seen = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        picture, visible = ground(80, palette(rng), rng)
        assert picture.shape == (80, 80, 3) and picture.dtype == np.uint8
        seen.add(visible)
    assert seen == {True, False}
