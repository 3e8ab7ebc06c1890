"""Loading of damaged checkpoints, with one of each form."""

import re

import pytest

from scripts.trials import checkpoints


def test_damaged_checkpoints_of_all_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert checkpoints.main(["--files", "6", "--workers", "1"]) == 0
    found = re.search(r"files: 6; loaded: (\d+); refused: (\d+); findings: 0", capsys.readouterr().out)
    assert found is not None and int(found[1]) + int(found[2]) == 6 and int(found[2])
