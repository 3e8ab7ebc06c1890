"""Rate of convolutions on this machine and their number in a network: no method can be faster."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from .results import CHANNELS, HEIGHT, WIDTH

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
_LAYERS = 4
"""Convolutions timed one after the other, so that what goes in and comes out hardly counts."""
_REPEATS = 10


class ConvolutionRate:
    """Rate of 3x3 convolutions in one library, in operations a second; multiplication and addition are two.

    Args:
        library: One of `.results.LIBRARIES`.

    Raises:
        ImportError: It is not installed.
    """

    def __init__(self, library: str) -> None:
        torch.manual_seed(0)
        layers = nn.Sequential(*(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(_LAYERS)))
        prepare = {"torch": _in_torch, "openvino": _in_openvino}[library]
        self._runs = {name: prepare(layers, name) for name in PRECISIONS}

    def measure(self) -> dict[str, float]:
        """Return the rate by precision, that of the fastest of a few runs, as it is to be a limit."""
        total = 2 * 9 * CHANNELS**2 * HEIGHT * WIDTH * _LAYERS
        return {name: total / _seconds(run) for name, run in self._runs.items()}


def _seconds(run: Callable[[], object]) -> float:
    found = []
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        run()
        found.append(time.perf_counter() - begin)
    return min(found)


def _in_torch(layers: nn.Module, precision: str) -> Callable[[], object]:
    import copy

    dtype = PRECISIONS[precision]
    net = copy.deepcopy(layers).to(dtype).to(memory_format=torch.channels_last).eval()
    x = torch.rand(1, CHANNELS, HEIGHT, WIDTH, dtype=dtype).contiguous(memory_format=torch.channels_last)

    def run() -> object:
        with torch.inference_mode():
            return net(x)

    return run


def _in_openvino(layers: nn.Module, precision: str) -> Callable[[], object]:
    from .openvino_model import Compiled

    net, x = Compiled(layers, precision), torch.rand(1, CHANNELS, HEIGHT, WIDTH)
    return lambda: net(x)


def convolution_flop(run: Callable[[], object]) -> int:
    """Return the operations of all convolution layers of PyTorch that a function runs, in whatever thread."""
    total, lock = [0], Lock()

    def count(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        if isinstance(module, nn.Conv2d) and isinstance(output, Tensor):
            each = output.numel() * module.in_channels // module.groups
        elif isinstance(module, nn.ConvTranspose2d):
            each = inputs[0].numel() * module.out_channels // module.groups
        else:
            return
        with lock:
            total[0] += 2 * each * module.kernel_size[0] * module.kernel_size[1]

    handle = register_module_forward_hook(count)
    try:
        run()
    finally:
        handle.remove()
    return total[0]
