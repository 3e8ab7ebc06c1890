"""Images of all kinds that the tests share, written by ffmpeg and OpenCV."""

import struct
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.conftest import BUNNY

WIDTH, HEIGHT = 64, 48

Picture = NDArray[Any]


def ffmpeg(*arguments: str | Path) -> None:
    """Runs ffmpeg, which must succeed."""
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def frames_of_bunny(folder: Path, count: int, *options: str, name: str = "%d.png", start: int = 8) -> None:
    """The first frames of the bundled clip as images, numbered from 8, so that 9 and 10 differ in length."""
    scale = f"scale={WIDTH}:{HEIGHT}"
    ffmpeg("-i", BUNNY, "-frames:v", f"{count}", "-vf", scale, *options, "-start_number", f"{start}", folder / name)


def picture(n: int = 0, *, channels: int = 3, depth: int = 8) -> Picture:
    """A smooth picture that moves with n, (H, W, channels) or (H, W) for one channel; the last of four is alpha."""
    peak = 2**depth - 1
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    planes = [0.5 + 0.3 * np.sin((x - 2 * n) / (5 + k) + k) * np.cos(y / (4 + k)) for k in range(3)]
    alpha = np.clip((14 - np.hypot(x - 24 - 2 * n, y - 24)) / 4, 0, 1)
    stack = np.stack([*planes, alpha], axis=-1)
    chosen = {1: stack[..., 0], 3: stack[..., :3], 4: stack}[channels]
    return np.rint(chosen * peak).astype(np.uint8 if depth == 8 else np.uint16)


def write_sequence(folder: Path, count: int, *, channels: int = 3, depth: int = 8, name: str = "{}.png") -> Path:
    """Writes moving pictures numbered from 8."""
    folder.mkdir(exist_ok=True)
    for n in range(count):
        write(folder / name.format(n + 8), picture(n, channels=channels, depth=depth))
    return folder


def write(path: Path, image: Picture) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def read(path: Path) -> Picture:
    """All channels as OpenCV has them."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def exif(orientation: int) -> bytes:
    """An EXIF structure that says how the picture is to be turned."""
    entry = struct.pack("<HHII", 274, 3, 1, orientation)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)


def with_exif(path: Path, image: Picture, orientation: int) -> Path:
    """An image whose EXIF says how it is to be turned."""
    assert cv2.imwriteWithMetadata(
        str(path), image, [cv2.IMAGE_METADATA_EXIF], [np.frombuffer(exif(orientation), np.uint8)]
    )
    return path


def with_profile(path: Path) -> Path:
    """A grey image with a colour profile."""
    chunk = np.frombuffer(icc_profile(), np.uint8)
    assert cv2.imwriteWithMetadata(str(path), np.full((64, 64, 3), 99, np.uint8), [cv2.IMAGE_METADATA_ICCP], [chunk])
    return path


def tiff_with(path: Path, **tags: int) -> Path:
    """Adds tags to (or changes them in) a little-endian TIFF."""
    numbers = {"orientation": 274, "extra_samples": 338}
    data = path.read_bytes()
    (at,) = struct.unpack("<I", data[4:8])
    (count,) = struct.unpack("<H", data[at : at + 2])
    entries = {}
    for start in range(at + 2, at + 2 + 12 * count, 12):
        entries[struct.unpack("<H", data[start : start + 2])[0]] = data[start : start + 12]
    for name, value in tags.items():
        entries[numbers[name]] = struct.pack("<HHIHH", numbers[name], 3, 1, value, 0)
    directory = struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    path.write_bytes(data[:4] + struct.pack("<I", len(data)) + data[8:] + directory)
    return path


def icc_profile() -> bytes:
    """A small, valid RGB profile."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + fixed(*values)

    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(2.2 * 256), 0)
    description = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(79)
    white = (0.9642, 1, 0.8249)
    tags = [
        (b"desc", description),
        (b"cprt", b"text\0\0\0\0none\0\0\0\0"),
        (b"wtpt", xyz(*white)),
        (b"rXYZ", xyz(0.6097, 0.3111, 0.0195)),
        (b"gXYZ", xyz(0.2053, 0.6257, 0.0609)),
        (b"bXYZ", xyz(0.1492, 0.0632, 0.7446)),
        *((name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags:
        padded = data + bytes(-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(padded))
        body += padded
    head = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*white)
    return head.ljust(128, b"\0") + table + body
