"""Headers of image files: size, depth, channels and orientation, read by Pillow without decoding.

So all images of a folder are checked before the work begins. PNG, JPEG, WebP and TIFF are known.
"""

import struct
import warnings
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

from PIL.ExifTags import Base as Tag
from PIL.Image import DecompressionBombError
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from PIL.WebPImagePlugin import WebPImageFile

from vsrrin.errors import ConvertError

Form = Literal["PNG", "JPEG", "WebP", "TIFF"]

# Pillow's classes themselves, not Image.open: it takes other kinds of files, too, and warns of large pictures.
_KINDS: dict[bytes, tuple[Form, type[ImageFile], bytes]] = {
    b"\x89PNG": ("PNG", PngImageFile, b"IEND\xaeB`\x82"),
    b"\xff\xd8\xff": ("JPEG", JpegImageFile, b"\xff\xd9"),
    b"RIFF": ("WebP", WebPImageFile, b""),
}
"""Kind, class and last bytes of a file, by its first bytes."""
_TIFF = (b"II*\0", b"MM\0*")
_PALETTE = 3
_SAMPLES = {0: 1, 1: 1, 2: 3, _PALETTE: 1, 6: 3}
"""Samples of a pixel without alpha, by TIFF's kinds of colours: grey (two kinds), RGB, palette, YCbCr."""
_ASSOCIATED = 1
_SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
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
    """Read the header of an image, told by its content, not by its name.

    Args:
        path: The file.

    Raises:
        ConvertError: It cannot be read, is damaged, or is of a kind that is not supported.
    """
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of EXIF that makes no sense: it costs the orientation alone
            header = _tiff(file) if _begins_with(file, *_TIFF) else _other(file)
    except (OSError, struct.error, SyntaxError, ValueError, LookupError, DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ConvertError(f"{path} cannot be read: {error.strerror or error}") from error
        raise ConvertError(f"{path} is damaged, or not a PNG, JPEG, WebP or TIFF: {error}") from error
    if header.depth not in (8, 16) or 0 in header.size:
        raise ConvertError(f"{path} has {header.depth} bits per sample: 8 and 16 bit integers are supported")
    return header


def _begins_with(file: BinaryIO, *starts: bytes) -> bool:
    begins = file.read(4).startswith(starts)
    file.seek(0)
    return begins


def _require_ending(file: BinaryIO, mark: bytes) -> None:
    """Refuse a file that was cut off: decoders fill it with grey, and say nothing that reaches us."""
    here = file.tell()
    if file.seek(0, SEEK_END) - here >= len(mark):
        file.seek(-len(mark), SEEK_END)
        if file.read() == mark:
            return
    file.seek(here)  # something may be appended
    if mark not in file.read():
        raise ValueError("it ends too early")


def _other(file: BinaryIO) -> Header:
    form, kind, mark = next((_KINDS[start] for start in _KINDS if _begins_with(file, start)), (None, ImageFile, b""))
    if form is None:
        raise ValueError("its first bytes are of no such file")
    image = kind(file)
    _require_ending(file, mark)
    # Pillow gives some PNGs in other modes than those they are stored in, grey of 16 bits with alpha as RGBA.
    stored = str(image.tile[0].args) if form == "PNG" else image.mode
    return Header(
        form=form,
        width=image.width,
        height=image.height,
        depth=16 if ";16" in stored else 8,
        grey=stored.startswith(("1", "L", "I")),
        alpha=image.has_transparency_data,
        orientation=_exif_orientation(image.info.get("exif", b"")),
    )


def _tiff(file: BinaryIO) -> Header:
    tags = _directory(file)
    colours = _first(tags, Tag.PhotometricInterpretation)
    if colours not in _SAMPLES:
        raise ValueError(f"its colours are of kind {colours}; grey, RGB, YCbCr and palettes are supported")
    if _first(tags, Tag.SampleFormat, 1) != 1:
        raise ValueError("its samples are not unsigned integers")
    return Header(
        form="TIFF",
        width=_first(tags, Tag.ImageWidth),
        height=_first(tags, Tag.ImageLength),
        depth=8 if colours == _PALETTE else max(_first(tags, Tag.BitsPerSample, 1), 8),
        grey=colours in (0, 1),
        alpha=_first(tags, Tag.SamplesPerPixel, 1) > _SAMPLES[colours],
        orientation=_orientation(tags),
        premultiplied=_first(tags, Tag.ExtraSamples, 0) == _ASSOCIATED,
        profile=Tag.InterColorProfile in tags,
    )


def _first(tags: ImageFileDirectory_v2, tag: Tag, otherwise: int | None = None) -> int:
    """Return the number that a tag holds, the first if there are several."""
    value = tags.get(tag, otherwise)
    first = value[0] if isinstance(value, tuple) else value
    if not isinstance(first, int):
        raise ValueError(f"its {tag.name} is missing or no number")
    return first


def _directory(file: BinaryIO) -> ImageFileDirectory_v2:
    """Return the tags of the first picture of a TIFF."""
    tags = ImageFileDirectory_v2(file.read(8))
    file.seek(tags.next)
    tags.load(file)
    return tags


def _exif_orientation(exif: bytes) -> int:
    """Return the orientation in EXIF, which is a TIFF of tags alone; 1 if it cannot be read."""
    try:
        return _orientation(_directory(BytesIO(exif.removeprefix(b"Exif\0\0"))))
    except (struct.error, SyntaxError, ValueError, LookupError):
        return 1


def _orientation(tags: ImageFileDirectory_v2) -> int:
    value = tags.get(Tag.Orientation, 1)
    return int(value) if value in range(1, 9) else 1
