"""The atomic writer: files are whole, or as they were."""

import os
import stat
from pathlib import Path

import pytest

from vsrrin import files
from vsrrin.errors import CheckpointError, ConvertError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")
    return file


def full(_file: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_is_replaced(path: Path) -> None:
    files.write(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    usual, ours = tmp_path / "usual", tmp_path / "ours"
    usual.touch()
    files.write(ours, b"")
    assert stat.S_IMODE(ours.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, RuntimeError, ConvertError])
def test_whatever_ends_the_block_leaves_the_old_file(path: Path, raised: type[BaseException]) -> None:
    with pytest.raises(raised), files.replacing(path) as part:
        part.write_bytes(b"half of")
        assert part.name.endswith(files.PART)
        raise raised
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_an_error_of_the_caller(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"a\.bin cannot be written: No space left on device$"):
        files.write(path, b"new", CheckpointError)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_folder_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "no" / "a.bin"
    with pytest.raises(ConvertError) as error:
        files.write(path, b"new")
    assert str(error.value) == f"{path} cannot be written: No such file or directory"


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "a.bin"
    folder.mkdir()
    with pytest.raises(ConvertError, match=r"a\.bin cannot be written: "):
        files.write(folder, b"new")
    assert list(tmp_path.iterdir()) == [folder]


def test_a_file_that_came_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with (
        pytest.raises(ConvertError, match=r"a\.bin cannot be written: another program .* meanwhile; overwrite=True"),
        files.replacing(path, overwrite=False) as part,
    ):
        part.write_bytes(b"new")
        path.write_bytes(b"old")
    assert path.read_bytes() == b"old"


def test_a_companion_is_never_that_of_another_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = path.with_suffix(".json")
    beside.write_bytes(b"of old")
    parts = {path.with_suffix(".new"): path, path.with_suffix(".fresh"): beside}
    replace, calls = os.replace, 0

    def die_at_second(old: Path, new: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        replace(old, new)

    for part in parts:
        part.write_bytes(b"new")
    monkeypatch.setattr(os, "replace", die_at_second)
    with pytest.raises(KeyboardInterrupt):
        files.publish(parts)
    assert path.read_bytes() == b"new" and not beside.exists()
