"""Equal, overlapping tiles of a picture, joined again without a seam.

All tiles of a picture have the same size, so that several can go through the network in one call. Neighbours share at
least ``overlap`` pixels. Three eighths of that strip on each side are context only and thrown away, as a pixel there
cannot see what moves in from beyond the tile's edge. The two results are cross-faded over the quarter in the middle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from vsrrin.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Tile:
    """Place of one tile in the picture, pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, x: Tensor, *, factor: int = 1) -> Tensor:
        """Return the tile's part of (N, C, H, W), a view; with ``factor`` 2, of a map of half the picture's size."""
        top, left = self.top // factor, self.left // factor
        return x[..., top : top + self.height // factor, left : left + self.width // factor]


@dataclass(frozen=True, kw_only=True)
class TileGrid:
    """Equal tiles that cover a picture.

    Attributes:
        height: Height of the picture, a multiple of ``multiple``.
        width: Width of the picture, a multiple of ``multiple``.
        tile: Largest (height, width) of a tile; rounded down to the multiple.
        overlap: Least number of pixels that neighbours share; rounded up to the multiple.
        multiple: Number that places and sides of tiles are multiples of.

    Raises:
        ArgumentError: The tile is not larger than twice the overlap, or smaller than the multiple.
    """

    height: int
    width: int
    tile: tuple[int, int]
    overlap: int
    multiple: int

    def __post_init__(self) -> None:
        for side, length in zip(self.tile, (self.height, self.width), strict=True):
            if side < length and side // self.multiple * self.multiple <= 2 * self._overlap:
                raise ArgumentError(
                    f"tile must be more than twice the overlap ({self.overlap} px, {self._overlap} with the network's "
                    f"multiple of {self.multiple}), not {side}: give a larger tile or a smaller overlap"
                )

    @property
    def _overlap(self) -> int:
        return -(-self.overlap // self.multiple) * self.multiple

    def _axis(self, length: int, side: int) -> tuple[int, list[int]]:
        """Return the side of a tile and the starts of all, along one axis."""
        side = min(side // self.multiple * self.multiple, length)
        if side == length:
            return length, [0]
        count = -(-(length - self._overlap) // (side - self._overlap))
        step = (length - side) / (count - 1)
        return side, [round(i * step / self.multiple) * self.multiple for i in range(count)]

    @cached_property
    def tiles(self) -> list[Tile]:
        """All tiles, row by row."""
        tile_height, tops = self._axis(self.height, self.tile[0])
        tile_width, lefts = self._axis(self.width, self.tile[1])
        return [Tile(top, left, tile_height, tile_width) for top in tops for left in lefts]

    @cached_property
    def _fades(self) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """Blending weights of a tile's rows by its top, and of its columns by its left; each adds up to 1."""
        height, tops = self._axis(self.height, self.tile[0])
        width, lefts = self._axis(self.width, self.tile[1])
        return _fades(tops, height, self.height), _fades(lefts, width, self.width)

    @cached_property
    def _copies(self) -> dict[torch.device, tuple[dict[int, Tensor], dict[int, Tensor]]]:
        return {torch.device("cpu"): self._fades}

    def _fades_on(self, device: torch.device) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """Return `_fades` on a device, copied there once."""
        if device not in self._copies:
            rows, columns = ({start: fade.to(device) for start, fade in fades.items()} for fades in self._fades)
            self._copies[device] = rows, columns
        return self._copies[device]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Cross-fade tiles (N, C, height, width), in the order of ``tiles``, into (N, C, H, W)."""
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        whole = first.new_zeros((*first.shape[:2], self.height, self.width))
        rows, columns = self._fades_on(first.device)
        for tile, part in zip(self.tiles, parts, strict=True):
            fade = rows[tile.top][:, None] * columns[tile.left][None, :]
            tile.cut(whole).add_(part * fade)
        return whole


def _fades(starts: Sequence[int], side: int, length: int) -> dict[int, Tensor]:
    """Return weights (side,) along one axis for each start.

    They are 1 where a tile is alone, linear over the middle quarter of a strip shared with a neighbour and 0 over the
    rest of it; where tiles meet, up to three, they are normalised to add up to 1.
    """
    position = torch.arange(side, dtype=torch.float32) + 0.5
    fades = {}
    total = torch.zeros(length)
    for index, start in enumerate(starts):
        fade = torch.ones(side)
        if index > 0:
            shared = starts[index - 1] + side - start
            fade *= ((position / shared - 0.375) * 4).clamp(0, 1)
        if index + 1 < len(starts):
            shared = start + side - starts[index + 1]
            fade *= (((side - position) / shared - 0.375) * 4).clamp(0, 1)
        fades[start] = fade
        total[start : start + side] += fade
    return {start: fade / total[start : start + side] for start, fade in fades.items()}
