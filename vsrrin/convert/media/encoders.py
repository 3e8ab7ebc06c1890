"""Video encoders: the choice of one for a clip, its settings and its pixel format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import cv2

from vsrrin.errors import ArgumentError, ConvertError

from .pixels import Pixels, known_name

_X_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
_HIGHEST_RATE = {"libsvtav1": 240}
"""Highest frame rate of encoders that have a limit."""
_SLICED = 8
"""Shortest side of pictures that FFV1 cuts into slices."""


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """Facts about an encoder.

    Attributes:
        name: FFmpeg's name.
        aliases: Other names for it.
        containers: Suffixes of the files that take it.
        crf: Default, lowest and highest constant rate factor; ``None`` if it has none.
        presets: Default first, then all; empty if it has none.
        options: Options that it is always given.
        parameters: The option for the library's own parameters, and those that it is always given.
    """

    name: str
    aliases: tuple[str, ...]
    containers: tuple[str, ...]
    crf: tuple[float, float, float] | None
    presets: tuple[str, ...]
    options: Mapping[str, str]
    parameters: tuple[str, Mapping[str, str]] | None = None

    def pixel_formats(self) -> tuple[str, ...]:
        """Return FFmpeg's names of the formats that it takes and vsrrin can give, without deprecated ones."""
        names = (pixel_format.name for pixel_format in av.codec.Codec(self.name, "w").video_formats or ())
        refused = _REFUSED.get(self.name, ())
        return tuple(name for name in names if Pixels.of_name(name) is not None and name not in refused)


_ENCODERS = (
    Encoder(
        name="libx264",
        aliases=("h264", "x264", "avc"),
        containers=(".mkv", ".mp4", ".mov"),
        crf=(18, 0, 51),
        presets=("faster", *_X_PRESETS),  # half of medium's time, which the network needs on a small CPU
        options={},
        parameters=("x264-params", {"open-gop": "0"}),
    ),
    Encoder(
        name="libx265",
        aliases=("h265", "x265", "hevc"),
        containers=(".mkv", ".mp4", ".mov"),
        crf=(18, 0, 51),
        presets=("medium", *_X_PRESETS),
        options={},
        parameters=("x265-params", {"open-gop": "0", "pools": "4", "frame-threads": "2", "log-level": "error"}),
    ),
    Encoder(
        name="libvpx-vp9",
        aliases=("vp9",),
        containers=(".webm", ".mkv", ".mp4"),
        crf=(24, 0, 63),
        presets=("4", *map(str, range(9))),
        options={"b": "0", "deadline": "good", "row-mt": "0", "tile-columns": "2"},
    ),
    Encoder(
        name="libsvtav1",
        aliases=("av1", "svtav1", "svt-av1"),
        containers=(".webm", ".mkv", ".mp4"),
        crf=(24, 0, 63),
        presets=("8", *map(str, range(14))),
        options={},
        parameters=("svtav1-params", {"lp": "2"}),
    ),
    Encoder(
        name="ffv1",
        aliases=(),
        containers=(".mkv",),
        crf=None,
        presets=(),
        options={"level": "3", "slicecrc": "1", "slices": "4", "g": "1"},
    ),
    Encoder(
        name="prores_ks",
        aliases=("prores",),
        containers=(".mov", ".mkv"),
        crf=None,
        presets=(),
        options={"vendor": "apl0"},
    ),
    Encoder(
        name="qtrle",
        aliases=("animation",),
        containers=(".mov",),
        crf=None,
        presets=(),
        options={},
    ),
)
# The first that can hold the clip as it is; H.264 of more than 8 bit is played by few devices, so H.265 comes before.
_DEFAULTS = {
    ".mkv": ("libx264", "libx265"),
    ".mp4": ("libx264", "libx265"),
    ".mov": ("libx264", "libx265"),
    ".webm": ("libvpx-vp9", "libsvtav1"),
}
WITH_ALPHA = {".mkv": ("ffv1", "libvpx-vp9", "prores_ks"), ".mov": ("prores_ks", "qtrle"), ".webm": ("libvpx-vp9",)}
"""Encoders for alpha by container, the usual one first: FFmpeg's tools see that of VP9 only where they are told to."""
# Formats with alpha that are listed and refused by the encoder when it is opened, or by FFmpeg 5 when it decodes FFV1.
_REFUSED = {
    "libvpx-vp9": ("yuva422p", "yuva444p", "gbrap"),
    "libx265": ("yuva420p", "yuva420p10le"),
    "ffv1": ("yuva422p12le", "yuva444p12le", "gbrap14le"),
}
# With AVX-512 x264's rate control (mbtree) gives now and then other results for the same frames (measured: 1 in 4 short
# segments, with one thread too; never in 120 with AVX2), so that a run that was continued would differ.
_REPEATABLE = {"asm": "AVX2"}
_AVX512 = 13  # OpenCV's number of the instruction set AVX-512F
# Of what NUT does not know, as the alpha of VP9, which is beside the packets: encoder, and pixel format if it depends.
_SEGMENTS = {("prores_ks", ""): "mov", ("libvpx-vp9", "yuva420p"): "matroska", ("qtrle", ""): "mov"}
_PRESET_OPTION = {"libvpx-vp9": "cpu-used"}


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """An encoder and its settings.

    Attributes:
        codec: FFmpeg's name of the encoder.
        crf: Constant rate factor; ``None`` if it has none.
        preset: Speed; ``None`` if it has none.
        pixel_format: FFmpeg's name of the pixel format.
        options: All options, as FFmpeg takes them.
        segment: Format of the segments: NUT, which keeps any time exactly, if it holds what is encoded.
    """

    codec: str
    crf: float | None
    preset: str | None
    pixel_format: str
    options: Mapping[str, str]
    segment: str = "nut"

    def __str__(self) -> str:
        parts = [self.codec, self.pixel_format]
        parts += [] if self.crf is None else [f"crf {self.crf:g}"]
        parts += [] if self.preset is None else [f"preset {self.preset}"]
        return ", ".join(parts)

    def with_parameters(self, added: Mapping[str, str]) -> "EncoderSettings":
        """Return the same settings with more of the library's own parameters; those without a value are left out."""
        own = _encoder(self.codec).parameters
        added = {key: value for key, value in added.items() if value}
        if own is None or not added:
            return self
        text = ":".join(filter(None, (self.options.get(own[0], ""), *(f"{key}={v}" for key, v in added.items()))))
        return replace(self, options={**self.options, own[0]: text})


