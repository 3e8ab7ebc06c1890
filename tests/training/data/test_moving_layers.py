"""training.data.moving_layers"""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.pictures import picture
from training.data.moving_layers import Layer, Motion, flow_of, motions, render

BOX = (0, 0, 64, 48)


def disc(side: int) -> NDArray[np.uint8]:
    """An opaque disc of one colour on nothing."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside = np.hypot(x, y) < side / 2 - 2
    return np.dstack((np.full((side, side, 3), 255, np.uint8), inside.astype(np.uint8) * 255))


def still(x: float, y: float, dx: float = 0.0, dy: float = 0.0) -> Motion:
    """Moves and does nothing else."""
    return Motion(x=x, y=y, dx=dx, dy=dy, angle=0.0, turn=0.0, scale=1.0, growth=0.0)


def test_a_layer_in_its_place_is_its_texture() -> None:
    texture = picture(48, 64)
    view = render([Layer(texture, still(31.5, 23.5))], 0.5, BOX)
    assert np.array_equal(view.frame, texture)
    assert not view.owner.any()
    assert view.clear.all()


def test_what_moves_by_whole_pixels_moves_exactly() -> None:
    layers = [Layer(picture(96, 96), still(31.5, 23.5, 6, -4))]
    first, last = render(layers, 0, BOX).frame, render(layers, 1, BOX).frame
    assert np.array_equal(last[:-4, 6:], first[4:, :-6])
    flow = flow_of(np.zeros((48, 64), np.uint8), motions(layers, 0, 1))
    np.testing.assert_allclose(flow, np.broadcast_to([6, -4], (48, 64, 2)), atol=1e-5)


def test_a_part_of_the_picture_is_rendered_as_in_the_whole() -> None:
    layers = [
        Layer(picture(96, 96), Motion(x=30, y=20, dx=3, dy=2, angle=0.1, turn=0.05, scale=1.1, growth=0.1)),
        Layer(disc(20), Motion(x=32, y=24, dx=-5, dy=3, angle=1.0, turn=0.1, scale=0.9, growth=0.0)),
    ]
    whole, part = render(layers, 0.3, BOX), render(layers, 0.3, (10, 6, 50, 40))
    # OpenCV finds places of a row by adding up in float32.
    np.testing.assert_allclose(part.frame, whole.frame[6:40, 10:50], atol=2)
    assert np.mean(part.owner == whole.owner[6:40, 10:50]) > 0.99


def test_the_layer_in_front_owns_its_pixels_and_edges_are_not_clear() -> None:
    layers = [Layer(picture(96, 96), still(31.5, 23.5)), Layer(disc(21), still(30.25, 20.0))]
    view = render(layers, 0, BOX)
    assert view.owner[20, 30] == 1
    assert view.owner[40, 50] == 0
    assert view.frame[20, 30].tolist() == [255, 255, 255]
    assert abs(int(view.owner.sum()) - np.pi * 8.5**2) < 15
    mixed = np.argwhere(view.clear == 0)
    assert len(mixed) > 20
    assert np.all(np.abs(np.hypot(*(mixed - (20.0, 30.25)).T) - 8.5) < 1.5)


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.25)])
def test_motions_lead_points_where_the_layer_takes_them(start: float, end: float) -> None:
    motion = Motion(x=30, y=20, dx=8, dy=-5, angle=0.3, turn=0.2, scale=1.1, growth=0.15)
    point = np.array([7.0, -3.0, 1.0])
    (before, after) = ((motion.matrix(time) @ point)[:2] for time in (start, end))
    move = motions([Layer(picture(8, 8), motion)], start, end)[0] @ [*before, 1]
    np.testing.assert_allclose(before + move, after, atol=1e-4)


def test_flow_of_a_part_is_a_part_of_the_flow() -> None:
    layers = [
        Layer(picture(8, 8), Motion(x=30, y=20, dx=8, dy=-5, angle=0.3, turn=0.2, scale=1.1, growth=0.15)),
        Layer(disc(20), still(1, 2, 3, 4)),
    ]
    owner = (np.random.default_rng(0).random((48, 64)) > 0.5).astype(np.uint8)
    moves = motions(layers, 0, 1)
    np.testing.assert_allclose(flow_of(owner[5:30, 9:40], moves, 9, 5), flow_of(owner, moves)[5:30, 9:40], atol=1e-5)
    np.testing.assert_allclose(flow_of(owner, moves)[owner == 1], [[3, 4]] * int(owner.sum()), atol=1e-5)


def test_a_curved_path_goes_through_its_places() -> None:
    motion = Motion(x=30, y=20, dx=12, dy=-4, angle=0, turn=0, scale=1, growth=0, arc_x=2, arc_y=6)
    first, half, last = (motion.matrix(time)[:2, 2] for time in (0, 0.5, 1))
    assert first.tolist() == [22, 16] and half.tolist() == [30, 20] and last.tolist() == [34, 12]
    np.testing.assert_allclose(half - (first + last) / 2, [2, 6])
    quarter = motion.matrix(0.25)[:2, 2]
    np.testing.assert_allclose(quarter, first + (last - first) / 4 + np.array([2, 6]) * 3 / 4)


@pytest.mark.parametrize("time", [0.0, 0.3, 1.0])
def test_a_joint_stays_where_its_carrier_has_it(time: float) -> None:
    upper = Motion(x=30, y=20, dx=8, dy=-5, angle=0.3, turn=0.9, scale=1.1, growth=0.1, arc_y=3)
    lower = Motion(x=25, y=0, dx=0, dy=0, angle=1.0, turn=-0.5, scale=0.8, growth=0, on=upper)
    np.testing.assert_allclose(lower.matrix(time)[:, 2], upper.matrix(time) @ [25, 0, 1])
    angles = np.arctan2(lower.matrix(time)[1, 0], lower.matrix(time)[0, 0])
    assert angles == pytest.approx(0.3 + 1.0 + 0.4 * (time - 0.5))


def test_an_open_shutter_smears_along_the_way_and_the_smear_is_not_clear() -> None:
    layers = [Layer(np.zeros((96, 96, 3), np.uint8), still(31.5, 23.5)), Layer(disc(21), still(32, 24, 40, 0), 0.2)]
    sharp, smeared = render([layers[0], Layer(disc(21), layers[1].motion)], 0.5, BOX), render(layers, 0.5, BOX)
    np.testing.assert_allclose(smeared.frame.sum(), sharp.frame.sum(), rtol=0.02)
    row = smeared.frame[24, :, 0]
    assert row[32] == 255 and row[:19].max() == 0 and row[45:].max() == 0
    assert np.all(np.diff(row[19:32]) >= 0) and 100 < row[24] < 155  # a ramp of 8 pixels, about the sharp edge
    assert not smeared.clear[24, 22:27].any() and smeared.clear[24, 29:35].all()
    assert abs(int(smeared.owner.sum()) - int(sharp.owner.sum())) < 20
    np.testing.assert_allclose(smeared.frame[23:26, 30:34], 255)
    assert np.array_equal(render([layers[0], Layer(disc(21), still(32, 24), 0.2)], 0.5, BOX).frame, sharp.frame)
