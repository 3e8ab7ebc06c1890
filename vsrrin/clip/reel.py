"""Sources that play: frames that come one after the other, with their times, and that cannot be had again.

A player's clip has no length and no rate, and a frame's duration arrives with the frame. The start of a frame is the
sum of the durations before it; so it depends on them, and on nothing that comes later. Where they are those of a
constant rate, rounded, starts are exact multiples of that rate's step: they neither jitter nor drift.
"""

from bisect import bisect_right
from fractions import Fraction
from threading import Event, RLock, Thread

import numpy as np
import vapoursynth as vs

from vsrrin.errors import VsrrinError

from . import frames, props, scene_score
from .clip_checks import MOST_READ, ROUNDING
from .frames import Colour
from .timing import FrameTime

_STARTS = 1024
"""Starts of frames that are kept. A moment before them makes reading begin anew."""
_MICROSECOND = Fraction(1, 1_000_000)
"""Players round durations to microseconds."""
_MOST_ZEROS = 8
"""Frames in a row with a duration of 0 that are believed, once one had another."""
_PATIENCE = 0.5
"""Seconds after which a frame that does not come may be one that VapourSynth has no room for."""
_MIB = 2**20
_DEFAULT_STEP = Fraction(1, 25)


class EndOfReelError(VsrrinError):
    """A frame or a moment after the last frame that can be had."""


