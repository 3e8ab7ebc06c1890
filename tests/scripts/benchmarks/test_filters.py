"""The table of all filters."""

import pytest

from scripts.benchmarks import filters


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    filters.main(["--sizes", "64x48", "--rounds", "1", "--frames", "4", "--memory", "0", "--filters", "blur", "repair"])
    first, _, head, _, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("1 rounds of 4 output frames")
    chosen = [(name, kind) for name, kind in filters.FILTERS.items() if name.startswith(("blur", "repair"))]
    for row, (name, kind) in zip(rows, chosen, strict=True):
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        assert row.count("|") == head.count("|")
        assert cells[:2] == ["64x48", name]
        assert float(cells[2]) > 0
        assert cells[3] == "-" if not kind.new else float(cells[3]) > 0


def test_peaks_are_of_all_frames_and_of_a_quarter_of_them() -> None:
    quarter, end = filters._run(filters.CLIP, "draft", (64, 48), "retime, speed 1/2", 8)
    assert 2**25 < quarter <= end + 2**20  # the kernel counts to some pages
