"""Transparency of sources in videos: whether there is any, and whether the encoder holds it."""

from dataclasses import replace
from pathlib import Path

import vapoursynth as vs

from vsrrin.clip import alpha
from vsrrin.convert.media.containers import container_for
from vsrrin.convert.media.encoders import WITH_ALPHA, EncoderSettings
from vsrrin.convert.media.pixels import Pixels

from .source import Source

_LARGE = {"ffv1": "FFV1, without loss", "prores_ks": "ProRes 4444"}
"""Encoders for transparency in place of usual ones that make small files."""


def kept(source: Source, encoder: EncoderSettings, target: Path, *, codec: str | None, pix_fmt: str | None) -> Source:
    """Return a source whose frames carry ``_Alpha`` as it is to be encoded: with it, without or over black; and say so.

    Args:
        source: The source.
        encoder: The encoder that holds alpha, if one can be used.
        target: The file to write.
        codec: The encoder asked for.
        pix_fmt: The pixel format asked for.
    """
    pixels = Pixels.of_name(encoder.pixel_format)
    holds = pixels is not None and pixels.alpha
    if holds and pix_fmt:
        return source
    if _is_opaque(source.clip):  # as in many files whose format just has alpha
        note = "the alpha of the source is left out, as all of its frames are opaque"
        return _without(source, source.clip.std.RemoveFrameProps(alpha.PROP), note)
    if not holds:
        why = _reason(encoder, target, source.clip, codec=codec, pix_fmt=pix_fmt)
        return _without(source, alpha.over_black(source.clip), f"transparent parts become black, as {why}")
    if codec or encoder.codec not in _LARGE:
        return source
    note = (
        f"transparent parts are kept: the video becomes {_LARGE[encoder.codec]}, which makes a large file; "
        'codec="libx264" lays them over black'
    )
    return replace(source, notes=(*source.notes, note))


def _without(source: Source, clip: vs.VideoNode, note: str) -> Source:
    return replace(source, clip=clip, signature={**source.signature, "alpha": "left out"}, notes=(*source.notes, note))


def _is_opaque(clip: vs.VideoNode) -> bool:
    grey = alpha.alpha_of(clip)
    most = 1 if grey.format.sample_type == vs.FLOAT else (1 << grey.format.bits_per_sample) - 1
    try:
        return all(frame.props["PlaneStatsMin"] >= most for frame in grey.std.PlaneStats().frames(close=True))
    except vs.Error:  # a damaged frame: it is said when it is converted
        return False


def _reason(
    encoder: EncoderSettings, target: Path, clip: vs.VideoNode, *, codec: str | None, pix_fmt: str | None
) -> str:
    able = WITH_ALPHA.get(target.suffix.lower(), ())
    others = "a folder of images, .mkv, .mov"
    if not able:
        return f"{container_for(target).name} holds no transparency: {others} and .webm keep them"
    if encoder.codec in able and not pix_fmt and (clip.width % 2 or clip.height % 2):
        return f"{encoder.codec} has it only with even sides: {others.replace(', .mov', ' and .mov')} keep them"
    names = " or ".join(f'codec="{name}"' for name in able)
    return (
        f"{encoder.codec} in {encoder.pixel_format} has none: {names}{' without pix_fmt' if pix_fmt else ''} keeps them"
    )
