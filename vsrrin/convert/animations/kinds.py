"""Kinds of moving images, told by their contents."""

from pathlib import Path
from typing import Literal

Form = Literal["GIF", "APNG", "WebP"]

PNG = b"\x89PNG\r\n\x1a\n"

_LOOKED_AT = 1 << 20
"""Bytes in which a PNG says that it is animated; before there may be a colour profile."""
_ANIMATED = 0x02


def form_of(path: Path) -> Form | None:
    """Return the kind of a moving image; ``None`` for other files, still images among them."""
    try:
        with path.open("rb") as file:
            return form(file.read(_LOOKED_AT))
    except OSError:
        return None


def form(data: bytes) -> Form | None:
    """Return the kind of a moving image by its first bytes; every GIF is one, even with one picture."""
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X" and len(data) > 20 and data[20] & _ANIMATED:
        return "WebP"
    return "APNG" if data[:8] == PNG and _is_animated(data) else None


def _is_animated(data: bytes) -> bool:
    at = len(PNG)
    while (kind := data[at + 4 : at + 8]) not in (b"acTL", b"IDAT", b""):
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return kind == b"acTL"
