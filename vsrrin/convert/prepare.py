"""Preparation of a conversion: choices and checks before its first frame."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from fractions import Fraction
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Literal

import vapoursynth as vs

from vsrrin.clip import alpha, graph, mending
from vsrrin.clip.clip_checks import check_clip
from vsrrin.clip.frames import Colour
from vsrrin.clip.looping import looped
from vsrrin.clip.mending import Damaged
from vsrrin.clip.retiming import Ease, Pace
from vsrrin.clip.retiming import Speed as Pacing
from vsrrin.convert.media.containers import container_for
from vsrrin.convert.media.encode import ColourTags, Hdr, VideoTimes
from vsrrin.convert.media.encoders import EncoderSettings, choose_encoder
from vsrrin.convert.media.pixels import Pixels
from vsrrin.convert.media.streams import AudioMode, StreamPlan, plan_streams
from vsrrin.convert.media.ticks import settled
from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError, ConvertError

from . import interlacing, speed, transparency, work_folder
from .animations.stillness import keep_still
from .encode import Job
from .interlacing import Deinterlace
from .signature import signature
from .source import ClipSource, Moment, Source, open_clip, open_file
from .speed import Speed

_SEGMENT_SECONDS = 10
_SHORTEST_SEGMENT = 24


@dataclass(frozen=True)
class Settings(Options):
    """Settings of a conversion: options of interpolation, and settings of its files.

    Attributes:
        source: A video file; with a :class:`ClipSource`, its name in messages.
        target: The video file to write.
        factor: Output frames per source frame; 2 if neither it nor ``fps`` is given.
        fps: Output frames per second, instead of ``factor``.
        rate_out: Rate at which the frames made by ``factor`` are shown: slow motion, unless it is their own.
        speed: A speed or keyframes, as :func:`vsrrin.retime` takes them, in seconds of the part used.
        ease: Course of the speed between keyframes: "none", "linear" or "smooth".
        loop: The first frame follows the last, see :func:`vsrrin.interpolate`.
        start: First moment used: seconds since the beginning as a Fraction, or a frame number as an int.
        end: First moment left out, in the same way.
        deinterlace: Make a frame of each "frame" or each "field" of an interlaced source; the latter doubles its rate.
        progressive: Take the frames as they are, though the source says that they are interlaced.
        repair: Damaged frames that new ones replace, as :func:`vsrrin.repair` takes them, counted from the beginning of
            the file; "auto" for those that its detector finds.
        codec: An encoder; ``None`` for the container's usual one.
        crf: The encoder's constant rate factor.
        preset: The encoder's preset of speed.
        pix_fmt: FFmpeg's name of the pixel format; ``None`` for that of the source.
        audio: "keep", "drop" or "stretch" the sound.
        subtitles: Keep subtitles.
        overwrite: Replace an existing target, and discard unfinished work unless ``resume``.
        resume: Continue unfinished work, if there is any.
        segment_frames: Output frames per segment; ``None`` for about ten seconds.
    """

    source: Path
    target: Path
    _: KW_ONLY
    factor: Fraction | None = None
    fps: Fraction | None = None
    rate_out: Fraction | None = None
    speed: Pacing | None = None
    ease: Ease = "none"
    loop: bool = False
    start: Moment | None = None
    end: Moment | None = None
    deinterlace: Deinterlace | None = None
    progressive: bool = False
    repair: Damaged | Literal["auto"] | None = None
    codec: str | None = None
    crf: float | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    audio: AudioMode = "keep"
    subtitles: bool = True
    overwrite: bool = False
    resume: bool = False
    segment_frames: int | None = None

    @property
    def rates(self) -> Speed:
        """Factor, rate and speed, of which at least one is set."""
        nothing = all(value is None for value in (self.factor, self.fps, self.rate_out, self.speed))
        return Speed(Fraction(2) if nothing else self.factor, self.fps, self.rate_out, self.speed, self.ease)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Conversion to a video file, ready to run.

    Attributes:
        source: The opened source.
        clip: Output frames in the encoder's format.
        encoder: Settings of the encoder.
        times: Times of the output frames.
        tags: Colour tags for the encoder and the container.
        plan: Actions for the other streams.
        pace: Map from the part of the source that is used to the output.
        segment_frames: Output frames per segment.
        signature: Values that the segments depend on, as JSON can hold them.
        notes: Messages for the user, but for those of the plan.
    """

    source: Source
    clip: vs.VideoNode
    encoder: EncoderSettings
    times: VideoTimes
    tags: ColourTags
    plan: StreamPlan
    pace: Pace
    segment_frames: int
    signature: Mapping[str, object]
    notes: tuple[str, ...]

    @property
    def job(self) -> Job:
        """Work of the encoder, in segments."""
        spans = work_folder.ranges(self.times.frames, self.segment_frames)
        return Job(clip=self.clip, encoder=self.encoder, times=self.times, tags=self.tags, spans=spans)


