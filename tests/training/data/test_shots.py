"""Shots of a dataset, and photos."""

import json
import pickle
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.training.video_files import HEIGHT, WIDTH, pan
from training.data.shots import Photos, open_photos, open_shots
from training.data.videos.manifest import Manifest, Settings, ShotInfo
from training.data.videos.shot_writer import ShotWriter
from training.errors import DatasetError


def dataset(folder: Path, *lengths: int) -> list[np.ndarray]:
    """Writes a dataset; returns its frames."""
    manifest, pictures = Manifest(Settings(None, 3)), []
    (folder / "shots").mkdir(parents=True)
    for number, length in enumerate(lengths):
        writer = ShotWriter(folder / f"shots/{number}.npy")
        pictures.append(np.stack(pan(length, seed=number)))
        for picture in pictures[-1]:
            writer.append(picture)
        manifest.shots.append(
            ShotInfo(
                file=f"shots/{number}.npy",
                video="a.mp4",
                source="somewhere",
                source_frames=(0, length),
                licence="CC0" if number else "MIT",
                width=WIDTH,
                height=HEIGHT,
                fps=Fraction(24000, 1001),
                frames=length,
                bytes=writer.finish(),
                motion=2.0,
                motion_p95=2.5,
                repeated=0,
            )
        )
    manifest.save(folder)
    return pictures


def test_frames_and_windows_of_a_dataset(tmp_path: Path) -> None:
    pictures = dataset(tmp_path, 4, 5)
    store = open_shots(tmp_path)
    assert store.layout == "training.prepare"
    assert store.licences == {"MIT": 1, "CC0": 1}
    first, second = store.shots
    assert (first.name, first.frames, second.frames) == ("shots/0.npy", 4, 5)
    assert (second.height, second.width, second.fps, second.motion) == (HEIGHT, WIDTH, Fraction(24000, 1001), 2.0)
    assert np.array_equal(second.frame(4), pictures[1][4])
    window = second.crop(3, 10, 20, 30, 40)
    assert np.array_equal(window, pictures[1][3, 10:40, 20:60])
    window[:] = 0  # a copy
    assert np.array_equal(second.frame(3), pictures[1][3])
    with pytest.raises(ValueError, match="read-only"):
        second.frame(3)[:] = 0


def test_shots_go_to_other_processes_without_their_frames(tmp_path: Path) -> None:
    pictures = dataset(tmp_path, 4)
    (shot,) = open_shots(tmp_path).shots
    shot.frame(0)
    packed = pickle.dumps(shot)
    assert len(packed) < 2000
    assert np.array_equal(pickle.loads(packed).frame(2), pictures[0][2])


def test_shots_without_a_triplet_are_left_out(tmp_path: Path) -> None:
    dataset(tmp_path, 2, 3)
    assert [shot.frames for shot in open_shots(tmp_path).shots] == [3]


def test_a_file_that_is_not_what_the_manifest_says(tmp_path: Path) -> None:
    dataset(tmp_path, 4)
    file = tmp_path / "shots/0.npy"
    (opened,) = open_shots(tmp_path).shots
    np.save(file, np.zeros((3, HEIGHT, WIDTH, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"0\.npy holds uint8 of shape .*not what manifest\.json says: 4 frames"):
        opened.frame(0)
    with pytest.raises(DatasetError, match=r"0\.npy is missing or not of the \d+ bytes that manifest\.json says"):
        open_shots(tmp_path)
    file.unlink()
    with pytest.raises(DatasetError, match=r"0\.npy is missing"):
        open_shots(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema", 2, "is of schema 2, this version reads 1: make the dataset again"),
        ("shots", [{"file": "shots/0.npy"}], "is no manifest of training.prepare, or is damaged .KeyError"),
        ("shots", 7, "is damaged .TypeError"),
        ("settings", {"colour": 1}, "is damaged .TypeError"),
    ],
)
def test_a_manifest_that_cannot_be_read(tmp_path: Path, key: str, value: object, message: str) -> None:
    dataset(tmp_path, 4)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(DatasetError, match=message):
        open_shots(tmp_path)
    path.write_text("{")
    with pytest.raises(DatasetError, match=r"is damaged .JSONDecodeError"):
        open_shots(tmp_path)


def test_folders_of_no_known_layout(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no folder .*none; give a folder of shots: a dataset of python"):
        open_shots(tmp_path / "none")
    (tmp_path / "film.mp4").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"no known layout; these are: .*Vimeo-90K.*Videos are made a dataset by"):
        open_shots(tmp_path)
    dataset(tmp_path / "empty")
    with pytest.raises(DatasetError, match=r"empty .training.prepare. has no shots of three frames or more"):
        open_shots(tmp_path / "empty")


def test_a_manifest_survives_being_written(tmp_path: Path) -> None:
    dataset(tmp_path, 4, 5)
    manifest = Manifest.load(tmp_path)
    manifest.save(tmp_path)
    assert Manifest.load(tmp_path) == manifest


def test_an_unfinished_shot_has_no_name(tmp_path: Path) -> None:
    name = f"{'a' * 251}.npy"  # as long as file systems take
    writer = ShotWriter(tmp_path / name)
    pictures = pan(6)
    for picture in pictures:
        writer.append(picture)
    (part,) = tmp_path.iterdir()
    assert part.name != name and part.suffix == ".part"
    writer.cut_back(2)
    writer.append(pictures[5])
    length = writer.finish()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).stat().st_size == length
    assert np.array_equal(np.load(tmp_path / name), np.stack([pictures[number] for number in (0, 1, 5)]))
    ShotWriter(tmp_path / "b.npy").discard()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_photos_in_natural_order(tmp_path: Path) -> None:
    pictures = {name: pan(1, seed=seed)[0] for seed, name in enumerate(("p10.png", "p9.PNG", "p1.png"))}
    for name, picture in pictures.items():
        cv2.imwrite(str(tmp_path / name), picture[..., ::-1])
    (tmp_path / "LICENSES.md").write_text("CC0")
    photos = open_photos(tmp_path)
    assert len(photos) == 3
    for number, name in enumerate(("p1.png", "p9.PNG", "p10.png")):
        assert np.array_equal(photos[number], pictures[name])
    assert np.array_equal(photos[-1], pictures["p10.png"])
    assert [file.name for file in photos[1:].files] == ["p9.PNG", "p10.png"]
    with pytest.raises(IndexError):
        photos[3]
    with pytest.raises(ValueError, match="read-only"):
        photos[0][:] = 0


def test_photos_are_kept_in_memory_up_to_a_bound(tmp_path: Path) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), pan(1, seed=number)[0])
    size = HEIGHT * WIDTH * 3
    photos = Photos(open_photos(tmp_path).files, most_bytes=2 * size)
    kept = photos[0]
    assert photos[0] is kept
    photos[1], photos[0], photos[2]  # 1 was not used for longest
    assert photos[0] is kept
    photos[1]
    assert photos[2] is not None
    assert photos[0] is not kept
    assert len(pickle.dumps(photos)) < 2000
    small = Photos(photos.files, most_bytes=size - 1)
    assert small[0] is not small[0]


def test_folders_without_photos(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no folder .*none"):
        open_photos(tmp_path / "none")
    with pytest.raises(DatasetError, match=r"holds no images \(\.png, \.jpg"):
        open_photos(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"a\.png is damaged, or no image"):
        open_photos(tmp_path)[0]
