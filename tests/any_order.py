"""Frames that are asked for in any order, by several threads at once."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import vapoursynth as vs

from tests.conftest import planes

REQUESTS = 200
THREADS = 4


def contents(frame: vs.VideoFrame) -> tuple[list[bytes], dict[str, Any]]:
    """All bits and all properties of a frame, those of the frames among them too."""
    props = {
        name: contents(value) if isinstance(value, vs.VideoFrame) else value
        for name, value in dict(frame.props).items()
    }
    return [plane.tobytes() for plane in planes(frame)], props


def check_any_order(make: Callable[[], vs.VideoNode], requests: int = REQUESTS) -> None:
    """Check that frames of chance are those that come one after the other, bit for bit.

    Args:
        make: Builds the graph; it is built twice, so that nothing is kept of the frames in order.
        requests: Frames to ask for. None is kept: one that is asked for twice is made twice.
    """
    expected = [contents(frame) for frame in make().frames(close=True)]
    clip = make()
    clip.std.SetVideoCache(mode=0)
    numbers = random.Random(0).choices(range(clip.num_frames), k=requests)
    with ThreadPoolExecutor(THREADS) as pool:
        for number, found in zip(numbers, pool.map(lambda n: contents(clip.get_frame(n)), numbers), strict=True):
            assert found == expected[number], f"frame {number} is another one"
