"""scripts.benchmarks.damage"""

import shutil
from pathlib import Path

import pytest

from scripts.benchmarks import damage
from tests.conftest import BUNNY


def test_damage_is_found_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(BUNNY, tmp_path / "bunny.mp4")
    for table, name in (("HARMLESS", "1 frame twice, and nothing lost"), ("DAMAGE", "black: 3 frames")):
        monkeypatch.setattr(damage, table, {name: getattr(damage, table)[name]})
    damage.main(["--data", str(tmp_path)])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines() if line]
    cells = {row[0]: row[1:] for row in rows}
    assert cells[tmp_path.name] == ["50", "0"]
    assert cells["1 frame twice, and nothing lost"] == ["26", "0"]
    assert cells["black: 3 frames"] == ["3 of 3", "0"]
    assert int(cells["libx264"][0]) > 0
