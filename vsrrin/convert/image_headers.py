"""What an image file says of itself in its first bytes: size, depth, channels, orientation; nothing is decoded.

A folder of ten thousand images is so checked in seconds before the work begins. PNG, JPEG, WebP and TIFF are known.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_END, BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

from vsrrin.errors import ConvertError

Form = Literal["PNG", "JPEG", "WebP", "TIFF"]

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLES, _EXTRA, _SAMPLE_FORMAT, _PROFILE = (
    256,
    257,
    258,
    262,
    274,
    277,
    338,
    339,
    34675,
)
_ASSOCIATED = 1
_SIDEWAYS = (5, 6, 7, 8)
_TYPES = {1: "B", 3: "H", 4: "I"}  # TIFF's integers: 8, 16 and 32 bit


@dataclass(frozen=True, slots=True)
class Header:
    """The facts of one image.

    Attributes:
        form: The kind of file.
        width: Pixels as stored, before it is turned upright.
        height: As above.
        depth: 8 or 16 bits per sample once decoded.
        grey: Whether there is no colour.
        alpha: Whether pixels can be transparent.
        orientation: EXIF's number, 1 to 8; 1 is upright.
        premultiplied: Whether colours are stored multiplied by alpha (TIFF only).
        profile: Whether there is a colour profile (looked for in TIFF only).
    """

    form: Form
    width: int
    height: int
    depth: int
    grey: bool
    alpha: bool
    orientation: int = 1
    premultiplied: bool = False
    profile: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright picture."""
        return (self.height, self.width) if self.orientation in _SIDEWAYS else (self.width, self.height)


def read_header(path: Path) -> Header:
    """Reads the header of an image, told by its content, not by its name.

    Raises:
        ConvertError: It cannot be read, is damaged, or is of a kind that is not supported.
    """
    try:
        with path.open("rb") as file:
            parse = _parser(file.read(16))
            file.seek(0)
            header = parse(file)
    except OSError as error:
        raise ConvertError(f"{path} cannot be read: {error.strerror or error}") from error
    except (struct.error, ValueError, IndexError, KeyError) as error:
        raise ConvertError(f"{path} is damaged, or not a PNG, JPEG, WebP or TIFF: {error}") from error
    if header.depth not in (8, 16) or not header.width or not header.height:
        raise ConvertError(f"{path} has {header.depth} bits per sample: 8 and 16 bit integers are supported")
    return header


def _parser(magic: bytes) -> Callable[[BinaryIO], Header]:
    if magic.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png
    if magic.startswith(b"\xff\xd8\xff"):
        return _jpeg
    if magic.startswith(b"RIFF") and magic[8:12] == b"WEBP":
        return _webp
    if magic[:4] in (b"II*\0", b"MM\0*"):
        return _tiff
    raise ValueError("its first bytes are of no such file")


