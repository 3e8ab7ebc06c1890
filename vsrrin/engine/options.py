"""Options of interpolation, for scripts, commands and the engine alike."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeGuard, get_args

import torch

from vsrrin.errors import ArgumentError

from .backends.choice import BackendName
from .backends.torch_backend import Precision

SceneMode = Literal["auto", "props", "detect", "off"]
AtCut = Literal["hold", "nearest", "blend"]
Duplicates = Literal["keep", "spread"]
Overlays = Literal["still", "guard", "off"]
Fallback = Literal["none", "blend", "hold"]

MAX_RUN = 64
"""Largest ``longest_run``: each output frame looks at twice as many source frames."""

type Device = str | torch.device
type Devices = Device | tuple[Device, ...] | list[Device] | None


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of interpolation, the same for the filter, the commands and the engine.

    Attributes:
        model: The path of a checkpoint, or a bundled name: "best" is "rrin_lite", "balanced" is twice as fast and
            "draft" four times as fast as that, on a CPU.
        device: "cpu", "cuda", "cuda:1", "xpu" or "mps"; ``None`` for the best one here. Several, as in
            ``["cuda:0", "cuda:1"]``, take turns: each pair of frames is the work of one of them.
        precision: "fp32", "fp16", "bf16", "int8" or "auto" (the fastest here), the type of the convolutions. Images,
            coordinates, warps and flow are float32 always. "int8" is for OpenVINO and networks with ranges, see
            :mod:`vsrrin.checkpoint.ranges`.
        backend: "torch", "openvino" (on the CPU; needs the extra ``vsrrin[openvino]``), "compile" (torch.compile, which
            takes from seconds to minutes before the first frame), "graphs" (CUDA graphs), or "auto": on the CPU
            the fastest, see :mod:`vsrrin.engine.backends.calibration`, else PyTorch as it is.
        arithmetic: Convention that a published checkpoint was trained with, where its file does not say; see the
            network's module.
        scale: Size of the picture on which motion is estimated, relative to the largest useful one (half the frame for
            optical flow, the frame for networks that find motion themselves), in [0.25, 1]. ``None`` chooses by frame
            size; for networks of exact arithmetic that find motion themselves also by the pair, see
            :mod:`vsrrin.flow.own_flow_scale`. Smaller finds longer motion and costs less, larger follows small things.
        tile: Side of a tile in pixels, or (width, height); 0 never tiles; ``None`` tiles when memory demands it.
        overlap: Pixels that neighbouring tiles share; should be 8/3 of the longest motion to a new frame. ``None`` for
            the default.
        batch: Tiles or time steps that go through the network in one call.
        scene: Way to find cuts. "auto": by the marks that a scene detector left on the frames, otherwise by vsrrin's
            detector; "props": by marks only; "detect": by vsrrin's detector only; "off": not at all.
        scene_threshold: Score from which vsrrin's detector sees a cut, in (0, 1]; ``None`` for the default, see
            :mod:`vsrrin.clip.scene_score`.
        at_cut: Picture shown between two scenes: "hold" the left frame, the "nearest" of the two, or a "blend".
        duplicates: What becomes of frames that repeat the one before: "keep" them as frames like all others, or
            "spread" the motion from the distinct frame before to the distinct one after over them, at true times.
        longest_run: Frames, a distinct one with its repeats, that motion is spread over at most; longer ones are holds,
            which stay still until their last step.
        overlays: "guard" keeps logos, subtitles and the like as they are in both frames, over what moves, and all
            that is still; "still" only the latter, which takes less time; "off" interpolates all alike.
        fallback: What takes the place of new frames where they cannot be trusted: "none", a "blend" of both source
            frames, place by place, or "hold", the nearest of them, for the whole frame.
        fallback_below: Confidence below which it does, in (0, 1], see :mod:`vsrrin.flow.confidence`: more and more, and
            wholly from half of it down.

    Raises:
        ArgumentError: A value is of the wrong type or out of range.
    """

    model: str | os.PathLike[str] = "rrin_lite"
    device: Devices = None
    precision: Precision = "auto"
    backend: BackendName = "auto"
    arithmetic: str | None = None
    scale: float | None = None
    tile: int | tuple[int, int] | None = None
    overlap: int | None = None
    batch: int = 1
    scene: SceneMode = "auto"
    scene_threshold: float | None = None
    at_cut: AtCut = "hold"
    duplicates: Duplicates = "keep"
    longest_run: int = 4
    overlays: Overlays = "guard"
    fallback: Fallback = "none"
    fallback_below: float = 0.2

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))

    @property
    def devices(self) -> tuple[Device | None, ...]:
        """Devices that take turns; ``None`` stands for the best one here."""
        return self.device if isinstance(self.device, tuple) else (self.device,)  # type: ignore[return-value]


