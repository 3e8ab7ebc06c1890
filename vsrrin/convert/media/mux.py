"""Joining of encoded segments and the source's other streams into one file."""

import heapq
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Protocol, Self

import av
import av.container
import av.error
import av.stream
import av.subtitles.stream

from vsrrin import files
from vsrrin.clip.retiming import Pace
from vsrrin.errors import ConvertError

from . import marks, side_alpha
from .captions import Captions, add_converter
from .containers import Container, container_for
from .labels import fresh, label, moved_chapters
from .matroska import ROOM, show_at
from .pictures import Picture
from .probe import Chapter, MediaInfo, StreamInfo, as_fraction
from .segments import read_order
from .sound import CopiedSound, TranscodedSound, add_encoder, part_end
from .streams import AnyPacket, Cut, Packets, StreamAction, StreamPlan, audio_format
from .timecode import renumbered, timecode_of
from .video_packets import decoding_time, video_packets

if TYPE_CHECKING:
    from .encode import VideoTimes

__all__ = ["Cut", "Joined", "join"]

_MIME = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
# Where to begin to read for a cut: decoders need some time before it, and subtitles may have begun long before.
_SEEK_BACK = 30
# Codecs whose own headers tell the aspect of pixels.
_TELL_ASPECT = ("h264", "hevc")
# Packets of sound that a trial takes: some formats look into the first ones.
_TRIED = 8


class _Worker(Protocol):
    """Packets of one source stream, turned into packets of one target stream."""

    def feed(self, packet: AnyPacket) -> Packets: ...

    def finish(self) -> Packets: ...


@dataclass(frozen=True)
class Joined:
    """Streams of a written file.

    Attributes:
        written: Plan for those that are in it: not sound and covers of which nothing was found.
        plan: Plan for those that can be in it. In a trial, others may be found later.
        chapters: The source's chapters in the used part.
    """

    written: StreamPlan
    plan: StreamPlan
    chapters: tuple[Chapter, ...]


def join(
    segments: Sequence[Path],
    target: Path,
    info: MediaInfo,
    plan: StreamPlan,
    *,
    frame_times: "VideoTimes",
    cut: Cut,
    pace: Pace,
    trial: float | None = None,
) -> "Joined":
    """Write the result: the video of all segments in order, and all planned streams, chapters and attachments.

    The video is not encoded again. Decoding times are made anew, so that segments with reordered frames follow each
    other without a break.

    Args:
        segments: Files of one video stream each, in order, of the same codec and headers.
        target: The file to write; its extension names the container.
        info: The source.
        plan: The actions for the other streams.
        frame_times: Presentation times of the output's frames.
        cut: The part of the source that is used.
        pace: Map from the part to the output.
        trial: Seconds to read the source for at most; only the first packets of each stream are taken then.

    Returns:
        What was written.

    Raises:
        ConvertError: The segments do not fit each other or the times, or the file cannot be written.
    """
    order = read_order(segments)
    if len(order) != frame_times.frames:
        raise ConvertError(f"{target.name}: the segments hold {len(order)} frames instead of {frame_times.frames}")
    known, shown = plan, _shown(segments[0], container_for(target), info, frame_times)
    while True:
        job = _Job(segments, target, info, plan, cut, pace, trial)
        failure: Exception | None = None
        try:
            with job:
                job.add_streams(frame_times, room=shown is not None)
                video = video_packets(segments, job.video, order, frame_times)
                for packet in heapq.merge(video, job.other_packets(), key=decoding_time):
                    job.output.mux_one(packet)
                job.output.close()
                if shown is not None:
                    show_at(target, *shown)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            failure = error
        # Some formats refuse a track that has no packet, and in others verification would.
        empty = job.without_packets() if job.is_read else frozenset()
        if failure is not None and not empty:
            reason = getattr(failure, "strerror", None) or failure
            raise ConvertError(f"{target} cannot be written: {reason}") from failure
        if job.is_whole:
            known = known.without(empty, "it has nothing in the source, or in the chosen part")
        if not empty:
            return Joined(written=plan, plan=known, chapters=job.chapters)
        plan = plan.without(empty, "")


def _shown(segment: Path, container: Container, info: MediaInfo, times: "VideoTimes") -> tuple[int, int] | None:
    """Return the size on a screen where a container has to hold it; others have it from the video."""
    if not container.shows or times.tags is None:
        return None
    with av.open(files.url(segment)) as encoded:
        context = encoded.streams.video[0].codec_context
        if context.codec.canonical_name in _TELL_ASPECT:
            return None
        written = marks.carried(info.video.side_data, container)
        return marks.shown((context.width, context.height), times.tags.aspect, written)


