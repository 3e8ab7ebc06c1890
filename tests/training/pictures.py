"""Shots and photos in memory."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tests.conftest import texture

type Picture = NDArray[np.uint8]


@dataclass
class ArrayShot:
    """A shot whose frames are an array, (frames, H, W, 3)."""

    pictures: NDArray[np.uint8]
    motion: float = 2.0
    name: str = "array"
    fps: Fraction | None = Fraction(25)

    @property
    def frames(self) -> int:
        return len(self.pictures)

    @property
    def height(self) -> int:
        return self.pictures.shape[1]

    @property
    def width(self) -> int:
        return self.pictures.shape[2]

    def frame(self, number: int) -> Picture:
        return self.pictures[number]

    def crop(self, number: int, top: int, left: int, height: int, width: int) -> Picture:
        return self.pictures[number, top : top + height, left : left + width].copy()


def picture(height: int, width: int, shift: tuple[float, float] = (0.0, 0.0), seed: int = 0) -> Picture:
    """(height, width, 3): the texture of `tests.conftest`, moved."""
    image = texture(height, width, shift, seed)[0].permute(1, 2, 0).numpy()
    return np.rint(image * 255).astype(np.uint8)


def moving(frames: int, height: int, width: int, speed: tuple[float, float], seed: int = 0) -> ArrayShot:
    """A shot of a texture that moves by ``speed`` pixels a frame."""
    pictures = [picture(height, width, (speed[0] * n, speed[1] * n), seed) for n in range(frames)]
    return ArrayShot(np.stack(pictures), float(np.hypot(*speed)), f"moving {seed}")


def photos(count: int = 3, side: int = 160) -> list[Picture]:
    """Textures of different content."""
    return [picture(side, side, seed=10 + number) for number in range(count)]
