"""Video files to prepare, with their origin and licence.

That is read from a manifest.json beside the videos, where there is one: a list of objects, or an object with such a
list under "clips", "videos" or "shots", in which an object has "file" and "licence" or "license", and maybe "source".
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from training.errors import DatasetError
from vsrrin.convert.images import natural_key

from .decoding import VIDEO_SUFFIXES, VideoError

UNKNOWN = "unknown"

_LISTS = ("clips", "videos", "shots")
_LICENCE_KEYS = ("licence", "license")
_MIB = 2**20


@dataclass(frozen=True)
class Origin:
    """Origin of a video.

    Attributes:
        source: In words; the file's name where nothing is known.
        licence: In words; `UNKNOWN` where nothing is known.
    """

    source: str
    licence: str


def find_videos(paths: Sequence[Path]) -> list[Path]:
    """Return the given video files and those in the given folders, at any depth, in natural order.

    Raises:
        DatasetError: A path does not exist, or a folder holds no videos.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_file():
            found.append(path)
        elif path.is_dir():
            found += _within(path)
        else:
            raise DatasetError(f"there is no file or folder {path}")
    return list(dict.fromkeys(found))


def _within(folder: Path) -> list[Path]:
    files = (file for file in folder.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file())
    visible = [file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts)]
    if not visible:
        raise DatasetError(
            f"{folder} holds no videos ({', '.join(VIDEO_SUFFIXES)}); folders of frames need not be prepared: give "
            "them to the recipe as they are"
        )
    return sorted(visible, key=lambda file: [natural_key(part) for part in file.relative_to(folder).parts])


def origin(video: Path, *, source: str | None = None, licence: str | None = None) -> Origin:
    """Return the origin that the manifest beside a video states; gaps are filled from the arguments."""
    said = _beside(video.parent).get(video.name, {})
    licences = (said[key] for key in _LICENCE_KEYS if isinstance(said.get(key), str) and said[key])
    named = said.get("source")
    return Origin(
        named if isinstance(named, str) and named else source or video.name,
        next(licences, licence or UNKNOWN),
    )


@cache
def _beside(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the entries of the folder's manifest by file name; empty where there is no such list.

    Raises:
        DatasetError: The manifest is no JSON.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}, which may name the videos' licences, cannot be read: {error}") from error
    if isinstance(content, dict):
        content = next((content[key] for key in _LISTS if isinstance(content.get(key), list)), [])
    entries = content if isinstance(content, list) else []
    return {entry["file"]: entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("file"), str)}


def fingerprint(video: Path) -> str:
    """Return a hexadecimal digest of the size and both ends of a file, which tells files apart.

    Raises:
        VideoError: It cannot be read.
    """
    try:
        size = video.stat().st_size
        digest = hashlib.sha256(str(size).encode())
        with video.open("rb") as file:
            digest.update(file.read(_MIB))
            file.seek(max(size - _MIB, 0))
            digest.update(file.read(_MIB))
    except OSError as error:
        raise VideoError(f"{video} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()
