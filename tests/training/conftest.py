"""How the tests of training use the machine, and a bank that several of them read."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
import torch

from tests.training.banks import SETTINGS, write_dataset
from tests.training.pictures import moving, photos
from training.data.banks.building import Data, make_bank


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks and pictures are tiny here: more threads would wait for each other. Afterwards it is as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def bank_data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """A shot larger than a window, of odd size, and one that is less high; three photos."""
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder / "shots", [moving(6, 121, 133, (2.0, 1.0)), moving(5, 70, 120, (-3.0, 0.0), seed=1)])
    (folder / "photos").mkdir()
    for number, photo in enumerate(photos()):
        cv2.imwrite(str(folder / f"photos/{number}.png"), photo)
    return Data((folder / "shots",), folder / "photos")


@pytest.fixture(scope="session")
def bank(bank_data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished bank of 15 samples."""
    folder = tmp_path_factory.mktemp("banks") / "bank"
    assert list(make_bank(folder, 15, SETTINGS, bank_data))[-1] == 15
    return folder