def _device(name: str, value: object) -> object:
    if not isinstance(value, list | tuple):
        return value
    if not value or (len(value) > 1 and None in value):
        raise ArgumentError(f"{name} must be the name of a device, a list of such names, or None, not {value!r}")
    return tuple(value) if len(value) > 1 else value[0]


def _one_of(*allowed: str) -> Callable[[str, object], object]:
    def check(name: str, value: object) -> object:
        if not isinstance(value, str) or value not in allowed:
            raise ArgumentError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}")
        return value

    return check


def _text(name: str, value: object) -> object:
    if not isinstance(value, str | None):
        raise ArgumentError(f"{name} must be a text, not {value!r} ({type(value).__name__})")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Fraction) and not isinstance(value, bool)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _scale(name: str, value: Any) -> object:
    if value is None:
        return None
    if not _is_number(value) or not 0.25 <= value <= 1:
        raise ArgumentError(f"{name} must be a number from 0.25 to 1, or None to choose by frame size, not {value!r}")
    return float(value)


def _tile(name: str, value: object) -> object:
    if value is None or (_is_whole(value) and value == 0):
        return value
    sides = tuple(value) if isinstance(value, list | tuple) else (value,)
    if len(sides) not in (1, 2) or not all(_is_whole(side) and side >= 64 for side in sides):
        raise ArgumentError(
            f"{name} must be a side or a (width, height) of at least 64 pixels, 0 for no tiles, or None for "
            f"tiles when memory demands them, not {value!r}"
        )
    return sides if len(sides) == 2 else sides[0]


def _overlap(name: str, value: Any) -> object:
    if value is not None and (not _is_whole(value) or value < 0):
        raise ArgumentError(f"{name} must be a number of pixels from 0, or None for the default, not {value!r}")
    return value


def _batch(name: str, value: Any) -> object:
    if not _is_whole(value) or value < 1:
        raise ArgumentError(f"{name} must be a whole number from 1, not {value!r}")
    return value


def _longest_run(name: str, value: Any) -> object:
    if not _is_whole(value) or not 2 <= value <= MAX_RUN:
        raise ArgumentError(f"{name} must be a whole number of frames from 2 to {MAX_RUN}, not {value!r}")
    return value


def _fallback_below(name: str, value: Any) -> object:
    if not _is_number(value) or not 0 < value <= 1:
        raise ArgumentError(f"{name} must be a confidence above 0 and up to 1, not {value!r}")
    return float(value)


def _threshold(name: str, value: Any) -> object:
    if value is not None and (not _is_number(value) or not 0 < value <= 1):
        raise ArgumentError(f"{name} must be a number above 0 and up to 1, not {value!r}")
    return None if value is None else float(value)


_CHECKS: dict[str, Callable[[str, Any], object]] = {
    "device": _device,
    "precision": _one_of(*get_args(Precision)),
    "backend": _one_of(*get_args(BackendName)),
    "arithmetic": _text,
    "scale": _scale,
    "tile": _tile,
    "overlap": _overlap,
    "batch": _batch,
    "scene": _one_of(*get_args(SceneMode)),
    "scene_threshold": _threshold,
    "at_cut": _one_of(*get_args(AtCut)),
    "duplicates": _one_of(*get_args(Duplicates)),
    "longest_run": _longest_run,
    "overlays": _one_of(*get_args(Overlays)),
    "fallback": _one_of(*get_args(Fallback)),
    "fallback_below": _fallback_below,
}
