"""Command that measures the quality of new frames against true ones, beside baselines and published networks.

    python -m training.evaluate --data [BUCKET=]DIR ... [--model NAME|PATH ...] [--methods blend,dis,rife-4.6,...]
                                [--all] [--limit N] [--through filter|net] [--csv FILE] [--merge FILE ...]
                                [--against METHOD] [--sheet FILE.png] ...

DIR holds video files without cuts, or triplets of pictures. A triplet is two source frames and a true frame between
them: see :mod:`training.measure.triplets` and :mod:`training.measure.datasets`, and :mod:`training.measure.methods` and
:mod:`training.measure.metrics` for methods and measures. The methods take turns, in another order for each triplet. The
tables go to stdout, progress to stderr.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.errors import DatasetError, TrainingError
from training.measure.datasets import Data, read
from training.measure.score_tables import MEASURES, Table, details, differences, rendered, summary
from training.measure.scores import Score, by_data, check_comparable, merged, on_all_data, read_csv, write_csv
from vsrrin.errors import VsrrinError

if TYPE_CHECKING:
    from training.measure.methods import Method

DEFAULT_METHODS = "blend,dis,mvtools"
NOTE = """\
± is the standard error of a mean, as if the triplets were independent; * marks a mean difference of more than two of
its own. tOF, the error of motion from frame to frame, and IE are better when lower; IE is the mean absolute error, as
papers on networks have it, IE rms that of the benchmark of Baker et al. SSIMULACRA2 has no lower bound: its mean hangs
on the worst frames. s per frame is the median of single frames and depends on what else the machine does: a rough
figure."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments, and check those that depend on each other."""
    parser = argparse.ArgumentParser(
        prog="training.evaluate",
        description=(__doc__ or "").partition("\n")[0],
        epilog="The methods: blend (frame blend), dis (plain DIS flow and blend), mvtools and mvutensils (FlowInter), "
        "and networks from packages that are installed by hand, see training/measure/peers.py: rife-4.0, rife-4.6 and "
        "rife-4.2x, each also with -scale2 (flow at twice the size), -mirrored (mean with the mirrored pair in "
        "reverse) or both behind it, gmfss-fortuna and gmfss-union.",
    )
    add = parser.add_argument
    add(
        "--data",
        nargs="+",
        required=True,
        metavar="[BUCKET=]DIR",
        help="folders of video files without cuts or of triplets of pictures; BUCKET=DIR: all of it is in this bucket",
    )
    add("--model", nargs="*", default=["rrin_lite"], help="names or paths of checkpoints, or none (default rrin_lite)")
    add("--methods", default=DEFAULT_METHODS, help=f"what to compare with, by commas (default {DEFAULT_METHODS})")
    add("--all", action="store_true", help="all triplets of video files, not only every second one")
    add("--limit", type=int, help="at most so many triplets of each folder, spread evenly")
    add("--through", choices=("filter", "net"), default="filter", help="the filter as users get it, or the bare net")
    add("--format", nargs="+", default=["RGB24"], help="formats that the filter is given, e.g. YUV420P8")
    add("--device", help="where networks run, e.g. cuda:1 (default: the best one here)")
    add("--csv", type=Path, help="where to write every single result that the tables show")
    add("--merge", type=Path, nargs="+", default=[], help="results of earlier runs (--csv) to show in the same tables")
    add("--sheet", type=Path, help="where to write a picture (PNG) of the worst cases of the first model")
    add("--against", help="a method, also of --merge, to show differences to, and for --sheet (there default blend)")
    add("--cases", type=int, default=6, help="how many of them (default 6)")
    add("--markdown", action="store_true", help="write the tables in Markdown")
    options = parser.parse_args(arguments)
    try:
        options.data = [Data.parsed(text) for text in options.data]
    except DatasetError as error:
        parser.error(f"--data: {error}")
    names = [data.name for data in options.data]
    if len({*names}) < len(names):
        parser.error(f"--data: results go by the names of the folders, and of {', '.join(names)} two are the same")
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


