"""Positions in a clip as users write them: seconds, hours and minutes, or a frame number."""

import re
from fractions import Fraction

from vsrrin.errors import ArgumentError

_CLOCK = re.compile(r"(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})")
_FRAME = re.compile(r"(\d{1,10})f")

ALLOWED = "seconds (83.5), mm:ss (1:23.5), hh:mm:ss (0:01:23.5) or a frame number with an f (2004f)"


def parse_position(text: str, argument: str) -> Fraction | int:
    """Return a position in seconds or frames.

    Args:
        text: One of `ALLOWED`, with any spaces around it.
        argument: Its name in messages.

    Returns:
        Exact seconds as a Fraction, or a frame number, from 0, as an int.

    Raises:
        ArgumentError: The text is none of these.
    """
    frame = _FRAME.fullmatch(text.strip())
    if frame is not None:
        return int(frame[1])
    clock = _CLOCK.fullmatch(text.strip())
    if clock is None:
        raise ArgumentError(f"{argument} must be {ALLOWED}, not {text!r}")
    hours, minutes, seconds = int(clock[1] or 0), int(clock[2] or 0), Fraction(clock[3])
    # "1:75" would be read as something by anybody, but not as the same thing by everybody.
    if (clock[2] is not None and seconds >= 60) or (clock[1] is not None and minutes >= 60):
        raise ArgumentError(f"{argument} must be {ALLOWED}, not {text!r}")
    return 3600 * hours + 60 * minutes + seconds


def written(seconds: Fraction) -> str:
    """Return seconds as h:mm:ss.fff, hours and minutes only where there are any."""
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest // 1000}.{rest % 1000:03}"
    if hours:
        return f"{hours}:{minutes:02}:{text:0>6}"
    return f"{minutes}:{text:0>6}" if minutes else f"{text} s"
