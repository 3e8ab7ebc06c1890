"""PyAV on this machine: versions, encoders, and a small file to test them with."""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.codec
import av.codec.codec
import numpy as np
from numpy.typing import NDArray

from vsrrin import files


def versions() -> tuple[str, str]:
    """Return the versions of PyAV and of the FFmpeg libraries in it."""
    return av.__version__, str(av.ffmpeg_version_info)


def has_encoder(name: str) -> bool:
    """Return whether FFmpeg was built with an encoder."""
    try:
        av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def write_clip(path: Path, pictures: Sequence[NDArray[np.uint8]], codec: str) -> None:
    """Encode pictures (H, W, 3), RGB with even sides, as 4:2:0 video of 25 frames per second."""
    os.environ.setdefault("SVT_LOG", "1")  # errors only: the library writes to stderr by itself
    with av.open(files.url(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"x265-params": "log-level=error"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
