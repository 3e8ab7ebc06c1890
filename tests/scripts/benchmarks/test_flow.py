"""Table of the time that optical flow takes."""

import pytest

from scripts.benchmarks import flow


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    flow.main(["--sizes", "96x64", "--rounds", "1"])
    _, _, head, _, *rows = capsys.readouterr().out.splitlines()
    assert "tensor operations on cpu" in head
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    assert [row[:2] for row in cells] == [["96x64", "fast"], ["96x64", "fine"]]
    assert all(float(row[2]) > 0 and float(row[3]) > 0 and 0 < float(row[4]) < 0.5 for row in cells)
