"""Continuation of conversions whose work folders are damaged, with one of each target."""

import re

import pytest

from scripts.trials import work_folders


def test_damaged_work_folders_of_all_targets(capsys: pytest.CaptureFixture[str]) -> None:
    assert work_folders.main(["--folders", "5", "--workers", "1"]) == 0
    counts = re.findall(r"(identical|refused): (\d+)", capsys.readouterr().out)
    assert sum(int(count) for _, count in counts) == 5 and "identical" in dict(counts)
