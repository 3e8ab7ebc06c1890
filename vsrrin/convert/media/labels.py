"""Tags and chapters for a new file."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import av.container
import av.stream
from av.rational import AVRational

from vsrrin.clip.retiming import Pace

from .containers import Container
from .probe import Chapter, StreamInfo
from .streams import Cut

# Said of another file, or of the video before it was encoded anew.
_STALE = {
    "bps", "compatible_brands", "duration", "encoder", "major_brand", "minor_version", "number_of_bytes",
    "number_of_frames", "vendor_id",
}  # fmt: skip
_STALE_PREFIX = "_statistics_"
_WEBM_PACKINGS = {"mono", "left_right", "right_left", "top_bottom", "bottom_top"}
_CHAPTER_UNIT = Fraction(1, 1_000_000)
# FFmpeg's writer of QuickTime files knows one of the two codes of a language only.
_MOV_LANGUAGES = {
    "deu": "ger", "nld": "dut", "swe": "sve", "zho": "chi", "ell": "gre", "fas": "per", "isl": "ice", "fre": "fra",
    "cze": "ces", "rum": "ron", "slo": "slk", "nob": "nor", "nno": "nor",
}  # fmt: skip


def is_stale(name: str) -> bool:
    """Return whether a tag, in lower case, is said of one file alone; Matroska marks languages: ``BPS-eng``."""
    return name.partition("-")[0] in _STALE or name.startswith(_STALE_PREFIX)


def fresh(metadata: Mapping[str, str], timecode: str | None = None) -> dict[str, str]:
    """Return tags without what is no longer true, and with the new timecode, if there is one, where there was one."""
    kept = {}
    for key, value in metadata.items():
        name = key.lower()
        if name == "timecode" and timecode is not None:
            kept[key] = timecode
        elif name == "creation_time":
            kept[key] = value.partition(";")[0]  # files that hold it in two ways give both
        elif name not in ("alpha_mode", "timecode") and not is_stale(name):
            kept[key] = value
    return kept


def same_language(language: str | None, other: str | None) -> bool:
    """Return whether two languages are the same, of which some have two codes."""
    first, second = (None if code == "und" else _MOV_LANGUAGES.get(code or "", code) for code in (language, other))
    return first == second


def label(stream: av.stream.Stream, source: StreamInfo, container: Container, timecode: str | None = None) -> None:
    """Give a stream the tags and the disposition of the one it is made of."""
    stream.metadata.update(fresh(source.metadata, timecode))
    if timecode is not None and container.tags is not None:
        stream.metadata["timecode"] = timecode  # of which a track is made
    title = source.metadata.get("title") or source.metadata.get("name")  # QuickTime's own
    if title and container.format in ("mp4", "mov"):
        stream.metadata["handler_name"] = title  # the only name of a track that MP4 players show
    elif title:
        stream.metadata["title"] = title
    if container.format == "mov" and source.language in _MOV_LANGUAGES:
        stream.metadata["language"] = _MOV_LANGUAGES[source.language]
    if container.format == "webm" and stream.metadata.get("stereo_mode", "mono") not in _WEBM_PACKINGS:
        del stream.metadata["stereo_mode"]  # its writer refuses the others
    stream.disposition = av.stream.Disposition(source.disposition)


def moved_chapters(
    chapters: Sequence[Chapter], cut: Cut, pace: Pace, length: Fraction | None
) -> "Iterator[tuple[Chapter, av.container.core.Chapter]]":
    """Yield the chapters of the used part with what is written: new times, within the length of the video if known."""
    for number, chapter in enumerate(chapters, 1):
        start = pace.moment(max(chapter.start - cut.start, Fraction(0)))
        end = pace.moment(max(chapter.end - cut.start, Fraction(0)))
        end = end if length is None else min(end, length)
        if end > start:
            yield (
                chapter,
                {
                    "id": number,
                    "start": round(start / _CHAPTER_UNIT),
                    "end": round(end / _CHAPTER_UNIT),
                    "time_base": AVRational(_CHAPTER_UNIT),
                    "metadata": dict(chapter.metadata),
                },
            )
