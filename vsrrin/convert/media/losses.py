"""Losses of a conversion: what the source carries, and the written file, read in the same way, does not.

Both are compared as a whole, so that nothing has to be thought of in advance; known losses are explained.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from sys import byteorder

from av.stream import Disposition
from av.video.reformatter import ChromaLocation, ColorPrimaries, ColorRange, Colorspace, ColorTrc

from .containers import Container
from .labels import is_stale, same_language
from .probe import Chapter, MediaInfo, StreamInfo
from .streams import StreamPlan, describe
from .timecode import timecode_of

_ALONE = "it describes each source frame alone"
# Of side data: what it is, and why it is lost; without a reason, the container has no place for it.
_SIDE_DATA = {
    "3d_reference_displays": ("the reference displays of a stereoscopic video", ""),
    "a53_cc": (
        "the closed captions inside the video",
        "they are a part of its frames; ffmpeg -f lavfi can write them to a file (source movie, output subcc)",
    ),
    "afd": ("the active format description (AFD)", "it is a part of the frames"),
    "ambient_viewing_environment": ("the ambient viewing environment (HDR)", ""),
    "content_light_level": ("the content light level (HDR)", ""),
    "dovi_conf": ("Dolby Vision", _ALONE),
    "dovi_metadata": ("Dolby Vision", _ALONE),
    "dovi_rpu_buffer": ("Dolby Vision", _ALONE),
    "dynamic_hdr10_plus": ("HDR10+", _ALONE),
    "dynamic_hdr_smpte_2094_app5": ("dynamic HDR metadata (SMPTE ST 2094-50)", _ALONE),
    "dynamic_hdr_vivid": ("HDR Vivid", _ALONE),
    "exif": ("the EXIF data of the frames", "encoders of videos take none"),
    "frame_cropping": ("the cropping that players do", ""),
    "gop_timecode": ("the timecode inside the video", "it counts source frames"),
    "icc_profile": ("the colour profile (ICC)", "encoders of videos take none"),
    "mastering_display_metadata": ("the mastering display (HDR)", ""),
    "panscan": ("pan and scan", "it is a part of the frames"),
    "s12m_timecode": ("the timecode inside the video", "it counts source frames"),
    "sei_unregistered": ("user data inside the video", "it is a part of the frames"),
    "spherical": ("the projection of a 360 degree video, or its direction,", ""),
    "stereo_3d": ("the packing of a stereoscopic video", ""),
}
# Of the encoded video alone, or already in the decoded pictures.
_MEANINGLESS = {
    "cpb_properties", "detection_bboxes", "film_grain_params", "motion_vectors", "new_extradata", "param_change",
    "quality_stats", "regions_of_interest", "skip_samples", "video_enc_params", "video_hint", "view_id",
}  # fmt: skip
_ENCODERS = (b"x264", b"x265")
_PICTURES = int(Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image)
_TOLD_BY_OTHERS = frozenset({"alpha_mode", "language", "timecode"})
_ALTERNATING = (3).to_bytes(4, byteorder)
_SHOWN = 40
_ROUNDING = 0.02
"""Of a pixel's aspect, in whose place Matroska has whole pixels of a screen: a difference in small pictures."""
_ENUMS = {
    "matrix": Colorspace, "primaries": ColorPrimaries, "transfer": ColorTrc, "range": ColorRange,
    "chroma location": ChromaLocation,
}  # fmt: skip


def losses(
    source: MediaInfo, made: MediaInfo, plan: StreamPlan, chapters: Sequence[Chapter], container: Container
) -> tuple[str, ...]:
    """Return a message for each thing that is lost; dropped streams have theirs in the plan.

    Args:
        source: The source.
        made: The written file, or a trial of it.
        plan: The streams that are in it.
        chapters: The source's chapters, as far as they are in the part.
        container: The container of the written file.
    """
    covers = any(action.stream.is_picture for action in plan.kept)
    no_place = f"{container.name} has no place for {{}}"
    no_tags = "MP4 holds either free tags or cover pictures" if covers and container.format == "mp4" else no_place
    found = [*_picture_losses(source, made), *_side_data_losses(source.video, made.video, container)]
    timecode = timecode_of(source)
    if timecode is not None and timecode_of(made) is None:
        found.append(f"the timecode {timecode} is left out: the new frames cannot be numbered by it")
    found += tag_losses("the file", source.metadata, made.metadata, no_tags)
    found += _chapter_losses(chapters, made.chapters, no_place)
    for name, before, after in _pairs(source, made, plan):
        told = _TOLD_BY_OTHERS
        if before.is_picture:  # only Matroska has names of files
            told |= {"filename", "mimetype"}
        if "stereo_3d" in before.side_data:
            told |= {"stereo_mode"}
        found += tag_losses(name, before.metadata, after.metadata, no_place, told)
        found += _label_losses(name, before, after, no_place)
        if before is not source.video:
            found += _side_data_losses(before, after, container)
    return tuple(dict.fromkeys(found))


