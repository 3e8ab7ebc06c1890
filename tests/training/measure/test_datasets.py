"""Folders of triplets of pictures, beside folders of videos."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.training.moving import picture, write_video
from training.errors import DatasetError
from training.measure import datasets
from training.measure.datasets import Data
from training.measure.triplets import Picture, Span


def write_triplet(folder: Path, step: float) -> None:
    """Write a triplet of pictures that move by 2 step pixels."""
    folder.mkdir(parents=True)
    for name, at in ((datasets.BEFORE, 0.0), (datasets.TRUTH, step), (datasets.AFTER, 2 * step)):
        write_picture(folder / name, picture(at))


def write_picture(path: Path, content: Picture) -> None:
    """Write a picture in RGB."""
    assert cv2.imwrite(str(path), cv2.cvtColor(content, cv2.COLOR_RGB2BGR))


def test_triplets_of_pictures(tmp_path: Path) -> None:
    other = tmp_path / "other"
    for name, step in (("Walking", 1.0), ("Beanbags", 4.0), ("Venus", 8.0)):
        write_triplet(other / name, step)
    (other / "notes").mkdir()
    found = list(datasets.read([Data(other)]))
    assert [(t.data, t.clip, t.span) for t in found] == [
        ("other", name, Span(10, 1, Fraction(1, 2))) for name in ("Beanbags", "Venus", "Walking")
    ]
    assert [t.bucket for t in found] == ["high-speed", "fast", "high-speed"]
    assert np.array_equal(found[0].left, picture(0))
    assert np.array_equal(found[0].truth, picture(4))
    assert np.array_equal(found[0].right, picture(8))
    assert [t.clip for t in datasets.read([Data(other)], limit=2)] == ["Beanbags", "Venus"]


def test_several_folders_of_which_one_is_a_bucket(tmp_path: Path) -> None:
    write_triplet(tmp_path / "other" / "Walking", 1.0)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_video(tmp_path / name / "shot.mp4", 6, 4.0)
    folders = [Data(tmp_path / "one"), Data(tmp_path / "two", "flat"), Data(tmp_path / "other")]
    found = [(t.data, t.clip, t.span.gap, t.bucket) for t in datasets.read(folders)]
    assert found == [
        ("one", "shot.mp4", 2, "medium"),
        ("two", "shot.mp4", 2, "flat"),
        ("other", "Walking", 1, "high-speed"),
    ]
    assert len(list(datasets.read(folders, split=False))) == 5
    assert [t.bucket for t in datasets.read([Data(tmp_path / "other", "small")])] == ["small"]


def test_a_folder_and_its_bucket_from_text(tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    assert Data.parsed(str(tmp_path)) == Data(tmp_path)
    assert Data.parsed(f"flat={tmp_path}") == Data(tmp_path, "flat")
    assert Data.parsed(str(tmp_path / "a=b")) == Data(tmp_path / "a=b")
    assert Data.parsed(f"flat={tmp_path}").name == tmp_path.name
    with pytest.raises(DatasetError, match=r"none is not a folder; give one of videos .* or BUCKET=FOLDER"):
        Data.parsed(f"flat={tmp_path / 'none'}")


def test_triplets_that_are_damaged(tmp_path: Path) -> None:
    write_triplet(tmp_path / "one", 1.0)
    after = tmp_path / "one" / datasets.AFTER
    write_picture(after, picture()[:40])
    with pytest.raises(DatasetError, match="one are not of one size"):
        list(datasets.read([Data(tmp_path)]))
    for content in (b"no picture", b""):
        after.write_bytes(content)
        with pytest.raises(DatasetError, match=r"frame11\.png is not a picture"):
            list(datasets.read([Data(tmp_path)]))
    after.unlink()
    with pytest.raises(DatasetError, match=r"frame11\.png cannot be read \(No such file"):
        list(datasets.read([Data(tmp_path)]))
