"""What ``vsrrin convert --dry-run`` prints."""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from vsrrin.convert import moments

# Loading torch takes seconds.
if TYPE_CHECKING:
    from vsrrin.convert.image_folder import FolderConversion
    from vsrrin.convert.video import VideoConversion


def of_video(conversion: "VideoConversion") -> Iterator[tuple[str, str]]:
    """Yield labels and facts of a conversion to a video."""
    prepared = conversion.prepared
    times, encoder = prepared.times, prepared.encoder
    yield from _input(conversion)
    yield "output", str(conversion.settings.target)
    rate = times.rate if times.step is not None else None
    yield "", f"{_rate(rate)}, {times.frames} frames, {moments.written(times.duration)}"
    if not prepared.pace.is_plain:
        tempo = prepared.pace.tempo
        exactly = f"{tempo} times as long as the input " if tempo.denominator < 1000 else ""
        yield "", f"{exactly}({float(tempo):.4g})" if exactly else f"{float(tempo):.4g} times as long as the input"
    quality = f", crf {encoder.crf:g}" if encoder.crf is not None else ""
    preset = f", preset {encoder.preset}" if encoder.preset is not None else ""
    yield "encoder", f"{encoder.codec}, {encoder.pixel_format}{quality}{preset}"
    for action in conversion.plan.actions:
        to = f" to {action.codec}" if action.action == "transcode" and action.codec else ""
        why = f": {action.reason}" if action.reason else ""
        yield f"stream {action.stream.index}", f"{action.stream.kind}, {action.stream.codec}: {action.action}{to}{why}"
    yield "segments", f"{len(conversion.spans)} of {prepared.segment_frames} frames"
    for note in conversion.notes:
        yield "lost" if note in conversion.losses else "note", note


def of_folder(conversion: "FolderConversion") -> Iterator[tuple[str, str]]:
    """Yield labels and facts of a conversion to a folder of images, or to a moving image."""
    from vsrrin.convert.moving_image import MovingImageConversion

    yield from _input(conversion)
    losses: list[str] = []
    if isinstance(conversion, MovingImageConversion):
        losses = conversion.losses
        often = f"played {conversion.plays} times" if conversion.plays else "played for ever"
        yield "output", str(conversion.settings.target)
        yield (
            "",
            f"{_rate(conversion.rate)}, {conversion.frames} frames, {moments.written(conversion.duration)}, {often}",
        )
        quality = f", quality {conversion.quality}" if conversion.quality is not None else ""
        yield "encoder", f"{conversion.form}{quality}"
    else:
        yield "output", f"{conversion.settings.target}: {conversion.frames} PNGs"
    width, height = conversion.size
    alpha = "with" if conversion.alpha else "without"
    yield "", f"{width}x{height}, {conversion.bits} bits per sample, {alpha} alpha"
    for note in conversion.notes:
        yield "lost" if note in losses else "note", note


def _input(conversion: "VideoConversion | FolderConversion") -> Iterator[tuple[str, str]]:
    from vsrrin.convert.media.pixels import Pixels

    source = conversion.source
    yield "input", str(conversion.settings.source)
    pixels = Pixels.of_frame(source.clip.get_frame(0))
    yield "", f"{source.clip.width}x{source.clip.height}, {pixels}, {_rate(source.rate)}"
    yield "", f"{source.clip.num_frames} frames used, {moments.written(source.duration)}"


def _rate(rate: Fraction | None) -> str:
    if rate is None:
        return "variable frame rate"
    return f"{rate} fps" if rate.denominator == 1 else f"{rate} fps ({float(rate):.3f})"
