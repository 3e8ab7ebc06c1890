"""The VapourSynth filter: checks arguments, maps frame numbers, calls the engine.

The graph is one FrameEval over a blank clip of the output's length. For every output frame it makes a ModifyFrame on
just the one or two source frames needed (a one-frame clip answers any frame number), so nothing is interleaved, no
length overflows, callbacks run in parallel, and output frame n depends on n alone.
"""

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import pairwise
from threading import Lock
from typing import Any, Literal, get_args

import vapoursynth as vs

from vsrrin.clip import frames, props
from vsrrin.clip import scene_score as scene
from vsrrin.clip.clip_checks import check_clip, frame_rate, make_timing, say
from vsrrin.clip.frames import Colour
from vsrrin.clip.scene_cuts import SceneMode, cut_clip, is_cut
from vsrrin.clip.timing import ConstantTiming, FrameTime, Timing
from vsrrin.engine.interpolator import CACHE_BYTES, FINEST_BISECTION, Interpolator
from vsrrin.engine.pairs import Picture
from vsrrin.engine.pool import Devices, shared_by
from vsrrin.errors import ArgumentError, VsrrinError
from vsrrin.nets.spec import NetSpec

AtCut = Literal["hold", "nearest", "blend"]

_NAME = "vsrrin.interpolate"


def interpolate(
    clip: vs.VideoNode,
    factor: int | Fraction | str = 2,
    model: str | os.PathLike[str] = "rrin_lite",
    *,
    fps: int | Fraction | str | None = None,
    scene: SceneMode = "auto",
    scene_threshold: float | None = None,
    at_cut: AtCut = "hold",
    scale: float | None = None,
    tile: int | tuple[int, int] | None = None,
    overlap: int | None = None,
    device: Devices = None,
    precision: str = "auto",
    backend: str = "auto",
    arithmetic: str | None = None,
    timecodes: str | os.PathLike[str] | None = None,
) -> vs.VideoNode:
    """Adds frames between the frames of a clip.

    The output has the format, size and colour description of the input, and lasts as long: ``ceil(n * factor)``
    frames; after the start of the last source frame that frame is held. Frames that coincide with a source frame are
    that source frame, bit for bit. Any frame can be asked for in any order and by any number of threads, with the
    same result. Every output frame carries the properties listed in :mod:`vsrrin.clip.props`.

    Args:
        clip: GRAY, YUV or RGB of 8 to 16 bit, half or float, of constant format and size, progressive. A varying frame
            rate is fine.
        factor: Output frames per source frame, at least 1: an int, a Fraction or a text such as "5/2". 1 returns the
            clip. With a varying frame rate it must be whole; each frame's duration is then divided by it.
        model: The path of a checkpoint, or a bundled name: "best" is "rrin_lite", "balanced" is twice as fast and
            "draft" again four times, on a CPU.
        fps: Output frame rate instead of ``factor``: an int, a Fraction or a text such as "60000/1001". With a varying
            frame rate it maps by the frames' durations, which are read from the whole clip at once unless
            ``timecodes`` gives them.
        scene: How cuts are found. "auto": by the marks that a scene detector left on the frames, otherwise by
            vsrrin's own detector; "props": by marks only; "detect": by the own detector only; "off": not at all.
        scene_threshold: Score from which the own detector sees a cut, in (0, 1]; see :mod:`vsrrin.clip.scene_score`.
        at_cut: What is shown between two scenes: "hold" the left frame, the "nearest" of the two, or a "blend".
        scale: Size of the picture on which motion is estimated, relative to the largest useful one, 0.25 to 1. ``None``
            chooses by frame size; for networks of exact arithmetic that find motion themselves also by the pair, see
            :mod:`vsrrin.flow.own_flow_scale`.
        tile: Side of a tile in pixels, or (width, height); 0 never tiles; ``None`` tiles when memory demands it.
        overlap: Pixels that neighbouring tiles share.
        device: "cpu", "cuda", "cuda:1", "xpu" or "mps"; ``None`` for the best one here. Several, as in
            ``["cuda:0", "cuda:1"]``, take turns: each pair of frames is the work of one of them.
        precision: "fp32", "fp16", "bf16" or "auto" (what the device is good at). Motion is float32 always.
        backend: "torch", "openvino" (on the CPU; needs the extra ``vsrrin[openvino]``), "compile" (torch.compile, which
            takes from seconds to minutes before the first frame), "graphs" (CUDA graphs), or "auto": OpenVINO where it
            is installed and faster, else PyTorch as it is.
        arithmetic: Convention that a published checkpoint was trained with, where its file does not say; see the
            network's module.
        timecodes: A timecode file (v2) of the clip, for ``fps`` with a varying frame rate.

    Returns:
        The interpolated clip.

    Raises:
        vapoursynth.Error: Beginning with "vsrrin.interpolate:"; while the graph is built, if anything about the
            arguments, the clip's first frame, the checkpoint or the device is not as it must be.
    """
    try:
        return _build(
            clip,
            factor,
            fps=fps,
            timecodes=timecodes,
            scene_mode=_one_of(scene, "scene", get_args(SceneMode)),
            threshold=_check_threshold(scene_threshold),
            at_cut=_one_of(at_cut, "at_cut", get_args(AtCut)),
            make_engines=partial(
                _make_engines,
                model,
                device=device,
                precision=precision,
                backend=backend,
                arithmetic=arithmetic,
                options={"scale": scale, "tile": tile, "overlap": overlap},
            ),
        )
    except VsrrinError as error:
        raise vs.Error(f"{_NAME}: {error}") from error


