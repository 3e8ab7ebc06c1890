"""vsrrin.engine.tiles"""

from itertools import pairwise

import pytest
import torch

from vsrrin.engine.tiles import TileGrid
from vsrrin.errors import ArgumentError


def tiled(height: int, width: int, tile: tuple[int, int], overlap: int) -> TileGrid:
    return TileGrid(height=height, width=width, tile=tile, overlap=overlap, multiple=16)


# A size that needs four tiles, wide frames, tall frames, sizes that fit and sizes that do not.
GRIDS = [
    tiled(192, 192, (128, 128), 32),
    tiled(96, 288, (96, 128), 32),
    tiled(288, 96, (100, 96), 16),
    tiled(480, 864, (256, 208), 48),
    tiled(64, 64, (128, 128), 32),
    tiled(160, 160, (96, 96), 0),
]


@pytest.mark.parametrize("grid", GRIDS)
def test_tiles_are_equal_aligned_and_cover_the_picture(grid: TileGrid) -> None:
    covered = torch.zeros(grid.height, grid.width)
    for tile in grid.tiles:
        assert (tile.height, tile.width) == (grid.tiles[0].height, grid.tiles[0].width)
        assert tile.height <= max(grid.tile[0], 16)
        assert tile.top % 16 == tile.left % 16 == tile.height % 16 == tile.width % 16 == 0
        tile.cut(covered).add_(1)
    assert covered.min() >= 1


@pytest.mark.parametrize("grid", GRIDS)
def test_joining_what_was_cut_gives_the_picture(grid: TileGrid) -> None:
    picture = torch.rand(1, 3, grid.height, grid.width)
    joined = grid.join([tile.cut(picture) for tile in grid.tiles])
    torch.testing.assert_close(joined, picture, atol=1e-6, rtol=0)


def test_neighbours_share_the_overlap() -> None:
    tops = sorted({tile.top for tile in GRIDS[3].tiles})
    height = GRIDS[3].tiles[0].height
    assert all(top + height - following >= 48 for top, following in pairwise(tops))


def test_the_edges_of_tiles_do_not_show() -> None:
    """A tile knows too little at its edge: whatever stands in three eighths of the shared strip is thrown away."""
    grid = tiled(64, 160, (64, 96), 32)
    clean = [torch.zeros(1, 1, 64, 96) for _ in grid.tiles]
    spoilt = [part.clone() for part in clean]
    spoilt[0][..., 96 - 12 :] = 9.0
    spoilt[1][..., :12] = 9.0
    assert [tile.left for tile in grid.tiles] == [0, 64]
    assert torch.equal(grid.join(spoilt), grid.join(clean))


def test_the_fade_is_gradual() -> None:
    grid = tiled(64, 160, (64, 96), 32)
    joined = grid.join([torch.zeros(1, 1, 64, 96), torch.ones(1, 1, 64, 96)])[0, 0, 0]
    steps = joined.diff()
    assert steps.min() >= 0
    assert 0 < steps.max() < 0.2
    assert (joined[0], joined[-1]) == (0, 1)


def test_half_size_maps_are_cut_at_the_same_place() -> None:
    tile = GRIDS[0].tiles[3]
    half = torch.arange(96 * 96).view(1, 1, 96, 96)
    assert torch.equal(tile.cut(half, factor=2), half[..., tile.top // 2 :, tile.left // 2 :][..., :64, :64])


@pytest.mark.parametrize(("tile", "overlap"), [((64, 64), 32), ((64, 64), 31), ((8, 64), 0)])
def test_tiles_that_are_mostly_overlap_are_refused(tile: tuple[int, int], overlap: int) -> None:
    with pytest.raises(ArgumentError, match="more than twice the overlap"):
        tiled(256, 256, tile, overlap)
