"""Results of an evaluation: tables of means to read, CSV of every single result to keep."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean, median

from training.errors import TrainingError

from .triplets import BUCKETS, Span

type Table = list[list[str]]
"""Rows of cells, the header first."""

COLUMNS = (
    "method",
    "clip",
    "start",
    "gap",
    "t",
    "motion",
    "bucket",
    "psnr",
    "ssim",
    "ssimulacra2",
    "motion_error",
    "seconds",
)
"""Columns of the CSV."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Result of one method on one triplet; the measures are those of :mod:`training.measure.metrics`.

    Attributes:
        method: Name of the method.
        clip: Name of the file.
        span: Place of the triplet in it.
        motion: Mean motion from source frame to source frame, pixels.
        bucket: "slow", "medium" or "fast", by motion.
        psnr: dB.
        ssim: At most 1.
        ssimulacra2: At most 100; ``None`` where it was not measured.
        motion_error: tOF, pixels.
        seconds: For this frame.
    """

    method: str
    clip: str
    span: Span
    motion: float
    bucket: str
    psnr: float
    ssim: float
    ssimulacra2: float | None
    motion_error: float
    seconds: float


@dataclass(frozen=True)
class Measure:
    """Column of the tables: a value of scores and its form."""

    title: str
    value: Callable[[Score], float | None]
    digits: int


PSNR = Measure("PSNR dB", lambda score: score.psnr, 2)
SSIM = Measure("SSIM", lambda score: score.ssim, 4)
SSIMULACRA2 = Measure("SSIMULACRA2", lambda score: score.ssimulacra2, 1)
MOTION_ERROR = Measure("tOF px", lambda score: score.motion_error, 3)
MEASURES = (PSNR, SSIM, SSIMULACRA2, MOTION_ERROR)


def summary(scores: Sequence[Score]) -> Table:
    """Return a line for each method: means over the triplets, PSNR also by bucket, median seconds."""
    head = ["method", *(measure.title for measure in MEASURES), *_bucket_titles(scores), "s per frame"]
    rows = [head]
    for name, own in _by_method(scores):
        line = [name, *(_mean(measure, own) for measure in MEASURES)]
        line += [_mean(PSNR, [s for s in own if s.bucket == bucket]) for bucket in BUCKETS]
        rows.append([*line, f"{median(s.seconds for s in own):.3f}"])
    return rows


def details(scores: Sequence[Score], measure: Measure) -> Table:
    """Return a line for each method: mean and median of one measure, and its means by bucket and by t."""
    times = sorted({s.span.t for s in scores})
    counts = {t: len({(s.clip, s.span) for s in scores if s.span.t == t}) for t in times}
    rows = [[measure.title, "mean", "median", *_bucket_titles(scores), *(f"t={t} ({counts[t]})" for t in times)]]
    for name, own in _by_method(scores):
        line = [name, _mean(measure, own), _middle(measure, own)]
        line += [_mean(measure, [s for s in own if s.bucket == bucket]) for bucket in BUCKETS]
        rows.append(line + [_mean(measure, [s for s in own if s.span.t == t]) for t in times])
    return rows


def rendered(table: Table, *, markdown: bool = False) -> str:
    """Return a table as text, its columns aligned by spaces, or in Markdown."""
    if markdown:
        rows = [table[0], ["---"] * len(table[0]), *table[1:]]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = ([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in table)
    return "\n".join("  ".join(cells).rstrip() for cells in lines)


def write_csv(path: Path, scores: Iterable[Score]) -> None:
    """Write a line for each method and triplet."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for s in scores:
            place = s.clip, s.span.start, s.span.gap, s.span.t, s.motion, s.bucket
            writer.writerow([s.method, *place, s.psnr, s.ssim, s.ssimulacra2, s.motion_error, s.seconds])


def read_csv(path: Path) -> list[Score]:
    """Read what `write_csv` wrote.

    Raises:
        TrainingError: The file is missing or of another form.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_score(row) for row in csv.DictReader(file)]
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be read ({error.strerror}); give results that training.evaluate wrote"
        ) from None
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise TrainingError(
            f"{path} does not hold results ({type(error).__name__}: {error}); give results that training.evaluate wrote"
        ) from None


def merged(old: Iterable[Score], new: Iterable[Score]) -> list[Score]:
    """Return all results; a method's new ones take the place of its old ones."""
    fresh = list(new)
    return [s for s in old if s.method not in {n.method for n in fresh}] + fresh


def check_comparable(scores: Sequence[Score]) -> None:
    """Check that the means of the methods compare.

    Raises:
        TrainingError: Methods were measured on different triplets.
    """
    places = {name: {(s.clip, s.span) for s in own} for name, own in _by_method(scores)}
    first = next(iter(places), "")
    for name, own in places.items():
        if own != places[first]:
            raise TrainingError(
                f"{first} and {name} were measured on different triplets ({len(places[first])} and {len(own)}, "
                f"{len(own & places[first])} in common); merge results of the same data, choice and limit"
            )


def _score(row: dict[str, str]) -> Score:
    third = float(row["ssimulacra2"]) if row["ssimulacra2"] else None
    return Score(
        method=row["method"],
        clip=row["clip"],
        span=Span(int(row["start"]), int(row["gap"]), Fraction(row["t"])),
        motion=float(row["motion"]),
        bucket=row["bucket"],
        psnr=float(row["psnr"]),
        ssim=float(row["ssim"]),
        ssimulacra2=third,
        motion_error=float(row["motion_error"]),
        seconds=float(row["seconds"]),
    )


def _by_method(scores: Sequence[Score]) -> list[tuple[str, list[Score]]]:
    return [(name, [s for s in scores if s.method == name]) for name in dict.fromkeys(s.method for s in scores)]


def _bucket_titles(scores: Sequence[Score]) -> list[str]:
    return [f"{b} ({len({(s.clip, s.span) for s in scores if s.bucket == b})})" for b in BUCKETS]


def _mean(measure: Measure, scores: Sequence[Score]) -> str:
    return _shown(measure, scores, fmean)


def _middle(measure: Measure, scores: Sequence[Score]) -> str:
    return _shown(measure, scores, median)


def _shown(measure: Measure, scores: Sequence[Score], together: Callable[[list[float]], float]) -> str:
    """Return the value as text; ``-`` for nothing, or where one of the scores lacks the measure."""
    values = [value for s in scores if (value := measure.value(s)) is not None]
    return f"{together(values):.{measure.digits}f}" if values and len(values) == len(scores) else "-"
