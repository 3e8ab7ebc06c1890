"""Subtitles on their way into a new file: moved in time, or converted to another kind of text."""

from fractions import Fraction

import av.container
import av.subtitles.stream

from .probe import as_fraction
from .streams import AnyPacket, Packets

_UNIT = Fraction(1, 1000)


class Captions:
    """Moves subtitles in time, and converts them if the target's stream has an encoder.

    Args:
        source: The stream read from.
        target: The stream written to.
        converts: Whether texts are decoded and encoded, or packets copied.
        beginning: Time of the source that becomes 0, seconds by the source's own clock.
        end: Seconds after which nothing is wanted, counted from there; ``None``: everything.
        tempo: How many times as late everything comes.
    """

    def __init__(
        self,
        source: av.subtitles.stream.SubtitleStream,
        target: av.subtitles.stream.SubtitleStream,
        converts: bool,
        beginning: Fraction,
        end: Fraction | None,
        tempo: Fraction,
    ) -> None:
        self._source, self._target, self._converts = source, target, converts
        self._beginning, self._end, self._tempo = beginning, end, tempo
        self._base = as_fraction(source.time_base)

    def feed(self, packet: AnyPacket) -> Packets:
        """The subtitle at its new time; nothing if it lies outside the part wanted, or says nothing."""
        if packet.pts is None:
            return
        start = packet.pts * self._base - self._beginning
        stop = start + (packet.duration or 0) * self._base
        if (start < 0 and stop <= 0) or (self._end is not None and start >= self._end):
            return
        made = self._converted(packet) if self._converts else packet
        if made is None:
            return
        start = max(start, Fraction(0))
        stop = stop if self._end is None else min(stop, self._end)
        made.pts = made.dts = round(start * self._tempo / _UNIT)
        made.duration = max(round((stop - start) * self._tempo / _UNIT), 0)
        made.time_base = _UNIT
        made.stream = self._target
        yield made

    def finish(self) -> Packets:
        """Nothing is held back."""
        yield from ()

    def _converted(self, packet: AnyPacket) -> AnyPacket | None:
        found = self._source.codec_context.decode2(packet)
        if found is None or not len(found):
            return None
        return self._target.codec_context.encode_subtitle(found)


def add_converter(
    container: av.container.OutputContainer, source: av.subtitles.stream.SubtitleStream, codec: str
) -> av.subtitles.stream.SubtitleStream:
    """A stream with an encoder for another kind of text."""
    source.codec_context.open(strict=False)  # the decoder makes the header that describes its texts
    target = container.add_stream(codec)
    assert isinstance(target, av.subtitles.stream.SubtitleStream)
    target.codec_context.subtitle_header = source.codec_context.subtitle_header
    target.codec_context.time_base = _UNIT
    target.time_base = _UNIT
    return target
