"""Colours of a GIF: one palette for all frames, and a pattern of its colours for those between.

Both are the same in every frame, so that what is still does not flicker, as it does where each frame has a palette of
its own, or where errors are spread to the neighbours of a pixel. If the source's frames have no more colours than a
palette holds, these are in it, and the frames come out as they were.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .parts import Picture

TRANSPARENT = 255
"""Number in the palette of what is transparent."""

_OPAQUE = 112
"""Least alpha of an opaque pixel: less than half, as new frames have much of just that, which rounding would decide."""
_SAMPLED = 1 << 17
"""Pixels that colours are chosen by."""
_WEIGHTS = np.sqrt([0.3, 0.59, 0.11]).astype(np.float32)
_AT_ONCE = 1 << 14

type _Codes = NDArray[Any]
"""Pixels, each one number."""
type _Colours = NDArray[np.uint8]
"""(N, 3), red, green and blue."""


def choose(pictures: Iterable[tuple[Picture, bool]], count: int) -> _Colours:
    """Choose the colours of a palette.

    Args:
        pictures: All frames, and whether they are such of the source.
        count: Number of all pixels.
    """
    exact: _Codes | None = np.empty(0, np.uint32)
    step, samples = max(count // _SAMPLED, 1), []
    for picture, is_source in pictures:
        codes = _codes(picture)[picture[..., 3] >= _OPAQUE]
        if is_source and exact is not None:
            exact = np.union1d(exact, codes)
            exact = exact if len(exact) <= TRANSPARENT else None
        samples.append(codes[::step])
    fixed = np.empty(0, np.uint32) if exact is None else exact
    others = np.concatenate(samples)
    others = others[~np.isin(others, fixed)]
    chosen = _colours(fixed)
    if len(others) and len(fixed) < TRANSPARENT:
        chosen = np.concatenate([chosen, _quantised(_colours(others), TRANSPARENT - len(fixed))])
    return chosen if len(chosen) else np.zeros((1, 3), np.uint8)


def _codes(picture: Picture) -> _Codes:
    """Return red + 256 green + 65536 blue of each pixel."""
    return np.ascontiguousarray(picture).view("<u4")[..., 0] & 0xFFFFFF


def _colours(codes: _Codes) -> _Colours:
    return np.stack([codes & 255, codes >> 8 & 255, codes >> 16], -1).astype(np.uint8)


def _quantised(colours: _Colours, count: int) -> _Colours:
    image = Image.fromarray(colours[None])
    found = image.quantize(count, Image.Quantize.MEDIANCUT, kmeans=1).getpalette()
    used = np.array(found, np.uint8).reshape(-1, 3)[:count]
    return np.unique(used, axis=0)


class Palette:
    """A palette, and the numbers of its colours for pictures.

    Args:
        colours: At most 255 colours.
    """

    def __init__(self, colours: _Colours) -> None:
        self._colours = colours.astype(np.float32) * _WEIGHTS
        codes = _codes(np.concatenate([colours, np.zeros((len(colours), 1), np.uint8)], 1))
        order = np.argsort(codes, kind="stable")
        self._codes, self._numbers = codes[order], order.astype(np.uint8)
        # By 7 bits of each channel: the nearest colour, the one beyond, and how far the way to it is.
        self._known = np.zeros(1 << 21, bool)
        self._near, self._beyond = np.zeros(1 << 21, np.uint8), np.zeros(1 << 21, np.uint8)
        self._share = np.zeros(1 << 21, np.float32)

    def numbers(self, picture: Picture) -> NDArray[np.uint8]:
        """Return the numbers of the colours of a picture's pixels, (H, W)."""
        codes = _codes(picture)
        keys = codes >> 17 << 14 | (codes >> 9 & 127) << 7 | codes >> 1 & 127
        self._learn(keys)
        y, x = np.mgrid[0 : keys.shape[0], 0 : keys.shape[1]]
        numbers = np.where(self._share[keys] > _threshold(x, y), self._beyond[keys], self._near[keys])
        place = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        numbers = np.where(self._codes[place] == codes, self._numbers[place], numbers)
        return np.where(picture[..., 3] < _OPAQUE, np.uint8(TRANSPARENT), numbers)

    def _learn(self, keys: _Codes) -> None:
        there = np.zeros_like(self._known)
        there[keys] = True
        new = np.flatnonzero(there & ~self._known)
        for begin in range(0, len(new), _AT_ONCE):
            part = new[begin : begin + _AT_ONCE]
            colours = np.stack([part & 127, part >> 7 & 127, part >> 14], -1).astype(np.float32) * 2 + 0.5
            colours *= _WEIGHTS
            near = self._nearest(colours)
            error = colours - self._colours[near]
            beyond = self._nearest(colours + error)
            way = self._colours[beyond] - self._colours[near]
            share = (error * way).sum(-1) / np.maximum((way * way).sum(-1), 1e-6)
            self._near[part], self._beyond[part], self._share[part] = near, beyond, share
            self._known[part] = True

    def _nearest(self, colours: NDArray[np.float32]) -> NDArray[np.intp]:
        squares = (self._colours**2).sum(-1)
        return np.argmin(squares - 2 * colours @ self._colours.T, axis=-1)


def _threshold(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a pattern in (0, 1) without visible order: interleaved gradient noise (Jimenez, 2014)."""
    noise: NDArray[np.float64] = np.modf(52.9829189 * np.modf(0.06711056 * x + 0.00583715 * y)[0])[0]
    return noise
