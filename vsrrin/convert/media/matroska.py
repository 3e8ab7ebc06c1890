"""Elements of Matroska and WebM files (RFC 8794, 9559): the length that a file states of itself, and new elements."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

_EBML = 0x1A45DFA3
_SEGMENT = 0x18538067


def missing_bytes(path: Path) -> int:
    """Return the bytes that are missing at the end of a Matroska file; 0 if it states no length, as live streams.

    Players play a file that was cut off, by a download or a full disk, to its end without an error.
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
    """Read a variable-size integer; ``None`` at the end of the file, or for the value reserved for "unknown"."""
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


def element(name: int, content: bytes) -> bytes:
    """Return an element."""
    return name.to_bytes((name.bit_length() + 7) // 8) + (1 << 56 | len(content)).to_bytes(8) + content


def added(data: bytes, path: Sequence[int], content: bytes) -> bytes:
    """Return elements with others added to the end of the first one that a path of names leads to, made if need be.

    A last element of unknown length must not be on the way. Checksums of the elements on the way are not renewed.
    """
    if not path:
        return data + content
    file = BytesIO(data)
    while (begin := file.tell()) < len(data):
        name, size = _number(file, marker=True), _number(file)
        inner = file.tell()
        end = len(data) if size is None else inner + size
        if name == path[0]:
            return data[:begin] + element(name, added(data[inner:end], path[1:], content)) + data[end:]
        file.seek(end)
    return data + element(path[0], added(b"", path[1:], content))
