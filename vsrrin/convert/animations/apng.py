"""APNG files: PNGs with more pictures in chunks of their own."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial

from .kinds import PNG
from .parts import UNTIMED, Animation, DamagedError, Dispose, Part, Picture, Reader, decode

_DISPOSE: tuple[Dispose, ...] = ("keep", "clear", "previous")
_SHARED = (b"PLTE", b"tRNS", b"sBIT")
"""Chunks that all pictures need."""
_HUNDREDTHS = 100

type _Chunk = tuple[bytes, memoryview]


def read(data: memoryview) -> Animation:
    """Read the frames of an APNG, without decoding them.

    A picture for programs that know no APNG, before the first frame, is no frame.

    Raises:
        DamagedError: It is damaged, or ends before its last frame.
    """
    header, shared = b"", list[_Chunk]()
    count = plays = 0
    frames: list[tuple[memoryview, list[memoryview]]] = []
    for kind, body in _chunks(data):
        if kind == b"IHDR":
            header = bytes(body)
        elif kind == b"acTL":
            count, plays = struct.unpack(">II", Reader(body).take(8))
        elif kind in _SHARED:
            shared.append((kind, body))
        elif kind == b"fcTL":
            frames.append((body, []))
        elif kind in (b"IDAT", b"fdAT") and frames:
            frames[-1][1].append(body[4:] if kind == b"fdAT" else body)
    if len(header) != 13 or len(frames) < count or not frames or not all(pieces for _, pieces in frames):
        complete = sum(bool(pieces) for _, pieces in frames)
        raise DamagedError(f"it says that it has {count} frames, and has {complete}")
    width, height = struct.unpack(">II", header[:8])
    opaque = header[9] in (0, 2, 3) and all(kind != b"tRNS" for kind, _ in shared)
    parts = tuple(_part(control, pieces, header, shared, opaque) for control, pieces in frames)
    notes = ("samples of 16 bits become such of 8",) if header[8] == 16 else ()
    return Animation(form="APNG", width=width, height=height, parts=parts, plays=plays, notes=notes)


def _chunks(data: memoryview) -> Iterator[_Chunk]:
    """Yield the kind and the contents of each chunk.

    Raises:
        DamagedError: One is cut off, or not as it was written.
    """
    file, kind = Reader(data, len(PNG)), b""
    while kind != b"IEND":
        size = file.number(4, "big")
        kind, body = bytes(file.take(4)), file.take(size)
        if zlib.crc32(body, zlib.crc32(kind)) != file.number(4, "big"):
            raise DamagedError(f"a chunk of kind {kind.decode('latin-1')} is not as it was written")
        yield kind, body


def _part(
    control: memoryview, pieces: Sequence[memoryview], header: bytes, shared: Sequence[_Chunk], opaque: bool
) -> Part:
    _, width, height, left, top, delay, unit, dispose, blend = struct.unpack(">IIIIIHHBB", Reader(control).take(26))
    if dispose >= len(_DISPOSE) or not width or not height:
        raise DamagedError("the place of a frame makes no sense")
    return Part(
        left=left,
        top=top,
        width=width,
        height=height,
        duration=Fraction(delay, unit or _HUNDREDTHS) or UNTIMED,
        dispose=_DISPOSE[dispose],
        blend=blend == 1,
        opaque=opaque,
        picture=partial(_decode, struct.pack(">II", width, height) + header[8:], shared, pieces),
    )


def _decode(header: bytes, shared: Sequence[_Chunk], pieces: Sequence[memoryview]) -> Picture:
    chunks = [(b"IHDR", header), *shared, *((b"IDAT", piece) for piece in pieces), (b"IEND", b"")]
    return decode(PNG + b"".join(_packed(kind, bytes(body)) for kind, body in chunks))


def _packed(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
