"""Work that a machine has time for while a clip is played."""

import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from threading import Lock

import torch

from vsrrin.checkpoint import loader
from vsrrin.engine import measurements
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.engine.plan import automatic_scale
from vsrrin.engine.pool import shared

_MODELS = {"draft": 1.0, "balanced": 4.0, "rrin_lite": 9.0}
"""What new frames cost, relative to each other, on a CPU; the better ones last."""
_PIXELS = 1280 * 720
"""Larger frames are measured on a picture of so many pixels: cost goes by their number."""
_SECONDS = 2.0
"""Time after which nothing more is measured."""
_SMALLEST_SCALE = 0.25
_AHEAD, _BEHIND = 0.1, 0.25
"""Seconds, at most, that a player may be ahead, as its own queue is short, and that are made up for."""

_FREE = 8
"""Frames at the beginning, in which networks warm up."""

_ROUNDS = 3
"""Measurements kept, of which the least counts: something else may have been running during the others."""
_FRESH = 24 * 3600
"""Seconds after which one more takes the place of the oldest, as all may have been disturbed."""

_lock = Lock()
_known: dict[str, float] = {}


class Pace:
    """Time that frames take against the time for which they are shown.

    Only time in which somebody waits for a frame counts: a player that is paused, or has frames in store, asks for
    none. The first frames do not count, as players begin when they are there.

    Args:
        step: Seconds for which a frame is shown.
        clock: Returns seconds.
    """

    def __init__(self, step: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._step, self._clock = step, clock
        self._lock = Lock()
        self._waiting, self._since = 0, 0.0
        self._debt, self._free = -_AHEAD, _FREE

    @property
    def behind(self) -> bool:
        """True when frames took longer than they are shown, by more than a player has in store."""
        return self._debt > 0

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Measure the time in which a frame is made; several may be at once."""
        with self._lock:
            self._count()
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._count()
                self._waiting -= 1
                self._free -= self._free > 0
                self._debt = max(self._debt - self._step, -_AHEAD)

    def _count(self) -> None:
        now = self._clock()
        if self._waiting and not self._free:
            self._debt = min(self._debt + now - self._since, _BEHIND)
        self._since = now


def affordable(
    options: Options, size: tuple[int, int], source: Fraction, target: Fraction, budget: float
) -> tuple[Options, float]:
    """Return options with the best bundled model, and the scale, that the machine has time for; and what they take.

    Args:
        options: Options whose model is to be chosen.
        size: (height, width) of the frames.
        source: Frames per second of the source.
        target: Frames per second of the output.
        budget: Part of real time that new frames may take.

    Returns:
        The options, the quickest if none is quick enough, and the part of real time that they take.

    Raises:
        VsrrinError: The device cannot be used.
    """
    steps = max(math.ceil(target / source) - 1, 1)
    begin = time.monotonic()

    def share(options: Options) -> float:
        return float(source) * _seconds(options, size, steps)

    chosen, quickest = replace(options, model="draft"), 0.0
    taken = share(chosen)
    if taken > budget:
        scale = options.scale or automatic_scale(*size)
        if options.scale is None and scale / 2 >= _SMALLEST_SCALE:
            chosen = replace(chosen, scale=scale / 2)
            taken = share(chosen)
        return chosen, taken
    for model, cost in list(_MODELS.items())[1:]:
        quickest = taken * cost / _MODELS[str(chosen.model)] / 2  # at best: not worth measuring if that is too much
        if quickest > budget or time.monotonic() - begin > _SECONDS:
            break
        better = replace(options, model=model)
        if (needed := share(better)) > budget:
            break
        chosen, taken = better, needed
    return chosen, taken


def _seconds(options: Options, size: tuple[int, int], steps: int) -> float:
    """Return the seconds that a pair with so many new frames takes, as measured here or at earlier times."""
    path, _ = loader.locate(options.model)
    machine = (
        platform.node(),
        platform.processor(),
        torch.backends.cpu.get_cpu_capability(),
        torch.get_num_threads(),
        options.devices,
    )
    settings = options.backend, options.precision, options.scale, options.tile
    facts = *machine, torch.__version__, path.name, loader.versions(path), *settings, *size, steps
    key = " ".join(map(str, facts))
    with _lock:
        if key not in _known:
            seconds, at = _seconds_in(measurements.kept().get(key, {}))
            if len(seconds) < _ROUNDS or not 0 <= time.time() - at < _FRESH:
                seconds = [*seconds, _measure(options, size, steps)][-_ROUNDS:]
                with measurements.alone():
                    measurements.keep(key, {"seconds of a pair": seconds, "at": time.time()})
            _known[key] = min(seconds)
        return _known[key]


def _seconds_in(entry: Mapping[str, object]) -> tuple[list[float], float]:
    """Return the measurements in an entry and the time of the last; none if it is not as it should be."""
    seconds, at = entry.get("seconds of a pair"), entry.get("at")
    if not isinstance(seconds, list) or not all(isinstance(each, float | int) and each > 0 for each in [*seconds, at]):
        return [], 0.0
    return [float(each) for each in seconds], float(str(at))


def _measure(options: Options, size: tuple[int, int], steps: int) -> float:
    """Return the seconds that the second of two pairs of noise takes."""
    height, width = size
    shrink = min(1.0, math.sqrt(_PIXELS / (height * width)))
    height, width = max(int(height * shrink), 1), max(int(width * shrink), 1)
    network = shared(options)
    measured = replace(options, scale=options.scale or automatic_scale(*size))
    engine = Interpolator(network.model, measured, backend=network.backend, cache_bytes=0, several=steps > 1)
    noise = torch.Generator().manual_seed(0)
    left, right = (torch.rand(1, 3, height, width, generator=noise) for _ in range(2))
    times = [Fraction(step, steps + 1) for step in range(1, steps + 1)]
    engine.interpolate(left, right, times)
    begin = time.perf_counter()
    engine.interpolate(left, right, times)
    return (time.perf_counter() - begin) / shrink**2