def _exact(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise ValueError("it ends too early")
    return data


def _require_ending(file: BinaryIO, mark: bytes) -> None:
    """Decoders fill what is missing from a file cut short with grey, and say nothing that reaches us."""
    here = file.tell()
    if file.seek(0, SEEK_END) - here >= len(mark):
        file.seek(-len(mark), SEEK_END)
        if file.read() == mark:
            return
    file.seek(here)  # something may be appended
    if mark not in file.read():
        raise ValueError("it ends too early")


def _png(file: BinaryIO) -> Header:
    file.seek(8)
    found: dict[bytes, bytes] = {}
    while b"IDAT" not in found:
        length, name = struct.unpack(">I4s", _exact(file, 8))
        if name in (b"IHDR", b"tRNS", b"eXIf"):
            found[name] = _exact(file, length)
        else:
            found[name] = b""
            file.seek(length, SEEK_CUR)
        file.seek(4, SEEK_CUR)  # its checksum
    _require_ending(file, b"IEND\xaeB`\x82")
    width, height, depth, kind = struct.unpack(">IIBB", found[b"IHDR"][:10])
    transparent = bool(kind & 4) or b"tRNS" in found
    # Decoders give grey with alpha as colour; both say the same.
    return Header(
        "PNG",
        width,
        height,
        max(depth, 8),
        kind in (0, 4),
        transparent,
        orientation=_exif_orientation(found.get(b"eXIf")),
    )


def _jpeg(file: BinaryIO) -> Header:
    file.seek(2)
    orientation = 1
    while True:
        marker = _exact(file, 2)
        while marker == b"\xff\xff":  # filling
            marker = marker[1:] + _exact(file, 1)
        if marker[0] != 0xFF or marker[1] in (0xD9, 0xDA):
            raise ValueError("no frame header where one must be")
        length = struct.unpack(">H", _exact(file, 2))[0] - 2
        code = marker[1]
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            depth, height, width, channels = struct.unpack(">BHHB", _exact(file, 6))
            _require_ending(file, b"\xff\xd9")
            return Header("JPEG", width, height, depth, channels == 1, alpha=False, orientation=orientation)
        data = _exact(file, length)
        if code == 0xE1 and data.startswith(b"Exif\0\0"):
            orientation = _exif_orientation(data[6:])


def _webp(file: BinaryIO) -> Header:
    width = height = 0
    alpha, exif = False, None
    for name, data in _riff_chunks(file):
        if name == b"VP8X":
            alpha = bool(data[0] & 0x10)
            width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (4, 7))
        elif name == b"VP8 " and not width:
            width, height = (value & 0x3FFF for value in struct.unpack("<HH", data[6:10]))
        elif name == b"VP8L":
            bits = int.from_bytes(data[1:5], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            alpha = alpha or bool(bits >> 28 & 1)
        elif name == b"EXIF":
            exif = data
    return Header("WebP", width, height, 8, False, alpha, orientation=_exif_orientation(exif))


def _riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """(name, first bytes) of each chunk; EXIF whole."""
    file.seek(4)
    (size,) = struct.unpack("<I", _exact(file, 4))
    if file.seek(0, SEEK_END) < size + 8:
        raise ValueError("it ends too early")
    file.seek(12)
    while len(head := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        kept = length if name == b"EXIF" else min(length, 10)
        yield name, _exact(file, kept)
        file.seek(length - kept + length % 2, SEEK_CUR)


def _tiff(file: BinaryIO) -> Header:
    tags = _directory(file, 0)
    samples = tags.get(_SAMPLES, (1,))[0]
    photometric = tags[_PHOTOMETRIC][0]
    colours = {0: 1, 1: 1, 3: 1, 2: 3, 6: 3}.get(photometric)
    if colours is None:
        raise ValueError(f"its colours are of kind {photometric}; grey, RGB, YCbCr and palettes are supported")
    if tags.get(_SAMPLE_FORMAT, (1,))[:1] not in ((), (1,)):
        raise ValueError("its samples are not unsigned integers")
    extra = tags.get(_EXTRA, ())
    return Header(
        "TIFF",
        tags[_WIDTH][0],
        tags[_HEIGHT][0],
        max(tags.get(_BITS, (1,))[0] if photometric != 3 else 8, 8),
        photometric in (0, 1),
        alpha=samples > colours,
        orientation=_checked_orientation(tags.get(_ORIENTATION, (1,))[0]),
        premultiplied=_ASSOCIATED in extra[:1],
        profile=_PROFILE in tags,
    )


def _directory(file: BinaryIO, base: int) -> Mapping[int, tuple[int, ...]]:
    """The integers of the first directory of a TIFF structure that begins at ``base``."""
    file.seek(base)
    order = {b"II": "<", b"MM": ">"}[_exact(file, 2)]
    file.seek(base + 4)
    file.seek(base + struct.unpack(order + "I", _exact(file, 4))[0])
    entries = _exact(file, 12 * struct.unpack(order + "H", _exact(file, 2))[0])
    tags: dict[int, tuple[int, ...]] = {}
    for at in range(0, len(entries), 12):
        tag, kind, count = struct.unpack(order + "HHI", entries[at : at + 8])
        if kind not in _TYPES or count > 16:
            tags[tag] = ()  # it is there; more need not be known
            continue
        form = f"{order}{count}{_TYPES[kind]}"
        data = entries[at + 8 : at + 12]
        if (size := struct.calcsize(form)) > 4:
            file.seek(base + struct.unpack(order + "I", data)[0])
            data = _exact(file, size)
        tags[tag] = struct.unpack(form, data[:size])
    return tags


def _exif_orientation(exif: bytes | None) -> int:
    """EXIF is a TIFF structure; one that cannot be read says nothing."""
    if exif is None:
        return 1
    try:
        tags = _directory(BytesIO(exif.removeprefix(b"Exif\0\0")), 0)
    except (struct.error, ValueError, KeyError):
        return 1
    return _checked_orientation(tags.get(_ORIENTATION, (1,))[0])


def _checked_orientation(value: int) -> int:
    return value if 1 <= value <= 8 else 1
