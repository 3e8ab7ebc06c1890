"""What CUDA devices alone can do: multiply in TF32, and run out of memory on request."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from .conftest import Bench, Judge
from .place import Network
from .rendering import difference, forget, straight

pytestmark = pytest.mark.device

_LEAST = 35.0
"""Least PSNR in dB of tiles against the whole frame."""
_STARVED = 0.45
"""Share of the memory it needs that a network is left with."""


def test_float32_without_tf32(bench: Bench, judge: Judge, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    found = straight(bench.output(network, precision="fp32"))
    judge(found, bench.expected(network), bench.place.least_psnr(network, "fp32"))


@pytest.mark.parametrize("backend", ["torch", "graphs"])
@pytest.mark.parametrize("name", ["rrin_lite", "rrin"])
def test_with_too_little_memory_for_the_whole_frame_the_filter_goes_on_in_tiles(
    bench: Bench, name: str, backend: str, log_messages: list[str]
) -> None:
    device, network, clip = bench.place.device, Network(name), bench.clip(2, (1280, 704))
    forget(device)
    base = torch.cuda.memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    whole = straight(bench.output(network, clip, backend=backend, tile=0))
    needed = torch.cuda.max_memory_allocated(device) - base
    forget(device)
    total = torch.cuda.get_device_properties(device).total_memory
    with _share((base + _STARVED * needed) / total, device):
        found = straight(bench.output(network, clip, backend=backend))
        forget(device)
    _, psnr = difference(found, whole)
    assert psnr >= _LEAST
    assert any("ran out of memory" in text for text in log_messages), f"{needed >> 20} MiB were needed, and found"


@contextmanager
def _share(fraction: float, device: torch.device) -> Iterator[None]:
    """Let this process use so much of the device's memory."""
    torch.cuda.set_per_process_memory_fraction(fraction, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
