"""Alpha of VP8 and VP9 for the frames of a clip."""

import os
import tempfile
import weakref
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av.error
import vapoursynth as vs

from vsrrin.clip.alpha import PROP
from vsrrin.convert.media.side_alpha import write_alpha
from vsrrin.errors import ConvertError

from .decoder import open_video


def attach(
    clip: vs.VideoNode, path: Path, track: int, starts: Sequence[Fraction]
) -> tuple[vs.VideoNode, tuple[str, ...]]:
    """Return a clip with the alpha that is beside its video as the frames' ``_Alpha``, and messages for the user.

    The alpha is copied to a temporary file, which a second decoder reads.

    Args:
        clip: Frames of a video of VP8 or VP9.
        path: Its file.
        track: Its stream.
        starts: Times of the frames by the file's own clock.
    """
    file = _File()
    try:
        times = write_alpha(path, track, file.path)
        if not times:
            return clip, ()
        pictures = open_video(file.path, 0)
    except (ConvertError, av.error.FFmpegError):
        return clip, (_lost("it cannot be decoded"),)
    if (pictures.width, pictures.height) != (clip.width, clip.height):
        return clip, (_lost(f"it has {pictures.width}x{pictures.height} pixels"),)
    if pictures.num_frames != len(times):
        return clip, (_lost(f"of its {len(times)} frames, {pictures.num_frames} can be decoded"),)
    numbers = {time: number for number, time in enumerate(times)}
    places = [numbers.get(start) for start in starts]
    without = places.count(None)
    notes = (f"frames without alpha, which are opaque: {without}",) if without else ()
    return clip.std.ClipToProp(_alpha(clip, pictures, places, file), PROP), notes


def _lost(why: str) -> str:
    return f"transparent parts become opaque, as the alpha beside the video cannot be used: {why}"


class _File:
    """A temporary file that lives as long as this object, at most as long as the process.

    On Linux it has no name in any folder, so that nothing is left of it when the process is killed.
    """

    def __init__(self) -> None:
        handle, name = tempfile.mkstemp(prefix="vsrrin-", suffix=".mkv")
        self.path = Path(f"/proc/self/fd/{handle}")
        if self.path.exists():
            os.unlink(name)
            weakref.finalize(self, os.close, handle)
        else:
            os.close(handle)
            self.path = Path(name)
            weakref.finalize(self, self.path.unlink, missing_ok=True)


def _alpha(clip: vs.VideoNode, pictures: vs.VideoNode, places: Sequence[int | None], file: _File) -> vs.VideoNode:
    """Return the alpha of each frame: the luma of a picture, or opaque; ``file`` lives as long as the clip."""
    bits = clip.format.bits_per_sample
    wanted = vs.core.query_video_format(vs.GRAY, vs.INTEGER, bits, 0, 0)
    luma = pictures.std.ShufflePlanes(0, vs.GRAY).std.SetFrameProps(_Range=1)
    luma = luma.resize.Point(format=wanted.id, range_s="full")
    opaque = luma.std.BlankClip(length=1, color=(1 << bits) - 1, keep=True).std.SetFrameProps(_Range=1)
    whole = luma.std.BlankClip(length=clip.num_frames, keep=True)

    def select(n: int, _file: _File = file) -> vs.VideoNode:
        place = places[n]
        return opaque if place is None else luma[place]

    return whole.std.FrameEval(select, clip_src=[luma, opaque])
