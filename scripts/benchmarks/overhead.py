"""Cost of the filter beyond that of the network it runs.

Times new frames through ``vsrrin.interpolate`` (8-bit 4:2:0 frames in memory in, the same out: conversion, scene
detection, graph and all) against the bare network on the same pairs (optical flow, ``estimate``, ``synthesize`` on
tensors that are already there), alternating, in one run. Prints a markdown table; ratio is the median over rounds.

    python -m scripts.benchmarks.overhead [--clip VIDEO] [--models draft rrin_lite] [--rounds 5] [--frames 12]
"""

import argparse
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
import vapoursynth as vs
from torch import Tensor

import vsrrin
from scripts.benchmarks.clips import CLIP, in_memory, size_of
from vsrrin.checkpoint import loader
from vsrrin.clip import frames
from vsrrin.engine.backends.torch_backend import TorchBackend, resolve_device, resolve_precision
from vsrrin.engine.plan import automatic_scale
from vsrrin.flow.dis import DisFlow, brightness, half_flow


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--models", nargs="+", default=["draft", "rrin_lite"], help="bundled names or checkpoints")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=12, help="source frames per round")
    parser.add_argument("--sizes", nargs="+", type=size_of, default=[(854, 480), (1920, 1080)], metavar="SIZE")
    options = parser.parse_args(arguments)
    source = vs.core.bs.VideoSource(str(options.clip), cachemode=0)
    print(f"{options.rounds} rounds of {options.frames - 1} new frames, {torch.get_num_threads()} threads\n")
    print("| weights | size | precision | bare network s/frame | filter s/frame | ratio |")
    print("|---|---|---|---|---|---|")
    for model in options.models:
        for size in options.sizes:
            width, height = size
            clip = in_memory(source.resize.Bicubic(width, height, format=vs.YUV420P8)[: options.frames])
            print(f"| {model} | {width}x{height} | {_compare(clip, model, options.rounds)} |", flush=True)


def _compare(clip: vs.VideoNode, model: str, rounds: int) -> str:
    loaded = loader.load(model)
    device = resolve_device(None)
    dtype = resolve_precision("auto", device, loaded.spec)
    bare = bare_runner(clip, TorchBackend(loaded.net, loaded.spec, device, dtype))

    def prepared() -> Callable[[], None]:
        # A new graph each time, or VapourSynth would answer from its frame cache; built before the clock starts.
        output = vsrrin.interpolate(clip, 2, model)
        return lambda: deque(output.frames(close=True), maxlen=0).clear()

    times: tuple[list[float], list[float]] = ([], [])
    for round_number in range(rounds + 1):
        for run, results in zip((bare, prepared()), times, strict=True):
            start = time.perf_counter()
            run()
            if round_number:  # the first round warms up
                results.append((time.perf_counter() - start) / (clip.num_frames - 1))
    ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
    medians = [statistics.median(results) for results in times]
    return f"{str(dtype).removeprefix('torch.')} | {medians[0]:.4f} | {medians[1]:.4f} | {ratio:.3f}"


def bare_runner(clip: vs.VideoNode, backend: TorchBackend) -> Callable[[], None]:
    """Return a function that runs the bare network over all pairs of a clip, whose frames are tensors already."""
    colour = frames.Colour.of(clip.format, clip.width, clip.height, clip.get_frame(0).props)
    tensors = [frames.to_tensor(frame, colour) for frame in clip.frames()]
    scale = automatic_scale(clip.height, clip.width)
    pictures = [(_padded(tensor), brightness(tensor, scale)) for tensor in tensors]
    motion = DisFlow()
    t = torch.full((1, 1, 1, 1), 0.5)

    def run() -> None:
        for (left, grey0), (right, grey1) in pairwise(pictures):
            flow = torch.empty(1, 4, left.shape[-2] // 2, left.shape[-1] // 2)
            half_flow(motion(grey0, grey1), clip.height, clip.width, flow)
            backend.synthesize(left, right, backend.estimate(left, right, flow), t)

    return run


def _padded(picture: Tensor) -> Tensor:
    height, width = (-(-side // 16) * 16 for side in picture.shape[-2:])
    return torch.nn.functional.pad(picture, (0, width - picture.shape[-1], 0, height - picture.shape[-2]), "replicate")


if __name__ == "__main__":
    main()
