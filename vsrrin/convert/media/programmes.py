"""Programmes of transport streams: which streams belong together, and what their channel is called."""

import re
from dataclasses import dataclass

import av.container
import av.logging


@dataclass(frozen=True)
class Programme:
    """A programme: its number, the indices of its streams, and its tags, such as "service_name"."""

    number: int
    streams: frozenset[int]
    tags: dict[str, str]


def programmes(container: av.container.InputContainer) -> tuple[Programme, ...]:
    """Return the programmes of a transport stream; of other files, nothing.

    PyAV knows of none: they are read from what FFmpeg says of a file, as its commands print it.
    """
    if container.format.name != "mpegts":
        return ()
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        text = container.dumps_format()
    finally:
        av.logging.set_level(level)
    found: list[Programme] = []
    for part in re.split(r"^  (?=Program \d|No Program)", text, flags=re.MULTILINE)[1:]:
        if (number := re.match(r"Program (\d+)", part)) is not None:
            streams = frozenset(map(int, re.findall(r"^  Stream #0:(\d+)", part, re.MULTILINE)))
            head = part.partition("\n  Stream ")[0]
            tags = dict(re.findall(r"^      (\w+) *: (.+)$", head, re.MULTILINE))
            found.append(Programme(int(number[1]), streams, tags))
    return tuple(found)
