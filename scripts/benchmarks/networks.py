"""Cost of every network: parameters, operations, seconds, memory. Prints a markdown table.

    python -m scripts.benchmarks.networks [--nets NAME ...] [--size 854x480] [--rounds 3] [--memory 1920x1080 3840x2160]

All networks have random weights, since speed and memory do not depend on them, in their usual sizes and with nothing
left out. A pair is `Interpolator.interpolate` from two frames in memory to the frame in the middle: optical flow where
the network takes it from outside, padding and tiling included. The networks take turns in every round.

GFLOP are those of one forward pass of a 256x256 pair, convolutions and matrix products alone, a multiplication and an
addition counted as two. Memory is the peak of a process that does nothing else, Python and PyTorch included, one pair
with automatic precision and tiling; every figure has a process of its own.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from scripts.benchmarks.clips import ROOT, size_of
from scripts.benchmarks.memory import own_peak
from scripts.models.random_weights import random_model
from vsrrin.engine.backends.torch_backend import Precision
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.nets import NETS, NetSpec
from vsrrin.nets.registry import by_name

PRECISIONS: tuple[Precision, ...] = ("fp32", "auto")
FLOP_SIDE = 256
SEED = 0


def parameters(spec: NetSpec) -> int:
    """Return the number of parameters of the network in its usual size."""
    with torch.device("meta"):
        return sum(p.numel() for p in spec.default().parameters())


def flop(spec: NetSpec) -> int:
    """Return the operations of one forward pass of a `FLOP_SIDE` pair; multiplication and addition are two."""
    net = random_model(spec).net
    img0, img1 = frames(FLOP_SIDE, FLOP_SIDE)
    flow = (torch.zeros(1, 4, FLOP_SIDE // 2, FLOP_SIDE // 2),) if spec.external_flow else ()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(img0, img1, torch.full((1, 1, 1, 1), 0.5), *flow)
    return int(counter.get_total_flops())


def frames(width: int, height: int) -> tuple[Tensor, Tensor]:
    """Return two frames of soft blobs, (1, 3, H, W) float32 in [0, 1], the second moved by a few pixels."""
    torch.manual_seed(SEED)
    coarse = torch.rand(1, 3, height // 16 + 3, width // 16 + 3)
    size = ((height // 16 + 3) * 16, (width // 16 + 3) * 16)
    large = nn.functional.interpolate(coarse, size, mode="bilinear", align_corners=False)
    return large[..., :height, :width].contiguous(), large[..., 2 : height + 2, 4 : width + 4].contiguous()


def seconds(specs: Sequence[NetSpec], size: tuple[int, int], rounds: int) -> dict[tuple[str, str], float]:
    """Return the median seconds per pair by (network, precision); they take turns."""
    img0, img1 = frames(*size)
    engines = {
        (spec.name, precision): Interpolator(
            random_model(spec), Options(precision=precision, backend="torch"), cache_bytes=0
        )
        for spec in specs
        for precision in PRECISIONS
    }
    found: dict[tuple[str, str], list[float]] = {key: [] for key in engines}
    for number in range(rounds + 1):
        for key, engine in engines.items():
            start = time.perf_counter()
            engine.interpolate(img0, img1, [0.5])
            if number:  # the first round warms up
                found[key].append(time.perf_counter() - start)
        print(f"round {number} of {rounds} done", file=sys.stderr, flush=True)
    return {key: statistics.median(values) for key, values in found.items()}


def peak_memory(spec: NetSpec, size: tuple[int, int]) -> int:
    """Return the peak bytes of a fresh process that interpolates one pair."""
    command = [sys.executable, "-m", "scripts.benchmarks.networks", "--child", spec.name, "{}x{}".format(*size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    return int(done.stdout.splitlines()[-1])


def child(spec: NetSpec, size: tuple[int, int]) -> int:
    """Interpolate one pair and return the peak bytes of this process."""
    model = random_model(spec)
    Interpolator(
        model, Options(backend="torch"), log=lambda text: print(text, file=sys.stderr, flush=True)
    ).interpolate(*frames(*size), [0.5])
    return own_peak()


def table(
    specs: Sequence[NetSpec], size: tuple[int, int], rounds: int, memory_sizes: Sequence[tuple[int, int]]
) -> list[str]:
    """Measure everything and return the lines of the table."""
    head = ["network", "parameters", f"GFLOP {FLOP_SIDE}x{FLOP_SIDE}"]
    head += [f"s {precision} {size[0]}x{size[1]}" for precision in PRECISIONS] if rounds else []
    head += [f"GB {width}x{height}" for width, height in memory_sizes]
    times = seconds(specs, size, rounds) if rounds else {}
    lines = [head, ["---"] * len(head)]
    for spec in specs:
        line = [spec.name, f"{parameters(spec) / 1e6:.2f} M", f"{flop(spec) / 1e9:.2f}"]
        line += [f"{times[spec.name, precision]:.3f}" for precision in PRECISIONS] if rounds else []
        for other in memory_sizes:
            line.append(f"{peak_memory(spec, other) / 1e9:.2f}")
            print(f"{spec.name}: memory at {other[0]}x{other[1]} done", file=sys.stderr, flush=True)
        lines.append(line)
    return [f"| {' | '.join(line)} |" for line in lines]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    names = [spec.name for spec in NETS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--size", type=size_of, default=(854, 480), help="size of the frames that are timed")
    parser.add_argument("--rounds", type=int, default=3, help="0 times nothing")
    parser.add_argument("--memory", type=size_of, nargs="*", default=[(1920, 1080), (3840, 2160)], metavar="SIZE")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.rounds < 0:
        parser.error("--rounds must be at least 0")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print."""
    options = parse(arguments)
    if options.child:
        print(child(by_name(options.child[0]), size_of(options.child[1])))
        return
    print(f"Random weights, {torch.get_num_threads()} threads, median of {options.rounds} rounds\n")
    specs = [by_name(name) for name in options.nets]
    print("\n".join(table(specs, options.size, options.rounds, options.memory)))


if __name__ == "__main__":
    main()
