"""The picture of one frame pair: source and new frames, and below them motion, mask and differences."""

from collections.abc import Sequence
from itertools import batched

from . import sheet
from .findings import facts, findings, name, source_name
from .pair import Pair
from .sheet import Cell, Picture

_WIDEST = 16_000
"""Largest width of a picture in pixels; many viewers show no wider ones."""
_SMALLEST_CELL = 320, 180
"""Width and height below which pixels are enlarged, so that labels can be read."""


def picture(pair: Pair) -> Picture:
    """Return the picture of a pair."""
    found = list(findings(pair))
    analysis = [
        Cell(f"{each.name}: {each.meaning}", each.picture)
        for each in found
        # A mask shows where flow is doubted, and more; four maps are a row.
        if each.name != "confidence" and (each.name != "doubt" or pair.maps.share is None)
    ]
    lines = [f"{subject}: {text}" for subject, text in facts([pair])]
    return _arranged(_frames(pair), analysis, lines, with_wheel=any(each.of_flow for each in found))


def _frames(pair: Pair) -> list[Cell]:
    """Return both source frames and the others between them."""
    left, right = (Cell(source_name(pair, n), shown) for n, shown in zip(pair.between, pair.sources, strict=True))
    others = [shown for shown in pair.shown if shown.kind != "source"]
    return [left, *(Cell(name(pair, shown), shown.picture, stands_out=True) for shown in others), right]


def _arranged(pictures: Sequence[Cell], analysis: Sequence[Cell], lines: Sequence[str], *, with_wheel: bool) -> Picture:
    """Return all cells in rows, with the text in the first free place behind pictures or maps."""
    height, width = pictures[0].picture.shape[:2]
    factor = max(-(-_SMALLEST_CELL[0] // width), -(-_SMALLEST_CELL[1] // height), 1)
    columns = max(min(4 if len(pictures) <= 3 else 5, _WIDEST // (factor * width)), 1)
    groups = [
        [[sheet.enlarged(cell, factor) for cell in row] for row in batched(cells, columns)]
        for cells in (pictures, analysis)
    ]
    home = next((group[-1] for group in groups if len(group[-1]) < columns), [])
    rows = [row for group in groups for row in group] + ([] if home else [home])
    panel = sheet.legend(factor * height, factor * width, lines, with_wheel=with_wheel)
    home.append(Cell("", panel))
    return sheet.sheet(rows)
