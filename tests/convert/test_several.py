"""vsrrin.convert.several"""

from pathlib import Path

import pytest

from vsrrin.convert.several import targets
from vsrrin.errors import ArgumentError, ConvertError


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    for name in ("b.MKV", "a.ts", ".hidden.mp4", "notes.txt", "deep/c.mp4", "shots.v2/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_of_videos_stands_for_those_right_in_it(shelf: Path) -> None:
    out = shelf / "out"
    assert targets([shelf], out) == [(shelf / "a.ts", str(out / "a.mkv")), (shelf / "b.MKV", str(out / "b.MKV"))]


def test_a_folder_without_videos_is_one_of_images_whatever_its_name(shelf: Path) -> None:
    assert targets([shelf / "shots.v2"], shelf) == [(shelf / "shots.v2", f"{shelf / 'shots.v2'}/")]


def test_any_file_can_be_named_and_named_twice(shelf: Path) -> None:
    source = shelf / "notes.txt"
    assert targets([source, source], shelf / "out") == [(source, str(shelf / "out" / "notes.mkv"))]


def test_two_sources_of_one_name(shelf: Path) -> None:
    (shelf / "deep" / "a.mkv").touch()
    with pytest.raises(ArgumentError, match=r"a\.ts and .*deep/a\.mkv would both become out/a\.mkv"):
        targets([shelf / "a.ts", shelf / "deep"], Path("out"))


def test_a_source_that_does_not_exist(shelf: Path) -> None:
    with pytest.raises(ConvertError, match=r"nothing\.mkv does not exist"):
        targets([shelf / "a.ts", shelf / "nothing.mkv"], shelf)
