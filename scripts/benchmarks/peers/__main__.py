"""Quality and speed of vsrrin beside its peers, in one run on this machine, as tables, JSON and a picture.

    python -m scripts.benchmarks.peers [--methods NAME ...] [--sizes 480p 720p 1080p] [--factors 2 4] [--rounds 3]
                                [--frames 13] [--seconds 15] [--no-quality] [--no-limits] [--out benchmark] ...

Methods are named as in :mod:`.methods`. Each has a process of its own, which stays alive for all
rounds of a size, so that compiled models, caches and threads do not mix; one works at a time. In every round all take
turns, beginning with another one each time. A run makes the new frames between the first --frames source frames, or
between fewer where that would take longer than --seconds; a run before the first round does not count. The text under
the tables says what counts as a method's time. A method that lacks something stays in them, with the reason.

Quality is that of `training.evaluate`: the same triplets of --val, the same measures. The limit is the time that the
convolutions of a network would take at the rate at which this machine does them, measured between the rounds.

After every round results.json is written to --out; in the end table.md and, if there is something to show,
quality_speed.png. --add takes methods and sizes of earlier runs into the tables.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.benchmarks.clips import CLIP, ROOT, size_of

from .measure import Benchmark
from .method import parse
from .methods import DEFAULT
from .picture import draw
from .report import report
from .results import Results


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--methods", nargs="+", default=list(DEFAULT), metavar="NAME[:KEY=VALUE]...", help="see peers/methods.py")
    add("--sizes", nargs="+", default=["480p", "720p", "1080p"], help="480p 720p 1080p 4k or WIDTHxHEIGHT")
    add("--factors", nargs="+", type=int, default=[2, 4])
    add("--rounds", type=int, default=3, help="0 times nothing")
    add("--frames", type=int, default=13, help="source frames of a run at most (default 13)")
    add("--seconds", type=float, default=15, help="what a run should take at most (default 15)")
    add("--clip", type=Path, default=CLIP, help="whose frames are used for times")
    add("--quality", action=argparse.BooleanOptionalAction, default=True)
    add("--val", type=Path, default=ROOT.parent / "shared" / "data" / "val", help="folder of clips for quality")
    add("--limit", type=int, help="at most so many triplets")
    add("--limits", action=argparse.BooleanOptionalAction, default=True, help="rate of convolutions, operations")
    add("--add", type=Path, nargs="+", default=[], metavar="JSON", help="results of earlier runs to show as well")
    add("--out", type=Path, default=Path("benchmark"), help="folder for what is written (default benchmark/)")
    options = parser.parse_args(arguments)
    for name, check, values in (("--methods", parse, options.methods), ("--sizes", size_of, options.sizes)):
        for text in values:
            try:
                check(text)
            except (ValueError, argparse.ArgumentTypeError):
                parser.error(f"{name}: {text!r} is not understood")
    if options.rounds < 0 or options.frames < 3 or min(options.factors) < 2 or options.seconds <= 0:
        parser.error("--rounds must be at least 0, --frames at least 3, --factors at least 2, --seconds above 0")
    for path in (options.clip, *options.add, *([options.val] if options.quality else [])):
        if not path.exists():
            parser.error(f"{path} does not exist" + ("; --no-quality needs no --val" if path == options.val else ""))
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, write, print."""
    options = parse_options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        benchmark = Benchmark(options, Path(folder))
        benchmark.measure()
    results = benchmark.results
    for path in options.add:
        results.add(Results.load(path))
    results.save(options.out / "results.json")
    text = report(results)
    (options.out / "table.md").write_text(text, encoding="utf-8")
    if results.sizes:
        draw(results, options.out / "quality_speed.png", results.sizes[0], min(options.factors))
    print(text)


if __name__ == "__main__":
    main()
