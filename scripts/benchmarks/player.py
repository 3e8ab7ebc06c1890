"""A player as mpv's filter "vapoursynth" is one, by its source (video/filter/vf_vapoursynth.c, mpv 0.40).

``video_in`` is as long as VapourSynth counts, divided by 16, and has no rate. While the script runs, frames are black
and last 0 seconds. Later they come in order; a few are kept, as many as are asked for at once times four, and go when
one is asked for that is too far ahead; frames that are gone, and those after the end of the file, are errors. Durations
are rounded to microseconds. Times of the output are the sum of its durations. It ends with the first frame that cannot
be had. A seek throws everything away and loads the script again.
"""

import runpy
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import vapoursynth as vs

LENGTH = (2**31 - 1) // 16


@dataclass(frozen=True)
class Shown:
    """A frame on the screen, and when it is there."""

    frame: vs.VideoFrame
    time: Fraction

    @property
    def kind(self) -> str:
        """Where its picture comes from."""
        return str(self.frame.props["_VSRRIN_Kind"])

    @property
    def place(self) -> tuple[int, Fraction]:
        """Left source frame, counted from the last seek, and the fraction of the way to the next."""
        props = self.frame.props
        return int(props["_VSRRIN_Left"]), Fraction(int(props["_VSRRIN_TNum"]), int(props["_VSRRIN_TDen"]))


@dataclass
class Source:
    """Frames that a player's decoder gives it.

    Attributes:
        clip: The file.
        times: When each frame is shown.
        first: The frame from which it plays.
        capacity: Frames that are kept.
        loading: Whether the script runs.
        asked: Frames that were asked for since, counted from the first.
        asked_while_loading: Those asked for before.
    """

    clip: vs.VideoNode
    times: Sequence[Fraction]
    first: int
    capacity: int
    loading: bool = True
    asked: list[int] = field(default_factory=list)
    asked_while_loading: list[int] = field(default_factory=list)
    _oldest: int = 0
    _lock: Lock = field(default_factory=Lock)

    def give(self, n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        """Return a frame; a callback of ModifyFrame."""
        frame = f.copy()
        with self._lock:
            if self.loading:
                self.asked_while_loading.append(n)
                self._describe(frame, Fraction(0))
                return frame
            self.asked.append(n)
            if n < self._oldest:
                raise vs.Error(f"Frame {n} requested, but only have frames starting from {self._oldest}.")
            self._oldest = max(self._oldest, n - self.capacity + 1)
            number = self.first + n
            if number >= len(self.times):
                raise vs.Error("EOF or filter EOF/reinit")
        with self.clip.get_frame(number) as given:
            for plane in range(given.format.num_planes):
                np.copyto(np.asarray(frame[plane]), np.asarray(given[plane]))
        following = number + 1 if number + 1 < len(self.times) else number
        before = following - 1  # the last frame is shown as long as its file says: as the one before
        self._describe(frame, self.times[following] - self.times[before])
        return frame

    def _describe(self, frame: vs.VideoFrame, duration: Fraction) -> None:
        microseconds = int(float(duration) * 1e6 + 0.5) if not self.loading else 0
        properties = {
            "_DurationNum": microseconds,
            "_DurationDen": 1 if self.loading else 1_000_000,
            "_ColorSpace": 1,
            "_Range": 0,  # mpv writes the old name, which Python cannot
            "_ChromaLocation": 0,
            "_FieldBased": 0,
            "_SARNum": 1,
            "_SARDen": 1,
            "_MP_IMAGE": bytes(range(64)),
        }
        frame.props.update(properties)


@dataclass
class Player:
    """A player of a clip, whose frames have times.

    Attributes:
        clip: The file: its frames.
        times: When each frame is shown.
        script: The script that it plays through.
        variables: What the script gets beside ``video_in``.
        at_once: Frames that are asked for at once (``concurrent-frames``).
        buffered: Frames kept for each of them (``buffered-frames``).
        source: What it reads now.
        why: Why it ended.
    """

    clip: vs.VideoNode
    times: Sequence[Fraction]
    script: Path
    variables: dict[str, Any] = field(default_factory=dict)
    at_once: int = 2
    buffered: int = 4
    source: Source | None = None
    why: str = ""

    def load(self, first: int = 0) -> vs.VideoNode:
        """Throw everything away and load the script, to play from a frame of the file on."""
        self.source = source = Source(self.clip, self.times, first, self.at_once * self.buffered)
        blank = self.clip.std.BlankClip(length=LENGTH, fpsnum=0, fpsden=1, keep=True)
        given = {"container_fps": 0.0, "display_fps": 0.0, **self.variables}
        runpy.run_path(
            str(self.script), {"video_in": blank.std.ModifyFrame(blank, source.give), **given}, "__vapoursynth__"
        )
        output = vs.get_output(0)
        assert isinstance(output, vs.VideoOutputTuple)
        vs.clear_outputs()
        source.loading = False
        return output.clip

    def play(self, first: int = 0, most: int | None = None) -> Iterator[Shown]:
        """Seek to a frame of the file, and yield what is shown, up to so many frames."""
        node = self.load(first)
        time, number = self.times[first], 0
        waiting: deque[Future[vs.VideoFrame]] = deque()
        while most is None or number < most:
            while len(waiting) < self.at_once:
                waiting.append(node.get_frame_async(number + len(waiting)))
            try:
                frame = waiting.popleft().result(timeout=60)
            except vs.Error as error:
                self.why = str(error)
                break
            yield Shown(frame, time)
            time += Fraction(int(frame.props["_DurationNum"]), int(frame.props["_DurationDen"]))
            number += 1
        for future in waiting:
            future.exception()
