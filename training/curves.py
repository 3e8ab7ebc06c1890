"""Command that draws the learning curves of runs: loss and validation PSNR over steps, samples or hours.

    python -m training.curves runs/a runs/b ... --out curves.png [--over samples] [--loss laplacian]

Losses are smoothed over a twentieth of a run; the faint line is as it was written down. PSNR is as it was measured;
without any there is no pane for it.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.run.logs import read_log
from vsrrin.errors import VsrrinError

_SMOOTHED = 20
"""Share of a run, one in so many, over which losses are smoothed."""
_HOUR = 3600.0


@dataclass(frozen=True)
class Curve:
    """Values over the course of a run; both lists have the same length."""

    places: list[float]
    values: list[float]

    def smoothed(self) -> "Curve":
        """Return the curve of means of each value and the ones shortly before it."""
        width = max(len(self.values) // _SMOOTHED, 1)
        means = [
            sum(self.values[max(end - width, 0) : end]) / min(width, end) for end in range(1, len(self.values) + 1)
        ]
        return Curve(self.places, means)


def curve(lines: Sequence[dict[str, str]], column: str, over: str) -> Curve:
    """Return a column of a log over its ``step``, ``samples`` or ``hours``; lines without a value are left out."""
    places = _hours(lines) if over == "hours" else [float(line[over]) for line in lines]
    pairs = [(place, float(line[column])) for place, line in zip(places, lines, strict=True) if line.get(column)]
    return Curve([place for place, _ in pairs], [value for _, value in pairs])


def _hours(lines: Sequence[dict[str, str]]) -> list[float]:
    """Return the hours of training up to each line, from the logged samples per second."""
    hours, before, found = 0.0, 0.0, []
    for line in lines:
        if line["samples_per_s"]:
            hours += (float(line["samples"]) - before) / float(line["samples_per_s"]) / _HOUR
            before = float(line["samples"])
        found.append(hours)
    return found


def draw(runs: Sequence[Path], out: Path, *, over: str = "step", loss: str = "loss") -> None:
    """Draw the curves of some runs into one picture.

    Args:
        runs: Their folders.
        out: The picture; its suffix says of which kind.
        over: ``step``, ``samples`` or ``hours``.
        loss: Column of the logs.

    Raises:
        TrainingError: A folder has no log, a log has no such column, or the picture cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    logs = {folder: read_log(folder / "log.csv") for folder in runs}
    for folder, lines in logs.items():
        if lines and loss not in lines[0]:
            raise TrainingError(f"{folder / 'log.csv'} has no column {loss}; it has {', '.join(lines[0])}")
    measured = {folder: curve(lines, "psnr", over) for folder, lines in logs.items()}
    panes = 2 if any(found.values for found in measured.values()) else 1
    figure = Figure(figsize=(6.0 * panes, 4.5), layout="constrained")
    left, *right = figure.subplots(1, panes, squeeze=False)[0]
    for number, (folder, lines) in enumerate(logs.items()):
        colour = f"C{number % 10}"
        raw = curve(lines, loss, over)
        left.plot(raw.places, raw.values, color=colour, alpha=0.2)
        smooth = raw.smoothed()
        left.plot(smooth.places, smooth.values, color=colour, label=folder.name)
        found = measured[folder]
        for pane in right if found.values else ():
            pane.plot(found.places, found.values, color=colour, marker=".", label=folder.name)
    _name(left, over, loss)
    for pane in right:
        _name(pane, over, "PSNR, dB")
    left.set_yscale("log")
    try:
        figure.savefig(out, dpi=120)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{out} cannot be written: {error}; give a file ending with .png, .svg or .pdf") from None


def _name(axes: Any, over: str, what: str) -> None:
    axes.set_xlabel({"step": "steps"}.get(over, over))
    axes.set_ylabel(what)
    axes.grid(alpha=0.3)
    axes.legend()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit status: 0, or 2 for an error.

    Args:
        arguments: Those of the command line unless given.

    Returns:
        The exit status.
    """
    options = _parser().parse_args(arguments)
    try:
        draw(options.runs, options.out, over=options.over, loss=options.loss)
    except VsrrinError as error:
        print(f"training.curves: {error}", file=sys.stderr)
        return 2
    print(options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="training.curves", description="Draw the learning curves of runs.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of training.train")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the picture: .png, .svg or .pdf")
    parser.add_argument("--over", choices=("step", "samples", "hours"), default="step", help="what lies below")
    parser.add_argument("--loss", default="loss", metavar="NAME", help="column of log.csv (their sum)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
