"""Signatures of conversions: all that output frames depend on."""

from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import vapoursynth as vs

from vsrrin import __version__
from vsrrin.checkpoint.loader import locate
from vsrrin.engine.options import Options
from vsrrin.engine.pool import shared_by
from vsrrin.nets.parts import fused

from . import work_folder
from .source import Source

if TYPE_CHECKING:
    from .prepare import Settings

_NAMED = (
    "model",
    "device",
    "precision",
    "backend",
    "scale",
    "tile",
    "overlap",
    "scene",
    "scene_threshold",
    "at_cut",
    "overlays",
)
"""Options with a place of their own in the signature; it has the others by name, unless they are the default."""
_PACKAGES = ("torch", "av", "numpy", "opencv-python-headless", "vapoursynth", "vapoursynth-bestsource")
"""Packages that decode, convert, interpolate and encode."""


def signature(settings: "Settings", source: Source, made: vs.VideoNode) -> dict[str, object]:
    """Return the values that output frames depend on, as JSON can hold them.

    Sound and subtitles are not among them: they may change between an interrupted run and the one that continues it.
    """
    networks = shared_by(settings)
    others = {field.name: getattr(settings, field.name) for field in fields(Options) if field.name not in _NAMED}
    used = [network.backend for network in networks]
    backends = "; ".join(f"{backend.device}, {backend.name}, {backend.precision}" for backend in used)
    compiled = networks[0].model.spec.compiled_steps and any(backend.device.type == "cpu" for backend in used)
    return {
        "input": dict(source.signature),
        "frames": made.num_frames,
        "part": [str(source.cut.start), str(source.cut.end)],
        "speed": {name: str(getattr(settings.rates, name)) for name in ("factor", "fps", "rate_out")},
        "model": work_folder.sha256(locate(settings.model)[0]),
        "network": f"{networks[0].model.spec.name}, {backends}",
        "way": {"backend": used[0].name.partition(" ")[0], "precision": used[0].precision},
        **({"numba": fused.numba_version()} if compiled else {}),
        "tiles": {"tile": settings.tile, "overlap": settings.overlap},
        "scale": settings.scale,
        "overlays": settings.overlays,
        "scenes": [settings.scene, settings.scene_threshold, settings.at_cut],
        **{name: value for name, value in others.items() if value != getattr(Options, name)},
        **({"pace": [str(settings.speed), settings.ease]} if settings.speed is not None else {}),
        **({"loop": True} if settings.loop else {}),
        **({"deinterlace": settings.deinterlace} if settings.deinterlace else {}),
        **({"progressive": True} if settings.progressive else {}),
        "versions": versions(),
    }


def versions() -> dict[str, str | None]:
    """Return the versions of all that output frames depend on, by package."""
    return {"vsrrin": __version__, **{name: _version(name) for name in _PACKAGES}}


def _version(package: str) -> str | None:
    """Return the version of a package; ``None`` if it was not installed as one, as with some builds of VapourSynth."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
