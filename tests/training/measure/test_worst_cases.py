"""The contact sheet of the worst cases."""

from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.training.moving import HEIGHT, WIDTH, picture
from training.measure.triplets import Span, Triplet
from training.measure.worst_cases import Case, Worst, difference, overview, window
from vsrrin.preview.sheet import place


def spoiled(by: int, top: int = 10, left: int = 20) -> NDArray[np.uint8]:
    """The picture with a square of 16 pixels changed."""
    found = np.minimum(picture(), 200)
    found[top : top + 16, left : left + 16] += np.uint8(by)
    return found


def case(number: int, first: float, second: float) -> Case:
    truth = np.minimum(picture(), 200)
    triplet = Triplet(
        clip=f"{number}.mp4", span=Span(1, 2, Fraction(1, 2)), left=picture(-2), truth=truth, right=picture(2)
    )
    return Case(triplet, {"first": spoiled(50), "second": spoiled(5, 60, 100)}, {"first": first, "second": second})


def test_keeps_those_with_the_largest_loss() -> None:
    worst = Worst("first", "second", 2)
    for number, psnr in enumerate((31.0, 27.0, 40.0, 25.0)):
        worst.add(case(number, psnr, 30.0))
    assert [kept.triplet.clip for kept in worst.cases] == ["3.mp4", "1.mp4"]
    assert worst.margin(worst.cases[0]) == -5


def test_window_lies_where_one_picture_is_worse_than_the_other() -> None:
    truth = np.minimum(picture(), 200)
    top, left = window(spoiled(50), spoiled(5, 60, 100), truth, 40, 60)
    assert 26 - 40 <= top <= 10
    assert 36 - 60 <= left <= 20
    top, left = window(spoiled(5), spoiled(50), spoiled(5), 16, 16)
    assert not (abs(top - 10) < 16 and abs(left - 20) < 16)  # not where the other one is worse
    assert window(spoiled(50), truth, truth, HEIGHT, WIDTH) == (0, 0)


def test_overview_marks_the_window_in_the_whole_picture() -> None:
    whole = overview(np.full((200, 100, 3), 90, np.uint8), 100, 50, 100, 50)
    assert whole.shape == (100, 50, 3)
    marked = np.all(whole == (255, 210, 0), axis=2)
    rows, columns = np.nonzero(marked)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (50, 99, 25, 49)
    assert np.all(whole[10, 10] == 90)


def test_overview_is_black_at_the_sides() -> None:
    whole = overview(np.full((50, 100, 3), 90, np.uint8), 0, 0, 50, 50)
    assert np.all(whole[:12] == 0) and np.all(whole[38:] == 0)


def test_sheet_shows_windows_and_errors() -> None:
    worst = Worst("first", "second", 3)
    worst.add(case(0, 25.0, 30.0))
    worst.add(case(1, 26.0, 30.0))
    sheet = cv2.cvtColor(cv2.imdecode(np.frombuffer(worst.png(), np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def cell(row: int, column: int) -> NDArray[np.uint8]:
        y, x = place(row, column, HEIGHT, WIDTH)
        return np.asarray(sheet[y : y + HEIGHT, x : x + WIDTH], np.uint8)

    assert sheet.shape[:2] == (cell_end(4, 5)[0], cell_end(4, 5)[1])
    assert np.array_equal(cell(0, 0), picture(-2))
    assert np.array_equal(cell(0, 1), np.minimum(picture(), 200))
    assert np.array_equal(cell(0, 2), picture(2))
    assert np.array_equal(cell(2, 3), spoiled(50))
    assert np.array_equal(cell(2, 4), spoiled(5, 60, 100))
    error = difference(spoiled(50), np.minimum(picture(), 200))
    assert np.count_nonzero(error) == 16 * 16
    assert np.array_equal(cell(1, 3)[..., 0], np.rint(error / 64 * 255).astype(np.uint8))
    label = place(0, 3, HEIGHT, WIDTH)
    assert tuple(sheet[label[0] - 30, label[1]]) == (150, 75, 0)  # the method it is about


def cell_end(rows: int, columns: int) -> tuple[int, int]:
    """(height, width) of a sheet."""
    y, x = place(rows - 1, columns - 1, HEIGHT, WIDTH)
    return y + HEIGHT + 8, x + WIDTH + 8
