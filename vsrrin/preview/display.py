"""Frames as an ordinary screen shows them, in 8 bit RGB of BT.709; for the eye, not for computing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vsrrin.clip.frames import Colour, to_tensor

_PQ, _HLG, _LINEAR = 16, 18, 8
_BT2020 = 9
_WHITE = 203
"""Luminance of a white sheet in PQ, in cd/m2 (ITU-R BT.2408)."""
_GAMMA = np.float32(1 / 2.2)
_2020_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)

_NOTES = {
    _PQ: f"HDR (PQ): shown as on an SDR screen, clipped above white ({_WHITE} cd/m2)",
    _HLG: "HDR (HLG): shown as on an SDR screen, without its highlights",
    _LINEAR: "linear light: shown with gamma 2.2, clipped above white",
}


def shown(frame: vs.VideoFrame) -> NDArray[np.uint8]:
    """Return a frame of any supported format as (H, W, 3), clipped to the screen's range; NaN is black."""
    image = to_tensor(frame, Colour.of(frame.format, frame.width, frame.height, frame.props))[0].numpy()
    transfer = frame.props.get("_Transfer")
    if transfer in (_PQ, _LINEAR):
        light = _light_of_pq(image) if transfer == _PQ else image
        if frame.props.get("_Primaries") == _BT2020:
            light = np.tensordot(_2020_TO_709, light, 1)
        image = np.clip(light, 0, 1) ** _GAMMA
    levels = np.nan_to_num(np.rint(np.clip(image, 0, 1) * 255))
    return np.ascontiguousarray(levels.astype(np.uint8).transpose(1, 2, 0))


def note(props: Mapping[str, Any]) -> str | None:
    """Return in words how `shown` departs from what frames with these properties should look like."""
    return _NOTES.get(props.get("_Transfer", 0))


def _light_of_pq(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert SMPTE ST 2084 to light, in which 1 is white."""
    m1, m2, c1, c2, c3 = (np.float32(x) for x in (2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128))
    root = np.clip(image, 0, 1) ** (1 / m2)
    light: NDArray[np.float32] = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return light * np.float32(10_000 / _WHITE)
