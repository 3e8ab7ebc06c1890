"""Networks loaded once per process, shared by all filters and by every reload of a script."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.backends.choice import make_backend, resolve_backend, resolve_way
from vsrrin.engine.backends.torch_backend import resolve_device

from .backends import Backend
from .cores import share, threads
from .options import Device, Options
from .plan import lanes

_LIMIT = 4
"""Networks kept on each device; the least recently used goes first."""


@dataclass(frozen=True)
class Shared:
    """Checkpoint and the backend that runs it; holds no VapourSynth object and no frame."""

    model: Model
    backend: Backend
    lanes: int
    """Pairs that it works on at once."""


_lock = Lock()
_kept: OrderedDict[tuple[object, int], Shared] = OrderedDict()


def shared_by(options: Options, size: tuple[int, int] | None = None, at_once: int = 1) -> list[Shared]:
    """Return the network of ``options.model`` on each of its devices, see `shared`.

    Raises:
        VsrrinError: See `shared`.
    """
    return [shared(options, device, size, at_once) for device in options.devices]


def shared(
    options: Options,
    device: Device | None = None,
    size: tuple[int, int] | None = None,
    at_once: int = 1,
) -> Shared:
    """Return the network of ``options.model`` on one device, loaded at the first call.

    A file that has been written again since (a longer training run, say) is loaded again, and so is a folder in which
    any file has.

    Args:
        options: Options with the model, precision, backend and arithmetic.
        device: The device; ``None`` for the first of ``options.devices``.
        size: (height, width) of the frames, if it is known.
        at_once: Frames that are asked for at once.

    Raises:
        VsrrinError: There is no such device, the checkpoint cannot be loaded, or the device does not know the precision
            or the backend.
    """
    device = options.devices[0] if device is None else device
    backend, precision, arithmetic = options.backend, options.precision, options.arithmetic
    place = resolve_device(resolve_backend(backend, device))
    path, _ = loader.locate(options.model)
    base = (path.resolve(), loader.versions(path), str(place), precision, arithmetic, backend)
    with _lock:
        loaded = next((kept.model for (known, _), kept in _kept.items() if known == base), None)
        loaded = loaded or loader.load(options.model, arithmetic=arithmetic)
        count = lanes(loaded.spec, options, place, size, at_once) if size else 1
        key = base, count
        if key not in _kept:
            with threads(share(count)):
                name, dtype = resolve_way(backend, precision, loaded, place)
                made = make_backend(name, loaded.net, loaded.spec, place, dtype)
            _kept[key] = Shared(loaded, made, count)
            there = [other for other, kept in _kept.items() if kept.backend.device == place]
            for other in there[:-_LIMIT]:
                del _kept[other]
        _kept.move_to_end(key)
        return _kept[key]
