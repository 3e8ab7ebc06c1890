"""What Matroska and WebM say of their own length in bytes (RFC 8794, 9559)."""

from pathlib import Path
from typing import BinaryIO

_EBML = 0x1A45DFA3
_SEGMENT = 0x18538067


def missing_bytes(path: Path) -> int:
    """How many bytes of a Matroska file are not there, by what it says itself; 0 if it does not say (live streams).

    A file that was cut off, in a download or by a full disk, is played to where it ends without an error.
    """
    with path.open("rb") as file:
        end = 0
        for wanted in (_EBML, _SEGMENT):  # one after the other, and the segment holds all the rest
            element, size = _number(file, marker=True), _number(file)
            if element != wanted or size is None:
                return 0
            end = file.tell() + size
            if wanted == _EBML:
                file.seek(end)
        return max(end - path.stat().st_size, 0)


def _number(file: BinaryIO, *, marker: bool = False) -> int | None:
    """A variable-size integer; ``None`` where the file has ended or the size is the one reserved for "not known"."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    data = first + file.read(more)
    value, bits = int.from_bytes(data), 7 * (more + 1)
    if marker:
        return value
    value &= (1 << bits) - 1
    return None if len(data) <= more or value == (1 << bits) - 1 else value
