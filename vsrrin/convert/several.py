"""Targets of several sources in one folder."""

from collections.abc import Sequence
from pathlib import Path

from vsrrin.errors import ArgumentError, ConvertError

from .animations.kinds import form_of
from .targets import MOVING_IMAGES, VIDEOS

_SOURCES = frozenset(
    {
        ".3g2", ".3gp", ".apng", ".asf", ".avi", ".divx", ".dv", ".flv", ".gif", ".ivf", ".m1v", ".m2ts", ".m2v",
        ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm", ".rmvb",
        ".ts", ".vob", ".webm", ".wmv", ".wtv", ".y4m",
    }
)  # fmt: skip
"""Extensions of the files that are taken from a folder of videos; others can be named one by one."""


def targets(sources: Sequence[Path], folder: Path) -> list[tuple[Path, str]]:
    """Return each source with its target in a folder.

    A folder that holds videos stands for them, without those in folders below it; another is one of images. Videos and
    moving images keep their names; those in containers that are not written become ``.mkv``.

    Raises:
        ConvertError: A source does not exist.
        ArgumentError: Two sources would get one target.
    """
    found: dict[str, Path] = {}
    for source in sources:
        for path in _videos(source) or [source]:
            if not path.exists():
                raise ConvertError(f"{path} does not exist")
            same = path.suffix.lower() in VIDEOS + MOVING_IMAGES
            target = str(folder / path.name) if same else str(folder / f"{path.stem}.mkv")
            if path.is_dir():
                target = f"{folder / path.resolve().name}/"
            if found.setdefault(target, path) != path:
                raise ArgumentError(
                    f"{found[target]} and {path} would both become {target}: convert one of them elsewhere"
                )
    return [(path, target) for target, path in found.items()]


def _videos(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    entries = [path for path in folder.iterdir() if path.is_file() and _is_video(path)]
    return sorted(path for path in entries if not path.name.startswith("."))


def _is_video(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in _SOURCES or (suffix in MOVING_IMAGES and form_of(path) is not None)
