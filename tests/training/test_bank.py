"""The command that makes banks."""

from pathlib import Path

import pytest

from tests.training.banks import contents
from training.bank import main
from training.data.banks.building import Data
from training.data.banks.files import BankReader


def command(data: Data, out: Path, *more: str) -> list[str]:
    settings = "--window 80 --crop 64 --synthetic 0.4 --candidates 2 --flow-preset fast --largest-gap 3"
    return ["--shots", str(data.shots[0]), "--photos", str(data.photos), "--out", str(out), *settings.split(), *more]


def test_the_command_makes_a_bank(
    bank: Path, bank_data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(bank_data, tmp_path / "out", "--samples", "15")) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'out'}\n"
    assert "15 of 15 samples" in said.err
    assert contents(tmp_path / "out") == contents(bank)


def test_the_command_says_what_is_wrong_in_a_line(
    bank_data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--shots", str(tmp_path / "none"), "--out", str(tmp_path / "out"), "--samples", "5"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("training.bank: there is no folder")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--out x --samples 5", "--shots is missing"),
        ("--out x --samples 5 --shots y --synthetic 0.5", "--photos is missing"),
        ("--out x --samples 5 --flat 0.5", "--shots is missing: give datasets, or --synthetic 1 and --photos, or --fl"),
        ("--out x --samples 5 --flat 1.5", "must be from 0 to 1, not 1.5"),
        ("--out x --samples 5 --shots y --photos z --synthetic 0.8 --flat 0.7", "must be 1 at most together, not 1.5"),
        ("--out x --samples 0 --shots y", "must be at least 1, not 0"),
        ("--out x --samples 5 --shots y --window 128", "--window must be at least --crop, 192, not 128"),
        ("--out x --samples 5 --shots y --crop 33", "must be even and at least 16, not 33"),
        ("--out x --samples 5 --shots y --hard 2", "must be from 0 to 1, not 2.0"),
        ("--out x --samples 5 --shots y --flow-scale 0.1", "must be from 0.25 to 1, not 0.1"),
        ("--out x --samples many --shots y", "invalid whole number value: 'many'"),
    ],
)
def test_wrong_usage_is_explained(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments.split())
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_photos_are_not_needed_for_real_video_nor_shots_for_synthetic(bank_data: Data, tmp_path: Path) -> None:
    options = ["--samples", "2", "--window", "64", "--crop", "64", "--flow-preset", "fast"]
    assert main(["--shots", str(bank_data.shots[0]), "--out", str(tmp_path / "real"), *options]) == 0
    assert not BankReader(tmp_path / "real").index["layers"].any()
    synthetic = ["--photos", str(bank_data.photos), "--synthetic", "1", "--out", str(tmp_path / "synthetic")]
    assert main([*synthetic, *options]) == 0
    assert BankReader(tmp_path / "synthetic").index["layers"].all()


def test_flat_art_needs_neither_and_takes_both(bank_data: Data, tmp_path: Path) -> None:
    options = ["--window", "64", "--crop", "64", "--flow-preset", "fast"]
    assert main(["--flat", "1", "--out", str(tmp_path / "flat"), "--samples", "2", *options]) == 0
    assert BankReader(tmp_path / "flat").index["layers"].all()
    assert main([*command(bank_data, tmp_path / "all", "--samples", "30", "--flat", "0.3")]) == 0
    bank = BankReader(tmp_path / "all")
    assert 18 <= (bank.index["layers"] > 0).sum() <= 24
    flat = ["--flat", "0.3", "--photos", str(bank_data.photos), "--synthetic", "0.7", *options]  # 1 - 0.7 - 0.3 > 0
    assert main([*flat, "--out", str(tmp_path / "layered"), "--samples", "4"]) == 0
    assert BankReader(tmp_path / "layered").index["layers"].all()


def test_a_bank_without_flat_art_cannot_go_on_with_it(
    bank_data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(bank_data, tmp_path / "out", "--samples", "2")) == 0
    assert main(command(bank_data, tmp_path / "out", "--samples", "4", "--flat", "0.2")) == 2
    assert "was begun with flat = 0.0, not 0.2" in capsys.readouterr().err
