"""Time of optical flow of a pair, on the host and by the tensor operations that devices other than the CPU take.

Both directions, from frames on the device to flow as networks take it, taking turns. Prints a markdown table; times are
medians. On the CPU it shows what the tensor operations cost there, where the engine does not take them.

    python -m scripts.benchmarks.flow [--device cpu] [--sizes 854x480 1920x1080] [--rounds 5]
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
import vapoursynth as vs
from torch import Tensor

from scripts.benchmarks.clips import CLIP, size_of
from vsrrin.clip import frames
from vsrrin.engine.backends.torch_backend import resolve_device
from vsrrin.engine.plan import automatic_scale
from vsrrin.flow.device_flow import DeviceFlow
from vsrrin.flow.dis import PRESETS, DisFlow, Preset, brightness, half_flow


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="where tensor operations run (default cpu)")
    parser.add_argument("--sizes", nargs="+", type=size_of, default=[(854, 480), (1920, 1080)], metavar="SIZE")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    device = resolve_device(options.device)
    print(f"{options.rounds} rounds, {torch.get_num_threads()} threads\n")
    print(f"| size | preset | on the host, ms per pair | tensor operations on {device}, ms per pair | apart, pixels |")
    print("|---|---|---|---|---|")
    for width, height in options.sizes:
        for preset in PRESETS:
            print(f"| {width}x{height} | {preset} | {_compare(_pair(width, height), preset, device, options.rounds)} |")


def _pair(width: int, height: int) -> tuple[Tensor, Tensor]:
    clip = vs.core.bs.VideoSource(str(CLIP), cachemode=0).resize.Bicubic(width, height, format=vs.RGB24, matrix_in=1)
    colour = frames.Colour.of(clip.format, width, height, clip.get_frame(10).props)
    return frames.to_tensor(clip.get_frame(10), colour), frames.to_tensor(clip.get_frame(12), colour)


def _compare(pair: tuple[Tensor, Tensor], preset: Preset, device: torch.device, rounds: int) -> str:
    height, width = pair[0].shape[-2:]
    scale = automatic_scale(height, width)
    host, there, on_device = DisFlow(preset), DeviceFlow(preset), [image.to(device) for image in pair]

    def on_host() -> Tensor:
        out = torch.empty(1, 4, -(-height // 2), -(-width // 2))
        half_flow(host(brightness(pair[0], scale), brightness(pair[1], scale)), height, width, out)
        return out

    def by_tensors() -> Tensor:
        # The copy waits until the device is done.
        return there(on_device[0], on_device[1], scale).cpu()

    ways: tuple[Callable[[], Tensor], ...] = on_host, by_tensors
    apart = (on_host() - by_tensors()).view(2, 2, -1).norm(dim=1).mean()  # and all is warm
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for way, taken in zip(ways, times, strict=True):
            begin = time.perf_counter()
            way()
            taken.append(time.perf_counter() - begin)
    host_ms, tensors = (statistics.median(taken) * 1000 for taken in times)
    return f"{host_ms:.1f} | {tensors:.1f} | {apart:.2f}"


if __name__ == "__main__":
    main()
