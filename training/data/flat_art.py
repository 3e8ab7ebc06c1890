"""Drawings as in flat animation: shapes with and without outlines, text, thin lines, things with holes, and grounds.

Shapes are drawn three times as large and reduced, so that their edges are as smooth as those of real drawings.
"""

import math
import string
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from .pair_flow import Picture

type Mask = NDArray[np.uint8]
"""(h, w), 0 or 255."""
type Palette = NDArray[np.float32]
"""(colours, 3), 0 to 255: the first is the ground's, the last that of outlines."""
type Shape = Callable[[int, np.random.Generator], Mask]
"""Draws a random shape into a square of the given side; its border stays empty."""

_FINER = 3
"""Pixels drawn for each of the result, in each direction."""
_LETTERS = string.ascii_letters + string.digits + "?!."
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX)


def palette(rng: np.random.Generator) -> Palette:
    """Return six random colours of a scene, pale ones or full ones."""
    hue = rng.uniform(0, 180) + rng.choice((25, 60, 180)) * rng.uniform(-1, 1, 6)
    saturation = rng.uniform(0, 255 if rng.random() < 0.6 else 80, 6)
    value = rng.uniform(60, 255, 6)
    if rng.random() < 0.8:  # else outlines are light or coloured
        saturation[5], value[5] = rng.uniform(0, 120), rng.uniform(0, 60)
    table = np.stack((hue % 180, saturation, value), -1)[None].astype(np.uint8)
    return np.asarray(cv2.cvtColor(table, cv2.COLOR_HSV2RGB)[0], np.float32)


# --- shapes --------------------------------------------------------------------------------------------------------


def polygon(side: int, rng: np.random.Generator) -> Mask:
    """Draw a polygon of three to nine corners, pointed or not."""
    corners = int(rng.integers(3, 10))
    angles = (np.arange(corners) + rng.uniform(-0.35, 0.35, corners)) * (2 * np.pi / corners) + rng.uniform(0, 7)
    radii = rng.uniform(rng.choice((0.3, 0.6, 0.85)), 0.95, corners)
    return _filled(side, angles, radii)


def smooth(side: int, rng: np.random.Generator) -> Mask:
    """Draw a smooth closed curve."""
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    waves = [rng.normal(0, 0.16 / wave) * np.cos(wave * angles + rng.uniform(0, 7)) for wave in (1, 2, 3, 4, 5)]
    return _filled(side, angles, np.clip(0.7 + np.sum(waves, axis=0), 0.2, 0.95))


def ball(side: int, rng: np.random.Generator) -> Mask:
    """Draw a disc."""
    return _filled(side, np.linspace(0, 2 * np.pi, 90, endpoint=False), np.full(90, 0.9))


def limb(side: int, rng: np.random.Generator) -> Mask:
    """Draw a limb from its joint in the middle to the right border, wider at one end or not."""
    mask = _empty(side)
    middle, end = side // 2, side * 0.93
    wide = side * rng.uniform(0.05, 0.11)
    for share in np.linspace(0, 1, 24):
        radius = wide * (1 - share * 0.4)
        x = middle + (end - wide - middle) * share
        cv2.circle(mask, (round(x), middle), round(radius), 255, cv2.FILLED)
    if rng.random() < 0.5:  # a hand or foot
        cv2.circle(mask, (round(end - wide), middle), round(wide), 255, cv2.FILLED)
    return mask


def ring(side: int, rng: np.random.Generator) -> Mask:
    """Draw a ring, or a shape with a hole of its own form."""
    outer = (ball, smooth, polygon)[int(rng.integers(3))](side, rng)
    depth = cv2.distanceTransform(outer, cv2.DIST_L2, 3)
    return np.where(depth > depth.max() * rng.uniform(0.15, 0.6), 0, outer).astype(np.uint8)


