"""Shots and photos in memory, and pictures warped by flow."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from tests.conftest import texture
from vsrrin.nets.parts.warp import backward_warp

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


def warped(field: NDArray[np.generic], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, C) sampled where the flow points to."""
    planes = torch.from_numpy(np.ascontiguousarray(field.transpose(2, 0, 1), np.float32))
    moved = backward_warp(planes[None], torch.from_numpy(np.ascontiguousarray(flow.transpose(2, 0, 1)))[None])
    return moved[0].permute(1, 2, 0).numpy()


def seen_in_both(flow: NDArray[np.float32], back: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Points that flow there and back leads home, and that stay inside; a pixel from where others begin."""
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width]
    home = np.linalg.norm(flow + warped(back, flow), axis=-1) < 0.02
    inside = (x + flow[..., 0] > 1) & (x + flow[..., 0] < width - 2) & (y + flow[..., 1] > 1)
    return home & inside & (y + flow[..., 1] < height - 2)