class _Job:
    """The files of one attempt of `join`, open within its context.

    Attributes:
        chapters: The source's chapters in the used part.
        is_read: Whether the source has been read as far as is wanted.
        is_whole: Whether it has been read to its end.
    """

    def __init__(
        self,
        segments: Sequence[Path],
        target: Path,
        info: MediaInfo,
        plan: StreamPlan,
        cut: Cut,
        pace: Pace,
        trial: float | None,
    ) -> None:
        self._segments, self._target, self._info, self._plan = segments, target, info, plan
        self._cut, self._pace = cut, pace
        self._container: Container = container_for(target)
        self._beginning = info.start + cut.start
        self._workers: dict[int, _Worker] = {}
        self._input: av.container.InputContainer | None = None
        self._deadline = monotonic() + trial if trial is not None else None
        self._read: Counter[int] = Counter()
        self._made: Counter[int] = Counter()
        self.is_read = self.is_whole = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._first = stack.enter_context(av.open(files.url(self._segments[0])))
            self.output = stack.enter_context(
                av.open(
                    files.url(self._target),
                    "w",
                    format=self._container.format,
                    container_options=self._options(),
                )
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _options(self) -> dict[str, str]:
        """Return the muxer's options.

        QuickTime and MP4 have two ways to hold metadata: one takes any key, and the other cover pictures.
        """
        options, tags = dict(self._container.options), self._container.tags
        if tags is None:
            return options
        given = {key.lower() for key in fresh(self._info.metadata)}
        if not given <= tags and not any(action.stream.is_picture for action in self._plan.kept):
            options["movflags"] += "+use_metadata_tags"
        if {"spherical", "stereo_3d"} & self._info.video.side_data.keys():
            options["strict"] = "unofficial"  # marks that are no part of the standard
        return options

    def add_streams(self, times: "VideoTimes", *, room: bool) -> None:
        """Declare everything that stands in the header."""
        timecode, info = self._timecode(times), self._info
        self.output.metadata.update(fresh(info.metadata, timecode if self._container.tags is None else None))
        if self._plan.kept:
            self._input = self._stack.enter_context(av.open(files.url(info.path)))
        for action in (action for action in self._plan.kept if action.stream.index < info.video.index):
            self._add(action)
        self.video = self._add_video(times, timecode)
        if room:
            self.video.metadata["title"] = self.video.metadata.get("title", "") + ROOM
        for action in (action for action in self._plan.kept if action.stream.index > info.video.index):
            self._add(action)
        length = times.start + times.duration if self._deadline is None else None
        moved = tuple(moved_chapters(info.chapters, self._cut, self._pace, length))
        self.chapters = tuple(chapter for chapter, _ in moved)
        self.output.set_chapters([made for _, made in moved])

    def _timecode(self, times: "VideoTimes") -> str | None:
        timecode, info = timecode_of(self._info), self._info
        if timecode is None or times.step is None or not self._pace.is_plain:
            return None
        return renumbered(timecode, info.rate, times.steady_rate, self._cut.start + times.start - info.video_start)

    def _add_video(self, times: "VideoTimes", timecode: str | None) -> av.VideoStream:
        template = encoded = self._first.streams.video[0]
        if written := marks.carried(self._info.video.side_data, self._container):
            model = marks.model(self._segments[0], written)
            template = self._stack.enter_context(av.open(model)).streams.video[0]
        stream = self.output.add_stream_from_template(template, opaque=True)
        stream.time_base = times.time_base
        context = stream.codec_context
        context.extradata = encoded.codec_context.extradata
        if times.tags is not None:
            times.tags.describe(context)
        if self._container.format in ("mp4", "mov") and context.codec.canonical_name == "hevc":
            context.codec_tag = "hvc1"  # Apple's players take no other
        if self._container.format == "mov" and context.codec.canonical_name == "prores":
            context.codec_tag = encoded.codec_context.codec_tag  # which tells 4444 from 422
        if times.step is not None:
            context.framerate = times.steady_rate
        stream.set_display_matrix(self._info.display_matrix)
        label(stream, self._info.video, self._container, timecode)
        if times.tags is not None and times.tags.alpha and context.codec.canonical_name in side_alpha.CODECS:
            stream.metadata["alpha_mode"] = "1"  # of which Matroska's own mark is made
        return stream

    def _add(self, action: StreamAction) -> None:
        assert self._input is not None
        source = self._input.streams[action.stream.index]
        if isinstance(source, av.stream.AttachmentStream):
            self.output.add_stream_from_template(source)
        elif action.stream.is_picture:
            self._add_picture(action.stream, source)
        elif isinstance(source, av.AudioStream):
            self._add_sound(action, source)
        elif isinstance(source, av.subtitles.stream.SubtitleStream | av.stream.DataStream):
            self._add_captions(action, source)

    def _add_picture(self, info: StreamInfo, source: av.stream.Stream) -> None:
        """Add a cover: an attached file in Matroska, a stream of one packet elsewhere."""
        if self._container.attachments:
            name, mime = _MIME[info.codec]
            with av.open(files.url(self._info.path)) as again:
                data = next((bytes(packet) for packet in again.demux(again.streams[info.index]) if packet.size), b"")
            name, mime = info.metadata.get("filename", name), info.metadata.get("mimetype", mime)
            self.output.add_attachment(name, mime, data).metadata.update(fresh(info.metadata))
            return
        stream = self.output.add_stream_from_template(source, opaque=True)
        label(stream, info, self._container)
        self._workers[info.index] = Picture(stream)

    def _add_sound(self, action: StreamAction, source: av.AudioStream) -> None:
        end = part_end(self._cut)
        if action.action == "copy":
            copied = self.output.add_stream_from_template(source, opaque=True)
            self._workers[source.index] = CopiedSound(source, copied, beginning=self._beginning, end=end)
            label(copied, action.stream, self._container)
            return
        assert action.codec is not None
        made = add_encoder(self.output, source, audio_format(action.stream, action.codec))
        self._workers[source.index] = TranscodedSound(source, made, beginning=self._beginning, end=end, pace=self._pace)
        label(made, action.stream, self._container)

    def _add_captions(self, action: StreamAction, source: av.stream.Stream) -> None:
        """Add subtitles, or other data that belongs to moments."""
        converts = action.action == "transcode"
        stream: av.stream.Stream
        if converts:
            assert action.codec is not None and isinstance(source, av.subtitles.stream.SubtitleStream)
            stream = add_converter(self.output, source, action.codec)
        else:
            stream = self.output.add_stream_from_template(source, opaque=True)
        self._workers[source.index] = Captions(
            source,
            stream,
            converts=converts,
            beginning=self._beginning,
            end=part_end(self._cut),
            pace=self._pace,
        )
        label(stream, action.stream, self._container)

    def other_packets(self) -> Packets:
        """Yield the packets of all streams but the video, nearly in order."""
        if self._input is None or not self._workers:
            return
        self.output.start_encoding()  # opens the encoders
        streams = list(self._input.streams)
        if self._deadline is None:  # FFmpeg would look for the packets of a rare stream for as long as it takes
            for stream in streams:
                if stream.index not in self._workers:
                    stream.discard = av.stream.Discard.all
            streams = [streams[index] for index in self._workers]
        self._seek()
        for packet in self._input.demux(streams):
            if packet.size and packet.stream_index in self._workers:
                yield from self._fed(packet)
            if self._is_enough():
                break
        else:
            self.is_whole = True
        for index, worker in self._workers.items():
            yield from self._counted(index, worker.finish())
        self.is_read = True

    def _fed(self, packet: AnyPacket) -> Packets:
        index = packet.stream_index
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None or time * as_fraction(packet.time_base) >= self._beginning:
            self._read[index] += 1
        made = self._counted(index, self._workers[index].feed(packet))
        yield from made if self._deadline is None else islice(made, _TRIED)  # minutes of silence may come before it

    def _counted(self, index: int, packets: Packets) -> Packets:
        for packet in packets:
            self._made[index] += 1
            yield packet

    def _is_enough(self) -> bool:
        """Return whether a trial has read what it needs, or for long enough."""
        if self._deadline is None:
            return False
        return all(self._read[i] >= self._tried(i) for i in self._workers) or monotonic() > self._deadline

    def _tried(self, index: int) -> int:
        assert self._input is not None
        return _TRIED if self._input.streams[index].type == "audio" else 1

    def without_packets(self) -> frozenset[int]:
        """Return the indices of sound and covers of which there was nothing to write; subtitles may have nothing."""
        kinds = {stream.index: stream.kind for stream in self._info.others}
        return frozenset(index for index in self._workers if not self._made[index] and kinds[index] != "subtitle")

    def _seek(self) -> None:
        """Skip what lies long before the part, in files with an index; others are read through."""
        assert self._input is not None
        position = self._beginning - _SEEK_BACK
        if self._cut.start > 2 * _SEEK_BACK and self._info.is_indexed:
            self._input.seek(int(position * av.time_base))
