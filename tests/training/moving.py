"""Pictures and videos of known motion."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tests.conftest import texture

WIDTH, HEIGHT = 160, 96


def picture(shift: float = 0.0) -> NDArray[np.uint8]:
    """(H, W, 3): a texture moved to the right."""
    image = texture(HEIGHT, WIDTH, (shift, 0.0))[0].permute(1, 2, 0).numpy()
    return np.rint(image * 255).astype(np.uint8)


def write_video(path: Path, frames: int, speed: float) -> None:
    """The texture, moving by ``speed`` pixels a frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "8"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(speed * number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
