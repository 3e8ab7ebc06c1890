"""Fastest way to run a network's convolutions on this processor, found by trying.

What a processor says of itself does not tell: there are some with instructions for bf16 on which it is slower than
float32. So the largest stack of convolutions is run in all ways, in turns, for some tenths of a second. What was found
is kept on disk and holds until the processor, the number of threads, a library or the network changes.
"""

import copy
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vsrrin.engine import measurements
from vsrrin.errors import VsrrinError
from vsrrin.nets.parts.convolution_stacks import Stack, hidden_convolutions, named_stacks
from vsrrin.nets.parts.precision import to_precision

from . import openvino_backend
from .processor import processor

_WORK = 2e9
"""Multiplications of one run of a stack: some hundredths of a second."""
_SECONDS = 1.0
"""Time of the runs; to compile the stack takes about as long."""
_GAIN = {"fp32": 1.0, "bf16": 1.05, "fp16": 1.05, "int8": 1.1}
"""How many times as fast as a more exact way another one must be, by precision."""

_log = logging.getLogger("vsrrin")


@dataclass(frozen=True, order=True)
class Way:
    """A backend, "torch" or "openvino", and a precision."""

    backend: Literal["torch", "openvino"]
    precision: Literal["fp32", "bf16", "fp16", "int8"]

    def __str__(self) -> str:
        return f"{self.backend} {self.precision}"


def fastest(net: nn.Module, ways: Sequence[Way], *, again: bool = False) -> tuple[Way, Mapping[Way, float]]:
    """Return the fastest way to run a net, and the seconds that each took.

    Args:
        net: The net, float32, with ranges if one of the ways is in 8 bit.
        ways: The ways to choose from, at least one.
        again: Measure, whatever is kept on disk.
    """
    name, facts = _facts(net, ways)
    with measurements.alone():  # processes that start together must not come to different results
        found = None if again else _seconds_in(measurements.kept().get(name), ways)
        if found is None:
            found = measured(net, ways)
            chosen = _best(found)
            texts = {str(way): seconds for way, seconds in found.items()}
            measurements.keep(name, {**facts, "seconds": texts, "chosen": str(chosen)})
            _log.info("measured: %s; %s is used", ", ".join(f"{w} {s * 1e3:.1f} ms" for w, s in found.items()), chosen)
    return _best(found), found


def records() -> list[dict[str, Any]]:
    """Return what is kept of this processor: ``network``, ``threads``, ``seconds`` by way, and the one ``chosen``."""
    wanted = {"network", "threads", "seconds", "chosen"}
    entries = [entry for entry in measurements.kept().values() if wanted <= set(entry)]
    return [entry for entry in entries if entry.get("processor") == processor() and isinstance(entry["seconds"], dict)]


def measured(net: nn.Module, ways: Sequence[Way]) -> dict[Way, float]:
    """Return the seconds that the largest stack of a net takes each way, the least of several runs in turns."""
    stacks = {name: (each, sum(hidden_convolutions(*each))) for name, each in named_stacks(net).items()}
    (module, method, stack), work = max(stacks.values(), key=lambda found: found[1])
    units = max(int((_WORK / max(work, 1)) ** 0.5) // stack.multiple, 2)
    x = torch.rand(1, stack.channels, units * stack.multiple, units * stack.multiple)
    runs: dict[Way, Callable[[], object]] = {}
    for way in ways:
        try:
            runs[way] = _run(way, module, method, stack, x)
        except (VsrrinError, RuntimeError) as error:  # a way that does not work is not the fastest
            _log.info("%s cannot be used: %s", way, error)
    found = dict.fromkeys(runs, float("inf"))
    ends = time.perf_counter() + _SECONDS
    while time.perf_counter() < ends:
        for way, run in runs.items():
            begins = time.perf_counter()
            run()
            found[way] = min(found[way], time.perf_counter() - begins)
    return {way: round(seconds, 5) for way, seconds in found.items()}


def _run(way: Way, module: nn.Module, method: str, stack: Stack, x: Tensor) -> Callable[[], object]:
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.int8}[way.precision]
    if way.backend == "openvino":
        compiled = openvino_backend.compiled(module, method, stack, dtype)
        given = x.bfloat16() if dtype == torch.bfloat16 else x
        compiled(given)
        return lambda: compiled(given)
    run = getattr(to_precision(copy.deepcopy(module), dtype), method)
    typed = x.to(dtype)

    def once() -> object:
        with torch.inference_mode():
            return run(typed)

    once()
    return once


def _best(found: Mapping[Way, float]) -> Way:
    best, *others = sorted(found, key=lambda way: list(_GAIN).index(way.precision))
    for way in others:
        if found[way] * _GAIN[way.precision] / _GAIN[best.precision] < found[best]:
            best = way
    return best


def _facts(net: nn.Module, ways: Sequence[Way]) -> tuple[str, dict[str, object]]:
    """Return what a measurement depends on, and a name made of it."""
    shapes = [(name, tuple(value.shape)) for name, value in net.state_dict().items()]
    facts: dict[str, object] = {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "openvino": openvino_backend.version() if any(way.backend == "openvino" for way in ways) else None,
        "network": f"{type(net).__name__} {sha256(repr(shapes).encode()).hexdigest()[:8]}",
        "ways": sorted(map(str, ways)),
    }
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16], facts


def _seconds_in(entry: object, ways: Sequence[Way]) -> dict[Way, float] | None:
    """Return the seconds that an entry holds; ``None`` if it is not as it should be."""
    if not isinstance(entry, dict) or not isinstance(texts := entry.get("seconds"), dict):
        return None
    found = {way: texts[str(way)] for way in ways if str(way) in texts}
    sound = found and all(isinstance(seconds, float | int) and 0 < seconds < 1e6 for seconds in found.values())
    return {way: float(seconds) for way, seconds in found.items()} if sound else None
