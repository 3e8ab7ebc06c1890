"""A folder with something to convert."""

from pathlib import Path

import pytest

from tests.cli.conversions import ROOT
from tests.conftest import BUNNY
from tests.image_files import ffmpeg


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a clip of 12 frames at 25 per second, with sound."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    sound = ("-f", "lavfi", "-i", "sine=440:duration=0.48", "-c:a", "aac")
    ffmpeg("-i", BUNNY, *sound, "-frames:v", "12", "-vf", "scale=128:72", tmp_path / "in.mp4")
    return tmp_path
