"""Graph of nodes that interpolates a clip.

It is one FrameEval over a blank clip of the output's length. For every output frame it makes a ModifyFrame on just the
one or two source frames needed (a one-frame clip answers any frame number), so nothing is interleaved, no length
overflows, callbacks run in parallel, and output frame n depends on n alone.
"""

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import vapoursynth as vs

from vsrrin.engine import memory
from vsrrin.engine.interpolator import CACHE_BYTES, FINEST_BISECTION, Interpolator
from vsrrin.engine.options import Options
from vsrrin.engine.pool import shared_by
from vsrrin.errors import ArgumentError, VsrrinError
from vsrrin.nets.spec import NetSpec

from . import props
from .clip_checks import check_clip, say
from .frames import Colour
from .painter import Painter
from .repeats import Run, repeat_clip, run_clip, run_of, stilled
from .scene_cuts import cut_clip, is_cut
from .timing import ConstantTiming, FrameTime, Timing, several_per_pair
from .view import View


def build(
    clip: vs.VideoNode,
    timing: Timing,
    options: Options,
    runs: vs.VideoNode | None = None,
    *,
    mends: Sequence[int] = (),
    proxy: bool = False,
    name: str = "interpolate",
    view: View | None = None,
) -> vs.VideoNode:
    """Return a clip with new frames, one for each moment of a timing.

    Args:
        clip: The source, as :func:`vsrrin.interpolate` takes it.
        timing: The map from output frames to moments of the source.
        options: Options of interpolation.
        runs: The clip of runs to spread motion over, see `run_clip`; ``None`` to find them in the source.
        mends: Lengths of ``runs`` that replace damaged frames, whatever ``options.duplicates`` says.
        proxy: Show the nearest source frame in place of each new one; no network is loaded.
        name: Name of the filter, for errors in the middle of a clip.
        view: What is shown in place of pictures.

    Raises:
        VsrrinError: The clip's format, the checkpoint, the device or an option is not as it must be.
    """
    first = check_clip(clip)
    spreads = options.duplicates == "spread"
    if isinstance(timing, ConstantTiming) and timing.factor == 1 and not spreads and not mends and view is None:
        return clip
    # Caching pays only then, and finding residues once a pair.
    several = spreads or max(mends, default=1) > 2 or several_per_pair(timing)
    made = [] if proxy else (view and view.engines(options)) or _engines(options, several, (clip.height, clip.width))
    engines = _ready(made, clip.height, clip.width)
    if engines:
        lengths = mends or range(1, options.longest_run + 1 if spreads else 2)
        _check_times(timing, engines[0].spec, clip.num_frames, lengths)
    if guessed := Colour.of_frame(first).guessed:
        say(f"{guessed} assumed, as the clip does not say")
    renderer = _Renderer(timing=timing, engines=engines, options=options, name=f"vsrrin.{name}", view=view)
    if not spreads or runs is not None:
        return _graph(clip, timing, renderer, cut_clip(clip, options.scene, options.scene_threshold), runs)
    repeats = repeat_clip(clip, options.longest_run)
    cuts = cut_clip(stilled(clip, repeats, options.longest_run), options.scene, options.scene_threshold)
    return _graph(clip, timing, renderer, cuts, run_clip(repeats, cuts, options))


def with_tiles[O: Options](clip: vs.VideoNode, timing: Timing, options: O) -> O:
    """Return options with the tiles to use, so that later calls agree on them whatever memory is free then.

    Raises:
        VsrrinError: See `build`.
    """
    check_clip(clip)
    if options.tile is not None:
        return options if options.tile else replace(options, overlap=None)
    grids, several = [], options.duplicates == "spread" or several_per_pair(timing)
    for engine in _engines(options, several, (clip.height, clip.width)):
        grids.append(engine.plan(clip.height, clip.width).grid)
        engine.close()
    # Several devices share the frames, which must not depend on whose turn it is: the least memory decides.
    grid = min(grids, key=lambda grid: grid.tiles[0].height * grid.tiles[0].width)
    if len(grid.tiles) == 1:
        return replace(options, tile=0, overlap=None)
    return replace(options, tile=(grid.tiles[0].width, grid.tiles[0].height), overlap=grid.overlap)


