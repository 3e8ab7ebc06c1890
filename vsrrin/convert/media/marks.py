"""Marks of a video that FFmpeg keeps as side data of its stream, for a new file.

PyAV reads side data and writes rotation alone. Streams that are made after another one have its side data, though, so a
small Matroska file that has the marks serves as such a model.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from struct import pack, unpack
from sys import byteorder

import av

from vsrrin import files

from .containers import Container
from .matroska import VIDEO, added, element

_COLOUR, _MASTERING = 0x55B0, 0x55D0
_PROJECTIONS = {0: 1, 1: 2, 2: 1}  # FFmpeg's to Matroska's: equirectangular, cube map, and a part of the former
# FFmpeg's packing, and whether the right view is the first, to Matroska's mode.
_PACKINGS = {
    (0, 0): 0, (1, 0): 1, (1, 1): 11, (2, 0): 3, (2, 1): 2, (3, 0): 13, (3, 1): 14, (4, 0): 5, (4, 1): 4, (6, 0): 7,
    (6, 1): 6, (7, 0): 9, (7, 1): 8,
}  # fmt: skip
# Matroska's modes that are written to others: WebM refuses the rest, MP4 knows two, and QuickTime's mark names none.
_MODES = {"webm": (0, 1, 2, 3, 11), "mp4": (0, 1, 3), "mov": (), "matroska": tuple(_PACKINGS.values())}
_CARRIED = ("spherical", "stereo_3d", "frame_cropping", "mastering_display_metadata", "content_light_level")


def shown(size: tuple[int, int], aspect: Fraction, side_data: Mapping[str, bytes]) -> tuple[int, int] | None:
    """Return the size of a view on a screen; ``None`` if it is that of the picture.

    Args:
        size: Width and height of the picture.
        aspect: Width of a pixel over its height.
        side_data: Marks from `carried`.
    """
    packing = int.from_bytes(side_data.get("stereo_3d", b"")[:4], byteorder)
    top, bottom, left, right = unpack("<4I", side_data.get("frame_cropping", bytes(16))[:16])
    width = (size[0] - left - right) * aspect / (2 if packing in (1, 7) else 1)
    height = (size[1] - top - bottom) // (2 if packing in (2, 6) else 1)
    return None if (width, height) == size else (round(width), height)


def carried(side_data: Mapping[str, bytes], container: Container) -> dict[str, bytes]:
    """Return the marks that can be written into a container."""
    found = {name: side_data[name] for name in _CARRIED if name in side_data}
    if "stereo_3d" in found and _mode(found["stereo_3d"]) not in _MODES[container.format]:
        del found["stereo_3d"]
    return found


def _mode(stereo: bytes) -> int | None:
    packing, flags = unpack("=2i", stereo[:8])
    return _PACKINGS.get((packing, flags & 1))


def model(segment: Path, side_data: Mapping[str, bytes]) -> BytesIO:
    """Return a Matroska file whose video is like that of a segment, and has the marks in some side data.

    Args:
        segment: A file of one encoded video.
        side_data: Marks from `carried`.
    """
    file = BytesIO()
    with (
        av.open(files.url(segment)) as source,
        av.open(file, "w", format="matroska", container_options={"write_crc32": "0"}) as container,
    ):
        stream = source.streams.video[0]
        made = container.add_stream_from_template(stream, opaque=True)
        packet = next(packet for packet in source.demux(stream) if packet.size)
        packet.stream, packet.pts, packet.dts = made, 0, 0
        container.mux_one(packet)
    data = file.getvalue()
    for path, content in _elements(side_data):
        data = added(data, (*VIDEO, *path), content)
    return BytesIO(data)


def _elements(side_data: Mapping[str, bytes]) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """Yield elements for a video, and where they belong in it."""
    if (data := side_data.get("stereo_3d")) is not None:
        yield (), element(0x53B8, bytes([_mode(data) or 0]))
    if (data := side_data.get("spherical")) is not None:
        yield from _projection(data)
    if (data := side_data.get("frame_cropping")) is not None:
        names = (0x54BB, 0x54AA, 0x54CC, 0x54DD)
        for name, pixels in zip(names, unpack("<4I", data[:16]), strict=True):  # top, bottom, left, right
            yield (), element(name, pixels.to_bytes(4))
    if (data := side_data.get("content_light_level")) is not None:
        for name, level in zip((0x55BC, 0x55BD), unpack("=2I", data[:8]), strict=True):
            yield (_COLOUR,), element(name, level.to_bytes(4))
    if (data := side_data.get("mastering_display_metadata")) is not None:
        *numbers, has_primaries, has_luminance = unpack("=22i", data[:88])
        values = [above / below if below else 0.0 for above, below in zip(numbers[::2], numbers[1::2], strict=True)]
        # x and y of red, green, blue and white; the least luminance comes first in FFmpeg, and last in Matroska
        named = list(enumerate(values[:8], 0x55D1)) if has_primaries else []
        named += [(0x55DA, values[8]), (0x55D9, values[9])] if has_luminance else []
        for name, value in named:
            yield (_COLOUR, _MASTERING), element(name, pack(">d", value))


def _projection(data: bytes) -> Iterator[tuple[tuple[int, ...], bytes]]:
    kind, yaw, pitch, roll, left, top, right, bottom, padding = unpack("=4i5I", data[:36])
    if kind not in _PROJECTIONS:
        return
    private = pack(">5I", 0, top, bottom, left, right) if kind != 1 else pack(">3I", 0, 0, padding)
    content = element(0x7671, bytes([_PROJECTIONS[kind]])) + element(0x7672, private)
    for name, angle in ((0x7673, yaw), (0x7674, pitch), (0x7675, roll)):
        content += element(name, pack(">d", angle / 65536))
    yield (), element(0x7670, content)
