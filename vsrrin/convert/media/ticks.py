"""Times of output frames as containers hold them, settled before the first frame is made."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from vsrrin.errors import ConvertError

from .containers import CONTAINERS, Container
from .encode import VideoTimes

_LARGEST = 2**31 - 1
"""Largest numerator and denominator of FFmpeg's fractions, and largest time scale of MP4."""
_ROUNDING = Fraction(1, 2000)
"""Seconds by which the start of a video may be off, so that sound and pictures stay in step."""
_FARTHEST = 5
"""Ticks by which a frame may be moved: a burst of a few frames is kept, while many would no longer fit the sound."""


def settled(times: VideoTimes, container: Container) -> tuple[VideoTimes, tuple[str, ...]]:
    """Return times that a container holds, and notes on those that are moved.

    Args:
        times: The times wanted; they are returned as they are if the container's rounding keeps them apart.
        container: The container to write.

    Raises:
        ConvertError: The container cannot hold the rate, or too many frames are closer than its ticks.
    """
    _check_rate(times)
    if container.tick is None:
        return times, ()
    if times.step is not None:
        if times.time_base * times.step < container.tick:
            raise ConvertError(f"{_limit(container)}, not the {float(times.rate):g} of the output: {_others()}")
        return times, ()
    return _on_ticks(times, container, container.tick)


def _check_rate(times: VideoTimes) -> None:
    unit, largest = times.time_base, max(times.time_base.as_integer_ratio())
    is_simple = largest <= _LARGEST and (
        not times.start % unit or unit / (_LARGEST // unit.denominator) <= 2 * _ROUNDING
    )
    if is_simple:
        return
    near = (1 / unit).limit_denominator(1001)
    raise ConvertError(
        f"the output rate of {1 / unit} frames per second is too fine a fraction for the clocks of video files: give a "
        f'simpler factor or fps, such as fps="{near}"'
    )


def _on_ticks(times: VideoTimes, container: Container, tick: Fraction) -> tuple[VideoTimes, tuple[str, ...]]:
    start, unit = times.start / tick, times.time_base / tick
    # In whole numbers, as a film has too many frames for fractions; (2x + 1) // 2 rounds x.
    parts = start.denominator * unit.denominator
    first, step = 2 * start.numerator * unit.denominator + parts, 2 * unit.numerator * start.denominator
    wanted = [(first + times.tick(number) * step) // (2 * parts) for number in range(times.frames + 1)]
    kept = rising(wanted[:-1])
    moves = [after - before for before, after in zip(wanted[:-1], kept, strict=True) if after != before]
    if not moves:
        return times, ()
    if max(moves) > _FARTHEST:
        raise ConvertError(f"{_limit(container)}, and the output has more in places: {_others()}")
    note = (
        f"{len(moves)} of {times.frames} frames are moved by {float(max(moves) * tick):g} s at most, because "
        f"{container.name} would show them at the time of another: .mp4 and .mov hold finer times"
    )
    pts = tuple(time - kept[0] for time in kept)
    moved = replace(times, start=kept[0] * tick, time_base=tick, pts=pts, last=max(wanted[-1] - kept[-1], 1))
    return moved, (note,)


def _limit(container: Container) -> str:
    assert container.tick is not None
    return f"{container.name} holds at most {1 / container.tick} frames per second"


def _others() -> str:
    finer = (suffix for suffix, other in CONTAINERS.items() if other.tick is None)
    return f"write another container ({', '.join(finer)}), or give a lower fps"


def rising(ticks: Sequence[int]) -> list[int]:
    """Return times in ticks, each moved as little as makes it later than the one before."""
    moved: list[int] = []
    for tick in ticks:
        moved.append(max(tick, moved[-1] + 1) if moved else tick)
    return moved
