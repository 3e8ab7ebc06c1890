"""Alpha of VP8 and VP9: a video of its own, which Matroska and WebM hold in additions to the blocks of the other one.

FFmpeg's own decoders of VP8 and VP9 leave it out.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import av.packet

from vsrrin import files

from .probe import as_fraction

CODECS = ("vp8", "vp9")
_ADDITION: Final = "matroska_block_additional"
_ALPHA = (1).to_bytes(8)
"""Number of the additions that hold alpha; a packet has it before their data."""


def is_marked(stream: av.VideoStream) -> bool:
    """Return whether a file says that a video of VP8 or VP9 has alpha."""
    return any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items())


def alpha_of(packet: "av.packet.Packet[Any]") -> bytes:
    """Return the encoded alpha of a packet of VP8 or VP9; empty if it has none."""
    data = bytes(packet.get_sidedata(_ADDITION)) if packet.has_sidedata(_ADDITION) else b""
    return data[len(_ALPHA) :] if data.startswith(_ALPHA) else b""


def write_alpha(path: Path, track: int, target: Path) -> list[Fraction]:
    """Write the alpha of a video of VP8 or VP9 as a Matroska file, in which it is the luma of the pictures.

    Args:
        path: The file that holds the video.
        track: Index of the stream.
        target: The file to write.

    Returns:
        The times of the pictures by the file's own clock; none if the video has no alpha, and nothing is written then.
    """
    times: list[Fraction] = []
    with av.open(files.url(path)) as source, av.open(files.url(target), "w", format="matroska") as made:
        stream = source.streams[track]
        assert isinstance(stream, av.VideoStream)
        codec, base = stream.codec_context.codec.canonical_name, as_fraction(stream.time_base)
        said = is_marked(stream)
        out = made.add_stream_from_template(stream)
        out.time_base = base
        for packet in source.demux(stream):
            data = alpha_of(packet)
            if not data and packet.size and not said:
                break
            said = True
            if not data or packet.pts is None:
                continue
            copy: av.packet.Packet[Any] = av.packet.Packet(data)
            copy.pts = copy.dts = packet.pts
            copy.time_base, copy.stream = base, out
            copy.is_keyframe, is_shown = _kind(codec, data[0])
            made.mux_one(copy)
            times += [packet.pts * base] * is_shown
    return sorted(times)


def _kind(codec: str, first: int) -> tuple[bool, bool]:
    """Return whether a frame needs no other, and whether it is shown, by its first byte (RFC 6386; VP9, 6.2)."""
    if codec == "vp8":
        return not first & 0x01, bool(first & 0x10)
    return not first & 0x0C, True
