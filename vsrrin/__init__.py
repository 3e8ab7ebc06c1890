"""Video frame interpolation for VapourSynth with the RRIN family of networks.

``vsrrin.interpolate(clip)`` is the filter. It is loaded on first use, so that ``vsrrin.nets`` works without
VapourSynth.
"""

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
    from .filter import interpolate

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "BackendError",
    "CheckpointError",
    "ConvertError",
    "FrameSizeError",
    "UnknownNetError",
    "VsrrinError",
    "__version__",
    "interpolate",
]


def __getattr__(name: str) -> Any:
    if name == "interpolate":
        from .filter import interpolate

        return interpolate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
