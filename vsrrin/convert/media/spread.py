"""Times of frames made whole where a file gives several frames one time, or none."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby, pairwise


def filled(starts: Sequence[Fraction | None], gap: Fraction) -> list[Fraction]:
    """Return times with those that are unknown set to the time before, from which `apart` moves them.

    Args:
        starts: Times in seconds, in the order of decoding.
        gap: Seconds between frames before the first known time, and where no time is known.
    """
    known = next((number for number, start in enumerate(starts) if start is not None), None)
    if known is None:
        return [number * gap for number in range(len(starts))]
    first = starts[known]
    assert first is not None
    made = [first - (known - number) * gap for number in range(known)]
    last = first
    for start in starts[known:]:
        last = last if start is None else start
        made.append(last)
    return made


def apart(starts: Sequence[Fraction], end: Fraction) -> list[Fraction]:
    """Return times of which equal ones are spread evenly up to the next time.

    Args:
        starts: Times in rising order.
        end: End of the last frame.
    """
    runs = [(start, len(list(run))) for start, run in groupby(starts)]
    edges = [*(start for start, _ in runs), end]
    return [
        left + (right - left) * part / count
        for (left, right), (_, count) in zip(pairwise(edges), runs, strict=True)
        for part in range(count)
    ]


def explaining_rate(starts: Sequence[Fraction], rates: Sequence[Fraction], tick: Fraction) -> Fraction | None:
    """Return the constant rate of which times are rounded to ticks: a claimed one, or the roundest number.

    Args:
        starts: Times in rising order, some of them equal.
        rates: Rates that the file claims.
        tick: Seconds to which the times are rounded.
    """
    length = starts[-1] - starts[0]
    if not length:
        return None
    average = (len(starts) - 1) / length
    for rate in (*rates, *(Fraction(round(average, -digits)) for digits in (3, 2, 1, 0))):
        if rate > 0 and all(abs(start - starts[0] - number / rate) <= tick for number, start in enumerate(starts)):
            return rate
    return None
