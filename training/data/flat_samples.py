"""Samples of flat animation, of small fast things and of limbs, whose flow is exact."""

import math

import numpy as np
from numpy.typing import NDArray

from . import flat_art
from .flat_art import Palette, Shape, painted, shape_of
from .moving_layers import Layer, Motion
from .pair_flow import Picture
from .synthetic_samples import LayeredSource, blob, texture

_FLAT = 6
"""Purpose in the seed: keeps the random numbers of this source apart from those of others."""
_SPEEDS = (4.0, 10.0, 20.0, 32.0)
"""Pixels that things move in a scene, about."""
_SMALL, _FAST = (6, 30), (20, 80)
"""Pixels across small fast things, and that they move from frame to frame."""
_BORDER = 48
"""Pixels by which the ground is larger than the picture, on each side."""
_SHAPES = (
    flat_art.polygon,
    flat_art.smooth,
    flat_art.smooth,
    flat_art.ring,
    flat_art.holed,
    flat_art.text,
    flat_art.strokes,
)
_KINDS = ("shapes", "figure", "balls", "holes", "dark")
_SHARES = (0.3, 0.2, 0.25, 0.15, 0.1)
_PHOTOGRAPHED = {"shapes": 0.2, "figure": 0.4, "balls": 0.6, "holes": 0.6, "dark": 1.0}
"""Share of scenes of a kind that are before a photo, where there are photos."""


class FlatSource(LayeredSource):
    """Samples of drawings that move, and of small and large things that move fast; see :class:`LayeredSource`.

    Photos are not needed; where there are some, they are the ground of scenes of every kind, and some of the small
    things are cut out of them.
    """

    purpose = _FLAT
    filmed = 0.4

    def layers(self, rng: np.random.Generator, side: int) -> list[Layer]:
        """Return a ground and up to four things before it."""
        kind = str(rng.choice(_KINDS, p=_SHARES))
        colours = flat_art.palette(rng)
        speed = float(rng.choice(_SPEEDS))
        back, drift = self._ground(kind, side, colours, speed, rng)
        match kind:
            case "balls":
                things = [self._small(side, colours, rng) for _ in range(rng.integers(2, 5))]
            case "figure":
                things = _figure(side, colours, speed, rng)
            case "holes":
                front = _thing(flat_art.lattice, rng.uniform(0.5, 1.2), side, colours, drift, speed, rng)
                behind = (flat_art.smooth, flat_art.polygon, flat_art.ball, flat_art.text)
                count = rng.integers(1, 3)
                things = [_thing(shape_of(behind, rng), 0, side, colours, drift, speed, rng) for _ in range(count)]
                things.append(front)
            case "dark":
                colours = colours * np.float32(rng.uniform(0.03, 0.25))
                shapes, count = (flat_art.smooth, flat_art.polygon, flat_art.limb), rng.integers(1, 4)
                things = [
                    _thing(shape_of(shapes, rng), 0, side, colours, drift, speed, rng, plain=True) for _ in range(count)
                ]
            case _:
                count = rng.integers(2, 5)
                things = [_thing(shape_of(_SHAPES, rng), 0, side, colours, drift, speed, rng) for _ in range(count)]
        return [back, *things]

    def _ground(
        self, kind: str, side: int, colours: Palette, speed: float, rng: np.random.Generator
    ) -> tuple[Layer, NDArray[np.float64]]:
        """Return what is at the back, and how many pixels it moves, (dx, dy); it rests where that could not be seen."""
        picture: Picture
        if len(self.photos) and rng.random() < _PHOTOGRAPHED[kind]:
            picture, visible = texture(self.photo(rng), side + 2 * _BORDER, rng), True
        else:
            picture, visible = flat_art.ground(side + 2 * _BORDER, colours, rng)
        drift = rng.normal(0, speed / 3, 2) if visible and rng.random() < 0.5 else np.zeros(2)
        return Layer(picture, _path(rng, (side / 2, side / 2), drift)), drift

    def _small(self, side: int, colours: Palette, rng: np.random.Generator) -> Layer:
        """Return a small thing that moves fast: a ball, another shape, or a piece of a photo."""
        size = float(rng.uniform(*_SMALL))
        length, angle = rng.uniform(*_FAST), rng.uniform(0, 2 * math.pi)
        kind = rng.random()
        if len(self.photos) and kind < 0.25:
            piece = texture(self.photo(rng), math.ceil(2 * size), rng)
            drawn = np.dstack((piece, blob(piece.shape[0], piece.shape[1], rng)))
        else:
            shape = flat_art.ball if kind < 0.75 else shape_of((flat_art.polygon, flat_art.smooth), rng)
            outline = 2.0 * (rng.random() < 0.3)
            drawn = painted(shape, math.ceil(2 * size), colours, rng, outline=outline, plain=rng.random() < 0.5)
        place = rng.uniform(0.2, 0.8, 2) * side
        move = length * np.array((math.cos(angle), math.sin(angle)))
        turn = rng.normal(0, 0.2)
        motion = _path(rng, (place[0], place[1]), move, bend=0.08, angle=math.pi, turn=turn, scale=0.5)
        # So that more than half of it is there in the middle of its streak.
        return Layer(drawn, motion, shutter=rng.uniform(0, 0.4) * size / length if rng.random() < 0.6 else 0.0)


