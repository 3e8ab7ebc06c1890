"""Names of files, and their atomic replacement.

A reader finds the old file or the whole new one, also after a crash or a full disk.
"""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import ConvertError, VsrrinError

PART = ".part"
"""End of the name of an unfinished file."""
_LONGEST = 255
"""Bytes of a name that file systems take."""


def url(path: str | os.PathLike[str]) -> str:
    """Return the name by which FFmpeg opens a file, which takes "take1:final.mp4" for a protocol."""
    return f"file:{os.fspath(path)}"


def beside(path: Path, end: str) -> Path:
    """Return the path of a hidden file or folder in the same folder, named after this one.

    Args:
        path: The file.
        end: End of the new name. Between it and the old name there is a dot; of a name that would become longer than
            file systems take, the end is replaced by a checksum.
    """
    name = path.name
    if len(os.fsencode(name)) + len(end) + 2 > _LONGEST:
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
        while len(os.fsencode(name)) + len(digest) + len(end) + 3 > _LONGEST:
            name = name[:-1]
        name = f"{name}.{digest}"
    return path.with_name(f".{name}.{end}")


def write(path: Path, data: bytes, error: type[VsrrinError] = ConvertError) -> None:
    """Replace a file by these bytes.

    Args:
        path: The file; one that exists is replaced.
        data: The new contents.
        error: Type of the error raised when that fails.

    Raises:
        VsrrinError: The file cannot be written; the old one is as it was.
    """
    with replacing(path, error) as part:
        part.write_bytes(data)


@contextmanager
def replacing(path: Path, error: type[VsrrinError] = ConvertError, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield the name of a file to write, which takes the place of ``path`` when the block ends.

    When the block raises, it is removed and ``path`` stays as it was.

    Args:
        path: The file; as any new file, it has the mode that the umask leaves.
        error: Type of the error raised when writing fails.
        overwrite: Whether to replace a file that exists by then.

    Yields:
        A name in the same folder, ending with `PART`.

    Raises:
        VsrrinError: The file cannot be written, or exists and is not to be replaced.
    """
    with explained(path, error), unfinished(path) as part:
        yield part
        publish({part: path}, overwrite=overwrite)


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Yield an unused name beside ``path``; a file of that name is removed when the block ends."""
    part = beside(path, f"{secrets.token_hex(4)}{PART}")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def publish(finished: Mapping[Path, Path], *, overwrite: bool = True) -> None:
    """Bring finished files to the disk, then give them their names.

    Of several files, all but the first lose their old version before any name changes: a side-car is always that of
    its file, or missing.

    Args:
        finished: The written files and the names to give them, on the same file system.
        overwrite: Whether to replace files that exist.

    Raises:
        OSError: A file cannot be written, or exists and is not to be replaced.
    """
    for written, path in finished.items():
        _sync(written)
        if not overwrite and path.exists():
            raise FileExistsError(errno.EEXIST, "another program has written it meanwhile; overwrite=True replaces it")
    first, *others = finished.values()
    for path in others:
        path.unlink(missing_ok=True)
    for written, path in finished.items():
        os.replace(written, path)
    _sync_folder(first.parent)


@contextmanager
def explained(path: Path, error: type[VsrrinError] = ConvertError) -> Iterator[None]:
    """Turn an `OSError` of the block into an error that names the file and the reason.

    Args:
        path: The file that is written in the block.
        error: Type of the error.
    """
    try:
        yield
    except OSError as reason:
        raise error(f"{path} cannot be written: {reason.strerror or reason}") from reason


def _sync(path: Path) -> None:
    with path.open("rb+") as file:  # Windows syncs only what may be written
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Bring the new names to the disk, where the file system can be asked to."""
    if os.name != "posix":
        return
    with suppress(OSError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
