"""Conversion of files of all kinds: videos and folders of images, in and out."""

import os
from collections.abc import Callable
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsrrin.clip.timing import parse_ratio
from vsrrin.engine import forks
from vsrrin.errors import ArgumentError

from .image_folder import FolderConversion, open_images
from .moments import parse_position
from .moving_image import MovingImageConversion
from .prepare import Settings
from .run import Progress, Result, run
from .source import Moment
from .targets import MOVING_IMAGES, followed, is_folder
from .video import VideoConversion


def convert_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    image_rate: int | Fraction | str = 24,
    progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
    **settings: Any,
) -> Result:
    """Convert a video, a moving image or a folder of images to a video, a moving image or a folder of PNGs.

    Sound, subtitles, chapters, attachments and metadata are kept as :func:`vsrrin convert <vsrrin.cli.convert>` keeps
    them. The target exists only once all of it has been written and verified; an interrupted run leaves finished work
    in a hidden folder beside it, for ``resume=True``.

    Args:
        source: A video file, a GIF, APNG or animated WebP, or a folder of PNG, JPEG, WebP or TIFF files.
        target: A video file, or a ``.gif``, ``.apng`` or ``.webp``, by its extension; or a folder: a name without an
            extension or with a slash at its end.
        image_rate: Rate at which a folder of images is shown.
        progress: Called after each frame, from the calling thread.
        say: Called with messages for the user.
        **settings: Fields of :class:`vsrrin.convert.prepare.Settings`: ``factor`` or ``fps``, ``codec``, ``audio``,
            ``overwrite``, ``resume`` and others; and those of :class:`vsrrin.Options`, such as ``model``.

    Returns:
        Facts about the file written: frames, duration, cuts.

    Raises:
        ArgumentError: An argument is of a wrong type or out of range.
        VsrrinError: The source or the model cannot be used, a frame cannot be made, or the target cannot be written.
    """
    known = {field.name for field in fields(Settings)} - {"source", "target"}
    if unknown := set(settings) - known:
        raise ArgumentError(f"convert_file has no argument {min(unknown)!r}; it has {', '.join(sorted(known))}")
    for name in ("factor", "fps", "rate_out"):
        if settings.get(name) is not None:
            settings[name] = parse_ratio(settings[name], name)
    for name in ("start", "end"):
        settings[name] = _moment(settings.get(name), name)
    folder = is_folder(target)
    chosen = Settings(Path(source), Path(target), **settings)
    return run(
        prepared(chosen, folder=folder, image_rate=parse_ratio(image_rate, "image_rate")), progress=progress, say=say
    )


def _moment(value: object, argument: str) -> Moment | None:
    """Return a position as the settings hold it; in a float, seconds and frame numbers would look alike."""
    if isinstance(value, str):
        return parse_position(value, argument)
    if value is None or (isinstance(value, Fraction | int) and not isinstance(value, bool)):
        return value
    raise ArgumentError(
        f"{argument} must be a frame number (int), seconds (Fraction) or a text such as '1:23.5', not {value!r}"
    )


def prepared(settings: Settings, *, folder: bool, image_rate: Fraction) -> VideoConversion | FolderConversion:
    """Return the conversion for settings, ready to run; nothing is written. That to a moving image is one to a folder.

    Args:
        settings: Settings of the conversion.
        folder: True if the target is a folder of images.
        image_rate: Rate at which a folder of images is shown.

    Raises:
        VsrrinError: The source, a setting, the target or the model cannot be used, or the process was forked from one
            that had used vsrrin.
    """
    forks.begin()
    if not folder:
        settings = replace(settings, target=followed(settings.target))
    moving = not folder and settings.target.suffix.lower() in MOVING_IMAGES
    flat = not folder and not moving
    images = open_images(settings.source, image_rate, for_video=flat) if settings.source.is_dir() else None
    if moving:
        return MovingImageConversion(settings, images)
    if folder:
        return FolderConversion(settings, images)
    return VideoConversion(settings, images.clip if images else None)
