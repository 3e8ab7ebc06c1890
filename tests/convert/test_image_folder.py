"""Conversions to folders of images: what becomes of the finished ones when the folder cannot get its name."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.image_files import picture, read, write, write_sequence
from vsrrin.convert.image_folder import Images, convert_to_folder, open_images
from vsrrin.convert.prepare import Settings
from vsrrin.convert.run import Progress
from vsrrin.convert.work_folder import folder_of
from vsrrin.errors import ConvertError

TOTAL = 6
NAMES = [f"{n:06}.png" for n in range(1, TOTAL + 1)]


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return open_images(write_sequence(tmp_path / "in", TOTAL // 2), Fraction(24))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "in", tmp_path / "out", model="draft")


def at_the_end(act: Callable[[], object]) -> Callable[[Progress], None]:
    """Does something when the last image is finished."""

    def look(progress: Progress) -> None:
        if progress.frames_done == TOTAL:
            act()

    return look


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def finish(settings: Settings, images: Images) -> None:
    """The run continues, and has nothing left to do but to give the folder its name."""
    result = convert_to_folder(replace(settings, resume=True), images)
    assert result.resumed_frames == TOTAL
    assert names(settings.target) == NAMES
    assert np.array_equal(read(settings.target / NAMES[2]), picture(1))
    assert names(settings.target.parent) == ["in", "out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_put_into_the_target_meanwhile_stays_and_costs_nothing(
    overwrite: bool, settings: Settings, images: Images
) -> None:
    settings = replace(settings, overwrite=overwrite)
    settings.target.mkdir()
    if overwrite:
        write(settings.target / NAMES[0], picture()[:10])
    note = settings.target / "note.txt"
    said: list[str] = []
    with pytest.raises(ConvertError, match=r"more than numbered PNGs \(note\.txt\)" if overwrite else "is not empty"):
        convert_to_folder(settings, images, progress=at_the_end(lambda: note.write_text("mine")), say=said.append)
    assert f"{TOTAL} of {TOTAL} images are finished" in said[-1]
    assert note.read_text() == "mine"
    with pytest.raises(ConvertError, match=r"resume=True continues it|is not empty"):
        convert_to_folder(replace(settings, overwrite=False), images)
    note.unlink()
    finish(settings, images)


def test_a_name_that_cannot_be_given_costs_nothing(settings: Settings, images: Images) -> None:
    settings = replace(settings, overwrite=True)
    settings.target.mkdir()
    write(settings.target / NAMES[0], picture()[:10])
    in_the_way = settings.target.with_name(f"{folder_of(settings.target).name}.old")
    in_the_way.write_text("a file")
    with pytest.raises(ConvertError, match="out cannot be written: Not a directory"):
        convert_to_folder(settings, images)
    assert read(settings.target / NAMES[0]).shape[0] == 10
    in_the_way.unlink()
    finish(settings, images)


def test_what_a_killed_run_has_left_to_be_removed_is_removed(settings: Settings, images: Images) -> None:
    old = settings.target.with_name(f"{folder_of(settings.target).name}.old")
    for folder in (settings.target, old):
        folder.mkdir()
        write(folder / NAMES[-1], picture()[:10])
    convert_to_folder(replace(settings, overwrite=True), images)
    assert names(settings.target) == NAMES
    assert names(settings.target.parent) == ["in", "out"]


def test_a_finished_image_that_is_damaged_is_made_again(settings: Settings, images: Images) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_to_folder(settings, images, progress=at_the_end(stop))
    image = folder_of(settings.target) / NAMES[3]
    data = bytearray(whole := image.read_bytes())
    data[len(data) // 2] ^= 1
    image.write_bytes(data)
    assert convert_to_folder(replace(settings, resume=True), images).resumed_frames == TOTAL - 1
    assert (settings.target / NAMES[3]).read_bytes() == whole


def test_an_image_that_changes_under_way_is_not_taken(settings: Settings, images: Images) -> None:
    write(settings.source / "10.png", picture(7))
    with pytest.raises(ConvertError, match=r"10\.png has changed since the work began: .*overwrite=True"):
        convert_to_folder(settings, images)
    assert not settings.target.exists()


def test_a_folder_of_the_longest_name_is_replaced(images: Images, settings: Settings, tmp_path: Path) -> None:
    target = tmp_path / ("n" * 255)
    target.mkdir()
    write(target / NAMES[0], picture())
    convert_to_folder(replace(settings, target=target, overwrite=True), images)
    assert names(target) == NAMES
    assert names(tmp_path) == ["in", target.name]
