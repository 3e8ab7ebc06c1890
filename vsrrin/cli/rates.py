"""Frame rates and speeds as ``vsrrin convert`` has them: ``--fps``, ``--sf`` and ``--speed``."""

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from vsrrin.clip.timing import exact_rate, parse_ratio
from vsrrin.errors import ArgumentError

if TYPE_CHECKING:
    from vsrrin.clip.retiming import Speed


def pacing(text: str | None) -> "Speed | None":
    """Return the speed that --speed means."""
    if text is None or "=" not in text:
        return text if text is None else _exact(text)
    keys = [key.partition("=") for key in text.split(",")]
    return tuple((moment.strip(), _exact(speed)) for moment, _, speed in keys)


def _exact(text: str) -> str:
    """Return a decimal number as a ratio, and any other text as it is."""
    return str(Fraction(text)) if re.fullmatch(r"\d+\.\d+", text.strip()) else text.strip()


def settings(fps: str | None, between: int | None, speed: "Speed | None") -> dict[str, object]:
    """Return the settings that --fps, --sf and --speed mean."""
    if between is not None and speed is not None:
        raise ArgumentError("--sf makes slow motion with --fps RATE, and --speed does by itself: give one of them")
    if between is not None and between < 1:
        raise ArgumentError(f"--sf must be at least 1 new frame between two, not {between}")
    factor = None if between is None else Fraction(between + 1)
    if fps is None:
        factor = factor or (Fraction(2) if speed is None else None)
        return {"factor": factor, "fps": None, "rate_out": None, "speed": speed}
    text = fps.strip()
    if text.lower().endswith("x"):
        if factor is not None:
            raise ArgumentError(f"--sf {between} and --fps {fps} both say how many frames are added: give one of them")
        return {"factor": _ratio(text[:-1], fps), "fps": None, "rate_out": None, "speed": speed}
    rate = _ratio(text, fps)
    shown = {"fps": rate, "rate_out": None} if factor is None else {"fps": None, "rate_out": rate}
    return {"factor": factor, "speed": speed, **shown}


def _ratio(text: str, given: str) -> Fraction:
    allowed = f"--fps must be a factor such as 2x or 5/2x, or a rate such as 60 or 60000/1001, not {given!r}"
    if re.fullmatch(r"\d+\.\d+", text):
        raise ArgumentError(f"{allowed}: decimals are inexact, write {exact_rate(Fraction(text))}")
    try:
        return parse_ratio(text, "--fps")
    except ArgumentError:
        raise ArgumentError(allowed) from None
