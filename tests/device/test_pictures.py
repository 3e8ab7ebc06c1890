"""Frames made on the device beside those made on the CPU."""

from collections.abc import Callable

import pytest
import torch
import vapoursynth as vs

from vsrrin.engine.backends.graph_backend import GraphBackend

from .conftest import Bench, Judge
from .place import Network
from .rendering import at_once, by_threads, recordings, straight

pytestmark = pytest.mark.device


@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
def test_new_frames_are_those_of_the_cpu(
    bench: Bench,
    judge: Judge,
    record_property: Callable[[str, object], None],
    network: Network,
    backend: str,
    precision: str,
    several: bool,
) -> None:
    place, factor = bench.place, network.factor if several else "2"
    if place.is_cuda:
        torch.cuda.reset_peak_memory_stats(place.device)
    output = bench.output(network, factor=factor, backend=backend, precision=precision)
    found = straight(output)
    kinds = [frame.props["_VSRRIN_Kind"] for frame in output.frames(close=True)]
    # The frame after the last pair is held: the rest of what is no source frame is new.
    assert kinds.count("new") >= place.frames - 1, kinds
    if place.is_cuda:
        record_property("MiB", torch.cuda.max_memory_allocated(place.device) >> 20)
    if backend == "graphs":
        record_property("recorded", f"{sum(recordings())} of {len(recordings())}")
    judge(found, bench.expected(network, factor=factor), place.least_psnr(network, precision))


def test_frames_asked_for_in_any_order_are_the_same_bits(
    bench: Bench, judge: Judge, network: Network, backend: str, precision: str
) -> None:
    """Straight on, by threads and all at once, each time from a filter of its own."""

    def fresh() -> vs.VideoNode:
        return bench.output(network, factor=network.factor, backend=backend, precision=precision)

    expected = straight(fresh())
    for found in (by_threads(fresh(), 1), *at_once([fresh()], 2)):
        judge(found, expected, bench.place.least_psnr_again(network))


def test_recordings_give_what_the_network_gives(bench: Bench, judge: Judge, network: Network, precision: str) -> None:
    found, expected = (straight(bench.output(network, backend=b, precision=precision)) for b in ("graphs", "torch"))
    # On a GPU a library may choose another kernel while it is recorded.
    judge(found, expected, float("inf") if bench.place.device.type == "cpu" else 50.0)


def test_formats_and_odd_sizes(bench: Bench, judge: Judge, network: Network, kind: str, odd: bool) -> None:
    width, height = bench.place.size
    clip = bench.clip(2, (width - odd, height - odd), getattr(vs, kind))
    judge(straight(bench.output(network, clip)), bench.expected(network, clip), bench.place.least_psnr(network))


def test_tiles(bench: Bench, judge: Judge, network: Network, backend: str) -> None:
    width, height = (max(side // 2, 64) for side in bench.place.size)
    clip = bench.clip(2)
    found = straight(bench.output(network, clip, backend=backend, tile=(width, height), overlap=16))
    expected = bench.expected(network, clip, tile=(width, height), overlap=16)
    judge(found, expected, bench.place.least_psnr(network))


def test_two_sizes_in_turn_share_a_network(bench: Bench, judge: Judge, network: Network, backend: str) -> None:
    width, height = bench.place.size
    clips = [bench.clip(2), bench.clip(2, (width // 2, height))]
    alone = [straight(bench.output(network, clip, backend=backend)) for clip in clips]
    together = at_once([bench.output(network, clip, backend=backend) for clip in clips], 5)
    for found, expected in zip(together, alone, strict=True):
        judge(found, expected, bench.place.least_psnr_again(network))


def test_many_frames_at_once_are_the_same_bits(bench: Bench, judge: Judge, bundled: Network) -> None:
    clip = bench.clip().std.Loop(5)
    (found,) = at_once([bench.output(bundled, clip)], 3)
    judge(found, straight(bench.output(bundled, clip)), float("inf"))


def test_several_devices_share_the_work(bench: Bench, judge: Judge, network: Network, devices: list[str]) -> None:
    (found,) = at_once([bench.output(network, device=devices, precision="fp32")], 4)
    judge(found, bench.expected(network), bench.place.least_psnr(network, "fp32"))


def test_wrong_frames_are_noticed(
    bench: Bench, judge: Judge, bundled: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, original = [0], GraphBackend.synthesize

    def drifting(self: GraphBackend, *inputs: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return original(self, *inputs) + 0.01 * calls[0]

    monkeypatch.setattr(GraphBackend, "synthesize", drifting)
    with pytest.raises(AssertionError, match="dB, at most"):
        test_recordings_give_what_the_network_gives(bench, judge, bundled, "fp32")
    with pytest.raises(AssertionError, match="dB, at most"):
        test_frames_asked_for_in_any_order_are_the_same_bits(bench, judge, bundled, "graphs", "fp32")
