"""Sound for a new file: copied packet by packet, or decoded, cut, stretched and encoded."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, cast

import av
import av.error
import av.filter
import av.stream

from vsrrin.clip.retiming import Pace
from vsrrin.errors import ConvertError

from .probe import as_fraction
from .streams import AnyPacket, AudioFormat, Cut, Packets
from .stretch import PacedStretch, Stretch, chunks, part, silence

_GAP = Fraction(1, 20)
"""Seconds: time stamps off by less were rounded, and are smoothed; more is a gap, which is filled."""

_LONGEST_GAP = 3600
"""Seconds: times that jump further are damaged, and as much silence would take minutes to encode."""


class CopiedSound:
    """Copied sound: the packets of a stream, moved in time.

    Time stamps of the source may be rounded to milliseconds; where all packets are of one length they are made exact
    again, so that rounding does not add up to gaps in containers that count samples.

    Args:
        source: The stream to read from.
        target: The stream to write to.
        beginning: Time of the source that becomes 0, in seconds of the source's own clock.
        end: Seconds from there after which nothing is wanted, or ``None`` to take everything.
    """

    def __init__(
        self, source: av.AudioStream, target: av.stream.Stream, *, beginning: Fraction, end: Fraction | None
    ) -> None:
        context = source.codec_context
        self._target, self._beginning, self._end = target, beginning, end
        self._unit = Fraction(1, context.sample_rate)
        self._base = as_fraction(source.time_base)
        self._frame = context.frame_size
        self._steady = bool(self._frame) or context.codec.canonical_name == "opus"
        # What the encoder put before the sound, which players skip: such packets lie before the time 0.
        self._padding = context.initial_padding * self._unit
        self._expected: Fraction | None = None
        self._stamp: int | None = None

    def feed(self, packet: AnyPacket) -> Packets:
        """Yield the packet at its new time, unless that lies outside the wanted part."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None and self._expected is None:
            return
        time = self._exact(stamp * self._base - self._beginning if stamp is not None else self._expected)
        length = self._frame * self._unit if self._frame else (packet.duration or 0) * self._base
        self._expected = time + length
        if time < -self._padding - self._base / 2 or (self._end is not None and time >= self._end):
            return
        # Containers refuse times that go back; FFmpeg's command, too, lets them stand still instead.
        stamp = round(time / self._unit)
        self._stamp = stamp if self._stamp is None else max(stamp, self._stamp + 1)
        packet.pts = packet.dts = self._stamp
        packet.duration = round(length / self._unit)
        packet.time_base = self._unit
        packet.stream = self._target
        yield packet

    def finish(self) -> Packets:
        """Yield nothing: no packet is held back."""
        yield from ()

    def _exact(self, time: Fraction | None) -> Fraction:
        assert time is not None
        if self._base <= self._unit or (self._expected is not None and not self._steady):
            return time
        guess = self._expected if self._expected is not None else -self._padding
        return guess if abs(guess - time) <= self._base else time


