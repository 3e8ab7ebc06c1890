"""Textured layers in motion, and the exact flow between any two times.

A layer is a texture with its own motion: between any two times it is affine, over time it may follow a curve. A frame
is rendered by looking up, for each of its pixels, the layers at the time asked for, the first at the back. As every
pixel's layer and motion are known, so is its flow, also where the point is hidden in the other frame.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

type Box = tuple[int, int, int, int]
"""A part of the picture: left, top, right, bottom, the last two beyond it."""

_SEEN, _TRACE = 127, 25
"""Opacity, of 255, above which a pixel belongs to a layer, and above which there is more of it than none."""
_EXPOSURE_STEP, _MOST_EXPOSURES = 1.25, 32
"""Pixels between the places that a blurred layer is looked up at, and the most of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """Place, angle and size of a layer at time 1/2, and how they change."""

    x: float
    """Place of the texture's centre, pixels, at time 1/2."""
    y: float
    dx: float
    """Pixels from time 0 to time 1."""
    dy: float
    angle: float
    """Radians, at time 1/2."""
    turn: float
    """Radians from time 0 to time 1."""
    scale: float
    """Picture pixels for one of the texture, at time 1/2."""
    growth: float
    """Natural logarithm of the change of ``scale`` from time 0 to time 1."""
    arc_x: float = 0.0
    """Pixels by which the path, a parabola, is beside the straight line between its ends at time 1/2."""
    arc_y: float = 0.0
    on: "Motion | None" = None
    """Motion that this one is relative to: a forearm's is relative to its upper arm's; None: to the picture."""

    def matrix(self, time: float) -> NDArray[np.float64]:
        """Return the (3, 3) matrix from texture to picture, in pixels; the texture's centre is its origin."""
        u = time - 0.5
        angle, scale = self.angle + self.turn * u, self.scale * np.exp(self.growth * u)
        c, s = np.cos(angle) * scale, np.sin(angle) * scale
        x, y = (
            place + move * u - arc * 4 * u * u
            for place, move, arc in ((self.x, self.dx, self.arc_x), (self.y, self.dy, self.arc_y))
        )
        own = np.array([[c, -s, x], [s, c, y], [0, 0, 1]])
        return own if self.on is None else self.on.matrix(time) @ own


@dataclass(frozen=True, slots=True)
class Layer:
    """Texture and its motion."""

    texture: NDArray[np.uint8]
    """(h, w, 3), which covers everything, mirrored at its border; or (h, w, 4), the last channel its opacity, none
    beyond its border."""
    motion: Motion
    shutter: float = 0.0
    """Time, around that of a frame, in which light is gathered: motion blur. Not for what covers everything."""


@dataclass(frozen=True, slots=True)
class View:
    """Rendered frame of a scene, with the layer of each pixel."""

    frame: NDArray[np.float32]
    """(H, W, 3), 0 to 255."""
    owner: NDArray[np.uint8]
    """(H, W): number of the layer."""
    clear: NDArray[np.uint8]
    """(H, W): 1 where the pixel is of that layer alone, 0 where layers mix."""


def render(layers: Sequence[Layer], time: float, box: Box) -> View:
    """Render layers at a time.

    Args:
        layers: Layers from back to front; the first covers everything.
        time: 0 to 1.
        box: The wanted part of the picture.
    """
    left, top, right, bottom = box
    view = View(
        frame=_look_up(layers[0], time, box).astype(np.float32),
        owner=np.zeros((bottom - top, right - left), np.uint8),
        clear=np.ones((bottom - top, right - left), np.uint8),
    )
    for number, layer in enumerate(layers[1:], 1):
        exposures = _exposures(layer, time)
        within = _extent(layer, exposures, box)
        if within[0] >= within[2] or within[1] >= within[3]:
            continue
        part = slice(within[1] - top, within[3] - top), slice(within[0] - left, within[2] - left)
        found = _blurred(layer, exposures, within) if len(exposures) > 1 else _look_up(layer, time, within)
        opacity, own = found[..., 3], found[..., :3].astype(np.float32)
        own -= view.frame[part]
        own *= opacity[..., None] * np.float32(1 / 255)
        view.frame[part] += own
        view.owner[part][opacity > _SEEN] = number
        view.clear[part][opacity > _TRACE] = 0
        view.clear[part][opacity >= 255 - _TRACE] = 1
    return view


