"""Small videos written by PyAV."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tests.training.pictures import picture

type Picture = NDArray[np.uint8]

HEIGHT, WIDTH = 64, 96


def pan(frames: int, speed: float = 2.0, seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)) -> list[Picture]:
    """A texture that moves to the right by ``speed`` pixels a frame."""
    return [_picture(size, speed * number, seed) for number in range(frames)]


@lru_cache(maxsize=512)
def _picture(size: tuple[int, int], shift: float, seed: int) -> Picture:
    made = picture(*size, (shift, 0.0), seed)
    made.flags.writeable = False
    return made


def write_video(
    path: Path, pictures: Sequence[Picture], *, rate: int = 25, codec: str = "ffv1", pix_fmt: str = "bgr0"
) -> Path:
    """Writes RGB pictures of one size, without loss unless the codec or format has some."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], pix_fmt
        for each in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(each, format="rgb24")))
        container.mux(stream.encode(None))
    return path
