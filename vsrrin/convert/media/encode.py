"""Encoding of one segment of video, with exact times of its frames, colour tags and HDR metadata.

Segments are NUT files, which hold any time base exactly (Matroska for what NUT does not know). Encoders run with a
fixed number of threads, so that the same frames give the same bytes whatever else the machine does.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import av
import vapoursynth as vs

from vsrrin.errors import ConvertError

from .encoders import EncoderSettings
from .pixels import to_av

_THREADS = 4
_UNSPECIFIED = 2
_DISPLAY = "MasteringDisplay"


@dataclass(frozen=True)
class Hdr:
    """HDR metadata of a whole video.

    Attributes:
        primaries: (x, y) of red, green, blue and white.
        luminance: (minimum, maximum) of the mastering display in cd/m2.
        light: (maximum, average) content light level in cd/m2.
    """

    primaries: tuple[tuple[float, float], ...] | None = None
    luminance: tuple[float, float] | None = None
    light: tuple[int, int] | None = None

    @classmethod
    def of(cls, props: Mapping[str, Any]) -> "Hdr | None":
        """Return the HDR metadata in a frame's properties, as BestSource sets them; ``None`` if there is none."""
        display = {key.removeprefix(_DISPLAY): value for key, value in props.items() if key.startswith(_DISPLAY)}
        primaries = luminance = light = None
        if {"PrimariesX", "PrimariesY", "WhitePointX", "WhitePointY"} <= display.keys():
            points = zip(map(float, display["PrimariesX"]), map(float, display["PrimariesY"]), strict=True)
            primaries = (*points, (float(display["WhitePointX"]), float(display["WhitePointY"])))
        if {"MinLuminance", "MaxLuminance"} <= display.keys():
            luminance = (float(display["MinLuminance"]), float(display["MaxLuminance"]))
        if props.get("ContentLightLevelMax"):
            light = (int(props["ContentLightLevelMax"]), int(props.get("ContentLightLevelAverage", 0)))
        return cls(primaries, luminance, light) if primaries or light else None

    def options(self, codec: str) -> dict[str, str]:
        """Return the encoder's parameters that write it; empty for encoders that cannot."""
        if codec == "libsvtav1":
            return {"mastering-display": self._display(1, 1), "content-light": self._light()}
        if codec in ("libx264", "libx265"):
            light = "cll" if codec == "libx264" else "max-cll"
            name = "mastering-display" if codec == "libx264" else "master-display"
            return {name: self._display(50_000, 10_000), light: self._light()}
        return {}

    def _display(self, point: int, level: int) -> str:
        """Return points in units of 1/``point`` and levels in 1/``level``: whole numbers unless the unit is 1."""
        if self.primaries is None:
            return ""
        red, green, blue, white = (f"({_units(x, point)},{_units(y, point)})" for x, y in self.primaries)
        least, most = (_units(value, level) for value in self.luminance or (0.0, 0.0))
        return f"G{green}B{blue}R{red}WP{white}L({most},{least})"

    def _light(self) -> str:
        return f"{self.light[0]},{self.light[1]}" if self.light is not None else ""


def _units(value: float, unit: int) -> str:
    return f"{value:.5f}" if unit == 1 else str(round(value * unit))


@dataclass(frozen=True, kw_only=True)
class ColourTags:
    """Colour tags, pixel aspect and transparency of a video: numbers of H.273, ``None`` where the source does not say.

    Attributes:
        matrix: Matrix coefficients.
        primaries: Colour primaries.
        transfer: Transfer characteristics.
        full_range: Whether samples use the whole range.
        chroma: VapourSynth's number of the chroma location.
        aspect: Width of a pixel over its height.
        alpha: Whether it has alpha.
    """

    matrix: int | None = None
    primaries: int | None = None
    transfer: int | None = None
    full_range: bool | None = None
    chroma: int | None = None
    aspect: Fraction = Fraction(1)
    alpha: bool = False

    @classmethod
    def of(cls, frame: vs.VideoFrame, aspect: Fraction) -> "ColourTags":
        """Return the tags in the properties of a frame for the encoder."""
        props = frame.props
        codes = {name: _code(props.get(f"_{name.title()}")) for name in ("matrix", "primaries", "transfer")}
        full: bool | None = None
        if "_Range" in props:
            full = int(props["_Range"]) == 1
        elif "_ColorRange" in props:
            full = int(props["_ColorRange"]) == 0
        subsampled = bool(frame.format.subsampling_w or frame.format.subsampling_h)
        chroma = int(props["_ChromaLocation"]) if subsampled and "_ChromaLocation" in props else None
        return cls(**codes, full_range=full, chroma=chroma, aspect=aspect, alpha="_Alpha" in props)

    def describe(self, context: av.VideoCodecContext) -> None:
        """Set the tags on an encoder, or on the stream of a container that takes video as it is encoded."""
        if self.matrix is not None:
            context.colorspace = self.matrix
        if self.primaries is not None:
            context.color_primaries = self.primaries
        if self.transfer is not None:
            context.color_trc = self.transfer
        if self.full_range is not None:
            context.color_range = 2 if self.full_range else 1
        if self.chroma is not None:
            context.chroma_sample_location = self.chroma + 1
        context.sample_aspect_ratio = self.aspect


def _code(value: Any) -> int | None:
    return None if value is None or int(value) == _UNSPECIFIED else int(value)