def _pairs(source: MediaInfo, made: MediaInfo, plan: StreamPlan) -> Iterator[tuple[str, StreamInfo, StreamInfo]]:
    """Yield the streams of the source with a name, and what has become of them: those of a kind stay in order."""
    yield "the video", source.video, made.video
    after = [stream for stream in made.others if stream.kind != "data"]
    for action in plan.kept:
        kind = action.stream.kind, action.stream.is_picture
        found = next((stream for stream in after if (stream.kind, stream.is_picture) == kind), None)
        if found is not None:
            after.remove(found)
            yield describe(action.stream), action.stream, found


def _picture_losses(source: MediaInfo, made: MediaInfo) -> Iterator[str]:
    if source.size and made.size and sorted(source.size) != sorted(made.size):
        before, after = ("x".join(map(str, info.size or ())) for info in (source, made))
        yield f"the picture of {before} is cut to {after}: its last odd column or row is not decoded"
    if source.video.side_data.get("stereo_3d", b"")[:4] == _ALTERNATING:
        yield (
            "the views of both eyes alternate from frame to frame, and new frames mix them: put them beside each other "
            "first, with ffmpeg's filter stereo3d (al:sbsl)"
        )
    if source.size and abs(source.sample_aspect / made.sample_aspect - 1) > _ROUNDING:
        yield f"the pixel aspect {source.sample_aspect} becomes {made.sample_aspect}"
    if source.colours.get("matrix") == 0:  # RGB
        return
    for name, number in source.colours.items():
        if name == "range" and made.video.codec == "prores":  # samples are changed to the only one
            continue
        if (other := made.colours.get(name)) != number:
            becomes = f"becomes {_colour(name, other)}" if other is not None else "is left out"
            yield f"what is said of the {name} of the colours, {_colour(name, number)}, {becomes}"


def _colour(name: str, number: int) -> str:
    known = [entry.name.lower() for entry in _ENUMS[name] if entry == number]
    return known[0] if known else f"number {number}"


def _side_data_losses(before: StreamInfo, after: StreamInfo, container: Container) -> Iterator[str]:
    for name, data in before.side_data.items():
        if _is_kept(name, before, after, container) or name in _MEANINGLESS or not _matters(name, data):
            continue
        what, why = _SIDE_DATA.get(name, (f"{name.replace('_', ' ')} of {describe(before)}", ""))
        are = "are" if name == "a53_cc" else "is"
        yield f"{what} {are} left out: {why or f'{container.name} has no place for it'}"


def _matters(name: str, data: bytes) -> bool:
    if name == "panscan":
        return any(data[12:])  # offsets of the window; it is the whole picture where they are 0
    if name == "sei_unregistered":
        return not any(encoder in data for encoder in _ENCODERS)
    return any(data) if name == "gop_timecode" else True


def _is_kept(name: str, before: StreamInfo, after: StreamInfo, container: Container) -> bool:
    if name == "spherical" and name in after.side_data and container.format == "mov":  # which has no direction
        return before.side_data[name][:16] == after.side_data[name][:16]
    return name in after.side_data


def tag_losses(
    owner: str, before: Mapping[str, str], after: Mapping[str, str], why: str, told: Set[str] = _TOLD_BY_OTHERS
) -> Iterator[str]:
    """Yield a message for the tags whose values are gone, under whatever name: containers have names of their own."""
    kept = set(map(_comparable, after.values()))
    titled = any(key.lower() in ("title", "name") for key in before)
    lost = []
    for key, value in before.items():
        name = key.lower()
        if is_stale(name) or name in told or (name == "handler_name" and titled):
            continue
        if value.strip() and _comparable(value) not in kept:
            short = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
            lost.append(f'{key} "{short}"')
    if lost:
        tags, those = ("tag", "it") if len(lost) == 1 else ("tags", "them")
        is_or_are = "is" if len(lost) == 1 else "are"
        yield f"the {tags} {', '.join(lost)} of {owner} {is_or_are} left out: {why.format(those)}"


def _comparable(value: str) -> str:
    """Return a value without what containers change: moments have more or fewer digits, or stand there twice."""
    text = value.partition(";")[0].strip()
    return text[:19] if text[10:11] == "T" and text[4:5] == text[7:8] == "-" else text


def _label_losses(name: str, before: StreamInfo, after: StreamInfo, no_place: str) -> Iterator[str]:
    if not same_language(before.language, after.language):
        yield f"the language {before.language} of {name} is left out: {no_place.format('it')}"
    lost = Disposition(before.disposition & ~after.disposition & ~_PICTURES)
    for flag in lost:
        yield f"the mark {str(flag.name).replace('_', ' ')} of {name} is left out: {no_place.format('it')}"


def _chapter_losses(before: Sequence[Chapter], after: Sequence[Chapter], no_place: str) -> Iterator[str]:
    if len(after) < len(before):
        yield f"{len(before) - len(after)} of {len(before)} chapters are left out: {no_place.format('them')}"
    lost = [
        message
        for number, (chapter, made) in enumerate(zip(before, after, strict=False), 1)
        for message in tag_losses(f"chapter {number}", chapter.metadata, made.metadata, no_place)
    ]
    if lost:
        yield lost[0] if len(lost) == 1 else f"{lost[0]}; so are those of {len(lost) - 1} other chapters"
