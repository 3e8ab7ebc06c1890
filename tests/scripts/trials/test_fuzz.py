"""Conversion of damaged files, with few of them."""

import json
import re
from pathlib import Path

import pytest

from scripts.trials import fuzz
from scripts.trials.mutations import mutated


def test_damage_is_made_again_from_its_seed() -> None:
    data = bytes(range(256)) * 20 + b"moovmdatftyp"
    made = [mutated(data, seed) for seed in range(50)]
    assert made == [mutated(data, seed) for seed in range(50)]
    assert len({damaged for damaged, _ in made}) > 40


def test_damaged_files_of_all_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["--files", "10", "--workers", "1", "--keep", str(tmp_path)]) == 0
    found = re.search(r"files: 10; converted: (\d+); refused: (\d+); findings: 0", capsys.readouterr().out)
    assert found is not None and int(found[1]) + int(found[2]) == 10 and int(found[1])
    cases = [json.loads(line) for line in (tmp_path / "cases.jsonl").read_text().splitlines()]
    assert len({case["source"] for case in cases}) == 10
    assert all(case["frames"] for case in cases if case["status"] == 0)
