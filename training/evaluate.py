"""Command that measures the quality of new frames against true ones, beside baselines and published networks.

    python -m training.evaluate --data DIR [--model NAME|PATH ...]
                                [--methods blend,dis,mvtools,rife-4.0,rife-4.2x,rife-4.6] [--all] [--limit N]
                                [--through filter|net] [--csv FILE] [--sheet FILE.png] ...

DIR holds video files without cuts. A triplet is two source frames and a true frame between them, at 1/2 or 1/4 of the
way: see :mod:`training.measure.triplets`, and :mod:`training.measure.methods` and :mod:`training.measure.metrics` for
methods and measures. The methods take turns, in another order for each triplet. The tables go to stdout, progress to
stderr.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.errors import TrainingError
from training.measure.score_tables import (
    MEASURES,
    Score,
    check_comparable,
    details,
    merged,
    read_csv,
    rendered,
    summary,
    write_csv,
)
from vsrrin.errors import VsrrinError

if TYPE_CHECKING:
    from training.measure.methods import Method
    from training.measure.worst_cases import Worst

DEFAULT_METHODS = "blend,dis,mvtools"
NOTE = """\
tOF is the error of motion from frame to frame: lower is better. SSIMULACRA2 has no lower bound: its mean hangs on the
worst frames. s per frame is the median of single frames and depends on what else the machine does: a rough figure."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments, and check those that depend on each other."""
    parser = argparse.ArgumentParser(
        prog="training.evaluate",
        description=(__doc__ or "").partition("\n")[0],
        epilog="The methods: blend (frame blend), dis (plain DIS flow and blend), mvtools (FlowInter), rife-4.0, "
        "rife-4.2x and rife-4.6 (from packages that are installed by hand, see training/measure/peers.py; with "
        ":mirror, :double or both behind the name).",
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of video files without cuts")
    add("--model", nargs="*", default=["rrin_lite"], help="names or paths of checkpoints, or none (default rrin_lite)")
    add("--methods", default=DEFAULT_METHODS, help=f"what to compare with, by commas (default {DEFAULT_METHODS})")
    add("--all", action="store_true", help="all triplets, not only every second one")
    add("--limit", type=int, help="at most so many triplets, spread evenly")
    add("--through", choices=("filter", "net"), default="filter", help="the filter as users get it, or the bare net")
    add("--format", nargs="+", default=["RGB24"], help="formats that the filter is given, e.g. YUV420P8")
    add("--device", help="where networks run, e.g. cuda:1 (default: the best one here)")
    add("--csv", type=Path, help="where to write every single result that the tables show")
    add("--merge", type=Path, nargs="+", default=[], help="results of earlier runs (--csv) to show in the same tables")
    add("--sheet", type=Path, help="where to write a picture (PNG) of the worst cases of the first model")
    add("--against", help="the method they are worst against (default: blend, or else the first one)")
    add("--cases", type=int, default=6, help="how many of them (default 6)")
    add("--markdown", action="store_true", help="write the tables in Markdown")
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        parser.error(f"--data: {options.data} is not a folder")
    for name, value in (("--limit", options.limit), ("--cases", options.cases)):
        if value is not None and value < 1:
            parser.error(f"{name} must be at least 1, not {value}")
    if options.through == "net" and options.format != ["RGB24"]:
        parser.error("--format is for --through filter: networks take RGB")
    if options.sheet and options.sheet.suffix.lower() != ".png":
        parser.error(f"--sheet must end with .png, not {options.sheet}")
    for path in (options.csv, options.sheet):  # before the work, not after it
        if path and not path.absolute().parent.is_dir():
            parser.error(f"{path}: there is no folder {path.parent}")
    return options


def chosen(options: argparse.Namespace) -> tuple[dict[str, "Method"], list[str]]:
    """Return the requested methods by name, and the names of those that are vsrrin's.

    Raises:
        VsrrinError: One is not known, not installed, or does not load.
    """
    import vapoursynth as vs

    from training.measure.methods import bare, filtered, make
    from vsrrin.checkpoint import loader

    found = {name: make(name, options.device) for name in options.methods.split(",") if name}
    own: dict[str, Method] = {}
    for model in options.model:
        if options.through == "net":
            own[f"vsrrin {model}"] = bare(loader.load(model), options.device)
            continue
        for name in options.format:
            if name not in vs.PresetVideoFormat.__members__ or name == "NONE":
                raise TrainingError(
                    f"--format: {name} is not a format of VapourSynth, such as RGB24, YUV420P8 or YUV444P16"
                )
            own[f"vsrrin {model}{'' if name == 'RGB24' else f' {name}'}"] = filtered(model, name, options.device)
    return found | own, list(own)


def _worst(options: argparse.Namespace, names: Sequence[str], own: Sequence[str]) -> "Worst | None":
    if not options.sheet:
        return None
    from training.measure.worst_cases import Worst

    subject = own[0] if own else names[-1]
    others = [name for name in names if name != subject]
    if not others:
        raise TrainingError("--sheet compares: it needs two methods; add one with --methods or --model")
    against = options.against or ("blend" if "blend" in others else others[0])
    if against not in others:
        raise TrainingError(f"--against: {against} is not among the methods of this run, {', '.join(others)}")
    return Worst(subject, against, options.cases)


def run(options: argparse.Namespace) -> str:
    """Measure, write the requested files, and return the tables.

    Raises:
        VsrrinError: Something that is asked for is missing or wrong.
        OSError: A file cannot be written.
    """
    from training.measure.comparison import measure
    from training.measure.triplets import read_triplets

    old = [score for path in options.merge for score in read_csv(path)]
    methods, own = chosen(options)
    if not methods and not old:
        raise TrainingError("nothing to measure; give --model, --methods or --merge")
    new: list[Score] = []
    worst = _worst(options, list(methods), own) if methods else None
    try:
        if methods:
            sources = read_triplets(options.data, limit=options.limit, split=not options.all)
            measure(methods, sources, lambda line: print(line, file=sys.stderr, flush=True), worst, new.extend)
    finally:  # what has been measured is kept, whatever ends it
        scores = merged(old, new)
        if options.csv and (new or not methods):
            write_csv(options.csv, scores)
    if worst is not None:
        options.sheet.write_bytes(worst.png())
    check_comparable(scores)
    tables = [summary(scores), *(details(scores, measure) for measure in MEASURES)]
    return "\n\n".join([*(rendered(table, markdown=options.markdown) for table in tables), NOTE])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit status: 0, 2 for an error, 130 when interrupted."""
    options = parse(arguments)
    import vapoursynth as vs

    try:
        print(run(options))
    except (VsrrinError, vs.Error, OSError) as error:
        print(f"training.evaluate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = f"; what was measured is in {options.csv}" if options.csv and options.csv.is_file() else ""
        print(f"training.evaluate: interrupted{kept}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
