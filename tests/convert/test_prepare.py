"""What a conversion settles before its first frame, and what it writes down to be continued by."""

import sys
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import vapoursynth as vs

from vsrrin.clip import graph
from vsrrin.clip.timing import Timing
from vsrrin.convert.image_folder import FolderConversion, Images
from vsrrin.convert.prepare import Settings, prepare
from vsrrin.convert.source import ClipSource
from vsrrin.engine import memory
from vsrrin.engine.options import Options
from vsrrin.nets.parts import fused

type Tiles = list[tuple[object, object]]


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Tiles:
    """Tile and overlap of every graph; memory is short, and each time it is asked for there is less."""
    found: Tiles = []
    build, asked = graph.build, count()

    def noted(clip: vs.VideoNode, timing: Timing, options: Options, *more: Any, **named: Any) -> vs.VideoNode:
        found.append((options.tile, options.overlap))
        return build(clip, timing, options, *more, **named)

    monkeypatch.setattr(graph, "build", noted)
    monkeypatch.setattr(memory, "budget", lambda device: (32 - 4 * next(asked)) << 20)
    return found


def blank(kind: vs.PresetVideoFormat, **options: Any) -> vs.VideoNode:
    clip = vs.core.std.BlankClip(width=640, height=480, format=kind, length=3, **options)
    assert isinstance(clip, vs.VideoNode)
    return clip


def test_the_tiles_written_down_are_those_that_are_used(used: Tiles, tmp_path: Path) -> None:
    source = ClipSource(lambda: blank(vs.YUV420P8), {})
    tiles = prepare(Settings(Path("clip"), tmp_path / "out.mkv"), source).signature["tiles"]
    assert isinstance(tiles, dict) and isinstance(tiles["tile"], tuple)
    assert used == [(tiles["tile"], tiles["overlap"])]


def test_tiles_are_smaller_where_pairs_have_several_new_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "budget", lambda device: 150 << 20)

    def tile(**speed: Fraction) -> object:
        settings = Settings(
            Path("clip"), tmp_path / "out.mkv", model="balanced", device="cpu", precision="fp32", **speed
        )
        found = prepare(settings, ClipSource(lambda: blank(vs.YUV420P8, fpsnum=24, fpsden=1), {})).signature["tiles"]
        assert isinstance(found, dict)
        return found["tile"]

    whole = tile(factor=Fraction(2)), tile(fps=Fraction(48))
    assert whole == (0, 0)
    for tiles in (tile(factor=Fraction(3)), tile(fps=Fraction(60)), tile(factor=Fraction(7, 4))):
        assert isinstance(tiles, tuple | list) and tiles[0] * tiles[1] < 640 * 480


def test_colours_and_alpha_have_the_same_tiles(used: Tiles, tmp_path: Path) -> None:
    source = ClipSource(lambda: blank(vs.RGB24).std.ClipToProp(blank(vs.GRAY8, color=99), "_Alpha"), {})
    FolderConversion(Settings(Path("clip"), tmp_path / "out"), Images(source, None))
    assert len(used) > 1 and len(set(used)) == 1
    assert isinstance(used[0][0], tuple)


def test_the_least_of_several_devices_decides_the_tiles(used: Tiles, tmp_path: Path) -> None:
    source, device = ClipSource(lambda: blank(vs.YUV420P8), {}), ("cpu", "cpu", "cpu")
    settings = Settings(Path("clip"), tmp_path / "out.mkv", device=device, precision="fp32")
    signature = prepare(settings, source).signature
    (tile, _), found = used[0], signature["tiles"]
    assert isinstance(found, dict) and isinstance(tile, tuple) and found["tile"] == tile
    assert tile[0] * tile[1] * 400 <= (32 - 4 * 2) << 20  # what was left when the third was asked
    assert str(signature["network"]).count("cpu, ") == 3


def test_what_decodes_and_finds_motion_is_part_of_the_signature(tmp_path: Path) -> None:
    source = ClipSource(lambda: blank(vs.GRAY8), {})
    versions = prepare(Settings(Path("clip"), tmp_path / "out.mkv", factor=Fraction(3)), source).signature["versions"]
    assert isinstance(versions, dict)
    assert versions["numpy"] == np.__version__
    assert versions["opencv-python-headless"].startswith(cv2.__version__)
    assert versions["vapoursynth"] and versions["vapoursynth-bestsource"]


def test_numba_is_part_of_the_signature_where_it_changes_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def numba(model: str) -> object:
        settings = Settings(Path("clip"), tmp_path / "out.mkv", model=model, precision="fp32", backend="torch")
        return prepare(settings, ClipSource(lambda: blank(vs.GRAY8), {})).signature.get("numba")

    there = numba("rrin_lite")
    assert there == numba("balanced") == numba("draft") == fused.numba_version()
    monkeypatch.setitem(sys.modules, "numba", None)  # as if it were not installed
    fused.kernels.cache_clear()
    try:
        assert numba("rrin_lite") == "none"
    finally:
        monkeypatch.undo()
        fused.kernels.cache_clear()
    assert numba("rrin_lite") == there


def test_every_option_that_is_set_is_part_of_the_signature(tmp_path: Path) -> None:
    source = ClipSource(lambda: blank(vs.GRAY8), {})
    plain, other = (
        prepare(Settings(Path("clip"), tmp_path / "out.mkv", model="draft", **options), source).signature
        for options in ({}, {"arithmetic": "exact", "batch": 2, "duplicates": "spread", "longest_run": 3})
    )
    still = Settings(Path("clip"), tmp_path / "out.mkv", model="draft", overlays="still")
    assert (plain["overlays"], prepare(still, source).signature["overlays"]) == ("guard", "still")
    # Work begun by a version without these keys can be continued with the defaults.
    added = {key: other[key] for key in set(other) - set(plain)}
    assert added == {"arithmetic": "exact", "batch": 2, "duplicates": "spread", "longest_run": 3}
