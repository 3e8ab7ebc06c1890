"""Timecodes: names of frames by hours, minutes, seconds and a number within the second (SMPTE ST 12)."""

import re
from collections.abc import Mapping
from fractions import Fraction
from itertools import chain

from .probe import MediaInfo

_PATTERN = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d+)")
_HOURS = 24


def timecode_of(info: MediaInfo) -> str | None:
    """Return the timecode of a file's first frame, which the file, its video or a track of its own may hold."""
    tags = chain((info.metadata, info.video.metadata), (stream.metadata for stream in info.others))
    return next((found for found in map(_tag, tags) if found), None)


def renumbered(timecode: str, source_rate: Fraction | None, rate: Fraction, later: Fraction) -> str | None:
    """Return the timecode of an output's first frame; ``None`` where output frames have none.

    Args:
        timecode: That of the source's first frame.
        source_rate: Frames of the source per second.
        rate: Frames of the output per second, a multiple of that.
        later: Seconds between the two frames.
    """
    fields = _PATTERN.fullmatch(timecode)
    factor = rate / source_rate if source_rate else Fraction(0)
    if fields is None or factor.denominator != 1 or not factor:
        return None
    hours, minutes, seconds, number = (int(fields[place]) for place in (1, 2, 3, 5))
    drops = fields[4] != ":"
    nominal = round(rate)
    if drops and nominal % 30:
        return None
    dropped = nominal // 15 if drops else 0  # numbers left out each minute but every tenth
    total_minutes = hours * 60 + minutes
    frame = (total_minutes * 60 + seconds) * nominal + number * factor.numerator
    frame += round(later * rate) - dropped * (total_minutes - total_minutes // 10)
    minute, tens = nominal * 60 - dropped, nominal * 600 - 9 * dropped
    ten, rest = divmod(frame % (tens * 6 * _HOURS), tens)
    label = frame % (tens * 6 * _HOURS) + dropped * (9 * ten + max(rest - dropped, 0) // minute)
    rest, number = divmod(label, nominal)
    rest, seconds = divmod(rest, 60)
    hours, minutes = divmod(rest, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{fields[4]}{number:02}"


def _tag(metadata: Mapping[str, str]) -> str | None:
    return next((value for key, value in metadata.items() if key.lower() == "timecode"), None)
