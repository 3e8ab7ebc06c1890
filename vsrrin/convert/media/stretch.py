"""Sound of another length at the same pitch."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import ceil, log2
from typing import Any

import av
import av.error
import av.filter
import numpy as np
from numpy.typing import NDArray

from vsrrin.clip.retiming import Pace

type Samples = NDArray[np.float32]
"""Samples of sound, (N, channels)."""

_LONGEST, _RAMP = 10, Fraction(1, 4)
"""Seconds of the source that are stretched in one go at most: at one speed, and where it changes."""
_FADE = Fraction(1, 125)
"""Seconds in which one piece passes into the next."""
_MARGIN = Fraction(1, 4)
"""Seconds of the source beyond a piece that are stretched with it, as the filter keeps what it cannot complete."""


class Stretch:
    """Sound of another length at the same pitch, exact to the sample."""

    def __init__(self, first: av.AudioFrame, tempo: Fraction) -> None:
        assert first.pts is not None
        self._tempo, self._rate = tempo, first.sample_rate
        self._first = first.pts
        self._taken = 0
        self._given = 0
        self._last = first
        self._graph = av.filter.Graph()
        # The filter changes the speed by 0.5 to 2 at a time without skipping samples.
        steps = max(1, ceil(abs(log2(float(tempo)))))
        nodes = [
            self._graph.add_abuffer(
                sample_rate=first.sample_rate,
                format=first.format.name,
                layout=first.layout.name,
                time_base=Fraction(1, first.sample_rate),
            )
        ]
        nodes += [self._graph.add("atempo", repr(float(1 / tempo) ** (1 / steps))) for _ in range(steps)]
        nodes.append(self._graph.add("abuffersink"))
        self._graph.link_nodes(*nodes).configure()

    def feed(self, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        """Take a frame, and yield what is ready."""
        self._taken += frame.samples
        self._graph.push(frame)
        yield from self._pull()

    def finish(self) -> Iterator[av.AudioFrame]:
        """Yield the rest, with silence for what the filter lacks at the end, less than one of its windows."""
        self._graph.push(None)
        yield from self._pull()
        for length in chunks(round(self._taken * self._tempo) - self._given, self._rate):
            yield self._placed(silence(self._last, length))

    def _pull(self) -> Iterator[av.AudioFrame]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(frame, av.AudioFrame)
            self._last = frame
            room = round(self._taken * self._tempo) - self._given
            if room <= 0:
                continue
            yield self._placed(frame if frame.samples <= room else part(frame, 0, room))

    def _placed(self, frame: av.AudioFrame) -> av.AudioFrame:
        frame.pts = round(self._first * self._tempo) + self._given
        frame.time_base = Fraction(1, self._rate)
        self._given += frame.samples
        return frame


class PacedStretch:
    """Sound of a length that varies, at the same pitch: pieces of an even pace each, which fade into each other.

    It is exact to the sample at the ends of the pieces.
    """

    def __init__(self, first: av.AudioFrame, pace: Pace) -> None:
        assert first.pts is not None
        self._pace, self._rate, self._layout = pace, first.sample_rate, first.layout.name
        self._floats = av.AudioResampler("flt", first.layout, first.sample_rate)
        self._begin = first.pts
        self._taken: Samples = np.empty((0, first.layout.nb_channels), np.float32)
        self._beyond = self._taken

    def feed(self, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        """Take a frame, and yield what is ready."""
        self._take(frame)
        while len(self._taken) >= self._length() + round(_MARGIN * self._rate):
            yield from self._piece(self._length())

    def finish(self) -> Iterator[av.AudioFrame]:
        """Yield the rest."""
        self._take(None)
        while len(self._taken):
            yield from self._piece(min(self._length(), len(self._taken)))

    def _take(self, frame: av.AudioFrame | None) -> None:
        channels = self._taken.shape[1]
        new = [made.to_ndarray().reshape(-1, channels) for made in self._floats.resample(frame)]
        self._taken = np.concatenate([self._taken, *new])

    def _length(self) -> int:
        """Return the samples of the piece that begins here."""
        begin = Fraction(self._begin, self._rate)
        end = min(self._pace.even_until(begin, _RAMP), begin + _LONGEST)
        return max(round(end * self._rate) - self._begin, 1)

    def _piece(self, length: int) -> Iterator[av.AudioFrame]:
        first, last = self._due(self._begin), self._due(self._begin + length)
        fade = round(_FADE * self._rate)
        made = self._stretched(self._taken[: length + round(_MARGIN * self._rate)], Fraction(last - first, length))
        made = made[: last - first + fade]
        known = min(len(self._beyond), len(made))
        weight = np.linspace(0, 1, known, dtype=np.float32)[:, None]
        made[:known] = (1 - weight) * self._beyond[:known] + weight * made[:known]
        self._beyond, self._taken, self._begin = made[last - first :], self._taken[length:], self._begin + length
        for start in range(0, last - first, self._rate):
            frame = self._frame(made[start : min(start + self._rate, last - first)])
            frame.pts, frame.time_base = first + start, Fraction(1, self._rate)
            yield frame

    def _due(self, taken: int) -> int:
        """Return the sample of the output at which a sample of the source is heard."""
        return round(self._pace.moment(Fraction(taken, self._rate)) * self._rate)

    def _stretched(self, samples: Samples, tempo: Fraction) -> Samples:
        if tempo in (0, 1):  # a piece of a sample or two may become nothing
            return samples[: len(samples) * int(tempo)].copy()
        frame = self._frame(samples)
        frame.pts = 0
        stretch = Stretch(frame, tempo)
        made = [part.to_ndarray().reshape(-1, samples.shape[1]) for part in (*stretch.feed(frame), *stretch.finish())]
        return np.concatenate(made) if made else samples[:0].copy()

    def _frame(self, samples: Samples) -> av.AudioFrame:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), "flt", self._layout)
        frame.sample_rate = self._rate
        return frame


def chunks(samples: int, rate: int) -> Iterable[int]:
    """Return lengths of at most a second that add up to ``samples``; none for a negative number."""
    whole, rest = divmod(max(samples, 0), rate)
    return [rate] * whole + [rest] * (rest > 0)


def silence(like: av.AudioFrame, samples: int) -> av.AudioFrame:
    """Return silence of the format of other sound."""
    array = like.to_ndarray()
    channels = 1 if like.format.is_planar else like.layout.nb_channels
    level = 128 if like.format.name.startswith("u8") else 0
    return _frame(np.full((array.shape[0], samples * channels), level, array.dtype), like)


def part(frame: av.AudioFrame, start: int, stop: int) -> av.AudioFrame:
    """Return samples ``start`` to ``stop`` of a frame."""
    channels = 1 if frame.format.is_planar else frame.layout.nb_channels
    return _frame(np.ascontiguousarray(frame.to_ndarray()[:, start * channels : stop * channels]), frame)


def _frame(array: NDArray[Any], like: av.AudioFrame) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(array, format=like.format.name, layout=like.layout.name)
    frame.sample_rate = like.sample_rate
    return frame