def prepare(settings: Settings, clip_source: ClipSource | None = None) -> Prepared:
    """Check and choose everything for a conversion to a video file, and write nothing.

    Raises:
        VsrrinError: The source, a setting, the target or the model cannot be used.
    """
    settings = with_choices_of_first_run(settings)
    container_for(settings.target)
    check_target(settings)
    source = open_any(settings, clip_source)
    speed.check(settings.rates, source)
    settings = with_tiles(settings, source)
    source = repaired(settings, source)
    pace = speed.pace(settings.rates, source)
    plan = plan_streams(
        source.info, settings.target, audio=settings.audio, pace=pace, subtitles=settings.subtitles, cut=source.cut
    )
    frames = speed.timing(settings.rates, source).length
    times, moved = settled(speed.output_times(settings.rates, source, frames), container_for(settings.target))
    pixels = Pixels.of_frame(source.clip.get_frame(0))
    source, encoder = _encoded(settings, source, times.rate)
    first = source.clip.get_frame(0)
    made = interpolated(settings, source)
    tags = ColourTags.of(in_format(source.clip[:1], encoder, first).get_frame(0), source.info.sample_aspect)
    if (hdr := Hdr.of(first.props)) is not None:
        encoder = encoder.with_parameters(hdr.options(encoder.codec))
    segment_frames = _segment_frames(settings, times)
    return Prepared(
        source=source,
        clip=in_format(made, encoder, first),
        encoder=encoder,
        times=replace(times, tags=tags),
        tags=tags,
        plan=plan,
        pace=pace,
        segment_frames=segment_frames,
        signature={
            **signature(settings, source, made),
            "encoder": {"settings": str(encoder), **encoder.options},
            "segment frames": segment_frames,
        },
        notes=(*source.notes, *_format_notes(pixels, encoder, first), *moved, *_loop_notes(source)),
    )


def _encoded(settings: Settings, source: Source, rate: Fraction) -> tuple[Source, EncoderSettings]:
    """Return a source with what its encoder holds of its transparency, and that encoder."""
    choose = partial(
        choose_encoder,
        _container(settings.target),
        size=(source.clip.width, source.clip.height),
        rate=rate,
        codec=settings.codec,
        crf=settings.crf,
        preset=settings.preset,
        pix_fmt=settings.pix_fmt,
    )
    pixels = Pixels.of_frame(source.clip.get_frame(0))
    encoder = choose(pixels)
    if not pixels.alpha:
        return source, encoder
    source = transparency.kept(source, encoder, settings.target, codec=settings.codec, pix_fmt=settings.pix_fmt)
    return source, choose(Pixels.of_frame(source.clip.get_frame(0)))


def open_any(settings: Settings, clip_source: ClipSource | None = None, *, turn: bool = False) -> Source:
    """Open the source of a conversion, a file or a clip.

    Raises:
        VsrrinError: See :func:`vsrrin.convert.source.open_file`.
    """
    start, end = settings.start, settings.end
    if clip_source is not None:
        source = open_clip(clip_source, settings.source, start=start, end=end)
    else:
        source = open_file(settings.source, start=start, end=end, turn=turn)
    source = interlacing.resolve(source, settings.deinterlace, progressive=settings.progressive)
    try:
        check_clip(source.clip)
    except ArgumentError as error:  # of the filter's; here it is a file, not an argument
        raise ConvertError(f"{settings.source}: {error}") from error
    return source


def repaired(settings: Settings, source: Source) -> Source:
    """Return a source with new frames in place of damaged ones, by settings from `with_tiles`.

    Raises:
        ArgumentError: ``settings.repair`` is not as it must be.
    """
    if settings.repair is None:
        return source
    plain, numbers = replace(settings, duplicates="keep"), source.numbers
    if settings.repair == "auto":
        mended = mending.detected(source.clip, plain, apply=True, number=numbers.start)
        return replace(source, clip=mended, signature={**source.signature, "repair": "auto"})
    damaged = [n - numbers.start for n in mending.numbers(settings.repair, source.whole, "repair") if n in numbers]
    return replace(
        source,
        clip=mending.build(source.clip, damaged, plain),
        signature={**source.signature, "repair": damaged},
        notes=(*source.notes, f"{len(damaged)} of {len(numbers)} frames are damaged, and replaced"),
    )


def interpolated(settings: Settings, source: Source) -> vs.VideoNode:
    """Return the source's clip with new frames, and their alpha if there is any, by settings from `with_tiles`.

    Raises:
        VsrrinError: The clip, the model or a setting cannot be used.
    """
    try:
        timing = speed.timing(settings.rates, source)
        new = alpha.build(*looped(source.clip, timing, settings, loop=settings.loop), settings)
    except vs.Error as error:
        raise ConvertError(f"{settings.source}: {error}") from error
    moving_image = source.plays is not None and new is not source.clip
    return keep_still(new, source.clip) if moving_image else new


def with_tiles(settings: Settings, source: Source) -> Settings:
    """Return settings with the tiles to use, so that later calls agree on them.

    Raises:
        VsrrinError: The clip cannot be processed, or the model cannot be loaded.
    """
    return graph.with_tiles(source.clip, speed.timing(settings.rates, source), settings)


