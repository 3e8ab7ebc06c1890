"""Packets of the encoded video for a new file."""

from collections.abc import Sequence
from fractions import Fraction
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING

import av

from vsrrin import files

from .probe import as_fraction
from .streams import AnyPacket, Packets

if TYPE_CHECKING:
    from .encode import VideoTimes

_MAX_TICKS = 2**31 - 1


def decoding_time(packet: AnyPacket) -> float:
    """Return the time by which packets of several streams are put in order, in seconds."""
    return (packet.dts or 0) * float(as_fraction(packet.time_base))


def video_packets(
    segments: Sequence[Path], stream: av.VideoStream, order: Sequence[int], times: "VideoTimes"
) -> Packets:
    """Yield the packets of all segments, at the times of the frames they hold.

    Decoding times are the presentation times, in order, of as many frames earlier as the encoder reorders at most:
    strictly rising, never after the presentation, across segments too.
    """
    delay = max((position - rank for position, rank in enumerate(order)), default=0)
    base = _common_unit(times.time_base, times.start)
    per_tick = round(times.time_base / base)
    offset = round(times.start / base)
    position = 0
    for path in segments:
        with av.open(files.url(path)) as container:
            for packet in container.demux(container.streams.video[0]):
                if not packet.size or packet.pts is None:
                    continue
                rank = order[position]
                decoded = times.tick(position - delay) if position >= delay else (position - delay) * times.tick(1)
                packet.pts = offset + times.tick(rank) * per_tick
                packet.dts = offset + decoded * per_tick
                packet.duration = (times.tick(rank + 1) - times.tick(rank)) * per_tick
                packet.time_base = base
                packet.stream = stream
                position += 1
                yield packet


def _common_unit(unit: Fraction, start: Fraction) -> Fraction:
    """Return a unit of which both are multiples; ``start`` only nearly where the exact one is too fine to write."""
    exact = Fraction(
        gcd(unit.numerator * start.denominator, start.numerator * unit.denominator),
        unit.denominator * start.denominator,
    )
    if exact.denominator <= _MAX_TICKS:
        return exact
    return unit / max(1, _MAX_TICKS // unit.denominator)