class Reel:
    """Frames of a source that are read once, in order, by any number of threads; the newest are kept.

    Frames are waited for while a frame is made, as nothing else tells whether one can be had. The thread counts as free
    meanwhile; but when VapourSynth's cache is full, it puts off what is asked for until what was asked for before is
    done. Then it is given more room.

    Args:
        clip: The source. If it is longer than any file, its end is the first frame that cannot be had.
        rate: Frames per second that it should have; ``None`` if not known.
        kept: Frames that are kept.
        timed: Whether `find` is used, so that no frame may be left out.
    """

    def __init__(self, clip: vs.VideoNode, rate: Fraction | None, kept: int, *, timed: bool) -> None:
        self._clip, self._rate, self._kept, self._timed = clip, rate, kept, timed
        self._endless = clip.num_frames > MOST_READ
        self._lock = RLock()
        # vs.core is not there in threads of one's own.
        self._core, self._tiny = vs.core.core, vs.core.std.BlankClip(width=16, height=16, format=vs.GRAY8, length=1)
        self._begin(0)

    def _begin(self, number: int) -> None:
        self._next, self._end = number, ""
        self._frames: dict[int, vs.VideoFrame] = {}
        self._durations: dict[int, Fraction] = {}
        self._thumbnails: dict[int, scene_score.Thumbnail] = {}
        self._changes: dict[int, scene_score.Change] = {}
        self._cuts: dict[int, bool] = {}
        self._starts = [Fraction(0)]  # of the kept frames, and of the next one
        self._time, self._anchor, self._steps = Fraction(0), Fraction(0), 0
        self._last, self._zeros = 1 / self._rate if self._rate else _DEFAULT_STEP, _MOST_ZEROS

    def clear(self) -> None:
        """Drop all frames."""
        with self._lock:
            self._begin(0)

    def frame(self, number: int) -> vs.VideoFrame:
        """Return a frame.

        Raises:
            EndOfReelError: It is after the last one.
            vapoursynth.Error: It cannot be had.
        """
        with self._lock:
            if not self._timed and number - self._next > self._kept:
                self._begin(number)
            while self._next <= number:
                self._read()
            kept = self._frames.get(number)
            return self._wait_for(number) if kept is None else kept

    def has(self, number: int) -> bool:
        """Return whether a frame is not after the last one, by reading it."""
        try:
            self.frame(number)
        except EndOfReelError:
            return False
        return True

    def find(self, moment: Fraction) -> FrameTime:
        """Return the place of a moment, in seconds from the first frame; frames are read up to there.

        Raises:
            EndOfReelError: It is after the end of the last frame.
            vapoursynth.Error: A frame cannot be had.
        """
        with self._lock:
            if moment < self._starts[0]:
                self._begin(0)
            while self._starts[-1] <= moment:
                try:
                    self._read()
                except EndOfReelError:
                    if self._starts[-1] > self._starts[-2:][0] or not self._next:
                        raise
                    self._starts[-1] += self._last  # a last frame of no duration is shown all the same
            index = bisect_right(self._starts, moment) - 1
            start, end = self._starts[index : index + 2]
            left = self._next - len(self._starts) + 1 + index
            return FrameTime(left, left + 1, (moment - start) / (end - start))

    def _read(self) -> None:
        """Take the next frame."""
        number = self._next
        if self._end or number >= self._clip.num_frames:
            raise EndOfReelError(f"the source ended before frame {number}{self._end}")
        try:
            frame = self._wait_for(number)
        except vs.Error as error:
            if not self._endless:
                raise
            self._end = ": " + str(error).strip().rpartition("\n")[2]
            raise EndOfReelError(f"the source ended before frame {number}{self._end}") from None
        self._next += 1
        self._frames[number] = frame = _renamed(frame)
        _trim(self._frames, number - self._kept)
        self._durations[number] = duration = self._duration(frame)
        earlier = number - self._kept - scene_score.RADIUS
        _trim(self._durations, earlier)
        _trim(self._thumbnails, earlier)
        _trim(self._changes, earlier)
        _trim(self._cuts, earlier)
        if self._timed:
            self._starts.append(max(self._following(duration), self._starts[-1]))
            if len(self._starts) > 2 * _STARTS:
                del self._starts[:_STARTS]

    def _wait_for(self, number: int) -> vs.VideoFrame:
        done = Event()
        Thread(target=self._make_room, args=(done,), daemon=True).start()
        try:
            return self._clip.get_frame(number)
        finally:
            done.set()

    def _make_room(self, done: Event) -> None:
        """Enlarge VapourSynth's cache whenever it is full, until a frame is there."""
        shape = self._clip.format
        room = 16 * self._clip.width * self._clip.height * shape.bytes_per_sample * shape.num_planes
        while not done.wait(_PATIENCE):
            limit = self._core.max_cache_size * _MIB
            if self._core.used_cache_size + room > limit:
                self._core.max_cache_size = (limit + room) // _MIB + 1
                self._tiny.get_frame_async(0)  # threads look at the new limit when something is asked for

    def _duration(self, frame: vs.VideoFrame) -> Fraction:
        """Return how long a frame is shown. What is no duration is that of the frame before.

        Of frames of one time all but the last have a duration of 0. So do those of clips that have none.
        """
        duration = props.frame_duration(frame.props)
        if duration is not None:
            self._zeros, self._last = 0, duration
        elif frame.props.get("_DurationNum") == 0 and self._zeros < _MOST_ZEROS:
            self._zeros += 1
            return Fraction(0)
        return self._last

    def _following(self, duration: Fraction) -> Fraction:
        """Return the start of the frame after one of this duration."""
        step = 1 / self._rate if self._rate else None
        if step and abs(duration - step) <= _MICROSECOND:
            duration = step
        self._time += duration
        self._steps += 1
        steady = self._anchor + self._steps * step if step else None
        if steady is not None and abs(steady - self._time) <= ROUNDING:
            return steady
        self._anchor, self._steps = self._time, 0
        return self._time

    def duration(self, number: int) -> Fraction:
        """Return how long a frame is shown, by itself."""
        with self._lock:
            frame = self.frame(number)
            if number not in self._durations:
                return props.frame_duration(frame.props) or self._last
            return self._durations[number]

    def is_cut(self, number: int, threshold: float) -> bool:
        """Return whether a scene begins after a frame, by the detector; one frame after the pair is read."""
        with self._lock:
            if number not in self._cuts:
                around = range(number - scene_score.RADIUS, number + 3)
                pictures = [self._thumbnail(each) for each in around]
                changes = [self._change(*pair) for pair in zip(around, pictures, pictures[1:], strict=False)]
                self._cuts[number] = scene_score.early_cut_score(pictures, changes) >= threshold
            return self._cuts[number]

    def _thumbnail(self, number: int) -> scene_score.Thumbnail | None:
        if number not in self._thumbnails:
            if number < 0 or not self.has(number):
                return None
            frame = self.frame(number)
            self._thumbnails[number] = scene_score.thumbnail(frames.luma(frame, Colour.of_frame(frame)))
        return self._thumbnails[number]

    def _change(
        self, number: int, first: scene_score.Thumbnail | None, second: scene_score.Thumbnail | None
    ) -> scene_score.Change | None:
        if first is None or second is None:
            return None
        if number not in self._changes:
            self._changes[number] = scene_score.change(np.asarray(first), np.asarray(second))
        return self._changes[number]


def _renamed(frame: vs.VideoFrame) -> vs.VideoFrame:
    """Return a frame whose matrix has the name of today, as mpv uses that of before R55."""
    matrix = frame.props.get("_ColorSpace")
    if matrix is None or "_Matrix" in frame.props:
        return frame
    frame = frame.copy()
    frame.props["_Matrix"] = matrix
    return frame


def _trim[V](known: dict[int, V], last: int) -> None:
    """Drop what is known of frames up to a number."""
    for number in [each for each in known if each <= last]:
        del known[number]