def engines_of(
    options: Options, several: bool, height: int, width: int, cache_bytes: int = CACHE_BYTES
) -> list[Interpolator]:
    """Return the engines of one filter, one for each device, which are closed with VapourSynth's core.

    Args:
        options: Options of interpolation.
        several: Whether pairs have several new frames.
        height: Height of the frames.
        width: Width of the frames.
        cache_bytes: Bytes of prepared pairs to keep for them.

    Raises:
        VsrrinError: See `build`.
    """
    return _ready(_engines(options, several, (height, width), cache_bytes), height, width)


def _ready(engines: list[Interpolator], height: int, width: int) -> list[Interpolator]:
    for engine in engines:
        engine.plan(height, width)  # mistakes in tiles show now, not at the first frame
        vs.register_on_destroy(_closing(weakref.ref(engine)))
    return engines


def _engines(
    options: Options, several: bool, size: tuple[int, int], cache_bytes: int = CACHE_BYTES
) -> list[Interpolator]:
    return [
        Interpolator(
            network.model,
            options,
            backend=network.backend,
            log=say,
            cache_bytes=cache_bytes if several else 0,
            lanes=network.lanes,
            several=several,
        )
        for network in shared_by(options, size, vs.core.num_threads)
    ]


def _graph(
    clip: vs.VideoNode, timing: Timing, renderer: "_Renderer", cuts: vs.VideoNode, runs: vs.VideoNode | None
) -> vs.VideoNode:
    rate = timing.fps or Fraction(0)
    like = renderer.view.blank(clip) if renderer.view else clip
    whole = vs.core.std.BlankClip(like, length=timing.length, fpsnum=rate.numerator, fpsden=rate.denominator, keep=True)
    single = whole[0]

    def select(n: int, f: vs.VideoFrame | None = None) -> vs.VideoNode:
        place = timing.at(n)
        run = run_of(f) if f is not None else None
        time = _within(run, place, timing)
        span = _pairs_around(timing, n, clip.num_frames)
        if time is not place:
            span = range(min(span.start, time.left), max(span.stop, time.right))
        shown = [clip[time.left], clip[time.right]] if time.is_pair else [clip[time.left]]
        # Source filters take a frame's duration from the start of the next, so the last one may not have any.
        before = [clip[place.left - 1]] if place.left == clip.num_frames - 1 and place.left else []
        lasting = [clip[place.left]] if place.left != time.left else before
        render = partial(
            renderer.render,
            number=n,
            place=place,
            time=time,
            span=span,
            repeat=run.first < place.left if run and renderer.options.duplicates == "spread" else None,
        )
        return single.std.ModifyFrame([*shown, *(cuts[k] for k in span), single, *lasting], render)

    if runs is None:
        return whole.std.FrameEval(select, clip_src=[clip, cuts])
    tiny = vs.core.std.BlankClip(runs, length=timing.length, keep=True)
    at_output = tiny.std.FrameEval(lambda n: runs[timing.at(n).left], clip_src=[runs])
    return whole.std.FrameEval(select, prop_src=[at_output], clip_src=[clip, cuts])


def _within(run: Run | None, place: FrameTime, timing: Timing) -> FrameTime:
    """Return the moment of an output frame, by the run of its left source frame."""
    if run is None or run == (place.left, place.left):
        return place
    if run.first == run.following:  # of damaged frames at an end of the clip: there is nothing to move from, or to
        return FrameTime(run.first, run.first, Fraction(1, 2))
    return timing.between(place, *run)


def _pairs_around(timing: Timing, n: int, source_length: int) -> range:
    """Return the pairs, by left frame, whose cuts decide where the scene of output frame n begins and ends."""
    start = timing.at(n - 1).left if n else timing.at(n).left
    end = timing.at(min(n + 1, timing.length - 1)).left
    last = source_length - 2
    return range(max(min(start, last), 0), min(end, last) + 1)


