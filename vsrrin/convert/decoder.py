"""Frames of video files, through BestSource."""

import os
from pathlib import Path

import vapoursynth as vs

from vsrrin.clip import alpha
from vsrrin.errors import ConvertError


def open_video(path: Path, track: int) -> vs.VideoNode:
    """Return the frames of a video as stored; they carry ``_Alpha`` if its decoder gives alpha.

    Args:
        path: The file.
        track: Index of the stream.

    Raises:
        ConvertError: It cannot be decoded, or its size or pixel format changes.
    """
    if not hasattr(vs.core, "bs"):
        raise ConvertError("the source filter BestSource is missing: pip install vapoursynth-bestsource")
    try:
        clip = vs.core.bs.VideoSource(_in_utf8(path), track=track, cachemode=0, apply_rotation=0)
    except vs.Error as error:
        raise ConvertError(f"{path} cannot be decoded: {error}") from error
    assert isinstance(clip, vs.VideoNode)
    is_known = clip.format is not None and clip.format.color_family != vs.UNDEFINED
    if not is_known or not clip.width:
        changes = "size" if is_known else "pixel format"
        raise ConvertError(
            f"the {changes} of {path} changes midway: make it constant first, with ffmpeg -i IN -map 0 -c copy "
            "-c:v ffv1 NEW.mkv, which gives all frames those of the first one, or cut it into parts there"
        )
    return clip


def turned(clip: vs.VideoNode) -> vs.VideoNode:
    """Return a clip turned and mirrored as its frames say, with their alpha, which BestSource leaves as it is."""
    first = clip.get_frame(0)
    rotation, mirrored = (int(first.props.get(name, 0)) for name in ("Rotation", "FlipVertical"))
    if not rotation and not mirrored:
        return clip
    made = _turned(clip, rotation, mirrored=bool(mirrored)).std.SetFrameProps(Rotation=0, FlipVertical=0)
    if alpha.PROP not in first.props:
        return made
    return made.std.ClipToProp(_turned(alpha.alpha_of(clip), rotation, mirrored=bool(mirrored)), alpha.PROP)


def _turned(clip: vs.VideoNode, rotation: int, *, mirrored: bool) -> vs.VideoNode:
    if mirrored:
        clip = clip.std.FlipVertical()
    if rotation == 180:
        return clip.std.Turn180()
    if rotation in (90, 270):
        clip = clip.std.Transpose()
        return clip.std.FlipHorizontal() if rotation == 90 else clip.std.FlipVertical()
    return clip


def _in_utf8(path: Path) -> str:
    """Return a name of a file that VapourSynth takes: it knows no names but those in UTF-8."""
    name = str(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        # Never closed, as the decoder may open the file again at any time.
        name = f"/proc/self/fd/{os.open(path, os.O_RDONLY)}"
        if not os.path.exists(name):
            raise ConvertError(f"the name of {path} is not in UTF-8, and cannot be opened here: rename it") from None
    return name
