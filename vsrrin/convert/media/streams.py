"""Plans for streams beside the video: copied, transcoded or dropped, decided before any work begins."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import av.codec.codec
import av.error
import av.packet

from vsrrin.clip.retiming import Pace
from vsrrin.errors import ArgumentError, ConvertError

from .containers import BITMAPS, CONTAINERS, Container, container_for
from .probe import MediaInfo, StreamInfo

AudioMode = Literal["keep", "drop", "stretch"]
Action = Literal["copy", "transcode", "remake", "drop"]
# Evaluated by type checkers only: FFmpeg's packets are not generic when a program runs.
type AnyPacket = av.packet.Packet[Any]
type Packets = Iterator[AnyPacket]


@dataclass(frozen=True)
class Cut:
    """Part of the source to use, in seconds since its beginning; all of it by default."""

    start: Fraction = Fraction(0)
    end: Fraction | None = None


# Names people know; others are shown as FFmpeg calls them.
_NAMES = {
    "libopus": "Opus", "opus": "Opus", "aac": "AAC", "flac": "FLAC", "alac": "ALAC", "mov_text": "MP4 text",
    "webvtt": "WebVTT", "subrip": "SubRip", "ass": "ASS", "ssa": "SSA", "hdmv_pgs_subtitle": "PGS",
    "dvd_subtitle": "VobSub", "dvb_subtitle": "DVB", "vorbis": "Vorbis", "mp3": "MP3", "ac3": "AC-3", "eac3": "E-AC-3",
    "dts": "DTS", "truehd": "TrueHD", "eia_608": "CEA-608",
}  # fmt: skip
# The layout an encoder surely takes, by number of channels. Speakers at the side and at the back are not told apart.
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_BITS_PER_CHANNEL = {"aac": 96_000, "libopus": 80_000}
_OPUS_RATE = 48_000
_ENCODER_RATES = {"aac": 96_000, "alac": 384_000, "flac": 655_350}


@dataclass(frozen=True)
class StreamAction:
    """Action for one stream of the source.

    Attributes:
        stream: The stream.
        action: "copy", "transcode" (for subtitles: convert), "remake" (tracks that a container makes itself) or "drop".
        codec: Codec in the result: the source's when copied, the encoder's name when transcoded, else ``None``.
        reason: The reason, as a part of a sentence.
    """

    stream: StreamInfo
    action: Action
    codec: str | None
    reason: str


@dataclass(frozen=True)
class StreamPlan:
    """Actions for all streams but the video.

    Attributes:
        actions: One for each stream, in the order of the source.
        notes: Messages for the user about all that is not simply copied.
    """

    actions: tuple[StreamAction, ...]
    notes: tuple[str, ...]

    @property
    def kept(self) -> tuple[StreamAction, ...]:
        """Actions that leave a stream in the result."""
        return tuple(action for action in self.actions if action.action in ("copy", "transcode"))

    @property
    def losses(self) -> tuple[str, ...]:
        """Those of the notes that are about dropped streams."""
        return tuple(_note(action) for action in self.actions if action.action == "drop")

    def without(self, indices: Collection[int], reason: str) -> "StreamPlan":
        """Return the plan without some streams, and with a note for each of them."""
        return self.replacing({a.stream.index: _drop(a.stream, reason) for a in self.kept if a.stream.index in indices})

    def replacing(self, changed: Mapping[int, StreamAction]) -> "StreamPlan":
        """Return the plan with other actions for the streams of some indices, and a note for each of them."""
        actions = tuple(changed.get(action.stream.index, action) for action in self.actions)
        return StreamPlan(actions, (*self.notes, *map(_note, changed.values())))


@dataclass(frozen=True)
class AudioFormat:
    """Format for an audio encoder: codec, samples per second, layout, and bits per second, ``None`` if lossless."""

    codec: str
    rate: int
    layout: str
    bit_rate: int | None


def plan_streams(
    info: MediaInfo,
    target: Path,
    *,
    audio: AudioMode,
    pace: Pace,
    subtitles: bool = True,
    cut: Cut = Cut(),
) -> StreamPlan:
    """Return the plan for the streams beside the video.

    Args:
        info: The source.
        target: The output file; its extension names the container.
        audio: "keep" the sound as it is, "drop" it, or "stretch" it to the length of the video.
        pace: Map from the part to the output.
        subtitles: Whether to keep subtitles.
        cut: The part of the source to use; streams with nothing in it are dropped.

    Raises:
        ArgumentError: Sound is to be kept although the speed changes.
        ConvertError: The container is unknown, or subtitles or sound cannot be converted for it.
    """
    container = container_for(target)
    if audio not in ("keep", "drop", "stretch"):
        raise ArgumentError(f"audio must be keep, drop or stretch, not {audio!r}")
    if audio == "keep" and not pace.is_plain and any(stream.kind == "audio" for stream in info.others):
        raise ArgumentError(
            f"the video becomes {float(pace.tempo):.4g} times as long, so its sound cannot be kept as it is: "
            'drop it (audio="drop"), or stretch it at the same pitch (audio="stretch")'
        )
    planner = _Planner(info=info, container=container, audio=audio, pace=pace, subtitles=subtitles, cut=cut)
    actions = tuple(planner.action(stream) for stream in info.others)
    notes = tuple(_note(action) for action in actions if _is_news(action, container))
    return StreamPlan(actions, notes)


@dataclass(frozen=True, kw_only=True)
class _Planner:
    info: MediaInfo
    container: Container
    audio: AudioMode
    pace: Pace
    subtitles: bool
    cut: Cut

    def action(self, stream: StreamInfo) -> StreamAction:
        """Return the action for one stream."""
        if None not in (stream.programme, self.info.video.programme) and stream.programme != self.info.video.programme:
            taken = f"ffmpeg -i IN -map 0:p:{stream.programme} -c copy NEW.ts takes it out"
            return _drop(stream, f"it belongs to another programme, {stream.programme}: {taken}")
        if stream.is_picture:
            return self._picture(stream)
        if stream.kind == "attachment":
            held = self.container.attachments
            return _copy(stream) if held else _drop(stream, f"{self.container.name} holds no attached files")
        if stream.kind == "data":
            return self._data(stream)
        if stream.kind == "video":
            return _drop(stream, "only the first video is converted")
        if stream.kind == "audio" and self.audio == "drop":
            return _drop(stream, "dropped as asked")
        if stream.kind == "subtitle" and not self.subtitles:
            return _drop(stream, "dropped as asked")
        if not stream.can_copy:
            return _drop(stream, "its codec is not known to the FFmpeg built in")
        if stream.kind == "audio" and not stream.rate:
            return _drop(stream, "the file names it, but no sound of it was found")
        if self._is_outside(stream):
            return _drop(stream, "it has nothing in the chosen part")
        return self._audio(stream) if stream.kind == "audio" else self._subtitle(stream)

    def _data(self, stream: StreamInfo) -> StreamAction:
        if any(key.lower() == "timecode" for key in stream.metadata):
            return StreamAction(stream, "remake", None, "the timecode is written anew")
        if stream.codec == "chapters":
            return StreamAction(stream, "remake", None, "the chapters are written anew")
        if stream.codec == "bin_data" and self.container.tags is not None:  # telemetry, from MP4 or QuickTime
            return _copy(stream)
        return _drop(stream, f"{self.container.name} holds no data of this kind")

    def _is_outside(self, stream: StreamInfo) -> bool:
        if stream.start is None or stream.duration is None or stream.kind != "audio":
            return False
        end = self.cut.end
        return stream.start + stream.duration <= self.cut.start or (end is not None and stream.start >= end)

    def _picture(self, stream: StreamInfo) -> StreamAction:
        if stream.codec in self.container.pictures:
            return _copy(stream)
        return _drop(stream, f"{self.container.name} holds no such cover pictures")

    def _audio(self, stream: StreamInfo) -> StreamAction:
        stretched = self.audio == "stretch" and not self.pace.is_plain
        if not stretched and stream.codec in self.container.audio:
            return _copy(stream)
        codec = self.container.lossy if stretched else self.container.encoder(stream.codec)
        check_encoder(stream, audio_format(stream, codec), self.info.path)
        times = f"{float(self.pace.tempo):.4g} times as long, at the same pitch"
        reason = f"stretched to be {times}" if stretched else f"{self.container.name} cannot hold it"
        return StreamAction(stream, "transcode", codec, reason)

    def _subtitle(self, stream: StreamInfo) -> StreamAction:
        if stream.codec in self.container.text or stream.codec in self.container.bitmaps:
            return _copy(stream)
        if is_text(stream.codec):
            reason = f"{self.container.name} cannot hold it"
            return StreamAction(stream, "transcode", self.container.text_default, reason)
        what = "are pictures, which" if stream.codec in BITMAPS else f"({stream.codec}) are of a kind that"
        others = [end for end, other in CONTAINERS.items() if stream.codec in other.text | other.bitmaps]
        elsewhere = f"write an {others[0]} file, or " if others else ""
        raise ConvertError(
            f"{self.info.path}: the subtitles in {describe(stream)} {what} {self.container.name} cannot hold: "
            f"{elsewhere}leave subtitles out (subtitles=False)"
        )


def is_text(codec: str) -> bool:
    """Return whether FFmpeg decodes subtitles of a codec to text."""
    try:
        return av.Codec(codec, "r").text_sub
    except av.codec.codec.UnknownCodecError:
        return False


def _copy(stream: StreamInfo) -> StreamAction:
    return StreamAction(stream, "copy", stream.codec, "the container holds it")


def _drop(stream: StreamInfo, reason: str) -> StreamAction:
    return StreamAction(stream, "drop", None, reason)


def describe(stream: StreamInfo) -> str:
    """Return a description for the user, such as ``audio stream 2 (AC-3, eng, "Commentary")``."""
    kind = "cover picture" if stream.is_picture else stream.kind
    facts = [_NAMES.get(stream.codec, stream.codec)]
    facts += [stream.language] if stream.language else []
    title = stream.metadata.get("title") or stream.metadata.get("filename")
    facts += [f'"{title}"'] if title else []
    return f"{kind} stream {stream.index} ({', '.join(facts)})"


def _is_news(action: StreamAction, container: Container) -> bool:
    return action.action in ("transcode", "drop") or _copy_note(action, container) != ""


def _copy_note(action: StreamAction, container: Container) -> str:
    """Return what the user should know of a stream although it is copied."""
    if container.format == "mp4" and action.stream.kind == "audio" and action.codec == "flac":
        return "copied, which some players of Apple cannot play; .mkv is safer"
    return ""


def _note(action: StreamAction) -> str:
    if action.action == "drop":
        return f"{describe(action.stream)} is left out: {action.reason}"
    if action.action == "copy":
        return f"{describe(action.stream)} is {_copy_note(action, CONTAINERS['.mp4'])}"
    name = _NAMES.get(action.codec or "", action.codec)
    loss = "; its styles may be lost" if action.stream.codec in ("ass", "ssa") else ""
    return f"{describe(action.stream)} becomes {name}: {action.reason}{loss}"


def audio_format(stream: StreamInfo, codec: str) -> AudioFormat:
    """Return the format of an encoder that is nearest to the source."""
    channels = av.AudioLayout(stream.layout).nb_channels if stream.layout else 2
    layout = _LAYOUTS.get(channels, stream.layout)
    rate = _OPUS_RATE if codec == "libopus" else min(stream.rate, _ENCODER_RATES.get(codec, stream.rate))
    per_channel = _BITS_PER_CHANNEL.get(codec)
    return AudioFormat(codec, rate, layout, per_channel * channels if per_channel is not None else None)


def check_encoder(stream: StreamInfo, wanted: AudioFormat, path: Path) -> None:
    """Open an encoder to see that it takes the stream's rate and layout.

    Raises:
        ConvertError: It does not take them.
    """
    try:
        context = av.CodecContext.create(wanted.codec, "w")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate, context.layout = wanted.rate, wanted.layout
        formats = context.codec.audio_formats
        context.format = formats[0] if formats else "s16"
        context.open()
    except (av.error.FFmpegError, ValueError) as error:
        raise ConvertError(
            f"{path}: {describe(stream)} ({wanted.rate} Hz, {stream.layout}) cannot be turned into "
            f"{_NAMES.get(wanted.codec, wanted.codec)} ({error}): drop the sound, or write an .mkv file"
        ) from None