@dataclass(kw_only=True)
class _Renderer(Painter):
    """Maker of output frames from source frames."""

    timing: Timing
    name: str
    """Name of the filter in errors."""

    def render(
        self,
        n: int,
        f: Sequence[vs.VideoFrame],
        *,
        number: int,
        place: FrameTime,
        time: FrameTime,
        span: range,
        repeat: bool | None,
    ) -> vs.VideoFrame:
        """Return an output frame; a callback of ModifyFrame.

        ``f`` holds one or two source frames, the cuts of ``span``, a blank frame, and a frame for its duration: that
        of ``place`` where ``time`` has another, or the one before if the left one is the last.
        """
        shown = 2 if time.is_pair else 1
        cuts = {k: is_cut(frame) for k, frame in zip(span, f[shown:], strict=False)}
        left, right, lasting = f[0], f[shown - 1], f[shown + len(span) + 1 :]
        if place.left == time.left:
            lasting = [left, *lasting]
        try:
            frame, kind, confidence = self.picture(left, right, time, cuts)
        except VsrrinError as error:
            between = "between source frames {} and {}".format(*time.numbers)
            raise vs.Error(f"{self.name}: output frame {number} ({between}): {error}") from error
        self._check_source(time.numbers[0], left)
        if kind != "new" or not self.engines:  # else the engine has done so
            memory.heap().tidy()
        begins, ends = self._scene_ends(number, place, cuts)
        props.write(
            frame.props,
            time,
            kind,
            duration=self.timing.duration(number, next(filter(None, map(_duration, lasting)), None)),
            begins_scene=begins,
            ends_scene=ends,
            repeat=repeat,
            confidence=confidence,
        )
        return frame

    def _content(self, time: FrameTime, cuts: Mapping[int, bool | None]) -> int:
        """Return the number of the source frame whose scene an output frame belongs to."""
        crosses = self.acts_at_cuts and time.is_pair and cuts.get(time.left)
        return time.right if crosses and self.shows_right(time) else time.left

    def _scene_ends(self, n: int, time: FrameTime, cuts: Mapping[int, bool | None]) -> tuple[bool | None, bool | None]:
        """Return whether output frame n is the first and the last of its scene; ``None`` if cuts are not known."""
        here = self._content(time, cuts)
        before = self._content(self.timing.at(n - 1), cuts) if n else here
        after = self._content(self.timing.at(n + 1), cuts) if n + 1 < self.timing.length else here
        known = any(cut is not None for cut in cuts.values())
        begins, ends = (any(cuts[k] for k in pairs) for pairs in (range(before, here), range(here, after)))
        return begins if known else None, ends if known else None

    def _check_source(self, number: int, frame: vs.VideoFrame) -> None:
        """Warn once of what the first frames did not show."""
        duration = _duration(frame)
        if (rate := self.timing.steady_fps) and duration and abs(duration * rate - 1) > Fraction(1, 20):
            self.warn_once(
                "rate",
                f"source frame {number} lasts {float(duration):.4f} s, but the clip claims "
                f"{float(rate):.3f} fps: its rate varies, and the output is mapped by frame number; "
                "give timecodes=FILE with fps=RATE",
            )
        self.check_progressive(number, frame)


def _duration(frame: vs.VideoFrame) -> Fraction | None:
    return props.frame_duration(frame.props)


def _closing(reference: "weakref.ref[Interpolator]") -> Callable[[], None]:
    def close() -> None:
        engine = reference()
        if engine is not None:
            engine.close()

    return close


def _check_times(timing: Timing, spec: NetSpec, frames: int, runs: Sequence[int]) -> None:
    if spec.arbitrary_t:
        return
    wrong = next((t for t in _times(timing, frames, runs) if FINEST_BISECTION % t.denominator), None)
    if wrong is not None:
        raise ArgumentError(
            f"{spec.name} knows only the middle of a pair; middles of middles reach multiples of t = "
            f"1/{FINEST_BISECTION}, not t = {wrong}: use factor 2, 4 or 8"
            + (', or 1, 2 or 4 with duplicates="spread" and a longest run of 2' if max(runs) > 1 else "")
        )


def _times(timing: Timing, frames: int, runs: Sequence[int]) -> Iterator[Fraction]:
    """Yield the times of output frames between two source frames, with runs of all lengths that may be there."""
    # A constant rate repeats itself soon, or meets a wrong time soon.
    count = min(timing.length, 1000) if isinstance(timing, ConstantTiming) else timing.length
    for place in map(timing.at, range(count)):
        for run in runs:
            for first in range(max(place.left - run + 1, 0), min(place.left, frames - 1 - run) + 1):
                yield timing.between(place, first, first + run).t
