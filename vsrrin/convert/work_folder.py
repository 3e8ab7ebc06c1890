"""The folder of a conversion's finished work, from which it can be continued after an interruption.

It is a hidden folder beside the target, ``.<name of the target>.vsrrin``::

    lock            held while a run works in it
    manifest.json   the signature: all that the result depends on
    000000.nut      a finished segment; a segment being written ends with .part
    000000.json     the facts of the segment: frames, size, scene cuts, checksum of its headers
    sha256.txt      checksums of the above, as ``sha256sum`` writes them: what differs is made again
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from vsrrin import files
from vsrrin.errors import ConvertError

_MIB = 1 << 20
_LOCK, _MANIFEST, _SUMS = "lock", "manifest.json", "sha256.txt"


@dataclass(frozen=True)
class Segment:
    """Facts of a finished segment.

    Attributes:
        frames: Number of frames.
        size: Bytes of its file.
        cuts: Output frames with which a new scene begins.
        headers: Checksum of the bytes before the first frame; segments with equal ones can be joined.
    """

    frames: int
    size: int
    cuts: tuple[int, ...]
    headers: str


def ranges(frames: int, length: int) -> list[range]:
    """Return the output frames of each segment: ``length`` in each but the last."""
    return [range(start, min(start + length, frames)) for start in range(0, frames, length)]


def runs(numbers: Iterable[int]) -> list[range]:
    """Return ascending numbers as ranges of consecutive ones."""
    found: list[range] = []
    for number in numbers:
        if found and found[-1].stop == number:
            found[-1] = range(found[-1].start, number + 1)
        else:
            found.append(range(number, number + 1))
    return found


def fingerprint(path: Path) -> dict[str, object]:
    """Return facts that tell a file from others and from its older versions: size, time, ends of 1 MiB."""
    state = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(_MIB))
        file.seek(max(state.st_size - _MIB, 0))
        digest.update(file.read(_MIB))
    return {
        "path": str(path.resolve()),
        "size": state.st_size,
        "modified": state.st_mtime_ns,
        "sha256 of both ends": digest.hexdigest(),
    }


def sha256(path: Path) -> str:
    """Return the checksum of a file, or of all files of a folder with their names."""
    if path.is_dir():
        sums = [f"{file.name} {sha256(file)}" for file in sorted(path.iterdir()) if file.is_file()]
        return hashlib.sha256("\n".join(sums).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class WorkFolder:
    """The folder of one target; a context manager that holds the lock.

    Args:
        target: The file to write.
        signature: All that the result depends on, as JSON can hold it.
        resume: Continue the work that is there, if it has the same signature.
        overwrite: Throw away the work that is there, unless ``resume``.

    Raises:
        ConvertError: Another run works in it; or there is unfinished work, and neither ``resume`` nor ``overwrite`` is
            given, or it is of other or unknown settings; or the folder cannot be written.
    """

    def __init__(
        self, target: Path, signature: Mapping[str, object], *, resume: bool = False, overwrite: bool = False
    ) -> None:
        self.path = folder_of(target)
        self._target = target
        self._signature: dict[str, object] = json.loads(json.dumps(signature))
        self._resume, self._overwrite = resume, overwrite
        self._manifest = self.path / _MANIFEST
        self._lock = FileLock(self.path / _LOCK, thread_local=False)

    def __enter__(self) -> "WorkFolder":
        try:
            with files.explained(self.path):
                self.path.mkdir(exist_ok=True)
                self._take_lock()
                if not self._continues():
                    self._begin()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and not _finished(self.path):
            self.remove()  # nothing in it is worth continuing
        self._lock.release()

    def _continues(self) -> bool:
        """Return whether to continue the work that is there; False if there is none, or it is to be thrown away."""
        if self._manifest.exists() and (_finished(self.path) or recorded(self._target)):
            if self._resume:
                self._compare()
                self._drop_damaged()
                return True
            if not self._overwrite:
                raise _unfinished(self._target)
        elif (done := len(_finished(self.path))) and (self._resume or not self._overwrite):
            raise ConvertError(
                f"{self.path} holds {done} finished segments or images of an unknown conversion (there is no "
                f"{self._manifest.name}), which cannot be continued: overwrite=True without resume=True begins again"
            )
        return False

    def _begin(self) -> None:
        # The manifest is replaced last: as long as anything is left, it says what that is of.
        for file in self.path.iterdir():
            if file.name not in (_LOCK, self._manifest.name):
                file.unlink()
        try:
            files.write(self._manifest, json.dumps(self._signature, indent=2).encode())
            self.keep(self._manifest)
        except ConvertError:
            self.remove()
            raise

    def _compare(self) -> None:
        old = recorded(self._target)
        if not old:
            raise ConvertError(
                f"{self._manifest} is damaged, so that what is finished cannot be continued: overwrite=True instead of "
                "resume=True begins again"
            )
        differ = [
            f"{key} was {json.dumps(old.get(key))}, is {json.dumps(self._signature.get(key))}"
            for key in sorted({*old, *self._signature})
            if old.get(key) != self._signature.get(key)
        ]
        if differ:
            raise ConvertError(
                f"the unfinished conversion in {self.path} is not of this input with these settings: "
                f"{'; '.join(differ)}. Use the same, or overwrite=True instead of resume=True to begin again"
            )

    def _drop_damaged(self) -> None:
        """Remove finished work that is not as it was written, so that it is made again."""
        sums = _sums(self.path)
        for file in [*_finished(self.path), *self.path.glob("[0-9]*.json")]:
            if sums.get(file.name) != sha256(file):
                file.unlink()

    def keep(self, file: Path) -> None:
        """Write down the checksum of a finished file in the folder.

        Raises:
            ConvertError: It cannot be written.
        """
        sums = self.path / _SUMS
        with files.explained(sums), sums.open("a") as out:
            out.write(f"{sha256(file)}  {file.name}\n")
            out.flush()
            os.fsync(out.fileno())

    def finished(self, number: int, frames: int) -> Segment | None:
        """Return the facts of a segment, ``None`` unless it is there as written, with that many frames."""
        try:
            known = json.loads(self._facts(number).read_text())
            segment = Segment(known["frames"], known["size"], tuple(known["cuts"]), known["headers"])
            there = self.segment(number).stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return segment if (segment.frames, segment.size) == (frames, there) else None

    def segment(self, number: int) -> Path:
        """Return the path of a finished segment."""
        return self.path / f"{number:06d}.nut"

    def part(self, number: int) -> Path:
        """Return the path of a segment while it is written."""
        return self.path / f"{number:06d}.part"

    def finish(self, number: int, frames: int, cuts: tuple[int, ...], headers: bytes) -> Segment:
        """Keep the segment that has been written as :meth:`part`, and return its facts."""
        part, path = self.part(number), self.segment(number)
        with files.explained(path):
            segment = Segment(frames, part.stat().st_size, cuts, hashlib.sha256(headers).hexdigest())
            files.write(self._facts(number), json.dumps(asdict(segment)).encode())
            files.publish({part: path})
        self.keep(self._facts(number))
        self.keep(path)
        return segment

    def discard_part(self, number: int) -> None:
        """Remove what is left of a segment that failed."""
        self.part(number).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder with all that is in it, finished work first: the rest is worth nothing without it."""
        with suppress(OSError):
            for file in _finished(self.path):
                file.unlink()
        shutil.rmtree(self.path, ignore_errors=True)

    def _facts(self, number: int) -> Path:
        return self.path / f"{number:06d}.json"

    def _take_lock(self) -> None:
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise _at_work(self._target) from None


