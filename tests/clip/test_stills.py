"""Still parts of new frames."""

import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray

from tests.conftest import planes
from vsrrin.clip.frames import Colour
from vsrrin.clip.stills import keep_still


def flat(format_id: int, part: float = 0.4) -> vs.VideoFrame:
    blank = vs.core.std.BlankClip(format=format_id, width=96, height=64, length=1)
    frame = blank.get_frame(0).copy()
    for plane in range(frame.format.num_planes):
        target = np.asarray(frame[plane])
        target[...] = part * peak(target)
    return frame


def peak(plane: NDArray[np.generic]) -> float:
    return float(np.iinfo(plane.dtype).max) if plane.dtype.kind == "u" else 1.0


FORMATS = (vs.GRAY8, vs.YUV420P8, vs.YUV444P16, vs.RGB24, vs.RGBH, vs.GRAYS)


@pytest.mark.parametrize("value", [0.9, 0.62], ids=["strong", "weak"])
@pytest.mark.parametrize("format_id", FORMATS)
def test_noise_goes_and_what_crosses_stays(format_id: int, value: float) -> None:
    left, right, new = (flat(format_id) for _ in range(3))
    wanted = planes(flat(format_id))
    noise = np.random.default_rng(0)
    for plane, source in zip(range(new.format.num_planes), wanted, strict=True):
        target = np.asarray(new[plane])
        rows, columns = (slice(side // 2, side * 5 // 8) for side in target.shape)
        target[...] = source + noise.uniform(-0.03, 0.03, target.shape) * peak(target)
        target[rows, columns] = value * peak(target)
        source[rows, columns] = target[rows, columns]
    keep_still(new, left, right, Colour.of_frame(left))
    for made, expected in zip(planes(new), wanted, strict=True):
        rows, columns = (slice(side // 2 - 2, side * 5 // 8 + 2) for side in made.shape)
        core = tuple(slice(side // 2, side * 5 // 8) for side in made.shape)
        assert np.array_equal(made[core], expected[core])
        made[rows, columns] = expected[rows, columns]
        assert np.array_equal(made, expected)


@pytest.mark.parametrize("format_id", FORMATS)
def test_near_what_differs_and_where_a_sample_is_no_number_nothing_changes(format_id: int) -> None:
    left, right, new = (flat(format_id, part) for part in (0.4, 0.4, 0.41))
    for plane in range(new.format.num_planes):
        np.asarray(right[plane])[::3, ::3] = 0
        if new.format.sample_type == vs.FLOAT:
            np.asarray(left[plane])[4], np.asarray(right[plane])[4] = np.inf, np.inf
    before = [plane.copy() for plane in planes(new)]
    keep_still(new, left, right, Colour.of_frame(left))
    assert all(np.array_equal(a, b) for a, b in zip(planes(new), before, strict=True))