def _thing(
    shape: Shape,
    size: float,
    side: int,
    colours: Palette,
    drift: NDArray[np.float64],
    speed: float,
    rng: np.random.Generator,
    *,
    plain: bool = False,
) -> Layer:
    """Return a drawn thing that moves with the ground and against it; its size is a share of the side, 0 for any."""
    pixels = math.ceil(side * (size or rng.uniform(0.15, 0.7)))
    outlined = rng.random() < 0.5 and not plain
    drawn = painted(shape, pixels, colours, rng, outline=outlined * rng.uniform(1, 5), plain=plain)
    place, move = rng.uniform(0.15, 0.85, 2) * side, drift + rng.normal(0, speed / 1.4, 2)
    upright = shape in (flat_art.text, flat_art.lattice)
    if shape is flat_art.text and rng.random() < 0.4:
        move = np.zeros(2)  # a title
    unsteady = 0.014 * speed**0.5 * bool(move.any())
    motion = _path(
        rng,
        (place[0], place[1]),
        move,
        bend=0.1,
        angle=0.1 if upright else math.pi,
        turn=rng.normal(0, unsteady),
        growth=rng.normal(0, unsteady),
    )
    return Layer(drawn, motion, shutter=rng.uniform(0.1, 0.5) if rng.random() < 0.25 else 0.0)


def _figure(side: int, colours: Palette, speed: float, rng: np.random.Generator) -> list[Layer]:
    """Return a body, and a limb of two parts with a joint between them; a limb may also be alone, and large."""
    outline = rng.uniform(1.5, 4) if rng.random() < 0.5 else 0.0
    body_side, length = math.ceil(side * rng.uniform(0.25, 0.5)), math.ceil(side * rng.uniform(0.4, 1.1))
    body = painted(shape_of((flat_art.smooth, flat_art.polygon), rng), body_side, colours, rng, outline=outline)
    place = rng.uniform(0.25, 0.75, 2) * side
    carried = _path(
        rng, (place[0], place[1]), rng.normal(0, speed / 1.4, 2), bend=0.1, angle=0.4, turn=rng.normal(0, 0.05)
    )
    shutter = rng.uniform(0.1, 0.5) if rng.random() < 0.6 else 0.0
    plain, swing = rng.random() < 0.5, rng.uniform(0.1, 0.6)
    layers = [] if rng.random() < 0.3 else [Layer(body, carried, shutter)]
    for _ in range(1 if layers else rng.integers(1, 3)):
        spot = rng.normal(0, 0.12, 2) * body_side
        upper = _path(rng, (spot[0], spot[1]), angle=math.pi, turn=rng.normal(0, swing), on=carried)
        elbow = (0.4 * length, 0.0)
        lower = _path(rng, elbow, angle=1.2, turn=rng.normal(0, swing), scale=rng.uniform(0.7, 1), on=upper)
        for motion in (upper, lower):
            drawn = painted(flat_art.limb, length, colours, rng, outline=outline, plain=plain)
            layers.append(Layer(drawn, motion, shutter))
    return layers


def _path(
    rng: np.random.Generator,
    place: tuple[float, float],
    move: NDArray[np.float64] | None = None,
    *,
    bend: float = 0.0,
    angle: float = 0.0,
    turn: float = 0.0,
    growth: float = 0.0,
    scale: float = 1.0,
    on: Motion | None = None,
) -> Motion:
    """Return a motion through a place.

    Args:
        rng: Source of random numbers.
        place: At time 1/2.
        move: Pixels from time 0 to 1; None for none.
        bend: Usual height of the arc that it follows, as a share of the way.
        angle: Largest angle.
        turn: See :class:`Motion`; ``growth``, ``scale`` and ``on`` likewise.
        growth: See there.
        scale: See there.
        on: See there.
    """
    way = np.zeros(2) if move is None else move
    arc = rng.normal(0, bend, 2) * np.linalg.norm(way)
    return Motion(
        x=place[0],
        y=place[1],
        dx=float(way[0]),
        dy=float(way[1]),
        angle=float(rng.uniform(-angle, angle)),
        turn=turn,
        scale=scale,
        growth=growth,
        arc_x=float(arc[0]),
        arc_y=float(arc[1]),
        on=on,
    )
