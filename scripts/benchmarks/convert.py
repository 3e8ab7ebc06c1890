"""Cost of converting a file beyond that of the bare network on the same frames.

Times `convert_file` (opening, decoding, interpolation, encoding, joining, verifying; without starting
Python and loading the network) against the bare network on the same pairs, alternating, in one run. Prints a markdown
table; ratio is the median over rounds.

    python -m scripts.benchmarks.convert [--clip VIDEO] [--models draft rrin_lite] [--rounds 5] [--frames 24]
                                        [--codec libx264]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import av
import torch
import vapoursynth as vs

from scripts.benchmarks.clips import CLIP, size_of
from scripts.benchmarks.overhead import bare_runner
from vsrrin.checkpoint import loader
from vsrrin.convert.convert_file import convert_file
from vsrrin.engine.backends.torch_backend import TorchBackend, resolve_device, resolve_precision


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--models", nargs="+", default=["draft", "rrin_lite"], help="bundled names or checkpoints")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=24, help="source frames per round")
    parser.add_argument("--size", type=size_of, default=(854, 480))
    parser.add_argument("--codec", default="libx264")
    options = parser.parse_args(arguments)
    width, height = options.size
    print(f"{options.rounds} rounds of {options.frames - 1} new frames, {torch.get_num_threads()} threads\n")
    print("| weights | size | codec | bare network s/frame | convert s/frame | ratio |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.mp4"
        _cut(options.clip, source, width, height, options.frames)
        for model in options.models:
            print(f"| {model} | {width}x{height} | {options.codec} | {_compare(source, model, options)} |", flush=True)


def _cut(clip: Path, target: Path, width: int, height: int, frames: int) -> None:
    """Write the first frames of a video, scaled, as H.264."""
    with av.open(str(clip)) as before, av.open(str(target), "w") as after:
        stream = after.add_stream("libx264", rate=25, options={"crf": "16"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, frame in enumerate(before.decode(video=0)):
            if number == frames:
                break
            scaled = frame.reformat(width, height, "yuv420p")
            scaled.pts, scaled.time_base = number, 1 / stream.codec_context.rate
            after.mux(stream.encode(scaled))
        after.mux(stream.encode(None))


def _compare(source: Path, model: str, options: argparse.Namespace) -> str:
    loaded = loader.load(model)
    device = resolve_device(None)
    backend = TorchBackend(loaded.net, loaded.spec, device, resolve_precision("auto", device, loaded.spec))
    bare = bare_runner(vs.core.bs.VideoSource(str(source), cachemode=0), backend)

    def whole() -> object:
        return convert_file(source, source.with_name("out.mkv"), model=model, codec=options.codec, overwrite=True)

    times: tuple[list[float], list[float]] = ([], [])
    for round_number in range(options.rounds + 1):
        for run, results in zip((bare, whole), times, strict=True):
            start = time.perf_counter()
            run()
            if round_number:  # the first round warms up
                results.append((time.perf_counter() - start) / (options.frames - 1))
    ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
    medians = [statistics.median(results) for results in times]
    return f"{medians[0]:.4f} | {medians[1]:.4f} | {ratio:.3f}"


if __name__ == "__main__":
    main()
