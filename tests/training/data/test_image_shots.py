"""Shots that lie on the disk as images."""

import math
import pickle
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.training.video_files import HEIGHT, WIDTH, Picture, pan
from training.data.image_shots import read_image
from training.data.shots import open_shots
from training.errors import DatasetError


def write_images(folder: Path, pictures: Sequence[Picture], names: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in zip(names, pictures, strict=True):
        cv2.imwrite(str(folder / name), picture[..., ::-1])


def vimeo(folder: Path, kind: str, frames: int, *, test: bool = True) -> dict[str, list[Picture]]:
    """Writes a small Vimeo-90K folder of four sequences, two of them in the test list; returns their frames."""
    found = {}
    for number, name in enumerate(("00001/0001", "00001/0002", "00002/0001", "00078/0986")):
        found[name] = pan(frames, seed=number)
        write_images(folder / "sequences" / name, found[name], [f"im{k}.png" for k in range(1, frames + 1)])
    (folder / f"{kind}_trainlist.txt").write_text("00002/0001\n00001/0001\n\n")
    if test:
        (folder / f"{kind}_testlist.txt").write_text("00001/0002\r\n00078/0986\r\n")
    return found


@pytest.mark.parametrize(("kind", "frames"), [("tri", 3), ("sep", 7)])
def test_vimeo(tmp_path: Path, kind: str, frames: int) -> None:
    pictures = vimeo(tmp_path, kind, frames)
    store = open_shots(tmp_path)
    assert store.layout == "Vimeo-90K"
    assert [shot.name for shot in store.shots] == ["00002/0001", "00001/0001"]
    for shot in store.shots:
        assert (shot.frames, shot.height, shot.width, shot.fps) == (frames, HEIGHT, WIDTH, None)
        assert math.isnan(shot.motion)
        assert all(np.array_equal(shot.frame(number), pictures[shot.name][number]) for number in range(frames))
    shot = pickle.loads(pickle.dumps(store.shots[1]))
    window = shot.crop(2, 4, 8, 16, 32)
    assert np.array_equal(window, pictures["00001/0001"][2][4:20, 8:40])
    window[:] = 0  # a copy
    assert np.array_equal(shot.frame(2), pictures["00001/0001"][2])
    assert [shot.name for shot in open_shots(tmp_path, "test").shots] == ["00001/0002", "00078/0986"]


def test_what_is_tested_is_not_trained_on(tmp_path: Path) -> None:
    vimeo(tmp_path, "tri", 3)
    (tmp_path / "tri_trainlist.txt").write_text("00001/0002\n00001/0001\n")
    assert [shot.name for shot in open_shots(tmp_path).shots] == ["00001/0001"]


def test_incomplete_vimeo_folders(tmp_path: Path) -> None:
    vimeo(tmp_path, "tri", 3, test=False)
    with pytest.raises(DatasetError, match=r"no list of them: tri_testlist\.txt or sep_testlist\.txt must lie beside"):
        open_shots(tmp_path, "test")
    (tmp_path / "tri_trainlist.txt").write_text("00001/0001\n" + "".join(f"00009/000{n}\n" for n in range(5)))
    missing = (
        r"5 of 6 sequences of tri_trainlist\.txt are missing from sequences/ \(00009/0000, 00009/0001, 00009/0002\.\.\."
    )
    with pytest.raises(DatasetError, match=missing):
        open_shots(tmp_path)
    (tmp_path / "tri_trainlist.txt").write_text("\n")
    with pytest.raises(DatasetError, match="has no shots"):
        open_shots(tmp_path)
    (tmp_path / "tri_trainlist.txt").unlink()
    with pytest.raises(DatasetError, match=r"tri_trainlist\.txt or sep_trainlist\.txt must lie beside"):
        open_shots(tmp_path)


def test_folders_of_frames_in_natural_order(tmp_path: Path) -> None:
    for folder, count in (("shot10", 4), ("shot9", 11), ("few", 2), (".hidden", 5)):
        write_images(tmp_path / folder, pan(count), [f"f{number}.png" for number in range(count)])
    (tmp_path / "shot9/notes.txt").write_text("none")
    store = open_shots(tmp_path)
    assert store.layout == "frame folders"
    assert [(shot.name, shot.frames) for shot in store.shots] == [("shot9", 11), ("shot10", 4)]
    assert all(np.array_equal(store.shots[0].frame(number), picture) for number, picture in enumerate(pan(11)))
    assert math.isnan(store.shots[0].motion)
    assert [(shot.name, shot.frames) for shot in open_shots(tmp_path / "shot9").shots] == [("shot9", 11)]


def test_frames_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    write_images(tmp_path / "a", pan(4), ["0.png", "1.png", "2.png", "3.png"])
    write_images(tmp_path / "a", pan(1, size=(32, 48)), ["1.png"])
    (tmp_path / "a/2.png").write_bytes((tmp_path / "a/2.png").read_bytes()[:20])
    (shot,) = open_shots(tmp_path).shots
    (tmp_path / "a/3.png").unlink()
    with pytest.raises(DatasetError, match=rf"1\.png has 48x32 pixels, .*0\.png has {WIDTH}x{HEIGHT}; all frames of a"):
        shot.crop(1, 0, 0, 8, 8)
    with pytest.raises(DatasetError, match=r"2\.png is damaged, or no image of 8 or 16 bits"):
        shot.frame(2)
    with pytest.raises(DatasetError, match=r"there is no file .*3\.png"):
        shot.frame(3)
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"no picture")
    (tmp_path / "a").rename(tmp_path / ".a")
    with pytest.raises(DatasetError, match=r"0\.png is damaged, or not a PNG, JPEG, WebP or TIFF"):
        assert open_shots(tmp_path).shots[0].height


def test_images_of_other_kinds_become_rgb_of_8_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 65536, (8, 9, 3)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep[..., ::-1])
    assert np.array_equal(read_image(tmp_path / "deep.png"), np.rint(deep / 257.0))
    grey = rng.integers(0, 256, (8, 9)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    assert np.array_equal(read_image(tmp_path / "grey.png"), np.stack([grey] * 3, axis=-1))
    seen = rng.integers(0, 256, (8, 9, 4)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "alpha.png"), seen)
    assert np.array_equal(read_image(tmp_path / "alpha.png"), seen[..., 2::-1])
