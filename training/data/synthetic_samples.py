"""Samples of layered motion, whose flow is exact even where one thing hides another."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.errors import DatasetError

from .augment import Window, augmented, to_sample
from .batch import Sample, generator
from .moving_layers import Layer, Motion, View, flow_of, motions, render
from .pair_flow import PairFlow, Picture
from .real_samples import Sampling

_SYNTHETIC = 2
"""Purpose in the seed: keeps the random numbers of this source apart from those of others."""
_SPEEDS = (2.0, 5.0, 10.0, 18.0, 32.0)
"""Pixels that things move in a scene, about."""
MIXED = 128
"""Added to the number of a layer where several mix."""
_TIMES = (1 / 2, 1 / 2, 1 / 4, 3 / 4, 1 / 3, 2 / 3)
_MOST_BLOBS = 4
_BORDER = 48
"""Pixels by which the texture at the back is larger than the picture, on each side."""
_SAME = 0.3
"""Share of things with a texture from the same photo as the background, so that they are hard to tell from it."""
_BLURRED, _SHAKEN, _LIT, _NOISY = 0.2, 0.15, 0.2, 0.3
"""Shares of scenes with these."""
_SHAKE = 6.0
"""Pixels that a hand moves a picture while it is taken, at most, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Moving layers and their pictures as a camera gives them."""

    layers: Sequence[Layer]
    t: float
    first: View
    """At time 0, ``margin`` pixels larger on each side; ``last`` likewise, at time 1."""
    last: View
    frames: tuple[Picture, Picture]
    """Pictures of the two as the camera gives them, (H, W, 3)."""
    middle: Picture
    """The true frame at t, (h, w, 3)."""
    margin: int

    def owners(self) -> NDArray[np.uint8]:
        """Return each pixel's layer at the times 0 and 1, (h, w, 2), plus `MIXED` where layers mix."""
        inner = slice(self.margin, -self.margin or None)
        views = [(view.owner[inner, inner], view.clear[inner, inner]) for view in (self.first, self.last)]
        return np.stack([owner + np.uint8(MIXED) * (1 - clear) for owner, clear in views], -1)

    def moves(self) -> NDArray[np.float32]:
        """Return `motions` from 0 to 1 and from 1 to 0, (2, layers, 2, 3), for pictures without the margin."""
        moves = np.stack((motions(self.layers, 0, 1), motions(self.layers, 1, 0)))
        moves[..., 2] += moves[..., 0] * self.margin + moves[..., 1] * self.margin
        return moves

    def window(self, flow: PairFlow) -> Window:
        """Return the scene without its margin; flow is estimated with it."""
        inner = slice(self.margin, -self.margin or None)
        half = slice(self.margin // 2, -(self.margin // 2) or None)
        frames = np.stack((self.frames[0][inner, inner], self.middle, self.frames[1][inner, inner]))
        estimated = flow(*self.frames)[half, half]
        exact, trust = truth(self.owners(), self.moves())
        return Window(frames=frames, t=self.t, flow=estimated, truth=exact, trust=trust)


def truth(
    owners: NDArray[np.uint8], moves: NDArray[np.float32], left: int = 0, top: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return exact flow, and where it counts: not where layers mix.

    Args:
        owners: Result of `Scene.owners`, or a part of it.
        moves: Result of `Scene.moves`.
        left: Left edge of the part, in pixels.
        top: Top edge, likewise.

    Returns:
        (h, w, 4), pixels, 0->1 then 1->0, and (h, w, 2), 1 or 0.
    """
    layer = owners & np.uint8(MIXED - 1)
    flows = [flow_of(layer[..., at], moves[at], left, top) for at in (0, 1)]
    return np.concatenate(flows, -1), np.asarray(owners < MIXED, np.uint8)


class LayeredSource(ABC):
    """Samples of layers, of a kind that subclasses make.

    Args:
        photos: Textures, (H, W, 3) uint8 RGB.
        sampling: Settings; the crop, the margin, the times and the preset count here.
        seed: Sources of different seeds give different samples.
        plain: Whether the pictures are left as rendered: without blur, noise and changes of light.
    """

    purpose: int
    """Purpose in the seed: keeps the random numbers of a kind of source apart from those of others."""
    filmed = 1.0
    """Share of scenes that are changed as cameras change pictures."""

    def __init__(self, photos: Sequence[Picture], sampling: Sampling, seed: int, *, plain: bool = False) -> None:
        self.photos = photos
        self.sampling = sampling
        self.seed = seed
        self.plain = plain
        self._flow = PairFlow(sampling.flow_preset, sampling.flow_scale)

    @abstractmethod
    def layers(self, rng: np.random.Generator, side: int) -> list[Layer]:
        """Return random layers from back to front, the first of which covers everything.

        Args:
            rng: Source of random numbers.
            side: Height and width of the picture with its margin, pixels.
        """

    def sample(self, index: int) -> Sample:
        """Return the sample of a number; see :class:`training.data.batch.Source`."""
        rng = generator(self.seed, self.purpose, index)
        side = self.sampling.crop
        return to_sample(augmented(self.scene(rng, side).window(self._flow), side, rng))

    def scene(self, rng: np.random.Generator, side: int) -> Scene:
        """Return a random scene, ``side`` pixels high and wide without its margin."""
        middle = self.sampling.times == "middle"
        t = 0.5 if middle else float(rng.choice((*_TIMES, rng.uniform(0.1, 0.9))))
        margin = self.sampling.margin
        whole, layers = side + 2 * margin, self.layers(rng, side + 2 * margin)
        inner = (margin, margin, margin + side, margin + side)
        first, last = render(layers, 0, (0, 0, whole, whole)), render(layers, 1, (0, 0, whole, whole))
        pictures = [first.frame, render(layers, t, inner).frame, last.frame]
        if not self.plain and rng.random() < self.filmed:
            pictures = degraded(pictures, t, rng)
        begin, between, end = (np.clip(np.rint(picture), 0, 255).astype(np.uint8) for picture in pictures)
        return Scene(layers=layers, t=t, first=first, last=last, frames=(begin, end), middle=between, margin=margin)

    def photo(self, rng: np.random.Generator) -> Picture:
        """Return one of the photos."""
        return self.photos[int(rng.integers(len(self.photos)))]


class SyntheticSource(LayeredSource):
    """Samples of photos, or pieces of them, that move over each other; see :class:`LayeredSource`.

    Raises:
        DatasetError: There are no photos.
    """

    purpose = _SYNTHETIC

    def __init__(self, photos: Sequence[Picture], sampling: Sampling, seed: int, *, plain: bool = False) -> None:
        if not len(photos):
            raise DatasetError("there are no photos to make synthetic motion of; give a folder of pictures")
        super().__init__(photos, sampling, seed, plain=plain)

    def layers(self, rng: np.random.Generator, side: int) -> list[Layer]:
        """Return a background, and up to four things before it that move with it and against it."""
        speed = float(rng.choice(_SPEEDS))
        drift = rng.normal(0, speed / 3, 2)
        photo = self.photo(rng)
        back = Layer(texture(photo, side + 2 * _BORDER, rng), _motion(rng, (side / 2, side / 2), drift, speed, 0))
        layers = [back]
        for _ in range(rng.integers(_MOST_BLOBS + 1)):
            size = int(rng.integers(40, max(48, side * 3 // 5)))
            own = photo if rng.random() < _SAME else self.photo(rng)
            piece = texture(own, size, rng)
            place, move = rng.uniform(0, side, 2), drift + rng.normal(0, speed / 1.6, 2)
            motion = _motion(rng, (place[0], place[1]), move, speed, np.pi)
            layers.append(Layer(np.dstack((piece, blob(piece.shape[0], piece.shape[1], rng))), motion))
        return layers


def _motion(
    rng: np.random.Generator, place: tuple[float, float], move: NDArray[np.float64], speed: float, angle: float
) -> Motion:
    """Return a random motion about a place, at any angle up to the given one."""
    bend = 0.012 * speed**0.5
    return Motion(
        x=place[0],
        y=place[1],
        dx=float(move[0]),
        dy=float(move[1]),
        angle=float(rng.uniform(-angle, angle)),
        turn=float(rng.normal(0, bend)),
        scale=float(rng.uniform(0.8, 1.25)),
        growth=float(rng.normal(0, bend)),
    )


def texture(photo: Picture, size: int, rng: np.random.Generator) -> Picture:
    """Return a random piece of a photo, (h, w, 3), possibly shrunk.

    Args:
        photo: (H, W, 3).
        size: Height and width of the result; the photo's where that is less.
        rng: Source of random numbers.
    """
    height, width = photo.shape[:2]
    zoom = rng.uniform(1, max(1.0, min(2.5, height / size, width / size)))
    rows, columns = min(height, int(size * zoom)), min(width, int(size * zoom))
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    piece = photo[top : top + rows, left : left + columns]
    if rows <= size or columns <= size:
        return np.ascontiguousarray(piece[:size, :size])
    return np.asarray(cv2.resize(piece, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def blob(height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the opacity of a random roundish shape, (height, width), hard or soft at its edge and 0 at the border."""
    count = int(rng.integers(3, 7))
    noise = cv2.resize(
        rng.normal(0, 1, (count, count)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    distance = np.hypot(x, y)
    softness = float(rng.choice((1.0, 1.5, 6.0)))
    inside = (0.75 - distance + 0.25 * noise) * np.float32(max(height, width) / softness)
    shape = 255 / (1 + np.exp(-np.clip(inside, -30, 30)))
    shape[distance >= 0.97] = 0
    return shape.astype(np.uint8)


def degraded(pictures: Sequence[NDArray[np.float32]], t: float, rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Return pictures as cameras give them: blurred, shaken, of changing light, noisy.

    The one in the middle has no noise: noise cannot be foretold, so it could not be learned.
    """
    changed = list(pictures)
    if rng.random() < _BLURRED:
        sigma = float(rng.uniform(0.5, 1.5))
        changed = [np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32) for picture in changed]
    if rng.random() < _SHAKEN:
        first, last = shake(rng), shake(rng)
        changed = [
            np.asarray(cv2.filter2D(picture, -1, streak((1 - time) * first + time * last)), np.float32)
            for picture, time in zip(changed, (0, t, 1), strict=True)
        ]
    if rng.random() < _LIT:
        gain, lift = rng.normal(0, 0.08), rng.normal(0, 6)
        changed = [
            picture * np.float32(1 + gain * (time - 0.5)) + np.float32(lift * (time - 0.5))
            for picture, time in zip(changed, (0, t, 1), strict=True)
        ]
    if rng.random() < _NOISY:
        strength = np.float32(rng.uniform(0.5, 5))
        for at in (0, 2):
            changed[at] = changed[at] + strength * rng.standard_normal(changed[at].shape, np.float32)
    return changed


def shake(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random path of a hand-held camera while it takes a picture: (points, 2), pixels, about its mean."""
    speed = rng.normal(0, 1, 2) + np.cumsum(rng.normal(0, 0.25, (24, 2)), axis=0)
    path = np.cumsum(speed, axis=0)
    path *= rng.uniform(0, _SHAKE) / np.linalg.norm(np.ptp(path, axis=0))
    return np.asarray(path - path.mean(axis=0))


def streak(path: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the kernel of the blur along a path, of odd side, with the sum 1; on average it moves nothing."""
    reach = int(np.ceil(np.abs(path).max())) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    whole = np.floor(path).astype(np.int64)
    right, down = (path - whole).T
    for at_x, at_y, share in (
        (0, 0, (1 - right) * (1 - down)),
        (1, 0, right * (1 - down)),
        (0, 1, (1 - right) * down),
        (1, 1, right * down),
    ):
        np.add.at(kernel, (whole[:, 1] + reach + at_y, whole[:, 0] + reach + at_x), share)
    return kernel / kernel.sum()