def choose_encoder(
    container: str,
    pixels: Pixels,
    *,
    size: tuple[int, int],
    rate: Fraction,
    codec: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
) -> EncoderSettings:
    """Return the encoder for a clip: the container's usual one that holds it as it is, unless told otherwise.

    Where no encoder has just the clip's layout, the nearest that holds all of it is taken (4:1:1 in 4:2:2, 9 bit in
    10, grey in 4:2:0 with neutral chroma); depths above an encoder's highest become its highest. RGB becomes YUV: 4:2:0
    where width and height are even, otherwise 4:4:4; FFV1 and QuickTime Animation keep it. With alpha, an encoder that
    has it is the usual one, if need be with less depth or chroma; what cannot have it at this size leaves it out.

    Args:
        container: Suffix of the target, such as ".mkv".
        pixels: Layout of the clip.
        size: Width and height.
        rate: Output frames per second.
        codec: An encoder, or another name for it.
        crf: Constant rate factor; lower is better and makes larger files.
        preset: Speed of the encoder.
        pix_fmt: FFmpeg's name of the pixel format.

    Raises:
        ArgumentError: There is no such codec, crf, preset or pixel format; the message lists those there are.
        ConvertError: The container or the encoder cannot hold the clip.
    """
    if container not in _DEFAULTS:
        raise ArgumentError(f"videos are written as {', '.join(_DEFAULTS)}, not as {container!r}")
    asked = Pixels.of_name(pix_fmt) if pix_fmt is not None and known_name(pix_fmt) else None
    if pix_fmt is not None and asked is None:
        raise ArgumentError(f"pix_fmt must be a format such as yuv420p, yuv420p10le, gbrp or gray, not {pix_fmt!r}")
    if asked is not None and asked.alpha and not pixels.alpha:
        raise ArgumentError(f"pix_fmt {pix_fmt} has alpha, which the source, {pixels}, has not: use one without")
    usual = WITH_ALPHA.get(container, _DEFAULTS[container]) if asked and asked.alpha else _DEFAULTS[container]
    encoders = [_find(codec, container)] if codec is not None else [_encoder(name) for name in usual]
    if pix_fmt is not None:
        return _with_format(container, encoders, pix_fmt, size, rate, crf, preset)
    if pixels.alpha and (found := _nearest_with_alpha(container, codec, pixels, size)) is not None:
        return _settings(*found, size, rate, crf, preset)
    wanted = [_wanted(replace(pixels, alpha=False), size, encoder.name) for encoder in encoders]
    ranked = [
        (_loss(want, have), order, encoder, name)
        for order, (encoder, want) in enumerate(zip(encoders, wanted, strict=True))
        for name in encoder.pixel_formats()
        if (have := Pixels.of_name(name)) is not None and _holds(have, want) and _fits(have, size)
        if not (codec is None and encoder.name == "libx264" and have.bits > 8)
    ]
    if not ranked:
        raise ConvertError(_no_room(container, encoders, wanted[0]))
    _, _, encoder, name = min(ranked, key=lambda entry: entry[:2])
    return _settings(encoder, name, size, rate, crf, preset)


