"""Plans for frames of one size: padding, tiles that fit into memory, the scale of motion."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from vsrrin.errors import BackendError
from vsrrin.nets.spec import NetSpec

from . import memory
from .options import Options
from .padding import Padder
from .tiles import TileGrid

DEFAULT_OVERLAP = 128
"""Pixels that tiles share. Three eighths are context on each side, enough for motion of 96 px at t = 1/2."""

_SMALLEST_TILE = 128


@dataclass(frozen=True)
class Plan:
    """Plan for frames of one size.

    Attributes:
        padder: Padding to the network's multiple.
        grid: The tiles of the padded frame; one tile if it is not tiled.
        scale: Size of the picture on which motion is estimated, relative to the frame, in [0.25, 1].
    """

    padder: Padder
    grid: TileGrid
    scale: float


def automatic_scale(height: int, width: int) -> float:
    """Return the size of the picture for motion: 1 up to 1024 pixels on the long side, 1/2 up to 2880, then 1/4.

    1 is the largest useful one: the frame's own size for networks that find motion themselves, half of it for DIS flow
    (:func:`vsrrin.flow.dis.working_size`). Measured with DIS on pictures of twice those sizes, OpenCV's preset
    "medium": on 1280x720 shots half the size gives the same PSNR (32.08 against 32.12 dB with camera motion, 28.90
    against 28.87 dB otherwise) and no less than the "fast" preset at full size (32.06 and 28.83 dB), and takes less
    time; at 1920x1080 35.73 against 35.79 dB.
    """
    side = max(height, width)
    return 1.0 if side <= 1024 else 0.5 if side <= 2880 else 0.25


def lanes(spec: NetSpec, options: Options, device: torch.device, size: tuple[int, int], at_once: int) -> int:
    """Return how many pairs a network should work on at once: as many as there are cores, and memory for.

    Args:
        spec: Description of the network.
        options: Options with tile and batch.
        device: Device of the network; on others than the CPU it is one.
        size: (height, width) of the frames.
        at_once: Frames that are asked for at once.
    """
    if device.type != "cpu":
        return 1
    height, width = Padder(*size, spec.size_multiple).padded
    if options.tile:
        given = options.tile if isinstance(options.tile, tuple) else (options.tile, options.tile)
        width, height = min(width, given[0]), min(height, given[1])
    each = height * width * options.batch * spec.bytes_per_pixel
    if options.tile is None:
        each = min(each, memory.budget(device))
    return max(min(torch.get_num_threads(), at_once, memory.budget_of_all() // each), 1)


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Maker of plans for one network on one device.

    Attributes:
        name: The network's name, for messages.
        size_multiple: Number that sides must be multiples of.
        bytes_per_pixel: Peak working memory per pixel of a tile.
        device: Device whose memory counts.
        options: Options with scale, tile and overlap.
        log: Called with messages about what was chosen.
    """

    name: str
    size_multiple: int
    bytes_per_pixel: int
    device: torch.device
    options: Options
    log: Callable[[str], None]

    def plan(self, height: int, width: int) -> Plan:
        """Return a plan for frames of this size.

        Raises:
            ArgumentError: Tile and overlap asked for do not go together.
        """
        padder = Padder(height, width, self.size_multiple)
        scale = self.options.scale or automatic_scale(height, width)
        padded_height, padded_width = padder.padded
        whole = (padded_height, padded_width)
        tile = whole
        needed = padded_height * padded_width
        if self.options.tile:
            given = self.options.tile
            tile_width, tile_height = given if isinstance(given, tuple) else (given, given)
            tile = (min(tile_height, padded_height), min(tile_width, padded_width))
        elif self.options.tile is None:
            pixels = memory.budget(self.device) // self.bytes_per_pixel
            if pixels < needed:
                tile = self._best_tile(pixels, padded_height, padded_width)
        grid = self._grid(whole, tile)
        if self.options.tile is None and len(grid.tiles) > 1:
            self.log(
                f"{width}x{height} frames are processed in tiles of {grid.tiles[0].width}x{grid.tiles[0].height}: the "
                f"whole frame would need {needed * self.bytes_per_pixel / 2**30:.1f} GiB on {self.device}"
            )
        return Plan(padder, grid, scale)

    def smaller(self, plan: Plan, error: Exception) -> Plan:
        """Return a plan with tiles of half the sides, for use after memory ran out.

        Raises:
            BackendError: They cannot be smaller.
        """
        tile = plan.grid.tiles[0]
        height, width = (max(side // 2, min(_SMALLEST_TILE, side)) for side in (tile.height, tile.width))
        overlap = min(plan.grid.overlap or DEFAULT_OVERLAP, (min(height, width) - 1) // 4)
        grid = self._tiled(plan.padder.padded, (height, width), overlap)
        frame = f"{plan.padder.width}x{plan.padder.height}"
        if (grid.tiles[0].height, grid.tiles[0].width) == (tile.height, tile.width):
            raise BackendError(
                f"{self.device} has too little memory for {frame} frames even in tiles of {tile.width}x{tile.height} "
                f"with {self.name}: close other programs or choose another device ({error})"
            ) from error
        tile = grid.tiles[0]
        self.log(
            f"{self.device} ran out of memory with {frame} frames; from now on in tiles of {tile.width}x{tile.height}"
        )
        return replace(plan, grid=grid)

    def _best_tile(self, pixels: int, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the tiles, at most ``pixels`` large, that together have the fewest pixels.

        Rows and columns come first: so many tiles of the least size that covers the frame waste less than the largest
        possible tiles do, whose last row and column mostly compute again what their neighbours have.
        """
        overlap = DEFAULT_OVERLAP if self.options.overlap is None else self.options.overlap
        heights, widths = (self._sides(length, overlap) for length in (height, width))
        least = min(heights.values()) * min(widths.values())

        def cost(rows: int, columns: int) -> tuple[int, int, int]:
            tall, wide = heights[rows], widths[columns]
            # Narrow tiles share less, and see less of what moves in: before all, none is narrower than it must be.
            tiled = [side for side, count in ((tall, rows), (wide, columns)) if count > 1]
            lacking = max([4 * overlap + 1 - side for side in tiled] + [0])
            return lacking, rows * columns * tall * wide, rows * columns

        fitting = [(r, c) for r in heights for c in widths if heights[r] * widths[c] <= max(pixels, least)]
        rows, columns = min(fitting, key=lambda counts: cost(*counts))
        return heights[rows], widths[columns]

    def _sides(self, length: int, overlap: int) -> dict[int, int]:
        """Return the least side of tiles that cover a length, by their number; none is below the smallest."""
        sides: dict[int, int] = {1: length}
        while sides[len(sides)] > _SMALLEST_TILE:
            count = len(sides) + 1
            shared = min(overlap, (sides[count - 1] - 1) // 4)
            side = -(-(length + (count - 1) * shared) // count)
            side = max(-(-side // self.size_multiple) * self.size_multiple, min(_SMALLEST_TILE, length))
            if side >= sides[count - 1]:
                break
            sides[count] = side
        return sides

    def _grid(self, whole: tuple[int, int], tile: tuple[int, int]) -> TileGrid:
        overlap = self.options.overlap
        if overlap is None or self.options.tile is None:  # an automatic tile never contradicts the overlap asked for
            shortest = min((side for side, length in zip(tile, whole, strict=True) if side < length), default=0)
            overlap = min(DEFAULT_OVERLAP if overlap is None else overlap, max(shortest - 1, 0) // 4)
        return self._tiled(whole, tile, overlap)

    def _tiled(self, whole: tuple[int, int], tile: tuple[int, int], overlap: int) -> TileGrid:
        height, width = whole
        return TileGrid(height=height, width=width, tile=tile, overlap=overlap, multiple=self.size_multiple)