def motions(layers: Sequence[Layer], start: float, end: float) -> NDArray[np.float32]:
    """Return how the points of each layer move in the picture from one time to another.

    Returns:
        (layers, 2, 3): a point at (x, y) moves by the product with (x, y, 1), pixels.
    """
    moves = (layer.motion.matrix(end) @ np.linalg.inv(layer.motion.matrix(start)) - np.eye(3) for layer in layers)
    return np.stack([move[:2] for move in moves]).astype(np.float32)


def flow_of(owner: NDArray[np.uint8], moves: NDArray[np.float32], left: int = 0, top: int = 0) -> NDArray[np.float32]:
    """Return the flow of the points seen in a picture.

    Args:
        owner: (H, W), number of the layer of each pixel, of a part of the picture.
        moves: Result of `motions` for the time of the picture and another.
        left: Left edge of the part in the picture, in pixels.
        top: Top edge, likewise.

    Returns:
        (H, W, 2) float32, (dx, dy) in pixels.
    """
    height, width = owner.shape
    x = np.arange(left, left + width, dtype=np.float32)
    y = np.arange(top, top + height, dtype=np.float32)[:, None]
    flow = np.empty((height, width, 2), np.float32)
    for number, move in enumerate(moves):
        mask = owner == number
        for axis, (of_x, of_y, constant) in enumerate(move):
            np.copyto(flow[..., axis], of_x * x + (of_y * y + constant), where=mask)
    return flow


def _look_up(layer: Layer, time: float, box: Box) -> NDArray[np.uint8]:
    """Return the layer in a part of the picture, (h, w, 3 or 4)."""
    left, top, right, bottom = box
    height, width = layer.texture.shape[:2]
    # Pixel centres are whole numbers, in the texture from its own corner.
    to_texture = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    from_box = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]])
    matrix = to_texture @ np.linalg.inv(layer.motion.matrix(time)) @ from_box
    covers = layer.texture.shape[2] == 3
    found = cv2.warpAffine(
        layer.texture,
        matrix[:2],
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT if covers else cv2.BORDER_CONSTANT,
    )
    return np.asarray(found, np.uint8)


def _exposures(layer: Layer, time: float) -> list[float]:
    """Return the times at which a layer is looked up for a frame."""
    if not layer.shutter:
        return [time]
    begin, end = time - layer.shutter / 2, time + layer.shutter / 2
    moved = np.abs((layer.motion.matrix(end) - layer.motion.matrix(begin))[:2] @ _corners(layer)).max()
    count = int(min(_MOST_EXPOSURES, 1 + math.ceil(moved / _EXPOSURE_STEP)))
    return [float(moment) for moment in np.linspace(begin, end, count)]


def _blurred(layer: Layer, times: Sequence[float], box: Box) -> NDArray[np.uint8]:
    """Return the mean of a layer over several times, (h, w, 4)."""
    opacity = layer.texture[..., 3:]
    lit = np.asarray(layer.texture[..., :3] * (opacity / np.float32(255)) + np.float32(0.5), np.uint8)
    weighted = Layer(np.dstack((lit, opacity)), layer.motion)
    total = np.zeros((box[3] - box[1], box[2] - box[0], 4), np.float32)
    for time in times:
        cv2.accumulate(_look_up(weighted, time, box), total)
    total *= np.float32(1 / len(times))
    total[..., :3] *= 255 / np.maximum(total[..., 3:], np.float32(1))
    return np.asarray(np.clip(total + np.float32(0.5), 0, 255), np.uint8)


def _corners(layer: Layer) -> NDArray[np.float64]:
    """Return the corners of a layer's texture, (3, 4), the last row 1."""
    rows, columns = layer.texture.shape[:2]
    return np.array([[x, y, 1] for x in (-columns / 2, columns / 2) for y in (-rows / 2, rows / 2)]).T


def _extent(layer: Layer, times: Sequence[float], box: Box) -> Box:
    """Return the part of the box in which the layer can be seen at some of the times."""
    x, y = np.concatenate([(layer.motion.matrix(time) @ _corners(layer))[:2] for time in times], axis=1)
    left, top, right, bottom = box
    return (
        max(left, math.floor(x.min())),
        max(top, math.floor(y.min())),
        min(right, math.ceil(x.max()) + 1),
        min(bottom, math.ceil(y.max()) + 1),
    )