def codecs_of(container: str) -> tuple[str, ...]:
    """Return the names of the encoders for a container."""
    return tuple(encoder.name for encoder in _ENCODERS if container in encoder.containers)


def _nearest_with_alpha(
    container: str, codec: str | None, pixels: Pixels, size: tuple[int, int]
) -> tuple[Encoder, str] | None:
    """Return an encoder and its format with alpha in which the least is lost; ``None`` if there is none."""
    names = WITH_ALPHA.get(container, ())
    name = _find(codec, container).name if codec is not None else names[0] if names else ""
    if name not in names:
        return None
    want, ranked = _wanted(pixels, size, name), []
    for order, pixel_format in enumerate(_encoder(name).pixel_formats()):
        have = Pixels.of_name(pixel_format)
        if have is not None and have.alpha and have.family in (want.family, "yuv") and _fits(have, size):
            chroma = sum(max(a - b, 0) for a, b in zip(have.shifts, want.shifts, strict=True))
            ranked.append((max(want.bits - have.bits, 0), chroma, _loss(want, have), order, pixel_format))
    return (_encoder(name), min(ranked)[-1]) if ranked else None


def _encoder(name: str) -> Encoder:
    return next(encoder for encoder in _ENCODERS if encoder.name == name)


def _find(codec: str, container: str) -> Encoder:
    found = next((e for e in _ENCODERS if codec.lower() in (e.name, *e.aliases)), None)
    allowed = ", ".join(
        f"{e.name} ({'/'.join(e.aliases)})" if e.aliases else e.name for e in _ENCODERS if container in e.containers
    )
    if found is None:
        raise ArgumentError(f"codec must be one of those that {container} takes, {allowed}, not {codec!r}")
    if container not in found.containers:
        raise ArgumentError(
            f"codec {codec} goes into {', '.join(found.containers)}, not into {container}, which takes {allowed}"
        )
    return found


def _wanted(pixels: Pixels, size: tuple[int, int], encoder: str) -> Pixels:
    """Return the layout to look for."""
    bits = 16 if pixels.is_float else pixels.bits
    if encoder == "qtrle":
        return Pixels("rgb", 8, alpha=pixels.alpha)
    if pixels.family != "rgb" or encoder == "ffv1":
        return replace(pixels, bits=bits, is_float=False)
    even = size[0] % 2 == 0 and size[1] % 2 == 0
    return Pixels("yuv", min(bits, 10), (1, 1) if even else (0, 0), alpha=pixels.alpha)


def _holds(have: Pixels, want: Pixels) -> bool:
    if have.bits < min(want.bits, 10) or have.alpha != want.alpha:
        return False
    if have.family == want.family:
        return all(a <= b for a, b in zip(have.shifts, want.shifts, strict=True))
    return want.family == "gray" and have.family == "yuv"


def _fits(have: Pixels, size: tuple[int, int]) -> bool:
    return not any(side % (1 << shift) for side, shift in zip(size, have.shifts, strict=True))


def _loss(want: Pixels, have: Pixels) -> tuple[int, int, int]:
    """Rank a layout, the nearest lowest: lost bits, then needless chroma or another family, then needless bits."""
    more = sum(want.shifts) - sum(have.shifts) if have.family == want.family else 1 + 4 - sum(have.shifts)
    return max(want.bits - have.bits, 0), more, max(have.bits - want.bits, 0)


