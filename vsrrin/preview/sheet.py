"""Sheets of labelled pictures in rows, as arrays: cells, colours of flow, the colour wheel, text."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

type Picture = NDArray[np.uint8]
"""(H, W, 3), RGB."""
type Values = NDArray[np.float32]
"""(H, W) of any values, or (H, W, 2) of flow: (dx, dy) in pixels."""

BORDER = 8
"""Width of the space around a cell, in pixels."""
_LABEL, _USUAL_WIDTH = 40, 640
"""Height of labels of cells up to the usual width; on wider cells they grow, as these are seen from farther away."""
_BACKGROUND, _NEW, _INK = 24, (150, 75, 0), (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TEXT, _LINE = 0.62, 26
"""Size of a label's letters, and pixels from line to line."""


@dataclass(frozen=True)
class Cell:
    """A picture and its label.

    Attributes:
        label: The text above the picture.
        picture: The picture.
        stands_out: Whether the label is coloured, as for new frames.
    """

    label: str
    picture: Picture
    stands_out: bool = False


def sheet(rows: Sequence[Sequence[Cell]]) -> Picture:
    """Return all cells row by row, each under its label; all pictures must have one size."""
    height, width = rows[0][0].picture.shape[:2]
    bottom, right = place(len(rows), max(map(len, rows)), height, width)
    label = label_height(width)
    whole = np.full((bottom - label, right, 3), _BACKGROUND, np.uint8)
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            y, x = place(row, column, height, width)
            whole[y : y + height, x : x + width] = cell.picture
            whole[y - label : y, x : x + width] = _label(cell, width)
    return whole


def place(row: int, column: int, height: int, width: int) -> tuple[int, int]:
    """Return the top left corner (y, x) of a cell's picture in a sheet of height x width pictures."""
    label = label_height(width)
    return BORDER + row * (label + height + BORDER) + label, BORDER + column * (width + BORDER)


def label_height(width: int) -> int:
    """Return the height in pixels of labels of cells of that width."""
    return round(_LABEL * _zoom(width))


def enlarged(cell: Cell, factor: int) -> Cell:
    """Return the cell with each pixel as a square of factor x factor pixels."""
    return replace(cell, picture=cell.picture.repeat(factor, axis=0).repeat(factor, axis=1)) if factor > 1 else cell


def png(picture: Picture) -> bytes:
    """Return the picture as a PNG file."""
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return data.tobytes()


def flow_colours(flow: Values, full: float) -> Picture:
    """Return flow as colours: hue is the direction, as on `wheel`; white is rest.

    Args:
        flow: (H, W, 2), (dx, dy) in pixels.
        full: Length in pixels from which colours are full.

    Returns:
        (H, W, 3).
    """
    length, angle = cv2.cartToPolar(np.ascontiguousarray(flow[..., 0]), np.ascontiguousarray(flow[..., 1]))
    hsv = np.empty((*flow.shape[:2], 3), np.float32)
    hsv[..., 0] = np.degrees(angle)
    hsv[..., 1] = np.minimum(length / max(full, 1e-6), 1)
    hsv[..., 2] = 1
    return _eight_bit(np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float32))


def wheel(side: int) -> Picture:
    """Return a disc of the colours of flow: each point has the colour of motion from the centre to it."""
    radius = side / 2
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) + np.float32(0.5 - radius)
    disc = flow_colours(np.stack((x, y), -1), radius)
    disc[np.hypot(x, y) > radius] = _BACKGROUND
    return disc


def grey(values: Values, white: float) -> Picture:
    """Return a map (H, W) as grey: 0 is black, ``white`` and more is white."""
    return np.repeat(_eight_bit(values / np.float32(white))[..., None], 3, axis=2)


def legend(height: int, width: int, lines: Sequence[str], *, with_wheel: bool) -> Picture:
    """Return a panel of wrapped text, with the colour wheel below if there is room; letters shrink until all fits."""
    panel = np.full((height, width, 3), _BACKGROUND, np.uint8)
    disc = min(width, height) // 4 if with_wheel else 0
    for size in np.arange(_TEXT * _zoom(width), 0.2, -0.03):
        (letter, _), _ = cv2.getTextSize("n", _FONT, float(size), 1)
        step = round(_LINE * size / _TEXT)
        wrapped = [part for line in lines for part in textwrap.wrap(_plain(line), max((width - 8) // letter, 8))]
        if len(wrapped) * step + disc + 8 <= height:
            break
    for number, line in enumerate(wrapped):
        _write(panel, line, (4, step * (number + 1) - 4), float(size))
    if disc and len(wrapped) * step + disc + 8 <= height:
        panel[height - disc - 4 : height - 4, 4 : 4 + disc] = wheel(disc)
        room = width - disc - 16
        _write(
            panel,
            "direction of motion",
            (disc + 14, height - disc // 2),
            _fitting("direction of motion", room, float(size)),
        )
    return panel


def _label(cell: Cell, width: int) -> Picture:
    label = np.full((label_height(width), width, 3), _NEW if cell.stands_out else _BACKGROUND, np.uint8)
    text = _plain(cell.label)
    _write(label, text, (4, label.shape[0] * 2 // 3), _fitting(text, width - 8, _TEXT * _zoom(width)))
    return label


def _zoom(width: int) -> float:
    """Return the factor by which labels of cells of that width are larger than usual."""
    return max(width / _USUAL_WIDTH, 1.0)


def _fitting(text: str, width: int, size: float) -> float:
    """Return the largest size of letters, up to ``size``, in which a text is at most ``width`` pixels wide."""
    (wide, _), _ = cv2.getTextSize(text, _FONT, size, 1)
    return size * min(1.0, width / max(wide, 1))


def _plain(text: str) -> str:
    """Return the text in letters that OpenCV's font has."""
    return text.encode("ascii", "replace").decode()


def _write(picture: Picture, text: str, corner: tuple[int, int], size: float) -> None:
    cv2.putText(picture, text, corner, _FONT, size, _INK, max(round(size), 1), cv2.LINE_AA)


def _eight_bit(values: Values) -> Picture:
    return np.asarray(np.rint(np.clip(values, 0, 1) * 255), np.uint8)
