"""A small bank and its data, for the tests of several modules."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from tests.training.pictures import ArrayShot
from training.data.banks.maker import BankSettings
from training.data.videos.manifest import Manifest, Settings, ShotInfo

SETTINGS = BankSettings(window=80, crop=64, synthetic=0.4, candidates=2, flow_preset="fast", largest_gap=3)


def write_dataset(folder: Path, shots: Sequence[ArrayShot]) -> None:
    """Shots as training.prepare leaves them."""
    (folder / "shots").mkdir(parents=True)
    manifest = Manifest(Settings(None, 3))
    for number, shot in enumerate(shots):
        file = folder / f"shots/{number}.npy"
        np.save(file, shot.pictures)
        info = ShotInfo(
            file=f"shots/{number}.npy",
            video="made",
            source="made",
            source_frames=(0, shot.frames),
            licence="CC0",
            width=shot.width,
            height=shot.height,
            fps=Fraction(25),
            frames=shot.frames,
            bytes=file.stat().st_size,
            motion=shot.motion,
            motion_p95=shot.motion,
            repeated=0,
        )
        manifest.shots.append(info)
    manifest.save(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
