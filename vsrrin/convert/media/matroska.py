"""Elements of Matroska and WebM files (RFC 8794, 9559): the length that a file states of itself, and new elements."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

_EBML, _VOID, _CHECKSUM = 0x1A45DFA3, 0xEC, 0xBF
_SEGMENT, _TRACKS, _TRACK, _KIND, _NAME, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0x83, 0x536E, 0xE0
_WIDTH, _HEIGHT, _UNIT = 0x54B0, 0x54BA, 0x54B2

VIDEO = (_SEGMENT, _TRACKS, _TRACK, _VIDEO)
"""Names of the elements that lead to the facts of a file's first track, a video."""
ROOM = " " * 80
"""What is to stand behind the name of a video track for `show_at`."""


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


def show_at(path: Path, width: int, height: int) -> None:
    """Write the size at which the first video is shown into a finished file: PyAV does not tell FFmpeg of it.

    Room for it is behind the name of the track.
    """
    with path.open("r+b") as file:
        begin, name, size = 0, _number(file, marker=True), _number(file)
        while name != _TRACKS:
            if name is None or size is None:
                raise ValueError(f"{path} is no finished Matroska file")
            if name != _SEGMENT:
                file.seek(file.tell() + size)
            begin, name, size = file.tell(), _number(file, marker=True), _number(file)
        assert size is not None
        content = file.read(size)
        end, shown, tracks = file.tell(), False, b""
        for name, inner in _elements(content):
            if name == _TRACK and not shown and (_KIND, b"\1") in list(_elements(inner)):
                shown, inner = True, _shown(inner, width, height)
            tracks += element(name, inner) if name != _CHECKSUM else b""
        tracks = element(_TRACKS, tracks)
        file.seek(begin)
        left = end - begin - len(tracks) - 9
        file.write(tracks + bytes([_VOID]) + (1 << 56 | left).to_bytes(8) + bytes(left))


def _shown(track: bytes, width: int, height: int) -> bytes:
    """Return the content of a track with a size to show it at, and without the room behind its name."""
    made = b""
    for name, content in _elements(track):
        if name == _NAME:
            content = content.decode().removesuffix(ROOM).encode()
        if name == _VIDEO:
            facts = [(kind, fact) for kind, fact in _elements(content) if kind not in (_WIDTH, _HEIGHT, _UNIT)]
            facts += [(_WIDTH, width.to_bytes(4)), (_HEIGHT, height.to_bytes(4))]
            content = b"".join(element(kind, fact) for kind, fact in facts)
        made += element(name, content) if name != _NAME or content else b""
    return made


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield names and contents of elements that follow each other; one of unknown length ends with the data."""
    file = BytesIO(data)
    while (name := _number(file, marker=True)) is not None:
        size = _number(file)
        yield name, file.read(size)


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
    """Return an element, as short as can be."""
    bytes_of_size = len(content).bit_length() // 7 + 1
    size = (1 << 7 * bytes_of_size | len(content)).to_bytes(bytes_of_size)
    return name.to_bytes((name.bit_length() + 7) // 8) + size + content


def added(data: bytes, path: Sequence[int], content: bytes) -> bytes:
    """Return elements with others added to the end of the first one that a path of names leads to, made if need be.

    Checksums of the elements on the way are not renewed.
    """
    if not path:
        return data + content
    found, made = False, b""
    for name, inner in _elements(data):
        if name == path[0] and not found:
            found, inner = True, added(inner, path[1:], content)
        made += element(name, inner)
    return made if found else made + element(path[0], added(b"", path[1:], content))
