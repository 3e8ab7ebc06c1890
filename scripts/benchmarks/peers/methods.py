"""The methods that are compared, by name and options.

A method is a text like ``rrin_lite:backend=openvino:precision=bf16``: a name, then options.

- A name of bundled weights, of a network or the path of a checkpoint: `vsrrin.interpolate` with this model; options are
  its arguments. ``vsrrin`` names no model and takes the filter's default. Networks without bundled weights get random
  ones, the same everywhere: their times are real, quality is not measured.
- ``rrin-eager`` (or another network's name with ``-eager``): the network as it is published: float32 in plain PyTorch,
  the whole of it for every new frame, padded to multiples of 32.
- ``rife-4.0``, ``rife-4.2x``: see :mod:`scripts.benchmarks.peers.networks`; options ``backend`` and ``precision``.
- ``mvtools``: FlowFPS. ``svpflow``: open-svpflow. See :mod:`scripts.benchmarks.peers.filters`.
- ``minterpolate``: that of the program ffmpeg; options are its own. See :mod:`scripts.benchmarks.peers.ffmpeg`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from scripts.benchmarks.clips import Source

# What a method needs is imported when it is made: memory is that of a process that holds nothing else.
if TYPE_CHECKING:
    from training.triplets import Picture

PEERS = ("rife-4.0", "rife-4.2x")
EAGER = "-eager"

DEFAULT = (
    "draft",
    "balanced:backend=torch:precision=fp32",
    "balanced:backend=torch:precision=bf16",
    "balanced:backend=openvino:precision=bf16",
    "rrin_lite:backend=torch:precision=fp32",
    "rrin_lite:backend=torch:precision=bf16",
    "rrin_lite:backend=openvino:precision=fp32",
    "rrin_lite:backend=openvino:precision=bf16",
    "rrin-eager",
    "rrin:backend=torch:precision=bf16",
    "rrin:backend=openvino:precision=bf16",
    "rife-4.0:backend=torch:precision=fp32",
    "rife-4.0:backend=torch:precision=bf16",
    "rife-4.0:backend=openvino:precision=fp32",
    "rife-4.0:backend=openvino:precision=bf16",
    "rife-4.0:backend=openvino:precision=mixed",
    "mvtools",
    "svpflow",
    "minterpolate",
    "minterpolate:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1",
)


class UnavailableError(Exception):
    """A method needs something that is not here; the text says what, and how to get it."""


@dataclass(frozen=True)
class Sample:
    """One run of a method.

    Attributes:
        seconds: Wall time.
        cpu: Seconds of all processor cores together.
        new: Frames made; held and copied ones do not count.
        peak: Peak resident bytes where the work is not done by the worker itself, else 0.
    """

    seconds: float
    cpu: float
    new: int
    peak: int = 0


class Method(Protocol):
    """A way to make frames between frames."""

    least_frames: int
    """Source frames from which it makes a new one."""
    scored: bool
    """Whether its quality means anything."""

    def timed(self, source: Source, frames: int, factor: int) -> Sample:
        """Makes the new frames between the first ``frames`` source frames."""
        ...

    def alone(self, source: Source, frames: int) -> float | None:
        """Seconds per frame of its bare network on tensors that are there; ``None`` where it has none."""
        ...

    def flop(self, source: Source, factor: int) -> float | None:
        """Operations of its convolution layers per new frame; ``None`` where it is no network."""
        ...

    def picture(self, left: Picture, right: Picture, t: Fraction) -> Picture:
        """The frame at t between two frames."""
        ...


type Options = Mapping[str, str]


def parse(text: str) -> tuple[str, dict[str, str]]:
    """(name, options) of a method.

    Raises:
        ValueError: Not of the form name:key=value:..., or an option that its kind of method does not have.
    """
    name, *parts = text.split(":")
    options = dict(part.split("=", 1) if "=" in part else ("", part) for part in parts)
    allowed = {"backend", "precision"} if name in PEERS else set()
    free = not (name in (*PEERS, "mvtools", "svpflow") or name.endswith(EAGER))
    if not name or "" in options or (not free and set(options) - allowed):
        raise ValueError(text)
    return name, options


def make(text: str, folder: Path) -> Method:
    """The method of that name.

    Args:
        text: See `parse`.
        folder: Where files may be put, such as random weights.

    Raises:
        UnavailableError: Something it needs is not installed.
    """
    name, options = parse(text)
    if options.get("precision") in ("bf16", "mixed"):
        from vsrrin.engine.backends.torch_backend import cpu_multiplies_bf16

        if not cpu_multiplies_bf16():
            raise UnavailableError("this processor does not multiply bf16: PyTorch emulates it, OpenVINO takes fp32")
    if name == "minterpolate":
        from scripts.benchmarks.peers import ffmpeg

        return ffmpeg.make(options)
    if name in PEERS or name.endswith(EAGER):
        from scripts.benchmarks.peers import networks

        return networks.make(name, options)
    from scripts.benchmarks.peers import filters

    if name == "mvtools":
        return filters.mvtools()
    if name == "svpflow":
        return filters.svpflow()
    return filters.own(name, options, folder)