def with_choices_of_first_run(settings: Settings) -> Settings:
    """Return settings with tiles, backend and precision that the first run has chosen, for one that continues it."""
    return with_choices(settings, work_folder.recorded(settings.target) if settings.resume else {})


def with_choices(settings: Settings, first: Mapping[str, object]) -> Settings:
    """Return settings with tiles, backend and precision of the signature of another run, where they are open."""
    tiles, way = first.get("tiles"), first.get("way")
    if settings.tile is None and isinstance(tiles, dict):
        tile = tiles.get("tile")
        settings = replace(
            settings,
            tile=(int(tile[0]), int(tile[1])) if isinstance(tile, list) else tile,
            overlap=tiles.get("overlap", settings.overlap),
        )
    if isinstance(way, dict):
        settings = replace(settings, **{name: way[name] for name in way if getattr(settings, name) == "auto"})
    return settings


def in_format(clip: vs.VideoNode, encoder: EncoderSettings, first: vs.VideoFrame) -> vs.VideoNode:
    """Return a clip in the encoder's format; ``first`` is a frame of it that tells what its samples mean."""
    want = Pixels.of_name(encoder.pixel_format)
    assert want is not None
    converted = _with_samples(clip, want, first, limits=_limits_range(encoder, first))
    return alpha.of_depth(converted, want.bits) if want.alpha else converted


def _with_samples(clip: vs.VideoNode, want: Pixels, first: vs.VideoFrame, *, limits: bool) -> vs.VideoNode:
    """Return a clip in a format; their alpha stays with the frames as it is."""
    have = Pixels.of_clip(clip.format)
    if have == replace(want, alpha=False) and not limits:
        return clip
    options: dict[str, Any] = {"format": want.vapoursynth(), **({"range": vs.RANGE_LIMITED} if limits else {})}
    if want.bits < have.bits or have.is_float or have.family != want.family:
        options["dither_type"] = "error_diffusion"
    if have.family != want.family and want.family == "yuv":
        options |= {"matrix": vs.MATRIX_BT709}
        options |= {"range": vs.RANGE_LIMITED} if have.family == "rgb" else {"matrix_in": vs.MATRIX_BT709}
    elif have.family == "yuv" and want.family != "yuv":
        colour = Colour.of_frame(first)
        options["matrix_in"] = colour.matrix
    converted = clip.resize.Bicubic(**options)
    assert isinstance(converted, vs.VideoNode)
    return converted


def _limits_range(encoder: EncoderSettings, first: vs.VideoFrame) -> bool:
    """Return whether YUV of full range becomes limited: ProRes has no mark for the former."""
    return encoder.codec == "prores_ks" and ColourTags.of(first, Fraction(1)).full_range is True


def _container(target: Path) -> str:
    suffix = target.suffix.lower()
    return ".mp4" if suffix == ".m4v" else suffix


def check_target(settings: Settings) -> None:
    """Check that the target of a conversion, a file, may be written.

    Raises:
        VsrrinError: It may not.
    """
    target = settings.target
    if not target.parent.is_dir():
        raise ConvertError(f"the folder {target.parent} of the target does not exist: make it first")
    if target.is_dir():
        raise ConvertError(f"{target} is a folder: give the name of a file")
    if target.exists() and not target.is_file():
        raise ConvertError(f"{target} is no file but a device or a pipe, which cannot be replaced: give another name")
    if target.exists() and settings.source.exists() and target.samefile(settings.source):
        raise ArgumentError(f"source and target are the same file, {target}: choose another target")
    if target.exists() and not settings.overwrite:
        raise ConvertError(f"{target} exists: overwrite=True replaces it")
    if not settings.resume and not settings.overwrite:
        work_folder.check_fresh(target)


def _format_notes(pixels: Pixels, encoder: EncoderSettings, first: vs.VideoFrame) -> tuple[str, ...]:
    notes = []
    want = Pixels.of_name(encoder.pixel_format)
    if want is not None and want != replace(pixels, alpha=want.alpha):
        notes.append(f"the video is written as {want}, its source is {pixels}")
    if pixels.family == "yuv" and _limits_range(encoder, first):
        notes.append("samples of full range become limited ones: ProRes holds no others")
    return tuple(notes)


def _loop_notes(source: Source) -> tuple[str, ...]:
    if source.plays in (None, 1):
        return ()
    often = f"{source.plays} times" if source.plays else "for ever"
    return (f"the source is played {often}, which a video does not say: players have a setting for it",)


def _segment_frames(settings: Settings, times: VideoTimes) -> int:
    if settings.segment_frames is None:
        return max(ceil(times.rate * _SEGMENT_SECONDS), _SHORTEST_SEGMENT)
    if settings.segment_frames < 1:
        raise ArgumentError(f"segment_frames must be at least 1, not {settings.segment_frames}")
    return settings.segment_frames
