"""The engine's options: what is allowed, and what is chosen when nothing is given."""

from fractions import Fraction

from vsrrin.errors import ArgumentError
from vsrrin.flow.dis import PRESETS, Preset


def automatic_scale(height: int, width: int) -> float:
    """Size of the picture for motion: 1 up to 1024 pixels on the long side, 1/2 up to 2880, then 1/4.

    1 is the largest useful one: the frame's own size for networks that find motion themselves, half of it for DIS flow
    (:func:`vsrrin.flow.dis.working_size`). Measured with DIS on pictures of twice those sizes, OpenCV's preset
    "medium": on 1280x720 shots half the size gives the same PSNR (32.08 against 32.12 dB with camera motion, 28.90
    against 28.87 dB otherwise) and no less than the "fast" preset at full size (32.06 and 28.83 dB), and takes less
    time; at 1920x1080 35.73 against 35.79 dB.
    """
    side = max(height, width)
    return 1.0 if side <= 1024 else 0.5 if side <= 2880 else 0.25


def check_scale(scale: object) -> float | None:
    """Raises:
    ArgumentError: Not ``None`` and not a number in [0.25, 1].
    """
    if scale is None:
        return None
    if isinstance(scale, bool) or not isinstance(scale, int | float | Fraction) or not 0.25 <= scale <= 1:
        raise ArgumentError(f"scale must be a number from 0.25 to 1, or None to choose by frame size, not {scale!r}")
    return float(scale)


def check_tile(tile: object) -> int | tuple[int, int] | None:
    """Raises:
    ArgumentError: Not ``None``, 0, a side or a (width, height) of at least 64 pixels.
    """
    if tile is None:
        return None
    sides = tile if isinstance(tile, tuple) else (tile,)
    whole = [side for side in sides if isinstance(side, int) and not isinstance(side, bool)]
    if whole == [0] and tile == 0:
        return 0
    if len(whole) != len(sides) or len(sides) not in (1, 2) or min(whole) < 64:
        raise ArgumentError(
            "tile must be a side or a (width, height) of at least 64 pixels, 0 for never or None for "
            f"when memory demands it, not {tile!r}"
        )
    return (whole[0], whole[1]) if len(whole) == 2 else whole[0]


def check_batch(batch: object) -> int:
    """Raises:
    ArgumentError: Not a whole number from 1.
    """
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ArgumentError(f"batch must be a whole number from 1, not {batch!r}")
    return batch


def check_preset(preset: str) -> Preset:
    """Raises:
    ArgumentError: Not the name of settings of DIS.
    """
    for known in PRESETS:
        if preset == known:
            return known
    raise ArgumentError(f"preset must be one of {', '.join(PRESETS)}, not {preset!r}")


def check_overlap(overlap: object) -> int | None:
    """Raises:
    ArgumentError: Not ``None`` and not a whole number of pixels from 0.
    """
    if overlap is None:
        return None
    if isinstance(overlap, bool) or not isinstance(overlap, int) or overlap < 0:
        raise ArgumentError(f"overlap must be a number of pixels from 0, or None for the default, not {overlap!r}")
    return overlap
