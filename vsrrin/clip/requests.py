"""Arguments of the filters, as dataclasses: their own first, then the options that all share."""

import os
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction

from vsrrin.engine.options import Options, Overlays

from .mending import Damaged
from .motion_clips import MotionKind
from .retiming import Ease, Moments, Seconds, Speed


@dataclass(frozen=True)
class _Rate:
    factor: int | Fraction | str = 2
    _: KW_ONLY
    fps: int | Fraction | str | None = None
    timecodes: str | os.PathLike[str] | None = None
    loop: bool = False


@dataclass(frozen=True)
class _Maps:
    kind: MotionKind
    factor: int | Fraction | str = 2
    _: KW_ONLY
    fps: int | Fraction | str | None = None
    timecodes: str | os.PathLike[str] | None = None


@dataclass(frozen=True)
class Viewing(Options, _Maps):
    """Arguments of :func:`vsrrin.motion`."""

    model: str | os.PathLike[str] = "rrin_lite"


@dataclass(frozen=True)
class _Pace:
    speed: Speed | None = None
    _: KW_ONLY
    times: Moments | None = None
    fps: int | Fraction | str | None = None
    ease: Ease = "none"
    timecodes: str | os.PathLike[str] | None = None
    loop: bool = False


@dataclass(frozen=True)
class Interpolating(Options, _Rate):  # fields of the last base come first: factor, model, then all others by keyword
    """Arguments of :func:`vsrrin.interpolate`."""

    model: str | os.PathLike[str] = "rrin_lite"


@dataclass(frozen=True)
class Retiming(Options, _Pace):
    """Arguments of :func:`vsrrin.retime`."""

    model: str | os.PathLike[str] = "rrin_lite"


@dataclass(frozen=True)
class _Shutter:
    shutter: Seconds = 180
    _: KW_ONLY
    fps: int | Fraction | str | None = None
    samples: int = 9
    linear: bool = False
    timecodes: str | os.PathLike[str] | None = None
    loop: bool = False


@dataclass(frozen=True)
class Blurring(Options, _Shutter):
    """Arguments of :func:`vsrrin.blur`."""

    model: str | os.PathLike[str] = "draft"


@dataclass(frozen=True)
class _Damage:
    frames: Damaged | None = None
    _: KW_ONLY
    apply: bool = False


@dataclass(frozen=True)
class Repairing(Options, _Damage):
    """Arguments of :func:`vsrrin.repair`."""

    model: str | os.PathLike[str] = "rrin_lite"


@dataclass(frozen=True, kw_only=True)
class _Screen:
    container_fps: float | Fraction | str | None = None
    display_fps: float | Fraction | str | None = None
    target: int | Fraction | str = "display"
    budget: float | None = 0.8


@dataclass(frozen=True, kw_only=True)
class Playing(Options, _Screen):
    """Arguments of :func:`vsrrin.play`."""

    model: str | os.PathLike[str] = "auto"
    overlays: Overlays = "still"  # players draw subtitles themselves, and time is short