def _build(
    clip: vs.VideoNode,
    factor: int | Fraction | str,
    *,
    fps: int | Fraction | str | None,
    timecodes: str | os.PathLike[str] | None,
    scene_mode: SceneMode,
    threshold: float,
    at_cut: AtCut,
    make_engines: Callable[[bool], Sequence[Interpolator]],
) -> vs.VideoNode:
    first = check_clip(clip)
    timing = make_timing(clip, factor, fps, timecodes)
    if isinstance(timing, ConstantTiming) and timing.factor == 1:
        return clip
    engines = make_engines(_reuses_pairs(timing))
    for engine in engines:
        engine.plan(clip.height, clip.width)  # what is wrong with tiles shows now, not at the first frame
    _check_times(timing, engines[0].spec)
    if guessed := _colour(first).guessed:
        say(f"the clip does not say its {guessed}, which is assumed")
    by_index = isinstance(timing, ConstantTiming) and (fps is not None or timing.factor.denominator != 1)
    renderer = _Renderer(
        timing, engines, at_cut, acts_at_cuts=scene_mode != "off", steady_fps=frame_rate(clip) if by_index else None
    )
    return _graph(clip, timing, renderer, cut_clip(clip, scene_mode, threshold))


def _graph(clip: vs.VideoNode, timing: Timing, renderer: "_Renderer", cuts: vs.VideoNode) -> vs.VideoNode:
    rate = timing.fps or Fraction(0)
    whole = vs.core.std.BlankClip(clip, length=timing.length, fpsnum=rate.numerator, fpsden=rate.denominator, keep=True)
    single = whole[0]

    def select(n: int) -> vs.VideoNode:
        time = timing.at(n)
        span = _pairs_around(timing, n, clip.num_frames)
        shown = [clip[time.left], clip[time.right]] if time.is_pair else [clip[time.left]]
        # Source filters take a frame's duration from the start of the next, so the last one may not have any.
        before = [clip[time.left - 1]] if time.left == clip.num_frames - 1 and time.left else []
        render = partial(renderer.render, number=n, time=time, span=span)
        return single.std.ModifyFrame([*shown, *(cuts[k] for k in span), single, *before], render)

    return whole.std.FrameEval(select, clip_src=[clip, cuts])


