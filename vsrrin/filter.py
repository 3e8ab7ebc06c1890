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
from threading import Lock
from typing import Any, Literal, get_args

import torch
import vapoursynth as vs

from . import frames, props, scene
from .cuts import SceneMode, cut_clip, is_cut
from .engine import CACHE_BYTES, Interpolator, Picture
from .errors import ArgumentError, VsrrinError
from .frames import Colour
from .models import shared
from .nets.spec import NetSpec
from .timing import ConstantTiming, FrameTime, Timing, VariableTiming, parse_ratio, read_timecodes, whole_durations

AtCut = Literal["hold", "nearest", "blend"]

_NAME = "vsrrin.interpolate"
_PROBED = 30
"""Frames looked at to tell whether a clip's frame rate is constant."""
_ROUNDING = Fraction(21, 10_000)
"""Seconds by which durations rounded to milliseconds can differ from the true ones, added up or alone."""


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
    device: str | torch.device | None = None,
    precision: str = "auto",
    arithmetic: str | None = None,
    timecodes: str | os.PathLike[str] | None = None,
) -> vs.VideoNode:
    """Adds frames between the frames of a clip.

    The output has the format, size and colour description of the input, and lasts as long: ``ceil(n * factor)``
    frames; after the start of the last source frame that frame is held. Frames that coincide with a source frame are
    that source frame, bit for bit. Any frame can be asked for in any order and by any number of threads, with the
    same result. Every output frame carries the properties listed in :mod:`vsrrin.props`.

    Args:
        clip: GRAY, YUV or RGB of 8 to 16 bit, half or float, of constant format and size, progressive. A varying frame
            rate is fine.
        factor: Output frames per source frame, at least 1: an int, a Fraction or a text such as "5/2". 1 returns the
            clip. With a varying frame rate it must be whole; each frame's duration is then divided by it.
        model: A bundled name, or the path of a checkpoint.
        fps: Output frame rate instead of ``factor``: an int, a Fraction or a text such as "60000/1001". With a varying
            frame rate it maps by the frames' durations, which are read from the whole clip at once unless
            ``timecodes`` gives them.
        scene: How cuts are found. "auto": by the marks that a scene detector left on the frames, otherwise by
            vsrrin's own detector; "props": by marks only; "detect": by the own detector only; "off": not at all.
        scene_threshold: Score from which the own detector sees a cut, in (0, 1]; see :mod:`vsrrin.scene`.
        at_cut: What is shown between two scenes: "hold" the left frame, the "nearest" of the two, or a "blend".
        scale: Size of the picture on which motion is estimated, relative to the frame, 0.25 to 1. ``None`` chooses by
            frame size.
        tile: Side of a tile in pixels, or (width, height); 0 never tiles; ``None`` tiles when memory demands it.
        overlap: Pixels that neighbouring tiles share.
        device: "cpu", "cuda", "cuda:1", "xpu" or "mps"; ``None`` for the best one here.
        precision: "fp32", "fp16", "bf16" or "auto" (what the device is good at). Motion is float32 always.
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
            make_engine=partial(
                _make_engine,
                model,
                device=device,
                precision=precision,
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
    make_engine: Callable[[bool], Interpolator],
) -> vs.VideoNode:
    first = _check_clip(clip)
    timing = _make_timing(clip, factor, fps, timecodes)
    several = any(timing.at(n).left == timing.at(n + 1).left for n in range(1, min(timing.length, 8) - 1))
    engine = make_engine(several)
    engine.plan(clip.height, clip.width)  # what is wrong with tiles shows now, not at the first frame
    _check_times(timing, engine.spec)
    if timing.length == clip.num_frames and timing.fps == _fps(clip):
        return clip
    if guessed := _colour(first).guessed:
        _say(f"the clip does not say its {guessed}, which is assumed")
    renderer = _Renderer(timing, engine, at_cut, acts_at_cuts=scene_mode != "off", fps=_fps(clip))
    return _graph(clip, timing, renderer, cut_clip(clip, scene_mode, threshold))


def _graph(clip: vs.VideoNode, timing: Timing, renderer: "_Renderer", cuts: vs.VideoNode) -> vs.VideoNode:
    rate = timing.fps or Fraction(0)
    whole = vs.core.std.BlankClip(clip, length=timing.length, fpsnum=rate.numerator, fpsden=rate.denominator, keep=True)
    single = whole[0]

    def select(n: int) -> vs.VideoNode:
        time = timing.at(n)
        span = _pairs_around(timing, n, clip.num_frames)
        shown = [clip[time.left], clip[time.right]] if time.is_pair else [clip[time.left]]
        render = partial(renderer.render, number=n, time=time, span=span)
        return single.std.ModifyFrame([*shown, *(cuts[k] for k in span), single], render)

    return whole.std.FrameEval(select, clip_src=[clip, cuts])


def _pairs_around(timing: Timing, n: int, source_length: int) -> range:
    """Source pairs (by left frame) whose cuts decide where the scene of output frame n begins and ends."""
    start = timing.at(n - 1).left if n else timing.at(n).left
    end = timing.at(min(n + 1, timing.length - 1)).left
    return range(start, min(end, source_length - 2) + 1)


@dataclass
class _Renderer:
    """Makes output frames from source frames; called from many threads."""

    timing: Timing
    engine: Interpolator
    at_cut: AtCut
    acts_at_cuts: bool
    fps: Fraction | None
    _warned: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def render(self, n: int, f: Sequence[vs.VideoFrame], *, number: int, time: FrameTime, span: range) -> vs.VideoFrame:
        """ModifyFrame's callback. ``f``: one or two source frames, then the cuts of ``span``, then a blank frame."""
        shown = 2 if time.is_pair else 1
        cuts = {k: is_cut(frame) for k, frame in zip(span, f[shown:-1], strict=True)}
        left, right = f[0], f[shown - 1]
        try:
            frame, kind = self._picture(left, right, time, cuts)
        except VsrrinError as error:
            raise vs.Error(
                f"{_NAME}: output frame {number} (between source frames {time.left} and {time.right}): {error}"
            ) from error
        duration = props.frame_duration(left.props)
        self._check_rate(time.left, duration)
        begins, ends = self._scene_ends(number, time, cuts)
        props.write(
            frame.props,
            time,
            kind,
            duration=self.timing.duration(number, duration),
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
        def load() -> tuple[Picture, Picture]:
            return self._ready(time.left, left), self._ready(time.right, right)

        (image,) = self.engine.synthesize(self.engine.pair(time.left, load), [time.t])
        return frames.from_tensor(image, left, _colour(left), vs.core.core)

    def _ready(self, number: int, frame: vs.VideoFrame) -> Picture:
        return self.engine.picture(number, lambda: frames.to_tensor(frame, _colour(frame)))

    def _shows_right(self, time: FrameTime) -> bool:
        return self.at_cut == "nearest" and 2 * time.t >= 1

    def _content(self, time: FrameTime, cuts: Mapping[int, bool | None]) -> int:
        """Number of the source frame whose scene an output frame belongs to."""
        crosses = self.acts_at_cuts and time.is_pair and cuts.get(time.left)
        return time.right if crosses and self._shows_right(time) else time.left

    def _scene_ends(self, n: int, time: FrameTime, cuts: Mapping[int, bool | None]) -> tuple[bool | None, bool | None]:
        """Whether output frame n is the first and the last of its scene; ``None`` if nobody looked for cuts."""
        if any(cut is None for cut in cuts.values()):
            return None, None
        here = self._content(time, cuts)
        before = self._content(self.timing.at(n - 1), cuts) if n else here
        after = self._content(self.timing.at(n + 1), cuts) if n + 1 < self.timing.length else here
        return any(cuts[k] for k in range(before, here)), any(cuts[k] for k in range(here, after))

    def _check_rate(self, left: int, duration: Fraction | None) -> None:
        """Says once that a clip which claims a constant rate has frames of other durations."""
        if not self.fps or duration is None or abs(duration * self.fps - 1) < Fraction(1, 20):
            return
        if isinstance(self.timing, ConstantTiming) and not self.timing.is_whole:
            self._warn_once(
                f"source frame {left} lasts {float(duration):.4f} s, but the clip claims {float(self.fps):.3f} fps: "
                "its rate varies, and a fractional factor maps by frame number; give timecodes=FILE with fps=RATE"
            )

    def _warn_once(self, message: str) -> None:
        with self._lock:
            if message.split()[0] in self._warned:
                return
            self._warned.add(message.split()[0])
        _say(message, warning=True)


def _colour(frame: vs.VideoFrame) -> Colour:
    return Colour.of(frame.format, frame.width, frame.height, frame.props)


def _make_engine(
    model: str | os.PathLike[str],
    several: bool,
    *,
    device: str | torch.device | None,
    precision: str,
    arithmetic: str | None,
    options: dict[str, Any],
) -> Interpolator:
    """The engine of one filter; ``several`` says that a pair gives more than one new frame, so that caching pays."""
    network = shared(model, device=device, precision=precision, arithmetic=arithmetic)
    cache_bytes = CACHE_BYTES if several else 0
    engine = Interpolator(network.model, backend=network.backend, log=_say, cache_bytes=cache_bytes, **options)
    vs.register_on_destroy(_closing(weakref.ref(engine)))
    return engine


def _closing(reference: "weakref.ref[Interpolator]") -> Callable[[], None]:
    def close() -> None:
        engine = reference()
        if engine is not None:
            engine.close()

    return close


def _make_timing(
    clip: vs.VideoNode,
    factor: int | Fraction | str,
    fps: int | Fraction | str | None,
    timecodes: str | os.PathLike[str] | None,
) -> Timing:
    source_rate = _fps(clip)
    if fps is None:
        if timecodes is not None:
            raise ArgumentError("timecodes is for fps=RATE; a factor divides the durations that the frames carry")
        ratio = parse_ratio(factor, "factor")
        steady = ratio.denominator == 1 or not _rate_varies(clip)
        return ConstantTiming(clip.num_frames, ratio, source_rate if steady else None)
    if factor != 2:
        raise ArgumentError(f"give factor or fps, not both: factor is {factor!r}, fps is {fps!r}")
    rate = parse_ratio(fps, "fps")
    if timecodes is not None:
        return VariableTiming(read_timecodes(timecodes, clip.num_frames), rate)
    if not source_rate or _rate_varies(clip):
        return VariableTiming(_read_durations(clip), rate)
    if rate < source_rate:
        raise ArgumentError(f"fps must be at least the clip's rate of {source_rate}, not {rate}: frames are added only")
    return ConstantTiming(clip.num_frames, rate / source_rate, source_rate)


def _rate_varies(clip: vs.VideoNode) -> bool:
    """Whether the rate is not constant, whatever the clip claims: source filters give variable files an average rate.

    Judged by the first second or so. Durations rounded to milliseconds, as Matroska has them, are constant.
    """
    rate = _fps(clip)
    if not rate:
        return True
    durations = [props.frame_duration(frame.props) for frame in clip[:_PROBED].frames(close=True)]
    known = [duration for duration in durations if duration is not None]
    drift = abs(sum(known, Fraction(0)) - len(known) / rate)
    return drift > _ROUNDING or any(abs(duration - 1 / rate) > _ROUNDING for duration in known)


def _read_durations(clip: vs.VideoNode) -> list[Fraction]:
    _say(f"the frame rate varies: reading the durations of all {clip.num_frames} frames (timecodes=FILE is quicker)")
    return whole_durations(props.frame_duration(frame.props) for frame in clip.frames(close=True))


def _check_clip(clip: vs.VideoNode) -> vs.VideoFrame:
    """Checks what can be known while the graph is built, and returns the clip's first frame."""
    if not isinstance(clip, vs.VideoNode):
        raise ArgumentError(f"clip must be a video node, not {clip!r} ({type(clip).__name__})")
    if clip.format is None or clip.format.color_family == vs.UNDEFINED:
        raise ArgumentError("clip has a variable format: make it constant first, for example with resize")
    if not clip.width or not clip.height:
        raise ArgumentError("clip has a variable size: make it constant first, for example with resize")
    frames.require_supported(clip.format)
    _check_not_on_gpu(clip)
    first = clip.get_frame(0)
    if int(first.props.get("_FieldBased", 0)) != 0:
        raise ArgumentError(
            "clip is interlaced (_FieldBased of its first frame): deinterlace it first, or, if it is not, "
            "clip.std.SetFieldBased(0)"
        )
    return first


def _check_not_on_gpu(clip: vs.VideoNode) -> None:
    """Frames in GPU memory (since R80) have planes that cannot be read."""
    if getattr(clip, "gpu_resident", False):
        raise ArgumentError("clip's frames are in GPU memory: use clip.std.GPUDownload() first")


def _check_times(timing: Timing, spec: NetSpec) -> None:
    if spec.arbitrary_t:
        return
    wrong = {timing.at(n).t for n in range(min(timing.length, 1000))} - {0, Fraction(1, 2)}
    if wrong:
        raise ArgumentError(
            f"{spec.name} knows only the middle of a pair (t = 1/2), not t = {min(wrong)}: use factor 2"
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


def _fps(clip: vs.VideoNode) -> Fraction | None:
    """The clip's frame rate, ``None`` if it varies or is not known."""
    return Fraction(clip.fps.numerator, clip.fps.denominator) if clip.fps.numerator else None


def _say(message: str, *, warning: bool = False) -> None:
    """Speaks through VapourSynth's log, never through stdout, which may be the video."""
    kind = vs.MESSAGE_TYPE_WARNING if warning else vs.MESSAGE_TYPE_INFORMATION
    vs.core.log_message(kind, f"vsrrin: {message}")
