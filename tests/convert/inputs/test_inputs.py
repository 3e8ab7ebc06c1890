"""Files of many kinds through the converter: whatever their rows do not name is the same in the output."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.convert.inputs import codecs, pictures, streams, times
from tests.convert.inputs.inventory import SAMPLES, film_of, frames, inventory, sound, start
from tests.convert.inputs.table import Row, made
from vsrrin import ConvertError, convert_file

ROWS = (*codecs.ROWS, *pictures.ROWS, *times.ROWS, *streams.ROWS)
GRID = Fraction(1, 1000)  # of Matroska
TOGETHER = Fraction(2, 1000)  # how far sound may move against the picture
LAST = Fraction(25, 1000)  # how much of the last packet of sound may be gone


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_all_that_a_row_does_not_name_is_the_same(row: Row, tmp_path: Path) -> None:
    source, target = made(row.steps, tmp_path), tmp_path / "converted" / row.to
    target.parent.mkdir()
    settings = {"model": "draft", "codec": "ffv1" if target.suffix == ".mkv" else None} | row.settings
    if row.refused:
        with pytest.raises(ConvertError, match=row.refused):
            convert_file(source, target, **settings)
        assert not target.exists()
        return
    result = convert_file(source, target, **settings)
    for part in row.says:
        assert any(part in note for note in result.notes), result.notes
    begins = same_frames(row, source, target)
    before, after = (inventory(path, first) for path, first in zip((source, target), begins, strict=True))
    changed = {key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed == row.changed, (changed, result.notes)
    for track in range(after["streams"].count("a")):
        same_sound(row, track, source, target, begins)


def same_frames(row: Row, source: Path, target: Path) -> tuple[Fraction, Fraction]:
    """Checks that all source frames are in the output, at their times, with others between; gives the first times."""
    made_of = film_of(target)[1]
    samples = row.samples or SAMPLES.get(made_of, made_of)
    before, after = frames(source, samples, *row.reader), frames(target, samples)
    assert len(after) == 2 * len(before)
    old, new = [time for time, _ in before], [time for time, _ in after]
    old = [old[0] + Fraction(time) for time in row.times] or old
    assert new == sorted(set(new))
    moved = new[0] - (0 if row.moved else old[0])
    assert abs(moved) <= GRID or abs(moved + start(source)) <= GRID, float(moved)
    away = [float(new[2 * n] - new[0] - (time - old[0])) for n, time in enumerate(old)]
    assert max(map(abs, away)) <= GRID, away
    assert len(old) == 1 or old[-1] - old[0] < new[-1] - new[0] < 2 * old[-1] - old[-2] - old[0]
    assert [code for _, code in after[::2]] == [code for _, code in before]
    return new[0] - moved, new[0]


def same_sound(row: Row, track: int, source: Path, target: Path, begins: tuple[Fraction, Fraction]) -> None:
    """Checks that a track is where it was against the picture, and that its samples are those of the source."""
    options = ("-ar", "48000") if track in row.anew else ()
    (begin, before, rate), (began, after, _) = (sound(path, track, *options) for path in (source, target))
    later = shift(before[:, 0], after[:, 0])
    assert abs(began + Fraction(later, rate) - begins[1] - (begin - begins[0])) <= TOGETHER
    both = min(len(before), len(after) - later)  # FFmpeg's command keeps what an edit list takes from the last packet
    assert len(before) - both <= LAST * rate
    if track not in row.anew:
        assert later >= 0
        assert np.array_equal(after[later : later + both], before[:both])


def shift(before: "NDArray[np.float32]", after: "NDArray[np.float32]") -> int:
    """How many samples later the second sound has what the first one has."""
    size = len(before) + len(after)
    product = np.fft.rfft(after, size) * np.fft.rfft(before, size).conj()
    found = int(np.argmax(np.fft.irfft(product, size)))
    return found if found < len(after) else found - size
