"""Subtitles for a new file: moved in time, and converted to another kind of text where that is needed."""

from fractions import Fraction
from typing import cast

import av
import av.container
import av.stream
import av.subtitles.stream
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.subtitle import SubtitleSet

from vsrrin.clip.retiming import Pace

from .probe import as_fraction
from .streams import AnyPacket, Packets

_UNIT = Fraction(1, 1000)


class Captions:
    """Subtitles, moved in time, and converted if the target's stream has an encoder; or other data of moments.

    Args:
        source: The stream to read from.
        target: The stream to write to.
        converts: Whether to decode and encode texts, in place of copying packets.
        beginning: Time of the source that becomes 0, in seconds of the source's own clock.
        end: Seconds from there after which nothing is wanted, or ``None`` to take everything.
        pace: Map from the part that is used to the output.
    """

    def __init__(
        self,
        source: av.stream.Stream,
        target: av.stream.Stream,
        *,
        converts: bool,
        beginning: Fraction,
        end: Fraction | None,
        pace: Pace,
    ) -> None:
        self._target, self._converts = target, converts
        self._decoder = cast(SubtitleCodecContext, source.codec_context)
        self._encoder = cast(SubtitleCodecContext, target.codec_context)
        self._beginning, self._end, self._pace = beginning, end, pace
        self._base = as_fraction(source.time_base)
        self._last = 0
        # Captions of television are commands to a screen: its texts are known when the next one replaces them.
        self._delays = converts and self._decoder.codec.delay

    def feed(self, packet: AnyPacket) -> Packets:
        """Yield the subtitle at its new time, unless it is empty or lies outside the wanted part."""
        if packet.pts is None:
            return
        if self._delays:
            yield from self._screens(packet)
            return
        start = packet.pts * self._base - self._beginning
        stop = start + (packet.duration or 0) * self._base
        if self._is_wanted(start, stop):
            made = self._encoded(self._decoder.decode2(packet)) if self._converts else packet
            yield from self._placed(made, start, stop)

    def finish(self) -> Packets:
        """Yield the text that is shown at the end, where one is held back."""
        if self._delays:
            yield from self._screens(av.Packet())

    def _screens(self, packet: AnyPacket) -> Packets:
        """Decode a packet, and yield the text that it ends."""
        found = self._decoder.decode2(packet)
        if found is None:
            return
        start = Fraction(found.pts or 0, av.time_base) - self._beginning
        stop = start + Fraction(found.end_display_time, 1000)
        if self._is_wanted(start, stop):
            yield from self._placed(self._encoded(found), start, stop)

    def _is_wanted(self, start: Fraction, stop: Fraction) -> bool:
        return (start >= 0 or stop > 0) and (self._end is None or start < self._end)

    def _encoded(self, found: SubtitleSet | None) -> AnyPacket | None:
        return self._encoder.encode_subtitle(found) if found is not None and len(found) else None

    def _placed(self, made: AnyPacket | None, start: Fraction, stop: Fraction) -> Packets:
        if made is None:
            return
        start = max(start, Fraction(0))
        stop = stop if self._end is None else min(stop, self._end)
        start, stop = self._pace.moment(start), self._pace.moment(stop)
        self._last = max(round(start / _UNIT), self._last)  # containers refuse times that go back
        made.pts = made.dts = self._last
        made.duration = max(round((stop - start) / _UNIT), 0)
        made.time_base = _UNIT
        made.stream = self._target
        yield made


def add_converter(
    container: av.container.OutputContainer, source: av.subtitles.stream.SubtitleStream, codec: str
) -> av.subtitles.stream.SubtitleStream:
    """Return a new stream with an encoder for another kind of text."""
    source.codec_context.open(strict=False)  # the decoder makes the header that describes its texts
    target = container.add_stream(codec)
    assert isinstance(target, av.subtitles.stream.SubtitleStream)
    target.codec_context.subtitle_header = source.codec_context.subtitle_header
    target.codec_context.time_base = _UNIT
    target.time_base = _UNIT
    return target
