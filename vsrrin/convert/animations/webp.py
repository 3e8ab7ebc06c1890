"""Animated WebP files.

What is not covered by a frame is transparent: browsers do not show the background colour.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import partial

from .parts import UNTIMED, Animation, DamagedError, Part, Picture, Reader, decode

_ALPHA = 0x10
_HEADER = 16
"""Bytes before the picture of a frame."""
_DURATION = 12
"""Those before its duration."""


def read(data: memoryview) -> Animation:
    """Read the frames of an animated WebP, without decoding them.

    Raises:
        DamagedError: It is damaged, or ends before its last frame.
    """
    size = int.from_bytes(data[4:8], "little")
    if size + 8 > len(data) + 1:  # a byte that fills up the last chunk may be missing
        raise DamagedError("it ends too early")
    width = height = plays = 0
    parts: list[Part] = []
    for kind, body in _chunks(data[12 : size + 8]):
        if kind == b"VP8X":
            width, height = (int.from_bytes(body[at : at + 3], "little") + 1 for at in (4, 7))
        elif kind == b"ANIM":
            plays = int.from_bytes(body[4:6], "little")
        elif kind == b"ANMF":
            parts.append(_part(Reader(body)))
    if not parts or not width:
        raise DamagedError("it has no frame")
    return Animation(form="WebP", width=width, height=height, parts=tuple(parts), plays=plays)


def set_end(data: bytearray, end: int) -> None:
    """Give the last frame of a file the time, in milliseconds, that is left until its end."""
    at, place = 12, 0
    for kind, body in _chunks(memoryview(bytes(data))[12:]):
        if kind == b"ANMF":
            end -= int.from_bytes(data[place : place + 3], "little") if place else 0
            place = at + 8 + _DURATION
        at += 8 + len(body) + len(body) % 2
    data[place : place + 3] = end.to_bytes(3, "little")


def _chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    file = Reader(data)
    while len(data) - file.at >= 8:
        kind, size = bytes(file.take(4)), file.number(4, "little")
        yield kind, file.take(size)
        file.at += size % 2


def _part(frame: Reader) -> Part:
    left, top, width, height, duration = (frame.number(3, "little") for _ in range(5))
    flags = frame.number(1, "little")
    chunks = list(_chunks(frame.data[_HEADER:]))
    kinds = [kind for kind, _ in chunks]
    if not {b"VP8 ", b"VP8L"} & set(kinds):
        raise DamagedError("a frame has no picture")
    return Part(
        left=2 * left,
        top=2 * top,
        width=width + 1,
        height=height + 1,
        duration=Fraction(duration, 1000) or UNTIMED,
        dispose="clear" if flags & 1 else "keep",
        blend=not flags & 2,
        opaque=b"VP8 " in kinds and b"ALPH" not in kinds,
        picture=partial(_decode, width, height, frame.data[_HEADER:], alpha=b"ALPH" in kinds),
    )


def _decode(width: int, height: int, chunks: memoryview, *, alpha: bool) -> Picture:
    """Decode a frame as a file of its own; ``width`` and ``height`` are less by one."""
    sides = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    header = b"VP8X" + (10).to_bytes(4, "little") + bytes([_ALPHA, 0, 0, 0]) + sides if alpha else b""
    body = b"WEBP" + header + bytes(chunks)
    return decode(b"RIFF" + len(body).to_bytes(4, "little") + body)