class TranscodedSound:
    """Transcoded sound: decoded, cut to the sample, stretched if wanted, and encoded.

    Args:
        source: The stream to read from.
        target: The stream to write to, whose encoder is open.
        beginning: Time of the source that becomes 0, in seconds of the source's own clock.
        end: Seconds from there, before stretching, after which nothing is wanted, or ``None`` to take everything.
        pace: Map from the wanted part to the output.
    """

    def __init__(
        self,
        source: av.AudioStream,
        target: av.AudioStream,
        *,
        beginning: Fraction,
        end: Fraction | None,
        pace: Pace,
    ) -> None:
        self._source, self._target = source, target
        self._beginning, self._end, self._pace = beginning, end, pace
        self._base = as_fraction(source.time_base)
        self._next: int | None = None  # where the source goes on, in samples from the beginning
        self._position = 0  # how many samples from the beginning have been passed on
        self._stretch: Stretch | PacedStretch | None = None
        self._uniform = _Uniform(target.codec_context.layout)

    def feed(self, packet: AnyPacket) -> Packets:
        """Decode a packet, and yield what the encoder has ready; a damaged packet becomes silence."""
        try:
            frames = cast(list[Any], packet.decode())
        except av.error.InvalidDataError:
            return
        for frame in frames:
            yield from self._take(self._uniform.feed(frame))

    def finish(self) -> Packets:
        """Yield the rest, after the last packet: some decoders, those of WMA among them, hold a frame back."""
        for frame in self._source.decode(None):
            yield from self._take(self._uniform.feed(frame))
        yield from self._take(self._uniform.finish())
        if self._stretch is not None:
            for frame in self._stretch.finish():
                yield from self._send(frame)
        yield from self._send(None)

    def _take(self, frames: Iterable[av.AudioFrame]) -> Packets:
        for frame in frames:
            for piece in self._continuous(frame):
                yield from self._encode(piece)

    def _continuous(self, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        """Yield the frame cut to the wanted part, after silence where the source has a gap.

        Sound that begins late is filled from time 0 on: Matroska cannot place the start of Opus to better than 1 ms.

        Raises:
            ConvertError: The gap is so long that its times must be damaged.
        """
        rate = frame.sample_rate
        if frame.pts is not None:
            start = round((frame.pts * as_fraction(frame.time_base or self._base) - self._beginning) * rate)
        else:
            start = self._next or 0
        if self._next is not None and abs(start - self._next) < _GAP * rate:
            start = self._next
        self._next = start + frame.samples
        stop = self._next if self._end is None else min(self._next, round(self._end * rate))
        if stop <= self._position:
            return
        if start - self._position > _LONGEST_GAP * rate:
            raise ConvertError(
                f"its times jump from {self._position / rate:.0f} to {start / rate:.0f} s, too far to fill with silence"
            )
        for length in chunks(start - self._position, rate):
            yield self._placed(silence(frame, length))
        skip = self._position - start
        whole = not skip and stop == self._next
        yield self._placed(frame if whole else part(frame, skip, stop - start))

    def _placed(self, frame: av.AudioFrame) -> av.AudioFrame:
        frame.pts, frame.time_base = self._position, Fraction(1, frame.sample_rate)
        self._position += frame.samples
        return frame

    def _encode(self, frame: av.AudioFrame) -> Packets:
        if self._pace.is_plain:
            yield from self._send(frame)
            return
        if self._stretch is None:
            even = self._pace.is_even
            self._stretch = Stretch(frame, self._pace.tempo) if even else PacedStretch(frame, self._pace)
        for stretched in self._stretch.feed(frame):
            yield from self._send(stretched)

    def _send(self, frame: av.AudioFrame | None) -> Packets:
        yield from self._target.encode(frame)


class _Uniform:
    """Sound of one sample format, layout and rate, those of its first frame, whatever comes later in a stream.

    Args:
        layout: Layout of the encoder, which is taken instead of the first frame's if that has other channels.
    """

    def __init__(self, layout: av.AudioLayout) -> None:
        self._layout = layout
        self._wanted: tuple[str, str, int] | None = None
        self._given: tuple[str, str, int] | None = None
        self._resampler: av.AudioResampler | None = None

    def feed(self, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        """Take a frame, and yield what is ready."""
        given = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._wanted is None:
            same = frame.layout.nb_channels == self._layout.nb_channels
            self._wanted = (given[0], given[1] if same else self._layout.name, given[2])
        if given != self._given:
            yield from self.finish()
            self._given = given
            self._resampler = None if given == self._wanted else av.AudioResampler(*self._wanted)
        if self._resampler is None:
            yield frame
        else:
            yield from self._resampler.resample(frame)

    def finish(self) -> Iterator[av.AudioFrame]:
        """Yield the rest."""
        if self._resampler is not None:
            yield from self._resampler.resample(None)


def add_encoder(container: av.container.OutputContainer, source: av.AudioStream, wanted: AudioFormat) -> av.AudioStream:
    """Return a new stream with an encoder of the wanted format."""
    target = container.add_stream(wanted.codec, rate=wanted.rate)
    assert isinstance(target, av.AudioStream)
    context = target.codec_context
    context.layout = wanted.layout
    offered = [choice.name for choice in context.codec.audio_formats or ()]
    if wanted.bit_rate is not None:
        context.bit_rate = wanted.bit_rate
    else:
        deep = source.codec_context.format.bytes > 2
        context.format = next((name for name in offered if ("s32" in name) == deep), offered[0])
    context.time_base = Fraction(1, wanted.rate)
    return target


def part_end(cut: Cut) -> Fraction | None:
    """Return the length of the used part, ``None`` if it goes up to the end."""
    return None if cut.end is None else cut.end - cut.start
