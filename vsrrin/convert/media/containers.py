"""Containers that videos are written to, and what each of them holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from vsrrin.errors import ConvertError


@dataclass(frozen=True, kw_only=True)
class Container:
    """Facts about a container format.

    Attributes:
        format: FFmpeg's name of its muxer.
        name: Its common name.
        audio: Codecs that are copied into it.
        lossless: Codec for lossless sound that cannot be copied.
        lossy: Codec for all other sound that cannot be copied, and for stretched sound.
        text: Kinds of text subtitles that are copied into it.
        text_default: Kind that other text subtitles are converted to.
        bitmaps: Kinds of bitmap subtitles that are copied into it.
        pictures: Kinds of cover pictures that it takes.
        attachments: Whether it takes attached files (fonts).
        options: Options of its muxer.
        read_as: Codecs, copied into it, that FFmpeg takes for another when it reads the file.
        tags: Keys of metadata that have a place of their own; ``None`` if all have.
        tick: Seconds to which it rounds all times; ``None`` where each stream has a unit of its own.
        shows: Whether it holds the size on the screen, as Matroska does, in place of the aspect of pixels.
    """

    format: str
    name: str
    audio: frozenset[str]
    lossless: str
    lossy: str
    text: frozenset[str]
    text_default: str
    bitmaps: frozenset[str] = frozenset()
    pictures: frozenset[str] = frozenset()
    attachments: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    read_as: Mapping[str, str] = field(default_factory=dict)
    tags: frozenset[str] | None = None
    tick: Fraction | None = None
    shows: bool = False

    def encoder(self, codec: str) -> str:
        """Return the codec for sound that cannot be copied."""
        return self.lossless if codec in _LOSSLESS or codec.startswith("pcm_") else self.lossy


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


# A header at the front lets players begin before all is loaded; the time scale keeps starts exact to 1/90 ms, where
# the default of 1/1000 s could put sound and pictures 1 ms apart.
_MOV_OPTIONS = {"movflags": "+faststart", "movie_timescale": "90000"}
_PCM = _set("pcm_s16le pcm_s24le pcm_s32le pcm_f32le pcm_f64le pcm_s16be pcm_s24be pcm_s32be pcm_u8")
_MKV_AUDIO = _set("aac mp3 mp2 mp1 ac3 eac3 dts truehd mlp flac alac opus vorbis wavpack tta")
# FFmpeg can write more, but players cannot read it.
_MP4_AUDIO = _set("aac mp3 mp2 ac3 eac3 dts alac flac opus")
_MOV_AUDIO = _set("aac mp3 ac3 eac3 alac pcm_alaw pcm_mulaw") | (_PCM - {"pcm_f64le"})
BITMAPS = _set("hdmv_pgs_subtitle dvd_subtitle dvb_subtitle")
_PICTURES = _set("mjpeg png")
_MOV_TAGS = _set("title artist album date comment genre copyright location make model creation_time")
_MP4_TAGS = (_MOV_TAGS - {"make", "model"}) | _set(
    "album_artist composer grouping lyrics description synopsis show episode_id network keywords episode_sort "
    "season_number media_type compilation track disc hd_video gapless_playback"
)
_LOSSLESS = _set("flac alac wavpack tta truehd mlp ape shorten tak pcm_s16be_planar pcm_alaw pcm_mulaw")
_MILLISECOND = Fraction(1, 1000)

_MP4 = Container(
    format="mp4",
    name="MP4",
    audio=_MP4_AUDIO,
    lossless="flac",
    lossy="aac",
    text=_set("mov_text"),
    text_default="mov_text",
    pictures=_PICTURES,
    options=_MOV_OPTIONS,
    read_as={"mp2": "mp3"},  # one object type for all layers
    tags=_MP4_TAGS,
)
CONTAINERS: Mapping[str, Container] = {
    ".mkv": Container(
        format="matroska",
        name="Matroska",
        audio=_MKV_AUDIO | _PCM,
        lossless="flac",
        lossy="libopus",
        text=_set("subrip ass ssa webvtt text"),
        text_default="subrip",
        bitmaps=BITMAPS,
        pictures=_PICTURES,
        attachments=True,
        read_as={"ssa": "ass", "text": "subrip"},
        tick=_MILLISECOND,
        shows=True,
    ),
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container(
        format="mov",
        name="QuickTime",
        audio=_MOV_AUDIO,
        lossless="alac",
        lossy="aac",
        text=_set("mov_text eia_608"),
        text_default="mov_text",
        options=_MOV_OPTIONS,
        tags=_MOV_TAGS,
    ),
    ".webm": Container(
        format="webm",
        name="WebM",
        audio=_set("opus vorbis"),
        lossless="libopus",
        lossy="libopus",
        text=_set("webvtt"),
        text_default="webvtt",
        tick=_MILLISECOND,
        shows=True,
    ),
}
"""Containers by the extension of a file's name, in lower case."""


def container_for(target: Path) -> Container:
    """Return the container that a file's extension names.

    Raises:
        ConvertError: There is no extension, or an unknown one.
    """
    try:
        return CONTAINERS[target.suffix.lower()]
    except KeyError:
        given = f"the extension {target.suffix!r}" if target.suffix else "no extension"
        raise ConvertError(f"target {target.name} has {given}; it must be one of {', '.join(CONTAINERS)}") from None