def folder_of(target: Path) -> Path:
    """Return the path of a target's work folder."""
    return files.beside(target, "vsrrin")


def recorded(target: Path) -> dict[str, object]:
    """Return the signature of the unfinished work on a target; empty if there is none, or it is damaged."""
    manifest = folder_of(target) / _MANIFEST
    try:
        if _sums(manifest.parent).get(_MANIFEST) != sha256(manifest):
            return {}
        signature: dict[str, object] = json.loads(manifest.read_text(encoding="utf-8"))
    except OSError:
        return {}
    return signature


def _sums(folder: Path) -> dict[str, str]:
    """Return the checksums of the files in a work folder by their names, as they were written down last."""
    try:
        lines = (folder / _SUMS).read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def check_fresh(target: Path) -> None:
    """Check that there is no conversion to a target, neither one at work nor one that was interrupted.

    Raises:
        ConvertError: There is one; with what can be done about it.
    """
    if not recorded(target):
        return
    try:
        FileLock(folder_of(target) / _LOCK, thread_local=False).acquire(blocking=False).lock.release()
    except Timeout:
        raise _at_work(target) from None
    except OSError:
        pass  # a folder that may not be written to has nobody at work
    raise _unfinished(target)


def _at_work(target: Path) -> ConvertError:
    return ConvertError(
        f"another run is converting to {target} (it works in {folder_of(target)}): wait for it, or choose another "
        "target"
    )


def _unfinished(target: Path) -> ConvertError:
    done = len(_finished(folder_of(target)))
    return ConvertError(
        f"an unfinished conversion to {target} is in {folder_of(target)} ({done} segments or images are finished): "
        "resume=True continues it, overwrite=True begins again"
    )


def _finished(folder: Path) -> list[Path]:
    """Return finished segments, or the images of a target that is a folder."""
    return [*folder.glob("*.nut"), *folder.glob("*.png")]
