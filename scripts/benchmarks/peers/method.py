"""Protocol of a compared method, and the text that names one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from scripts.benchmarks.clips import Source

# A worker's memory is that of a method that needs nothing else: what a method needs is imported where it is made.
if TYPE_CHECKING:
    from training.measure.triplets import Picture

PEERS = ("rife-4.0", "rife-4.2x")
EAGER = "-eager"
FILTERS = ("mvtools", "svpflow")
PROGRAM = "minterpolate"

type Options = Mapping[str, str]


class UnavailableError(Exception):
    """A method needs something that is not installed, or has no such variant."""


@dataclass(frozen=True)
class Sample:
    """Times and memory of one run of a method.

    Attributes:
        seconds: Wall time.
        cpu: Seconds of all processor cores together.
        new: Frames made; held and copied ones do not count.
        peak: Peak resident bytes where another process than the worker does the work, else 0.
    """

    seconds: float
    cpu: float
    new: int
    peak: int = 0


class Method(Protocol):
    """Way to make frames between frames."""

    least_frames: int
    """Source frames from which it makes a new one."""
    scored: bool
    """Whether its quality means anything."""

    def timed(self, source: Source, frames: int, factor: int) -> Sample:
        """Make the new frames between the first ``frames`` source frames."""
        ...

    def alone(self, source: Source, frames: int) -> float | None:
        """Return the seconds per frame of its bare network on tensors that are there; ``None`` if it has none."""
        ...

    def flop(self, source: Source, factor: int) -> float | None:
        """Return the operations of its convolution layers per new frame; ``None`` if it is no network."""
        ...

    def picture(self, left: Picture, right: Picture, t: Fraction) -> Picture:
        """Return the frame at t between two frames."""
        ...


def parse(text: str) -> tuple[str, dict[str, str]]:
    """Return the name and the options of a method.

    Raises:
        ValueError: The text is not of the form name:key=value:..., or this kind of method has no such option.
    """
    name, *parts = text.split(":")
    pairs = [part.partition("=") for part in parts]
    options = {key: value for key, _, value in pairs}
    allowed = {"backend", "precision"} if name in PEERS else set()
    free = not (name in (*PEERS, *FILTERS) or name.endswith(EAGER))
    if not name or not all(key and equals for key, equals, _ in pairs) or (not free and set(options) - allowed):
        raise ValueError(text)
    return name, options


def is_own(text: str) -> bool:
    """Return whether a method is vsrrin's filter."""
    name, _ = parse(text)
    return name not in (*PEERS, *FILTERS, PROGRAM) and not name.endswith(EAGER)
