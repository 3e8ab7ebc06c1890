"""GIF files, read as browsers read them.

What is not covered by a frame is transparent: browsers do not show the background colour.
"""

import warnings
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from io import BytesIO

import numpy as np
from PIL.GifImagePlugin import GifImageFile

from .parts import UNTIMED, Animation, DamagedError, Dispose, Part, Picture, Reader

_SHORTEST = 2
"""Centiseconds; browsers show frames of less for 10."""
_DISPOSE: dict[int, Dispose] = {2: "clear", 3: "previous", 4: "previous"}
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_CONTROL, _APPLICATION, _EXTENSION, _IMAGE, _END = 0xF9, 0xFF, 0x21, 0x2C, 0x3B


@dataclass(slots=True)
class _Control:
    """What the graphic control extension says of the next image."""

    delay: int = 0
    dispose: Dispose = "keep"
    transparent: int | None = None


def read(data: memoryview) -> Animation:
    """Read the frames of a GIF, without decoding them.

    Raises:
        DamagedError: It is no GIF, or ends within a frame.
    """
    file = Reader(data, 6)
    width, height = file.number(2, "little"), file.number(2, "little")
    flags = file.number(3, "little") & 0xFF
    colours = _palette(file, flags)
    parts: list[Part] = []
    control, plays, rushed = _Control(), 1, 0
    while (kind := _next(file)) in (_IMAGE, _EXTENSION):
        if kind == _IMAGE:
            parts.append(_image(file, colours, control))
            rushed += control.delay < _SHORTEST
            control = _Control()
        else:
            label, blocks = file.number(1, "little"), _blocks(file)
            if label == _CONTROL and len(blocks) >= 4:
                control = _control(blocks)
            elif label == _APPLICATION and blocks[:11] in _LOOPS and blocks[11:12] == b"\1":
                count = int.from_bytes(blocks[12:14], "little")
                plays = count + 1 if count else 0
    if not parts:
        raise DamagedError("it has no picture")
    notes = [] if kind == _END else ["the GIF has no mark at its end: frames may be missing"]
    if rushed and len(parts) > 1:
        notes.append(f"frames of 0 or 1 hundredths of a second, {rushed}, last 10, as browsers show them")
    # Browsers enlarge the canvas to its first frame.
    width, height = max(width, parts[0].left + parts[0].width), max(height, parts[0].top + parts[0].height)
    return Animation(form="GIF", width=width, height=height, parts=tuple(parts), plays=plays, notes=tuple(notes))


def _next(file: Reader) -> int | None:
    """Return the first byte of the next block, ``None`` at the end of the file; some writers leave zeros between."""
    while file.at < len(file.data):
        if kind := file.number(1, "little"):
            return kind
    return None


def _palette(file: Reader, flags: int) -> Picture | None:
    """Return the colours that follow, (N, 4); ``None`` if the flags say that there are none."""
    if not flags & 0x80:
        return None
    count = 2 << (flags & 7)
    colours = np.full((256, 4), (0, 0, 0, 255), np.uint8)
    colours[:count, :3] = np.frombuffer(file.take(3 * count), np.uint8).reshape(-1, 3)
    return colours


def _blocks(file: Reader) -> bytes:
    """Return the contents of the blocks that follow."""
    found = bytearray()
    while size := file.number(1, "little"):
        found += file.take(size)
    return bytes(found)


def _control(block: bytes) -> _Control:
    dispose = _DISPOSE.get(block[0] >> 2 & 7, "keep")
    return _Control(int.from_bytes(block[1:3], "little"), dispose, block[3] if block[0] & 1 else None)


def _image(file: Reader, colours: Picture | None, control: _Control) -> Part:
    left, top, width, height = (file.number(2, "little") for _ in range(4))
    flags = file.number(1, "little")
    own = _palette(file, flags)
    begin = file.at
    file.take(1)
    _blocks(file)
    if not width or not height:
        raise DamagedError(f"a frame is {width}x{height}")
    grey = np.stack([np.arange(256, dtype=np.uint8)] * 3 + [np.full(256, 255, np.uint8)], -1)
    palette = next((given for given in (own, colours) if given is not None), grey).copy()
    if control.transparent is not None:
        palette[control.transparent] = 0
    # A file of its own without colours, whose samples are the numbers of colours.
    header = b"GIF89a%c%c%c%c\0\0\0" % (*width.to_bytes(2, "little"), *height.to_bytes(2, "little"))
    image = b",\0\0\0\0" + header[6:10] + bytes([flags & 0x40])
    return Part(
        left=left,
        top=top,
        width=width,
        height=height,
        duration=Fraction(control.delay, 100) if control.delay >= _SHORTEST else UNTIMED,
        dispose=control.dispose,
        blend=True,
        opaque=control.transparent is None,
        picture=partial(_decode, header + image, file.data[begin : file.at], palette),
    )


def _decode(header: bytes, blocks: memoryview, palette: Picture) -> Picture:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = GifImageFile(BytesIO(header + bytes(blocks) + b";"))
            image.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DamagedError(f"it cannot be decoded: {error}") from error
    coloured: Picture = palette[np.asarray(image)]
    return coloured
