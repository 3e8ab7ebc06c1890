"""scripts.benchmarks.repair"""

import shutil
from pathlib import Path

import pytest

from scripts.benchmarks import repair
from tests.conftest import BUNNY


def test_new_frames_are_nearer_to_the_truth_than_what_is_held(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("bunny.mp4", "again.mp4"):
        shutil.copy(BUNNY, tmp_path / name)
    repair.main(["--data", str(tmp_path), "--model", "draft"])
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(int(row[0]), int(row[1])) for row in rows] == [(1, 2), (2, 4), (3, 6)]
    for row in rows:
        held, blended, repaired = map(float, row[2:5])
        assert repaired > blended > held
