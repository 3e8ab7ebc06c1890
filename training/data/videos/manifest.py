"""Manifest of a dataset: its shots, their origin, and how far each video has been cut.

::

    {"schema": 1,
     "settings": {"long_edge": null, "least_frames": 8, "rules": 1},
     "videos": [{"file", "sha256", "next_frame", "finished", "dropped": {...}, "problem"}, ...],
     "shots": [{"file", "video", "source", "source_frames", "licence", "width", "height", "fps", "frames", "bytes",
                "motion_mean_px", "motion_p95_px", "repeated"}, ...]}
"""

import json
import math
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from training.errors import DatasetError
from vsrrin import files

SCHEMA = 1
NAME = "manifest.json"
SHOTS = "shots"
"""The folder beside it in which the shots lie."""


@dataclass(frozen=True, kw_only=True)
class ShotInfo:
    """Manifest entry of a shot.

    Attributes:
        file: Its file, relative to the manifest.
        video: Name of the video file it was cut from.
        source: Origin of the video, in words.
        source_frames: Number of its first frame in the video, and of the frame after its last.
        licence: Terms under which it may be used.
        width: Pixels.
        height: Pixels.
        fps: Frames per second, what was left out taken into account.
        frames: Number of frames.
        bytes: Size of the file.
        motion: Mean length of the motion between neighbouring frames, pixels; mean over the shot.
        motion_p95: The length that 5 % of the pixels exceed, pixels; mean over the shot.
        repeated: Repetitions left out between its frames.
    """

    file: str
    video: str
    source: str
    source_frames: tuple[int, int]
    licence: str
    width: int
    height: int
    fps: Fraction
    frames: int
    bytes: int
    motion: float
    motion_p95: float
    repeated: int

    def to_json(self) -> dict[str, object]:
        """Return the entry as the manifest stores it."""
        values = asdict(self)
        motion = {"motion_mean_px": round(values.pop("motion"), 3), "motion_p95_px": round(values.pop("motion_p95"), 3)}
        repeated = values.pop("repeated")
        return {**values, "fps": str(self.fps), **motion, "repeated": repeated}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "ShotInfo":
        """Read what `to_json` returns; raise KeyError, TypeError or ValueError for anything else."""
        values = dict(values)
        first, end = values.pop("source_frames")
        info = cls(
            source_frames=(int(first), int(end)),
            fps=Fraction(values.pop("fps")),
            motion=float(values.pop("motion_mean_px")),
            motion_p95=float(values.pop("motion_p95_px")),
            **values,
        )
        if min(info.width, info.height, info.frames) < 1 or not math.isfinite(info.motion):
            raise ValueError(f"{info.width}x{info.height}, {info.frames} frames, motion {info.motion}")
        return info


@dataclass(kw_only=True)
class VideoState:
    """Progress of cutting a video.

    Attributes:
        file: Its name.
        sha256: Sum over its size and both its ends, which tells it from others.
        next_frame: Number of the first frame of the scene to go on with.
        finished: Whether nothing is left to do.
        dropped: Frames left out so far, by reason.
        problem: Reason why the rest of it could not be used; empty if it could.
    """

    file: str
    sha256: str
    next_frame: int = 0
    finished: bool = False
    dropped: dict[str, int] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Settings:
    """Settings that shots depend on besides the videos."""

    long_edge: int | None
    least_frames: int
    rules: int = 1


@dataclass
class Manifest:
    """Manifest of a dataset, in memory."""

    settings: Settings
    videos: list[VideoState] = field(default_factory=list)
    shots: list[ShotInfo] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write the manifest; the old one stays until the new one is whole.

        Raises:
            DatasetError: It cannot be written.
        """
        values = {
            "schema": SCHEMA,
            "settings": asdict(self.settings),
            "videos": [asdict(video) for video in self.videos],
            "shots": [shot.to_json() for shot in self.shots],
        }
        path = folder / NAME
        files.write(path, (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode(), DatasetError)

    @classmethod
    def load(cls, folder: Path) -> "Manifest":
        """Read the manifest of a dataset.

        Raises:
            DatasetError: It is missing, damaged, or of another version.
        """
        path = folder / NAME
        try:
            values = json.loads(path.read_text("utf-8"))
            if values["schema"] != SCHEMA:
                raise DatasetError(
                    f"{path} is of schema {values['schema']}, this version reads {SCHEMA}: make the dataset again with "
                    "python -m training.prepare"
                )
            return cls(
                Settings(**values["settings"]),
                [VideoState(**video) for video in values["videos"]],
                [ShotInfo.from_json(shot) for shot in values["shots"]],
            )
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"{path} is no manifest of training.prepare, or is damaged ({error!r})") from error
