"""What steps cost, and what follows for many machines."""

import re

import pytest

from scripts.benchmarks import many_machines


def test_tables_agree_with_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--sizes", "128x96", "--models", "draft", "--encoders", "x264 medium", "--frames", "10", "--new", "2"]
    many_machines.main([*arguments, "--cores", "4", "--price", "2"])
    said = capsys.readouterr().out
    assert said.startswith("### 128x96\n")
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\|.*\|$", said, re.MULTILINE)]
    steps = {row[0]: [float(cell) for cell in row[1:] if cell] for row in rows if len(row) == 4 and "-" not in row[1]}
    assert set(steps) == {
        "decode (x264)",
        "BestSource's index",
        "new, draft",
        "x264 medium",
        "join",
        "frames as they are",
    }
    assert steps["frames as they are"] == [pytest.approx(128 * 96 * 12 / 1e6, abs=0.06)]
    assert steps["x264 medium"][2] > 0
    (row,) = (row for row in rows if row[0] == "draft, x264 medium")
    rate, read, write, raw, hours, price = map(float, row[1:7])
    seconds = (steps["decode (x264)"][0] + steps["new, draft"][0]) / 2 + steps["x264 medium"][0]
    assert rate == pytest.approx(4 / seconds, rel=0.1)
    assert raw == pytest.approx(rate * 128 * 96 * 12 / 1e6, rel=0.1)
    assert 0 <= read < raw and 0 < write < raw
    assert hours == pytest.approx(48 * seconds, rel=0.1, abs=0.1) and price == pytest.approx(2 * hours, abs=0.2)
    assert len(row) == 10 and row[7].count(",") == 2
