"""Clips for players: new frames between those of a source that plays."""

import math
import sys
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction

import vapoursynth as vs

from vsrrin.engine.interpolator import CACHE_BYTES
from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError, VsrrinError

from . import graph, props, scene_score
from .clip_checks import check_format, frame_rate
from .pace import Pace, affordable
from .painter import Painter
from .reel import Reel
from .timing import MAX_FRAMES, FrameTime, exact_rate, parse_ratio

type Rate = float | Fraction | str | None

_FASTEST = 500
"""Frames per second from which on what a player says is a time base, not a rate."""
_USUAL_RATE = Fraction(24)
"""Source rate by which a model is chosen where none is known."""
_CLOSE = Fraction(1, 900)
"""Difference, relative, between a display's rate and a multiple of the source's that is none: 60 and 59.94."""
_KEPT_PAIR_BYTES = 500
"""Bytes per pixel for the prepared pairs that are kept: as many as are shown at once."""

_said: set[str] = set()
"""What has been said. Players load a script again at every seek."""


@dataclass(frozen=True)
class _Wanted:
    """Output frames: so many for each source frame, or at a rate."""

    factor: int | None
    fps: Fraction | None


def build(
    clip: vs.VideoNode, options: Options, *, container_fps: Rate, display_fps: Rate, target: object, budget: object
) -> vs.VideoNode:
    """Return a clip with new frames for a player, see :func:`vsrrin.play`.

    Raises:
        VsrrinError: An argument, the clip's format, the checkpoint or the device cannot be used.
    """
    check_format(clip)
    share = _checked_budget(budget)
    if options.duplicates != "keep":
        raise ArgumentError('duplicates must be "keep" for play: to spread motion, more frames ahead would be needed')
    source = _given_rate(container_fps, "container_fps") or frame_rate(clip)
    wanted = _wanted(target, source, _given_rate(display_fps, "display_fps"))
    rate = wanted.fps or (source or _USUAL_RATE) * (wanted.factor or 1)
    if wanted.factor == 1 or (wanted.fps and source and wanted.fps <= source):
        _say_once(f"play: nothing to add, {_named(source)} to {_named(wanted.fps or source)}")
        return clip
    options = _chosen(clip, options, source or _USUAL_RATE, rate, share)
    player = _player(clip, options, wanted, source, Pace(float(1 / rate)) if share else None)
    known = wanted.fps or (source * wanted.factor if source and wanted.factor else Fraction(0))
    length = math.ceil(clip.num_frames * rate / (source or _USUAL_RATE))
    blank = vs.core.std.BlankClip(
        clip, length=min(length, MAX_FRAMES), fpsnum=known.numerator, fpsden=known.denominator, keep=True
    )
    return blank.std.ModifyFrame(blank, player.render)


def _checked_budget(budget: object) -> float | None:
    if budget is None:
        return None
    number = budget if isinstance(budget, int | float | Fraction) and not isinstance(budget, bool) else 0
    if not 0 < number <= 1:
        raise ArgumentError(
            "budget must be a number above 0 and up to 1, the part of real time that new frames may take, or None to "
            f"measure nothing and make all of them, not {budget!r}"
        )
    return float(number)


def _given_rate(value: Rate, name: str) -> Fraction | None:
    """Return the rate that a player means by a number; ``None`` for 0, as it is given for what is not known.

    Raises:
        ArgumentError: It is no number.
    """
    if value is None:
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(Fraction(value)) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        raise ArgumentError(f"{name} must be frames per second as the player passes them, not {value!r}") from None
    if not 0 < number < _FASTEST:  # also what is no number, which players pass for broken files
        return None
    if isinstance(value, Fraction) or (isinstance(value, str) and "/" in value):
        return Fraction(value)
    near = Fraction(value).limit_denominator(1001)
    return exact_rate(near)


def _wanted(target: object, source: Fraction | None, display: Fraction | None) -> _Wanted:
    """Return what a target asks for.

    Raises:
        ArgumentError: It is none, or needs a rate that is not known.
    """
    if isinstance(target, int) and not isinstance(target, bool) and target >= 1:
        return _Wanted(target, None)
    if target == "display":
        if display is None:
            raise ArgumentError(
                'target="display" needs the display\'s rate, and display_fps is not known (players pass 0 before '
                'their window is there): give target="60", or display_fps=display_fps or 60'
            )
        multiple = round(display / source) if source else 0
        if source and multiple and abs(display / source - multiple) <= _CLOSE * multiple:
            return _Wanted(None, source * multiple)
        return _Wanted(None, display)
    if isinstance(target, Fraction) and target >= 1:
        if source is None:
            raise ArgumentError(f"target={target!r} needs container_fps, which is not known: give a rate such as '60'")
        return _Wanted(None, source * target)
    if isinstance(target, str):
        rate = exact_rate(parse_ratio(_exact_text(target), "target"))
        if rate < _FASTEST:
            return _Wanted(None, rate)
    raise ArgumentError(
        f'target must be "display", frames for each source frame such as 2, or a rate below {_FASTEST} as a text such '
        f'as "60", not {target!r}'
    )


