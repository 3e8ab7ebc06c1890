"""Video frame interpolation for VapourSynth with the RRIN family of networks.

``vsrrin.interpolate``, ``dedup``, ``retime``, ``blur`` and ``repair`` are the filters for scripts, ``vsrrin.motion``
shows what their frames are made of, ``vsrrin.play`` is the filter for players, ``vsrrin.convert_file`` converts files,
and ``vsrrin.Interpolator`` makes new frames of tensors, with networks from ``vsrrin.load``. Each is imported on first
use, so that networks work without VapourSynth and the package itself is quick to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    ArgumentError,
    BackendError,
    CheckpointError,
    ConvertError,
    FrameSizeError,
    UnknownNetError,
    VsrrinError,
)

if TYPE_CHECKING:
    from .checkpoint.loader import Model, load
    from .convert.convert_file import convert_file
    from .engine.interpolator import Interpolator
    from .engine.options import Options
    from .filter import blur, dedup, interpolate, motion, play, proxy, repair, retime

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "BackendError",
    "CheckpointError",
    "ConvertError",
    "FrameSizeError",
    "Interpolator",
    "Model",
    "Options",
    "UnknownNetError",
    "VsrrinError",
    "__version__",
    "blur",
    "convert_file",
    "dedup",
    "interpolate",
    "load",
    "motion",
    "play",
    "proxy",
    "repair",
    "retime",
]

_HOMES = {
    "Interpolator": "engine.interpolator",
    "Model": "checkpoint.loader",
    "Options": "engine.options",
    "blur": "filter",
    "convert_file": "convert.convert_file",
    "dedup": "filter",
    "interpolate": "filter",
    "load": "checkpoint.loader",
    "motion": "filter",
    "play": "filter",
    "proxy": "filter",
    "repair": "filter",
    "retime": "filter",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