def _reuses_pairs(timing: Timing) -> bool:
    """Whether a pair gives more than one new frame, judged by the first frames."""
    times = [timing.at(n) for n in range(min(timing.length, 64))]
    return any(a.is_pair and b.is_pair and a.left == b.left for a, b in pairwise(times))


def _pairs_around(timing: Timing, n: int, source_length: int) -> range:
    """Source pairs (by left frame) whose cuts decide where the scene of output frame n begins and ends."""
    start = timing.at(n - 1).left if n else timing.at(n).left
    end = timing.at(min(n + 1, timing.length - 1)).left
    last = source_length - 2
    return range(max(min(start, last), 0), min(end, last) + 1)


@dataclass
class _Renderer:
    """Makes output frames from source frames; called from many threads."""

    timing: Timing
    engines: Sequence[Interpolator]
    """One for each device; they take turns."""
    at_cut: AtCut
    acts_at_cuts: bool
    steady_fps: Fraction | None
    """The source's rate, where mapping by frame number relies on it being constant."""
    _warned: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def render(self, n: int, f: Sequence[vs.VideoFrame], *, number: int, time: FrameTime, span: range) -> vs.VideoFrame:
        """ModifyFrame's callback. ``f``: one or two source frames, then the cuts of ``span``, then a blank frame, then
        the frame before if the left one is the last."""
        shown = 2 if time.is_pair else 1
        cuts = {k: is_cut(frame) for k, frame in zip(span, f[shown:], strict=False)}
        left, right, before = f[0], f[shown - 1], f[shown + len(span) + 1 :]
        try:
            frame, kind = self._picture(left, right, time, cuts)
        except VsrrinError as error:
            raise vs.Error(
                f"{_NAME}: output frame {number} (between source frames {time.left} and {time.right}): {error}"
            ) from error
        self._check_source(time.left, left)
        begins, ends = self._scene_ends(number, time, cuts)
        props.write(
            frame.props,
            time,
            kind,
            duration=self.timing.duration(number, next(filter(None, map(_duration, (left, *before))), None)),
            begins_scene=begins,
            ends_scene=ends,
        )
        return frame

    def _picture(
        self, left: vs.VideoFrame, right: vs.VideoFrame, time: FrameTime, cuts: Mapping[int, bool | None]
    ) -> tuple[vs.VideoFrame, props.Kind]:
        if time.is_source:
            return left.copy(), "source"
        if not time.is_pair:
            return left.copy(), "held"
        if self.acts_at_cuts and cuts[time.left]:
            if self.at_cut == "blend":
                return frames.blend(left, right, float(time.t), vs.core.core), "blend"
            return (right if self._shows_right(time) else left).copy(), "held"
        if frames.equal(left, right):
            return left.copy(), "held"
        return self._interpolate(left, right, time), "new"

    def _interpolate(self, left: vs.VideoFrame, right: vs.VideoFrame, time: FrameTime) -> vs.VideoFrame:
        engine = self._engine_of(time.left)

        def ready(number: int, frame: vs.VideoFrame) -> Picture:
            size = frame.height, frame.width
            return engine.picture(number, size, lambda out: frames.to_tensor(frame, _colour(frame), out))

        pair = engine.pair(time.left, lambda: (ready(time.left, left), ready(time.right, right)))
        (image,) = engine.synthesize(pair, [time.t])
        return frames.from_tensor(image, left, _colour(left), vs.core.core)

    def _engine_of(self, left: int) -> Interpolator:
        """The engine of a pair: by its number alone, so that it has its device whatever was asked for before.

        Where every second frame repeats the one before, only every second pair is work; so the devices' order shifts by
        one after every round.
        """
        count = len(self.engines)
        return self.engines[(left + left // count) % count]

    def _shows_right(self, time: FrameTime) -> bool:
        return self.at_cut == "nearest" and 2 * time.t >= 1

    def _content(self, time: FrameTime, cuts: Mapping[int, bool | None]) -> int:
        """Number of the source frame whose scene an output frame belongs to."""
        crosses = self.acts_at_cuts and time.is_pair and cuts.get(time.left)
        return time.right if crosses and self._shows_right(time) else time.left

    def _scene_ends(self, n: int, time: FrameTime, cuts: Mapping[int, bool | None]) -> tuple[bool | None, bool | None]:
        """Whether output frame n is the first and the last of its scene; ``None`` if nobody looked for cuts."""
        here = self._content(time, cuts)
        before = self._content(self.timing.at(n - 1), cuts) if n else here
        after = self._content(self.timing.at(n + 1), cuts) if n + 1 < self.timing.length else here
        known = any(cut is not None for cut in cuts.values())
        begins, ends = (any(cuts[k] for k in pairs) for pairs in (range(before, here), range(here, after)))
        return begins if known else None, ends if known else None

    def _check_source(self, number: int, frame: vs.VideoFrame) -> None:
        """Says once what the first frames did not show."""
        duration = _duration(frame)
        if self.steady_fps and duration and abs(duration * self.steady_fps - 1) > Fraction(1, 20):
            self._warn_once(
                "rate",
                f"source frame {number} lasts {float(duration):.4f} s, but the clip claims "
                f"{float(self.steady_fps):.3f} fps: its rate varies, and the output is mapped by frame number; "
                "give timecodes=FILE with fps=RATE",
            )
        if frames.int_prop(frame.props, "_FieldBased", 0):
            self._warn_once("interlaced", f"source frame {number} is interlaced (_FieldBased): deinterlace first")

    def _warn_once(self, subject: str, message: str) -> None:
        with self._lock:
            if subject in self._warned:
                return
            self._warned.add(subject)
        say(message, warning=True)


def _duration(frame: vs.VideoFrame) -> Fraction | None:
    return props.frame_duration(frame.props)


def _colour(frame: vs.VideoFrame) -> Colour:
    return Colour.of(frame.format, frame.width, frame.height, frame.props)


def _make_engines(
    model: str | os.PathLike[str],
    several: bool,
    *,
    device: Devices,
    precision: str,
    backend: str,
    arithmetic: str | None,
    options: dict[str, Any],
) -> list[Interpolator]:
    """The engines of one filter; ``several`` says that a pair gives more than one new frame, so that caching pays, and
    finding residues once a pair."""
    networks = shared_by(model, device=device, precision=precision, backend=backend, arithmetic=arithmetic)
    cache_bytes = CACHE_BYTES if several else 0
    engines = [
        Interpolator(
            network.model, backend=network.backend, log=say, cache_bytes=cache_bytes, several=several, **options
        )
        for network in networks
    ]
    for engine in engines:
        vs.register_on_destroy(_closing(weakref.ref(engine)))
    return engines


def _closing(reference: "weakref.ref[Interpolator]") -> Callable[[], None]:
    def close() -> None:
        engine = reference()
        if engine is not None:
            engine.close()

    return close


def _check_times(timing: Timing, spec: NetSpec) -> None:
    if spec.arbitrary_t:
        return
    # A constant rate repeats itself soon, or meets a wrong time soon.
    count = min(timing.length, 1000) if isinstance(timing, ConstantTiming) else timing.length
    times = (timing.at(n) for n in range(count))
    wrong = next((time.t for time in times if time.is_pair and FINEST_BISECTION % time.t.denominator), None)
    if wrong is not None:
        raise ArgumentError(
            f"{spec.name} knows only the middle of a pair; middles of middles reach multiples of t = "
            f"1/{FINEST_BISECTION}, not t = {wrong}: use factor 2, 4 or 8"
        )


def _check_threshold(value: float | None) -> float:
    if value is None:
        return scene.THRESHOLD
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ArgumentError(f"scene_threshold must be a number above 0 and up to 1, not {value!r}")
    return float(value)


def _one_of[T](value: T, argument: str, allowed: tuple[str, ...]) -> T:
    if not isinstance(value, str) or value not in allowed:
        raise ArgumentError(f"{argument} must be one of {', '.join(map(repr, allowed))}, not {value!r}")
    return value
