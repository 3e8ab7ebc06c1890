"""Kinds of targets of conversions, told by their names."""

import os
from pathlib import Path

from vsrrin.errors import ArgumentError, ConvertError

VIDEOS = (".mkv", ".mp4", ".m4v", ".mov", ".webm")
MOVING_IMAGES = (".gif", ".apng", ".webp")


def is_folder(target: str | os.PathLike[str], argument: str = "target") -> bool:
    """Return whether a target is a folder of images, judged by its name unless it exists.

    Args:
        target: The target as given by the user.
        argument: Name of the argument in messages.

    Raises:
        ArgumentError: The target is neither a folder nor a video or moving image.
    """
    path, text = Path(target), os.fspath(target)
    if text in ("", "-"):
        raise ArgumentError(
            f"{argument} must be the name of a file or a folder, not {text!r}: a file is complete only at its end, so "
            "it cannot be sent to a pipe (vspipe sends frames); ./- names a folder"
        )
    if text.endswith(("/", "\\")) or path.is_dir() or not path.suffix:
        return True
    if path.suffix.lower() not in VIDEOS + MOVING_IMAGES:
        raise ArgumentError(
            f"{argument} must be a video ({', '.join(VIDEOS)}), a moving image ({', '.join(MOVING_IMAGES)}) or a "
            f"folder, not {target}"
            " (a folder whose name has a dot: put a slash at its end)"
        )
    return False


def followed(target: Path) -> Path:
    """Return the file or folder that a target stands for: that behind a symbolic link, so that the link stays.

    Raises:
        ConvertError: The link leads in a circle.
    """
    if not target.is_symlink():
        return target
    real = Path(os.path.realpath(target))
    if real.is_symlink():
        raise ConvertError(f"{target} is a symbolic link that leads in a circle: remove it, or choose another target")
    return real
