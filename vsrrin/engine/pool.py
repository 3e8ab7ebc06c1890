"""Networks loaded once per process, shared by all filters and by every reload of a script."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.backends.choice import make_backend, resolve_backend, resolve_way
from vsrrin.engine.backends.torch_backend import resolve_device

from .backends import Backend
from .options import Device, Options

_LIMIT = 4
"""Networks kept on each device; the least recently used goes first."""


@dataclass(frozen=True)
class Shared:
    """Checkpoint and the backend that runs it; holds no VapourSynth object and no frame."""

    model: Model
    backend: Backend


_lock = Lock()
_kept: OrderedDict[tuple[object, ...], Shared] = OrderedDict()


def shared_by(options: Options) -> list[Shared]:
    """Return the network of ``options.model`` on each of its devices, see `shared`.

    Raises:
        VsrrinError: See `shared`.
    """
    return [shared(options, device) for device in options.devices]


def shared(options: Options, device: Device | None = None) -> Shared:
    """Return the network of ``options.model`` on one device, loaded at the first call.

    A file that has been written again since (a longer training run, say) is loaded again, and so is a folder in which
    any file has.

    Args:
        options: Options with the model, precision, backend and arithmetic.
        device: The device; ``None`` for the first of ``options.devices``.

    Raises:
        VsrrinError: There is no such device, the checkpoint cannot be loaded, or the device does not know the precision
            or the backend.
    """
    device = options.devices[0] if device is None else device
    backend, precision, arithmetic = options.backend, options.precision, options.arithmetic
    place = resolve_device(resolve_backend(backend, device))
    path, _ = loader.locate(options.model)
    key = (path.resolve(), loader.versions(path), str(place), precision, arithmetic, backend)
    with _lock:
        if key not in _kept:
            loaded = loader.load(options.model, arithmetic=arithmetic)
            name, dtype = resolve_way(backend, precision, loaded, place)
            _kept[key] = Shared(loaded, make_backend(name, loaded.net, loaded.spec, place, dtype))
            there = [other for other, kept in _kept.items() if kept.backend.device == place]
            for other in there[:-_LIMIT]:
                del _kept[other]
        _kept.move_to_end(key)
        return _kept[key]
