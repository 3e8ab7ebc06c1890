"""Trial of the last step before the first: joining and verification with one frame and the first packets."""

from dataclasses import dataclass
from pathlib import Path

from vsrrin.clip.retiming import Pace
from vsrrin.errors import ConvertError

from .containers import container_for
from .encode import VideoTimes
from .mux import Joined, join
from .probe import MediaInfo
from .streams import Cut, StreamAction, StreamPlan, describe, is_text
from .verify import verify

_SECONDS = 1.5
"""Longest time to read a source for: streams that have no packet by then are tried by the last step alone."""
_LONG_CUT = 60
"""Seconds: where no index leads to a part that begins later, the trial takes packets from the beginning."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Trial of the last step.

    Attributes:
        segment: A file of one encoded frame.
        times: Times of this frame.
        joined: The file to write, whose extension names the container.
        info: The source.
        cut: The part of the source that is used.
        pace: Map from the part to the output.
    """

    segment: Path
    times: VideoTimes
    joined: Path
    info: MediaInfo
    cut: Cut
    pace: Pace

    def run(self, plan: StreamPlan) -> Joined:
        """Write the file by a plan without what the source turns out not to have, and other ways for what is refused.

        Raises:
            ConvertError: Sound, subtitles or the video cannot be written in any way.
        """
        try:
            return self._carried_out(plan)
        except ConvertError as error:
            changed = {}
            if self._refusal(StreamPlan((), ())) is None:  # it is not the video, the chapters or the file's labels
                for action in plan.kept:
                    if (refusal := self._refusal(StreamPlan((action,), ()))) is not None:
                        changed[action.stream.index] = self._other_way(action, refusal)
            if not changed:
                raise ConvertError(f"{self.info.path}: a trial of the last step failed: {_reason(error)}") from error
        return self.run(plan.replacing(changed))

    def _carried_out(self, plan: StreamPlan) -> Joined:
        skip = self.cut.start > _LONG_CUT and not self.info.is_indexed
        joined = join(
            [self.segment],
            self.joined,
            self.info,
            plan,
            frame_times=self.times,
            cut=Cut() if skip else self.cut,
            pace=self.pace,
            trial=_SECONDS,
        )
        verify(self.joined, self.times, joined.written)
        return joined

    def _refusal(self, plan: StreamPlan) -> ConvertError | None:
        """Return why a plan cannot be carried out; ``None`` if it can."""
        try:
            self._carried_out(plan)
        except ConvertError as error:
            return error
        return None

    def _other_way(self, action: StreamAction, refusal: ConvertError) -> StreamAction:
        stream, container = action.stream, container_for(self.joined)
        reason = f"{container.name} does not take it ({_reason(refusal)})"
        if stream.is_picture or stream.kind in ("attachment", "data"):
            return StreamAction(stream, "drop", None, reason)
        if action.action == "copy" and (stream.kind == "audio" or is_text(stream.codec)):
            codec = container.encoder(stream.codec) if stream.kind == "audio" else container.text_default
            other = StreamAction(stream, "transcode", codec, reason)
            if self._refusal(StreamPlan((other,), ())) is None:
                return other
        out = 'audio="drop"' if stream.kind == "audio" else "subtitles=False"
        elsewhere = "" if self.joined.suffix.lower() == ".mkv" else ", or write an .mkv file"
        raise ConvertError(f"{self.info.path}: {describe(stream)}: {reason}: leave it out ({out}){elsewhere}")


def _reason(error: ConvertError) -> str:
    """Return what is said of a trial's file, without its name, which nobody knows."""
    return str(getattr(error.__cause__, "strerror", None) or error.__cause__ or error)
