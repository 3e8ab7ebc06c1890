"""Loops: clips whose last frame is followed by the first.

The source is repeated before its beginning and after its end, as far as cuts and repeats are judged by what is around
them. So the seam is a place like all others: new frames lie between the last frame and the first, motion is spread over
frames that repeat one before the seam, and a cut there is a cut.
"""

from collections.abc import Sequence
from fractions import Fraction

import vapoursynth as vs

from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError

from . import props, scene_score
from .timing import ConstantTiming, FrameTime, Timing


class _LoopedTime(FrameTime):
    """Moment in a clip that is repeated; ``period`` is its length."""

    __slots__ = ("period",)

    def __init__(self, left: int, right: int, t: Fraction, period: int) -> None:
        super().__init__(left, right, t)
        object.__setattr__(self, "period", period)

    period: int

    @property
    def numbers(self) -> tuple[int, int]:
        """Numbers of the frames in the clip itself."""
        return self.left % self.period, self.right % self.period


class LoopTiming:
    """Map from output frames to moments of a clip that is repeated.

    Args:
        timing: The map to moments of the clip itself.
        period: Number of frames of the clip.
        rounds: Repetitions before the one that is shown.
    """

    def __init__(self, timing: Timing, period: int, rounds: int) -> None:
        self.length, self.fps, self.steady_fps = timing.length, timing.fps, timing.steady_fps
        self.duration = timing.duration
        self._timing, self._period, self._offset = timing, period, rounds * period

    def at(self, n: int) -> FrameTime:
        """Return the moment of output frame ``n``; after the start of the last frame it lies before the first."""
        place = self._timing.at(n)
        return self._shifted(FrameTime(place.left, place.left + 1, place.t))

    def between(self, time: FrameTime, first: int, following: int) -> FrameTime:
        """Return a moment as a fraction of the way between two source frames around it, also beyond the seam."""
        by = self._offset
        own = FrameTime(time.left - by, time.right - by, time.t)
        return self._shifted(self._timing.between(own, first - by, following - by))

    def _shifted(self, time: FrameTime) -> FrameTime:
        return _LoopedTime(time.left + self._offset, time.right + self._offset, time.t, self._period)


def looped(
    clip: vs.VideoNode, timing: Timing, options: Options, *, loop: bool, beyond: int = 0
) -> tuple[vs.VideoNode, Timing]:
    """Return a clip and a timing for :func:`vsrrin.clip.alpha.build` that make a loop of them if they are to.

    Marks of scene detectors on both sides of the seam do not count: they are about the ends of a clip.

    Args:
        clip: The source, as :func:`vsrrin.interpolate` takes it.
        timing: The map from output frames to moments of the source.
        options: Options of interpolation.
        loop: Whether the first frame follows the last.
        beyond: Rounds of the loop before its beginning and after its end that the timing has moments in.

    Raises:
        ArgumentError: ``loop`` is no truth value, or the clip has one frame only.
    """
    if not isinstance(loop, bool):
        raise ArgumentError(f"loop must be True or False, not {loop!r}")
    if not loop:
        return clip, timing
    frames = clip.num_frames
    if frames == 1:
        raise ArgumentError("loop needs a clip of at least 2 frames, and this one has 1: there is nothing to move to")
    if isinstance(timing, ConstantTiming) and timing.factor == 1 and options.duplicates != "spread":
        return clip, timing
    reach = scene_score.RADIUS + 2 + (3 * options.longest_run if options.duplicates == "spread" else 0)
    rounds = -(-reach // frames) + beyond
    return _without_ends(clip) * (2 * rounds + 1), LoopTiming(timing, frames, rounds)


def _without_ends(clip: vs.VideoNode) -> vs.VideoNode:
    """Return a clip whose first and last frame do not tell that they are, and whose last frame has a duration."""

    def mend(n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        frame, before = f[0].copy(), f[1].props
        frame.props.pop("_SceneChangeNext", None)
        if props.frame_duration(frame.props) is None and props.frame_duration(before) is not None:
            frame.props.update({key: before[key] for key in ("_DurationNum", "_DurationDen")})
        return frame

    begin, last = clip[0].std.RemoveFrameProps(["_SceneChangePrev"]), clip[-1]
    end = last.std.ModifyFrame([last, clip[-2]], mend)
    return begin + clip[1:-1] + end if clip.num_frames > 2 else begin + end
