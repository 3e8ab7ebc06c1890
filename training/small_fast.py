"""Command that makes triplets with small fast things over video, and measures methods on them.

    python -m training.small_fast --data DIR --out FOLDER [--count 24] [--methods blend,dis] [--model NAME|PATH ...]

DIR holds short videos that are not trained on. FOLDER gets a folder for each triplet with frame10.png, frame10i11.png
(the true frame), frame11.png, and mask.png: 255 where things are in the true frame, 128 where they hide something in
one of the others. The table has the PSNR in dB of what is marked so and of all, means over the triplets.
"""

import argparse
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean

from training.arguments import whole
from vsrrin.errors import VsrrinError

_HALF = Fraction(1, 2)


def run(options: argparse.Namespace) -> list[str]:
    """Write the triplets, and return the lines of the table; none without methods.

    Raises:
        VsrrinError: Something that is asked for is missing or wrong.
        OSError: A file cannot be written.
    """
    from training.measure.methods import filtered, make
    from training.measure.metrics import psnr
    from training.measure.small_things import HIDDEN, THINGS, small_things, write

    methods = {name: make(name) for name in options.methods.split(",") if name}
    methods |= {f"vsrrin {model}": filtered(model) for model in options.model}
    scores: dict[str, list[list[float]]] = {name: [] for name in methods}
    for found in small_things(options.data, options.count):
        write(found, options.out / found.name)
        left, truth, right = found.frames
        regions = (found.mask == THINGS, found.mask == HIDDEN, found.mask >= 0)
        for name, method in methods.items():
            made = method(left, right, _HALF)
            scores[name].append([psnr(made[region], truth[region]) for region in regions])
        print(f"{found.name}: {truth.shape[1]}x{truth.shape[0]}", file=sys.stderr, flush=True)
    lines = ["method | things | hidden | all", "--- | --- | --- | ---"] if methods else []
    for name, rows in scores.items():
        means = [f"{fmean(column):.2f}" for column in zip(*rows, strict=True)]
        lines.append(" | ".join([name, *means]))
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit status: 0, 2 for an error, 130 when interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m training.small_fast", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="folder of short videos without cuts")
    add("--out", type=Path, required=True, metavar="FOLDER", help="where the triplets go")
    add("--count", type=whole(1), default=24, help="number of triplets (%(default)s)")
    add("--methods", default="", help="what to measure, by commas, as of training.evaluate")
    add("--model", nargs="+", default=[], help="names or paths of checkpoints to measure, through the filter")
    options = parser.parse_args(arguments)
    import vapoursynth as vs

    try:
        lines = run(options)
    except (VsrrinError, vs.Error, OSError) as error:
        print(f"training.small_fast: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("training.small_fast: interrupted", file=sys.stderr)
        return 130
    print("\n".join([*lines, str(options.out)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
