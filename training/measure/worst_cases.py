"""Contact sheet of the triplets on which one method is worst compared with another, where it is worst.

For each triplet two rows. Above: a window of the source frame before, of the true frame, of the source frame after, and
of each method's frame, pixel for pixel. Below: the whole true frame with the window marked, what is known in words, how
the source frames differ in the window (motion is bright), and each method's error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vsrrin.preview.sheet import Cell, grey, legend, png, sheet

from .triplets import Picture, Triplet

WIDTH, HEIGHT = 320, 240
"""Largest window, pixels."""
WHITE = 64
"""Levels of 255 by which a picture must differ to be white in a map of errors."""
_MARK = (255, 210, 0)


@dataclass(frozen=True, eq=False)
class Case:
    """Triplet with the frames that methods made for it, and their PSNR in dB."""

    triplet: Triplet
    pictures: Mapping[str, Picture]
    psnr: Mapping[str, float]


class Worst:
    """Collection of the cases in which one method is worst compared with another.

    Args:
        subject: The one method.
        against: The other.
        count: Number of cases to keep.
    """

    def __init__(self, subject: str, against: str, count: int) -> None:
        self.subject, self.against, self.count = subject, against, count
        self.cases: list[Case] = []

    def add(self, case: Case) -> None:
        """Keep a case if it is among the worst so far."""
        self.cases = sorted([*self.cases, case], key=self.margin)[: self.count]

    def margin(self, case: Case) -> float:
        """Return by how many dB the subject is better than the other."""
        return case.psnr[self.subject] - case.psnr[self.against]

    def png(self) -> bytes:
        """Return the sheet as a PNG file, the worst case on top."""
        shapes = [case.triplet.truth.shape for case in self.cases]
        height, width = min(HEIGHT, *(s[0] for s in shapes)), min(WIDTH, *(s[1] for s in shapes))
        return png(sheet([row for case in self.cases for row in self._rows(case, height, width)]))

    def _rows(self, case: Case, height: int, width: int) -> list[list[Cell]]:
        triplet, pictures = case.triplet, case.pictures
        top, left = window(pictures[self.subject], pictures[self.against], triplet.truth, height, width)

        def cut(picture: Picture) -> Picture:
            return picture[top : top + height, left : left + width]

        def differing(first: Picture, second: Picture) -> Picture:
            return grey(difference(cut(first), cut(second)), WHITE)

        above = [
            Cell("before", cut(triplet.left)),
            Cell(f"truth, t={triplet.span.t}", cut(triplet.truth)),
            Cell("after", cut(triplet.right)),
        ]
        below = [
            Cell(triplet.clip, overview(triplet.truth, top, left, height, width)),
            Cell("", legend(height, width, self._words(case), with_wheel=False)),
            Cell("after - before", differing(triplet.right, triplet.left)),
        ]
        for name, picture in pictures.items():
            is_subject = name == self.subject
            above.append(Cell(f"{name}: {case.psnr[name]:.2f} dB", cut(picture), is_subject))
            below.append(Cell(f"error of {name}", differing(picture, triplet.truth), is_subject))
        return [above, below]

    def _words(self, case: Case) -> Sequence[str]:
        triplet = case.triplet
        return (
            f"frames {triplet.span.start} and {triplet.span.start + triplet.span.gap}, {triplet.bucket}: "
            f"{triplet.motion:.1f} px",
            f"{self.subject} - {self.against}: {self.margin(case):+.2f} dB (whole frame)",
            f"differences: white from {WHITE} of 255",
        )


def window(picture: Picture, other: Picture, truth: Picture, height: int, width: int) -> tuple[int, int]:
    """Return the top left corner (y, x) of the window in which a squared error exceeds the other's most.

    Args:
        picture: (H, W, 3), no smaller than the window.
        other: Another picture, likewise.
        truth: The true picture, likewise.
        height: Height of the window in pixels.
        width: Width of the window in pixels.
    """
    own, others = (np.square(p.astype(np.float64) - truth).sum(axis=2) for p in (picture, other))
    total = cv2.integral(own - others, sdepth=cv2.CV_64F)
    sums = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    y, x = np.unravel_index(int(np.argmax(sums)), sums.shape)
    return int(y), int(x)


def difference(first: Picture, second: Picture) -> NDArray[np.float32]:
    """Return the mean absolute difference of the channels, (H, W), in levels of 255."""
    return np.abs(first.astype(np.float32) - second.astype(np.float32)).mean(axis=2, dtype=np.float32)


def overview(picture: Picture, top: int, left: int, height: int, width: int) -> Picture:
    """Return a whole picture shrunk to height x width, black at its sides, with its window of that size marked."""
    rows, columns = picture.shape[:2]
    scale = min(height / rows, width / columns)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    small = np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    y, x, bottom, right = (round(edge * scale) for edge in (top, left, top + height, left + width))
    cv2.rectangle(small, (x, y), (min(right, size[0]) - 1, min(bottom, size[1]) - 1), _MARK, 1)
    whole = np.zeros((height, width, 3), np.uint8)
    y, x = (height - size[1]) // 2, (width - size[0]) // 2
    whole[y : y + size[1], x : x + size[0]] = small
    return whole
