"""Encoded segments of one video, and the order of their frames."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.error

from vsrrin import files
from vsrrin.errors import ConvertError

from .probe import as_fraction


def read_order(segments: Sequence[Path]) -> list[int]:
    """Return the frame number of each stored packet of the segments, which must fit each other."""
    headers: bytes | None = None
    stamps: list[tuple[int, Fraction]] = []
    for number, path in enumerate(segments):
        try:
            with av.open(files.url(path)) as container:
                stream = container.streams.video[0]
                found = stream.codec_context.extradata or b""
                base = as_fraction(stream.time_base)
                stamps += [(number, p.pts * base) for p in container.demux(stream) if p.size and p.pts is not None]
        except (av.error.FFmpegError, IndexError) as error:
            raise ConvertError(f"segment {path} cannot be read: {error}") from None
        if headers is None:
            headers = found
        if found != headers:
            raise ConvertError(f"segment {path} was encoded with other settings than {segments[0]}")
    ranks = sorted(range(len(stamps)), key=stamps.__getitem__)
    order = [0] * len(stamps)
    for rank, position in enumerate(ranks):
        order[position] = rank
    return order
