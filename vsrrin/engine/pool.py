"""Networks loaded once per process, however many filters use them and however often a script is reloaded."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import torch

from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.backends.choice import make_backend, resolve_backend
from vsrrin.engine.backends.torch_backend import resolve_device, resolve_precision
from vsrrin.errors import ArgumentError

from .backends import Backend

_LIMIT = 4
"""Networks kept on each device; the least recently used goes first."""

type Devices = str | torch.device | Sequence[str | torch.device] | None
"""A device, several, or ``None`` for the best one here."""


@dataclass(frozen=True)
class Shared:
    """A checkpoint and the backend that runs it. Holds no VapourSynth object and no frame."""

    model: Model
    backend: Backend


_lock = Lock()
_kept: OrderedDict[tuple[object, ...], Shared] = OrderedDict()


def shared_by(
    model: str | os.PathLike[str],
    *,
    device: Devices = None,
    precision: str = "auto",
    arithmetic: str | None = None,
    backend: str = "auto",
) -> list[Shared]:
    """The network of a checkpoint on each of one or several devices, see `shared`.

    Raises:
        VsrrinError: What `shared` raises, or there is no device in the list.
    """
    places = list(device) if isinstance(device, list | tuple) else [device]
    if not places or (len(places) > 1 and None in places):
        raise ArgumentError(f"device must be the name of a device, a list of such names, or None, not {device!r}")
    options = {"precision": precision, "arithmetic": arithmetic, "backend": backend}
    return [shared(model, device=place, **options) for place in places]  # type: ignore[arg-type]


def shared(
    model: str | os.PathLike[str],
    *,
    device: str | torch.device | None = None,
    precision: str = "auto",
    arithmetic: str | None = None,
    backend: str = "auto",
) -> Shared:
    """The network of a checkpoint on a device, loaded at the first call.

    A file that has been written again since (a longer training run, say) is loaded again, and so is a folder in which
    any has.

    Args:
        model: Bundled name or path of a file or folder, see :func:`vsrrin.checkpoint.loader.load`.
        device: See :func:`vsrrin.engine.backends.torch_backend.resolve_device`.
        precision: See :func:`vsrrin.engine.backends.torch_backend.resolve_precision`.
        arithmetic: See :func:`vsrrin.checkpoint.loader.load`.
        backend: See :func:`vsrrin.engine.backends.choice.make_backend`.

    Raises:
        VsrrinError: What the named functions raise.
    """
    place = resolve_device(resolve_backend(backend, device))
    for argument, value in (("precision", precision), ("arithmetic", arithmetic)):
        if not isinstance(value, str | None):
            raise ArgumentError(f"{argument} must be a text, not {value!r} ({type(value).__name__})")
    path, _ = loader.locate(model)
    key = (path.resolve(), loader.versions(path), str(place), precision, arithmetic, backend)
    with _lock:
        if key not in _kept:
            loaded = loader.load(model, arithmetic=arithmetic)
            dtype = resolve_precision(precision, place, loaded.spec)
            _kept[key] = Shared(loaded, make_backend(backend, loaded.net, loaded.spec, place, dtype))
            there = [other for other, kept in _kept.items() if kept.backend.device == place]
            for other in there[:-_LIMIT]:
                del _kept[other]
        _kept.move_to_end(key)
        return _kept[key]