@dataclass(frozen=True, kw_only=True)
class VideoTimes:
    """Presentation times of an output's frames.

    Attributes:
        start: Time of the first frame in the target, in seconds.
        time_base: Seconds per tick.
        frames: Number of frames.
        step: Ticks from each frame to the next, ``None`` where they vary.
        pts: Ticks of each frame, the first 0, where ``step`` is ``None``.
        last: Ticks of the last frame's duration.
        tags: Tags that the container gets.
    """

    start: Fraction
    time_base: Fraction
    frames: int
    step: int | None
    pts: tuple[int, ...] | None
    last: int
    tags: ColourTags | None = None

    def tick(self, number: int) -> int:
        """Return the ticks from the first frame to a frame; the end for the number after the last."""
        if self.step is not None:
            return number * self.step
        assert self.pts is not None
        return self.pts[-1] + self.last if number == self.frames else self.pts[number]

    def seconds(self, number: int) -> Fraction:
        """Return the seconds from the first frame to a frame."""
        return self.tick(number) * self.time_base

    @property
    def first(self) -> "VideoTimes":
        """Times of the first frame alone."""
        return replace(self, frames=1, pts=self.pts and self.pts[:1], last=self.tick(1))

    @property
    def duration(self) -> Fraction:
        """Seconds from the first frame to the end of the last."""
        return self.seconds(self.frames)

    @property
    def steady_rate(self) -> Fraction:
        """Frames per second, where they do not vary."""
        assert self.step is not None
        return 1 / (self.step * self.time_base)

    @property
    def rate(self) -> Fraction:
        """Frames per second, the average where they vary."""
        return self.frames / self.duration


class SegmentWriter:
    """Encoder of one file, and a context manager that finishes the file unless an error leaves it.

    Args:
        path: The file to write.
        encoder: The encoder and its settings.
        size: Width and height.
        times: Times of the whole output, of which the segment is a part.
        tags: Tags that the encoder gets.

    Raises:
        ConvertError: The encoder cannot be opened or refuses a frame, or the disk cannot take the file.
    """

    def __init__(
        self, path: Path, encoder: EncoderSettings, size: tuple[int, int], times: VideoTimes, tags: ColourTags
    ) -> None:
        self._path, self._encoder, self._times, self._tags = path, encoder, times, tags
        self._file = _Checked(path)
        # Frames keep their own times; by default a file whose first decoding time is negative is moved.
        keep = {"avoid_negative_ts": "disabled"}
        self._container = av.open(self._file, "w", format=encoder.segment, container_options=keep)
        try:
            self._stream = self._open(size)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            self._file.close()
            raise ConvertError(f"{encoder.codec} cannot encode this: {error}; settings: {encoder}") from error
        self.frames = 0

    def _open(self, size: tuple[int, int]) -> av.VideoStream:
        os.environ.setdefault("SVT_LOG", "1")  # errors only: the library writes to stderr by itself
        options = dict(self._encoder.options)
        stream = self._container.add_stream(self._encoder.codec, options=options)
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.width, context.height = size
        context.pix_fmt = self._encoder.pixel_format
        context.time_base, context.framerate = self._times.time_base, self._times.rate.limit_denominator(1_000_000)
        stream.time_base = self._times.time_base
        context.thread_count = _THREADS
        context.flags |= int(av.codec.context.Flags.global_header | av.codec.context.Flags.closed_gop)
        self._tags.describe(context)
        context.open()
        return stream

    @property
    def headers(self) -> bytes:
        """Bytes before the first frame, the same in all segments that can be joined."""
        return self._stream.codec_context.extradata or b""

    def write(self, frame: vs.VideoFrame, number: int) -> None:
        """Encode a frame.

        Args:
            frame: A frame of the encoder's pixel format.
            number: Its number in the whole output, one more than that of the frame before.
        """
        picture = to_av(frame, self._encoder.pixel_format)
        picture.pts, picture.time_base = self._times.tick(number), self._times.time_base
        picture.duration = self._times.tick(number + 1) - self._times.tick(number)
        picture.color_range = 2 if self._tags.full_range else 1 if self._tags.full_range is False else 0
        # Most encoders ask their context for colours, and that of ProRes each picture.
        if self._tags.matrix is not None:
            picture.colorspace = self._tags.matrix
        if self._tags.primaries is not None:
            picture.color_primaries = self._tags.primaries
        if self._tags.transfer is not None:
            picture.color_trc = self._tags.transfer
        self._send(picture)
        self.frames += 1

    def _send(self, picture: av.VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(picture))
        except (av.error.FFmpegError, OSError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> ConvertError:
        cause = self._file.error
        if cause is not None:
            return ConvertError(f"{self._path} cannot be written: {cause.strerror or cause}")
        return ConvertError(f"{self._encoder.codec} failed: {error}")

    def __enter__(self) -> "SegmentWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._send(None)
            self._container.close()
            if kind is None:
                self._file.sync()
        except (av.error.FFmpegError, OSError) as failure:
            if kind is None:
                raise self._failure(failure) from failure
        finally:
            self._file.close()
        if kind is None and self._file.error is not None:
            raise self._failure(self._file.error)


class _Checked:
    """A file that remembers its first error, as libraries forget those of their last writes."""

    def __init__(self, path: Path) -> None:
        self.error: OSError | None = None
        self.name = str(path)
        try:
            self._file: IO[bytes] = path.open("wb")
        except OSError as error:
            raise ConvertError(f"{path} cannot be written: {error.strerror or error}") from error

    def write(self, data: bytes) -> int:
        """Write, as a file does."""
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Seek, as a file does."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Tell the position, as a file does."""
        return self._file.tell()

    def sync(self) -> None:
        """Bring the file to the disk."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self.error = self.error or error
            raise

    def close(self) -> None:
        """Close the file; an error of its last writes is remembered, not raised."""
        try:
            self._file.close()
        except OSError as error:
            self.error = self.error or error
