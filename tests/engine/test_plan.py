"""vsrrin.engine.plan"""

from dataclasses import replace
from math import inf
from types import SimpleNamespace

import psutil
import pytest
import torch

from vsrrin.engine import memory, plan
from vsrrin.engine.options import Options
from vsrrin.engine.plan import DEFAULT_OVERLAP, Planner, automatic_scale
from vsrrin.errors import ArgumentError, BackendError
from vsrrin.nets import rrin_lite


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def planner(said: list[str]) -> Planner:
    return Planner(
        name="rrin",
        size_multiple=16,
        bytes_per_pixel=1000,
        device=torch.device("cpu"),
        options=Options(),
        log=said.append,
    )


def with_memory(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    monkeypatch.setattr(memory, "budget", lambda device: pixels * 1000)


def test_what_fits_into_memory_is_not_tiled(planner: Planner, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, 1088 * 1920)
    plan = planner.plan(1080, 1920)
    assert (len(plan.grid.tiles), plan.padder.padded, plan.scale) == (1, (1088, 1920), 0.5)
    assert said == []


def test_what_does_not_fit_is_tiled_within_memory_and_said(
    planner: Planner, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_memory(monkeypatch, 500_000)
    plan = planner.plan(1080, 1920)
    tile = plan.grid.tiles[0]
    assert len(plan.grid.tiles) > 1
    assert tile.height * tile.width <= 500_000
    assert plan.grid.overlap == DEFAULT_OVERLAP
    assert said == [
        f"1920x1080 frames are processed in tiles of {tile.width}x{tile.height}: "
        "the whole frame would need 1.9 GiB on cpu"
    ]


@pytest.mark.parametrize(
    ("size", "pixels"),
    [((2160, 3840), 4_200_000), ((2160, 3840), 520_000), ((1080, 1920), 1_000_000), ((4320, 7680), 2**21)],
)
def test_tiles_waste_little(
    planner: Planner, size: tuple[int, int], pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tiles overlap, but what they have in common is less than a third of the frame."""
    with_memory(monkeypatch, pixels)
    grid = planner.plan(*size).grid
    tile = grid.tiles[0]
    assert tile.height * tile.width <= pixels and grid.overlap == 128
    assert len(grid.tiles) * tile.height * tile.width < 1.4 * size[0] * size[1]


@pytest.mark.parametrize(
    ("asked", "size"), [(0, (1088, 1920)), (512, (512, 512)), ((640, 256), (256, 640)), (4000, (1088, 1920))]
)
def test_a_tile_asked_for_is_what_there_is(planner: Planner, asked: object, size: tuple[int, int]) -> None:
    plan = replace(planner, options=Options(tile=asked, overlap=64)).plan(1080, 1920)
    assert (plan.grid.tiles[0].height, plan.grid.tiles[0].width) == size


def test_a_tile_that_its_overlap_uses_up_is_an_error(planner: Planner) -> None:
    with pytest.raises(ArgumentError, match="tile must be more than twice the overlap"):
        replace(planner, options=Options(tile=128, overlap=64)).plan(1080, 1920)


def test_smaller_tiles_halve_until_they_cannot(planner: Planner, said: list[str]) -> None:
    planner = replace(planner, options=Options(tile=0))
    plan, sides = planner.plan(500, 500), []
    with pytest.raises(BackendError, match=r"cpu has too little memory for 500x500 frames .* close other programs"):
        while True:
            plan = planner.smaller(plan, MemoryError("no"))
            sides.append((plan.grid.tiles[0].height, plan.grid.tiles[0].width))
    assert sides == [(256, 256), (128, 128)]
    assert said[-1] == "cpu ran out of memory with 500x500 frames; from now on in tiles of 128x128"


def test_scale_is_the_one_asked_for_or_follows_the_frame(planner: Planner) -> None:
    assert [planner.plan(*size).scale for size in ((480, 854), (1080, 1920), (2160, 3840))] == [1, 0.5, 0.25]
    assert replace(planner, options=Options(scale=0.75)).plan(480, 854).scale == 0.75


def test_the_scale_is_chosen_by_the_long_side() -> None:
    sizes = {(480, 854): 1, (720, 1280): 0.5, (1920, 1080): 0.5, (2160, 3840): 0.25}
    assert {size: automatic_scale(*size) for size in sizes} == sizes


@pytest.mark.parametrize(
    ("size", "at_once", "gib", "tile", "expected"),
    [
        ((480, 854), 16, 100, None, 8),  # as many as there are threads
        ((480, 854), 3, 100, None, 3),  # as many as are asked for
        ((1080, 1920), 16, 16, None, 4),  # 4 GiB
        ((1080, 1920), 16, 4, None, 2),  # half of what is free
        ((2160, 3840), 16, 16, None, 1),
        ((2160, 3840), 16, 16, 512, 8),
        ((2160, 3840), 16, 128, 0, 4),  # an eighth of what is free
        ((2160, 3840), 16, 1, None, 1),
    ],
)
def test_as_many_lanes_as_threads_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    at_once: int,
    gib: int,
    tile: int | None,
    expected: int,
) -> None:
    spec = replace(rrin_lite.SPEC, bytes_per_pixel=500)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=gib * 2**30))
    monkeypatch.setattr(memory, "left_to_group", lambda: inf)
    assert plan.lanes(spec, Options(tile=tile), torch.device("cpu"), size, at_once) == expected


def test_other_devices_have_one_lane() -> None:
    assert plan.lanes(rrin_lite.SPEC, Options(), torch.device("cuda"), (480, 854), 8) == 1
