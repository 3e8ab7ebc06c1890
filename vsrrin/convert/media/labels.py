"""Tags and chapters for a new file."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import av.container
import av.stream
from av.rational import AVRational

from .containers import Container
from .probe import Chapter, StreamInfo
from .streams import Cut

# Said of another file, or of the video before it was encoded anew.
_STALE = {
    "alpha_mode", "bps", "compatible_brands", "duration", "encoder", "major_brand", "minor_version", "number_of_bytes",
    "number_of_frames", "stereo_mode", "timecode", "vendor_id",
}  # fmt: skip
_STALE_PREFIX = "_statistics_"
_CHAPTER_UNIT = Fraction(1, 1_000_000)
# FFmpeg's writer of QuickTime files knows one of the two codes of a language only.
_MOV_LANGUAGES = {
    "deu": "ger", "nld": "dut", "swe": "sve", "zho": "chi", "ell": "gre", "fas": "per", "isl": "ice", "fre": "fra",
    "cze": "ces", "rum": "ron", "slo": "slk", "nob": "nor", "nno": "nor",
}  # fmt: skip


def fresh(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata without what is no longer true; Matroska marks its statistics with a language: ``BPS-eng``."""
    kept = {}
    for key, value in metadata.items():
        name = key.lower()
        if name.partition("-")[0] not in _STALE and not name.startswith(_STALE_PREFIX):
            # Files that hold it in two ways give both.
            kept[key] = value.partition(";")[0] if name == "creation_time" else value
    return kept


def label(stream: av.stream.Stream, source: StreamInfo, container: Container) -> None:
    """Give a stream the tags and the disposition of the one it is made of."""
    stream.metadata.update(fresh(source.metadata))
    title = source.metadata.get("title")
    if title and container.format in ("mp4", "mov"):
        stream.metadata["handler_name"] = title  # the only name of a track that MP4 players show
    if container.format == "mov" and source.language in _MOV_LANGUAGES:
        stream.metadata["language"] = _MOV_LANGUAGES[source.language]
    stream.disposition = av.stream.Disposition(source.disposition)


def moved_chapters(
    chapters: Sequence[Chapter], cut: Cut, tempo: Fraction, length: Fraction
) -> "Iterator[av.container.core.Chapter]":
    """Yield the chapters of the used part, at their new times, within the length of the video."""
    for number, chapter in enumerate(chapters, 1):
        start = max((chapter.start - cut.start) * tempo, Fraction(0))
        end = min((chapter.end - cut.start) * tempo, length)
        if end > start:
            yield {
                "id": number,
                "start": round(start / _CHAPTER_UNIT),
                "end": round(end / _CHAPTER_UNIT),
                "time_base": AVRational(_CHAPTER_UNIT),
                "metadata": dict(chapter.metadata),
            }