def run(options: argparse.Namespace) -> str:
    """Measure, write the requested files, and return the tables.

    Raises:
        VsrrinError: Something that is asked for is missing or wrong.
        OSError: A file cannot be written.
    """
    from training.measure.comparison import measure
    from training.measure.methods import make

    old = [score for path in options.merge for score in read_csv(path)]
    methods, own = chosen(options)
    if not methods and not old:
        raise TrainingError("nothing to measure; give --model, --methods or --merge")
    compared = _compared(options, [*methods], own, [*dict.fromkeys(score.method for score in old)])
    shown = dict(methods)
    if compared is not None and compared[1] not in shown:  # its results are those of an earlier run
        shown[compared[1]] = make(compared[1], options.device)
    new: list[Score] = []
    try:
        if methods:
            sources = read(options.data, limit=options.limit, split=not options.all)
            measure(methods, sources, lambda line: print(line, file=sys.stderr, flush=True), new.extend)
    finally:  # what has been measured is kept, whatever ends it
        scores = merged(old, new)
        if options.csv and (new or not methods):
            write_csv(options.csv, scores)
    check_comparable(scores)
    if compared is not None:
        options.sheet.write_bytes(_sheet(options, shown, scores, *compared))
    return report(scores, options.against, markdown=options.markdown)


def report(scores: Sequence[Score], against: str | None = None, *, markdown: bool = False) -> str:
    """Return the tables: of each set of data if there are several, then of all together.

    All together holds the methods that were measured on all of the data.
    """
    parts = []
    sets = by_data(scores)
    for name, found in sets.items() if len(sets) > 1 else ():
        parts += [f"{name}, {len({s.place for s in found})} triplets:", *_overview(found, against, markdown)]
    every = on_all_data(scores)
    if every:
        if len(sets) > 1:
            parts.append(f"All, {len({s.place for s in every})} triplets:")
        parts += _overview(every, against, markdown)
        parts += [rendered(details(every, measure), markdown=markdown) for measure in MEASURES]
    return "\n\n".join([*parts, NOTE])


def _overview(scores: Sequence[Score], against: str | None, markdown: bool) -> list[str]:
    tables: list[Table] = [summary(scores)]
    if against is not None and against in {s.method for s in scores}:
        tables.append(differences(scores, against))
    return [rendered(table, markdown=markdown) for table in tables]


def _compared(
    options: argparse.Namespace, names: Sequence[str], own: Sequence[str], old: Sequence[str]
) -> tuple[str, str] | None:
    """Return the method that the sheet is about and the one it is compared with; ``None`` without a sheet.

    Raises:
        TrainingError: There are no two methods, or none of the name that was given.
    """
    every = [*dict.fromkeys([*names, *old])]
    if options.against and options.against not in every:
        raise TrainingError(f"--against: {options.against} is not among the methods, {', '.join(every)}")
    if not options.sheet:
        return None
    if not names:
        raise TrainingError("--sheet shows a method of this run; add one with --methods or --model")
    subject = own[0] if own else names[-1]
    others = [name for name in every if name != subject]
    if not others:
        raise TrainingError("--sheet compares: it needs two methods; add one with --methods or --model")
    against = options.against or ("blend" if "blend" in others else others[0])
    if against == subject:
        raise TrainingError(f"--against: the sheet is about {subject} itself; give one of {', '.join(others)}")
    return subject, against


def _sheet(
    options: argparse.Namespace, methods: Mapping[str, "Method"], scores: Sequence[Score], subject: str, against: str
) -> bytes:
    """Return the picture: the worst of all results on this run's data, with frames of the methods."""
    from training.measure.worst_cases import Sheet, cases, worst

    here = {data.name for data in options.data}
    places = worst([s for s in scores if s.data in here], subject, against, options.cases)
    if not places:
        raise TrainingError(
            f"--sheet: {subject} and {against} have no triplets in common; measure both on the same data"
        )
    sources = read(options.data, limit=options.limit, split=not options.all)
    return Sheet(subject, against, cases(methods, sources, places)).png()


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