def _no_room(container: str, encoders: Sequence[Encoder], want: Pixels) -> str:
    has = "; ".join(f"{e.name} writes {', '.join(e.pixel_formats())}" for e in encoders)
    return (
        f"no encoder for {container} writes {want}: {has}. Give pix_fmt=FORMAT of these, "
        f"codec=NAME of another ({', '.join(codecs_of(container))}), or choose another container such as .mkv"
    )


def _with_format(
    container: str,
    encoders: Sequence[Encoder],
    pix_fmt: str,
    size: tuple[int, int],
    rate: Fraction,
    crf: float | None,
    preset: str | None,
) -> EncoderSettings:
    have = Pixels.of_name(pix_fmt)
    assert have is not None
    if not _fits(have, size):
        raise ArgumentError(
            f"pix_fmt {pix_fmt} needs even sides, but the picture has {size[0]}x{size[1]} pixels: use yuv444p"
        )
    able = [encoder for encoder in encoders if pix_fmt in encoder.pixel_formats()]
    if have.alpha:
        able = [encoder for encoder in able if encoder.name in WITH_ALPHA.get(container, ())]
    if not able:
        has = "; ".join(f"{e.name} writes {', '.join(e.pixel_formats())}" for e in encoders)
        raise ArgumentError(f"pix_fmt {pix_fmt} cannot be written into {container}: {has}")
    deep = [encoder for encoder in able if encoder.name != "libx264" or have.bits == 8]
    return _settings((deep or able)[0], pix_fmt, size, rate, crf, preset)


def _settings(
    encoder: Encoder,
    pixel_format: str,
    size: tuple[int, int],
    rate: Fraction,
    crf: float | None,
    preset: str | None,
) -> EncoderSettings:
    options = dict(encoder.options)
    limit = _HIGHEST_RATE.get(encoder.name)
    if limit is not None and rate > limit:
        raise ConvertError(
            f"{encoder.name} writes at most {limit} frames per second, not {float(rate):g}: give codec=NAME of another"
        )
    if encoder.parameters is not None:
        key, values = encoder.parameters
        values = {**values, **_REPEATABLE} if encoder.name == "libx264" and _has_avx512() else values
        options[key] = ":".join(f"{name}={value}" for name, value in values.items())
    crf, preset = _checked_crf(encoder, crf), _checked_preset(encoder, preset)
    if crf is not None:
        options["crf"] = f"{crf:g}"
    if preset is not None:
        options[_PRESET_OPTION.get(encoder.name, "preset")] = preset
    if encoder.name == "prores_ks":
        options["profile"] = "hq" if pixel_format == "yuv422p10le" else "4444"
    if encoder.name == "ffv1" and min(size) < _SLICED:
        options["slices"] = "1"
    return EncoderSettings(
        codec=encoder.name,
        crf=crf,
        preset=preset,
        pixel_format=pixel_format,
        options=options,
        segment=_SEGMENTS.get((encoder.name, pixel_format)) or _SEGMENTS.get((encoder.name, ""), "nut"),
    )


def _has_avx512() -> bool:
    return bool(cv2.checkHardwareSupport(_AVX512))


def _checked_crf(encoder: Encoder, crf: float | None) -> float | None:
    if encoder.crf is None:
        if crf is not None:
            raise ArgumentError(f"crf does not exist for {encoder.name}: leave it out")
        return None
    default, lowest, highest = encoder.crf
    if crf is None:
        return default
    if isinstance(crf, bool) or not lowest <= crf <= highest:
        raise ArgumentError(f"crf of {encoder.name} must be {lowest:g} to {highest:g}, not {crf}")
    if encoder.name in ("libvpx-vp9", "libsvtav1") and crf != int(crf):
        raise ArgumentError(f"crf of {encoder.name} must be a whole number, not {crf}")
    return crf


def _checked_preset(encoder: Encoder, preset: str | None) -> str | None:
    if not encoder.presets:
        if preset is not None:
            raise ArgumentError(f"preset does not exist for {encoder.name}: leave it out")
        return None
    if preset is None:
        return encoder.presets[0]
    if preset not in encoder.presets[1:]:
        raise ArgumentError(f"preset of {encoder.name} must be one of {', '.join(encoder.presets[1:])}, not {preset!r}")
    return preset
