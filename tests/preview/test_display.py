"""vsrrin.preview.display: frames as an ordinary screen shows them."""

import numpy as np
import vapoursynth as vs

from vsrrin.clip import frames
from vsrrin.preview import display


def test_frames_are_looked_at_as_the_filter_reads_them(bunny: vs.VideoNode) -> None:
    frame = bunny.get_frame(3)
    colour = frames.Colour.of_frame(frame)
    image = frames.to_tensor(frame, colour)[0].permute(1, 2, 0).clamp(0, 1).mul(255).round()
    assert np.array_equal(display.shown(frame), image.numpy().astype(np.uint8))
