"""Moving images that the tests put together byte by byte, and what other programs see in them."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.GifImagePlugin import getdata

type Picture = NDArray[Any]

LOOP = b"!\xff\x0bNETSCAPE2.0\x03\x01%c%c\0"


@dataclass
class Shape:
    """A frame: a picture on a part of the canvas."""

    picture: Picture
    left: int = 0
    top: int = 0
    delay: int = 5
    dispose: int = 1
    transparent: int | None = None
    blend: int = 1
    palette: bytes = b""
    interlaced: bool = False


def gif(
    width: int,
    height: int,
    frames: Sequence[Shape],
    *,
    palette: bytes = b"",
    loop: int | None = None,
    end: bytes = b";",
) -> bytes:
    """A GIF; pictures are numbers of colours."""
    flags = 0xF7 if palette else 0
    data = b"GIF89a" + struct.pack("<HHBBB", width, height, flags, 0, 0) + palette
    if loop is not None:
        data += LOOP % (loop & 255, loop >> 8)
    for frame in frames:
        known = frame.transparent is not None
        data += struct.pack(
            "<BBBBHBB", 0x21, 0xF9, 4, frame.dispose << 2 | known, frame.delay, frame.transparent or 0, 0
        )
        rows = list(range(frame.picture.shape[0]))
        if frame.interlaced:
            rows = rows[::8] + rows[4::8] + rows[2::4] + rows[1::2]
        image = Image.fromarray(frame.picture[rows].astype(np.uint8), "L")
        size = frame.picture.shape[1], frame.picture.shape[0]
        local = (0x87 if frame.palette else 0) | 0x40 * frame.interlaced
        data += struct.pack("<BHHHHB", 0x2C, frame.left, frame.top, *size, local) + frame.palette
        data += b"".join(getdata(image)[1:])
    return data + end


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def apng(width: int, height: int, frames: Sequence[Shape], *, plays: int = 0, hidden: Picture | None = None) -> bytes:
    """An APNG; pictures are (H, W, 4), as OpenCV has them."""

    def idat(picture: Picture) -> bytes:
        data = cv2.imencode(".png", picture)[1].tobytes()
        at, found = 8, b""
        while at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            found += data[at + 8 : at + 8 + size] if data[at + 4 : at + 8] == b"IDAT" else b""
            at += size + 12
        return found

    depth = 8 * frames[0].picture.itemsize
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 6, 0, 0, 0))
    data += chunk(b"acTL", struct.pack(">II", len(frames), plays))
    data += chunk(b"IDAT", idat(hidden)) if hidden is not None else b""
    number = 0
    for index, frame in enumerate(frames):
        size = frame.picture.shape[1], frame.picture.shape[0]
        place = *size, frame.left, frame.top
        control = struct.pack(">IIIIIHHBB", number, *place, frame.delay, 100, frame.dispose, frame.blend)
        data += chunk(b"fcTL", control)
        if index == 0 and hidden is None:
            data += chunk(b"IDAT", idat(frame.picture))
        else:
            number += 1
            data += chunk(b"fdAT", struct.pack(">I", number) + idat(frame.picture))
        number += 1
    return data + chunk(b"IEND", b"")


def visible(picture: Picture) -> Picture:
    """RGBA as numbers that can be subtracted, with colours multiplied by alpha, as they are seen."""
    return np.concatenate([picture[..., :3] * (picture[..., 3:] / 255), picture[..., 3:]], -1)


def by_ffmpeg(path: Path) -> list[Picture]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgba") for frame in container.decode(video=0)]


def by_opencv(path: Path) -> list[Picture]:
    done, animation = cv2.imreadanimation(str(path))
    assert done
    return [cv2.cvtColor(frame, cv2.COLOR_BGRA2RGBA) for frame in animation.frames]


def by_pillow(path: Path) -> list[Picture]:
    with Image.open(path) as image:
        found = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            found.append(np.array(image.convert("RGBA")))
        return found