def _exact_text(target: str) -> Fraction | str:
    """Return a rate with decimals, as "59.94", as a ratio; other texts as they are."""
    try:
        return Fraction(target) if "." in target and len(target) < 20 else target
    except ValueError:
        return target


def _chosen(clip: vs.VideoNode, options: Options, source: Fraction, rate: Fraction, budget: float | None) -> Options:
    """Return options with a model in place of "auto", and say once which."""
    size, what = (clip.height, clip.width), f"{clip.width}x{clip.height}, {_named(source)} to {_named(rate)}"
    if options.model != "auto":
        return options
    if budget is None:
        return replace(options, model="draft")
    options, share = affordable(options, size, source, rate, budget)
    scale = "" if options.scale is None else f" with scale={options.scale:g}"
    fits = (
        f"takes {share:.0%} of the time" if share <= 1 else f"takes {share:.1f} times as long: single frames are held"
    )
    _say_once(f"play: {what}: {options.model}{scale} {fits}")
    return options


def _player(
    clip: vs.VideoNode, options: Options, wanted: _Wanted, source: Fraction | None, pace: Pace | None
) -> "_Player":
    several = wanted.factor != 2 if wanted.factor else not source or wanted.fps != 2 * source
    kept = min(_KEPT_PAIR_BYTES * clip.width * clip.height, CACHE_BYTES)
    engines = graph.engines_of(options, several, clip.height, clip.width, kept)
    reel = Reel(clip, source, vs.core.num_threads + 4, timed=wanted.factor is None)
    vs.register_on_destroy(_clearing(weakref.ref(reel)))
    return _Player(
        reel=reel,
        painter=Painter(engines=engines, options=options),
        wanted=wanted,
        pace=pace,
    )


@dataclass(kw_only=True)
class _Player:
    """Maker of the frames of a clip that plays; called from many threads."""

    reel: Reel
    painter: Painter
    wanted: _Wanted
    pace: Pace | None

    def render(self, n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        """Return an output frame; a callback of ModifyFrame."""
        try:
            with self.pace.frame() if self.pace else nullcontext():
                return self._made(n)
        except VsrrinError as error:
            raise vs.Error(f"vsrrin.play: output frame {n}: {error}") from error

    def _made(self, n: int) -> vs.VideoFrame:
        if self.wanted.fps:
            time, duration = self.reel.find(n / self.wanted.fps), 1 / self.wanted.fps
        else:
            assert self.wanted.factor is not None
            left, part = divmod(n, self.wanted.factor)
            time = FrameTime(left, left + 1, Fraction(part, self.wanted.factor))
            duration = self.reel.duration(left) / self.wanted.factor
        left_frame = self.reel.frame(time.left)
        self.painter.check_progressive(time.left, left_frame)
        frame, kind, confidence = self._picture(left_frame, time)
        props.write(
            frame.props, time, kind, duration=duration, begins_scene=None, ends_scene=None, confidence=confidence
        )
        return frame

    def _picture(self, left: vs.VideoFrame, time: FrameTime) -> tuple[vs.VideoFrame, props.Kind, float | None]:
        certain = 1.0 if self.painter.judges else None
        if time.is_source:
            return left.copy(), "source", certain
        if self.pace and self.pace.behind:
            _say_once("play: this machine does not keep up; single frames are held instead of made")
            return left.copy(), "held", certain
        if not self.reel.has(time.right):
            return left.copy(), "held", certain
        right = self.reel.frame(time.right)
        return self.painter.picture(left, right, time, {time.left: self._is_cut(left, right, time.left)})

    def _is_cut(self, left: vs.VideoFrame, right: vs.VideoFrame, number: int) -> bool | None:
        mode = self.painter.options.scene
        cut = props.marked_cut(left.props, right.props) if mode in ("auto", "props") else None
        if cut is None and mode in ("auto", "detect"):
            return self.reel.is_cut(number, self.painter.options.scene_threshold or scene_score.THRESHOLD)
        return cut


def _clearing(reference: "weakref.ref[Reel]") -> Callable[[], None]:
    def clear() -> None:
        reel = reference()
        if reel is not None:
            reel.clear()

    return clear


def _named(rate: Fraction | None) -> str:
    return f"{float(rate):.5g} fps" if rate else "an unknown rate"


def _say_once(message: str) -> None:
    """Write a message to stderr, as players show neither VapourSynth's log nor Python's."""
    if message not in _said:
        _said.add(message)
        if sys.stderr is not None:  # as in programs without a console
            print(f"vsrrin: {message}", file=sys.stderr, flush=True)
