"""Tables of what the filter and a conversion cost beyond the network."""

from collections.abc import Callable

import pytest

from scripts.benchmarks import convert, overhead


@pytest.mark.parametrize(
    ("main", "arguments", "names"),
    [
        (overhead.main, ["--sizes", "64x48"], ["draft", "64x48", "float32"]),
        (convert.main, ["--size", "64x48"], ["draft", "64x48", "libx264"]),
    ],
)
def test_table(
    main: Callable[[list[str]], None], arguments: list[str], names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main([*arguments, "--models", "draft", "--rounds", "1", "--frames", "3"])
    first, _, head, _, row = capsys.readouterr().out.splitlines()
    assert first.startswith("1 rounds of 2 new frames")
    assert head.count("|") == row.count("|") == 7
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    bare, whole, ratio = map(float, cells[3:])
    assert cells[:3] == names and bare > 0 and whole > 0
    assert ratio == pytest.approx(whole / bare, rel=0.1)