def lattice(side: int, rng: np.random.Generator) -> Mask:
    """Draw a fence, or a grid of bars."""
    mask = _empty(side)
    low, high = round(side * 0.05), round(side * 0.95)
    bars, fence = int(rng.integers(3, 9)), rng.random() < 0.5
    wide = max(2, round((high - low) / bars * rng.uniform(0.1, 0.5)))
    places = np.linspace(low, high - wide, bars).round().astype(int)
    for number, place in enumerate(places):
        cv2.rectangle(mask, (int(place), low), (int(place) + wide, high), 255, cv2.FILLED)
        if not fence or number in (1, bars - 2):
            cv2.rectangle(mask, (low, int(place)), (high, int(place) + wide), 255, cv2.FILLED)
    return mask


def holed(side: int, rng: np.random.Generator) -> Mask:
    """Draw a shape with some round and angular holes."""
    mask = (smooth, polygon)[int(rng.integers(2))](side, rng)
    for _ in range(rng.integers(2, 9)):
        x, y = rng.integers(side // 5, side * 4 // 5, 2).tolist()
        size = int(rng.integers(side // 24 + 1, side // 8 + 2))
        if rng.random() < 0.5:
            cv2.circle(mask, (x, y), size, 0, cv2.FILLED)
        else:
            cv2.rectangle(mask, (x - size, y - size), (x + size, y + size), 0, cv2.FILLED)
    return mask


def text(side: int, rng: np.random.Generator) -> Mask:
    """Write one to three lines of letters."""
    mask, font = _empty(side), int(rng.choice(_FONTS))
    lines = int(rng.integers(1, 4))
    for line in range(lines):
        words = "".join(rng.choice(list(_LETTERS), rng.integers(2, 9)))
        (width, height), _ = cv2.getTextSize(words, font, 1.0, 1)
        size = min(0.86 * side / width, 0.5 * side / lines / height)
        bold = max(1, round(side / lines * rng.uniform(0.02, 0.07)))
        at = round(side * 0.06), round(side * (0.1 + 0.8 * (line + 0.75) / lines))
        cv2.putText(mask, words, at, font, size, 255, bold)
    return _framed(mask)


def strokes(side: int, rng: np.random.Generator) -> Mask:
    """Draw a few thin curves."""
    mask = _empty(side)
    along = np.linspace(0, 1, 40)[:, None]
    for _ in range(rng.integers(2, 8)):
        a, b, c = rng.uniform(0.05, 0.95, (3, 2)) * side
        curve = a * (1 - along) ** 2 + 2 * b * along * (1 - along) + c * along**2
        cv2.polylines(mask, [curve.round().astype(np.int32)], False, 255, int(rng.integers(3, 9)))
    return _framed(mask)


def _empty(side: int) -> Mask:
    return np.zeros((side, side), np.uint8)


def _framed(mask: Mask) -> Mask:
    """Empty the border."""
    edge = max(2, len(mask) // 40)
    return np.pad(mask[edge:-edge, edge:-edge], edge)


def _filled(side: int, angles: NDArray[np.float64], radii: NDArray[np.float64]) -> Mask:
    mask = _empty(side)
    points = (np.stack((np.cos(angles), np.sin(angles)), -1) * radii[:, None] + 1) * (side / 2)
    cv2.fillPoly(mask, [points.round().astype(np.int32)], 255)
    return mask


# --- colours -------------------------------------------------------------------------------------------------------


def painted(
    shape: Shape, side: int, colours: Palette, rng: np.random.Generator, *, outline: float = 0.0, plain: bool = False
) -> Picture:
    """Draw a random shape as a texture.

    Args:
        shape: Which shape.
        side: Side of the texture, pixels.
        colours: Colours of the scene.
        rng: Source of random numbers.
        outline: Width of the line around it, pixels; 0 for none.
        plain: Whether it is of one colour.

    Returns:
        (side, side, 4), the last channel opacity, 0 at the border.
    """
    mask = np.pad(shape(side * _FINER - 2 * _FINER, rng), _FINER)
    area = (side, side)
    opacity = np.asarray(cv2.resize(mask, area, interpolation=cv2.INTER_AREA), np.uint8)
    picked = colours[rng.integers(1, len(colours) - 1, 2)]
    colour = np.broadcast_to(picked[0], (side, side, 3)) if plain else filling(side, picked, rng)
    if outline:
        inner = (cv2.distanceTransform(mask, cv2.DIST_L2, 3) > outline * _FINER).astype(np.float32)
        share = cv2.resize(inner, area, interpolation=cv2.INTER_AREA)[..., None]
        colour = colours[-1] + (colour - colours[-1]) * share
    return np.dstack((np.clip(colour, 0, 255).astype(np.uint8), opacity))


def filling(side: int, colours: Palette, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return colours spread over a square, (side, side, 3): even, as a gradient, shaded, in stripes or dots."""
    kind = rng.choice(("even", "gradient", "shaded", "stripes", "dots"), p=(0.4, 0.25, 0.25, 0.05, 0.05))
    if kind == "even":
        return np.broadcast_to(colours[0], (side, side, 3))
    x, y = np.linspace(-1, 1, side, dtype=np.float32), np.linspace(-1, 1, side, dtype=np.float32)[:, None]
    angle = rng.uniform(0, 2 * math.pi)
    across = math.cos(angle) * x + math.sin(angle) * y
    share = np.clip(across * 0.5 + 0.5, 0, 1)
    second = colours[1]
    if kind == "shaded":
        share = np.clip(side / 2 * (np.hypot(x - math.cos(angle) * 0.5, y - math.sin(angle) * 0.5) - 0.9) + 0.5, 0, 1)
        second = colours[0] * np.float32(rng.uniform(0.5, 0.85))
    elif kind != "gradient":
        waves = rng.uniform(6, max(7, side / 5)) / 2
        wave = np.sin(waves * np.pi * across)
        if kind == "dots":
            wave = wave * np.sin(waves * np.pi * (math.sin(angle) * x - math.cos(angle) * y)) - 0.3
        share = np.clip(wave * (side / 2 / waves / np.pi) + 0.5, 0, 1)
    return np.asarray(colours[0] + (second - colours[0]) * share[..., None], np.float32)


def ground(side: int, colours: Palette, rng: np.random.Generator) -> tuple[Picture, bool]:
    """Return a drawn background, (side, side, 3), and whether its motion can be seen."""
    canvas = np.clip(filling(side, colours[:2], rng), 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        return canvas, False
    for _ in range(rng.integers(3, 24)):
        colour = (colours[rng.integers(len(colours))] * rng.uniform(0.7, 1)).tolist()
        x, y = rng.integers(0, side, 2).tolist()
        wide, high = rng.integers(4, max(8, side // 3), 2).tolist()
        match int(rng.integers(4)):
            case 0:
                cv2.rectangle(canvas, (x, y), (x + wide, y + high), colour, int(rng.choice((cv2.FILLED, 1, 2))))
            case 1:
                cv2.ellipse(canvas, (x, y), (wide, high), 0, 0, 360, colour, cv2.FILLED, cv2.LINE_AA)
            case 2:
                cv2.line(
                    canvas, (x, y), rng.integers(0, side, 2).tolist(), colour, int(rng.integers(1, 7)), cv2.LINE_AA
                )
            case _:
                corners = rng.integers(-wide, wide + 1, (int(rng.integers(3, 6)), 2)) + np.array((x, y))
                cv2.fillPoly(canvas, [cv2.convexHull(corners.astype(np.int32))], colour, cv2.LINE_AA)
    return canvas, True


def shape_of(shapes: Sequence[Shape], rng: np.random.Generator) -> Shape:
    """Return one of some shapes."""
    return shapes[int(rng.integers(len(shapes)))]
