"""Tables of an evaluation: means with their standard errors, by data, bucket and t, and differences of methods.

The standard error is that of independent triplets: the standard deviation of a sample, divided by the root of their
number. A difference is that of two methods on the same triplets, whose own scatter cancels out.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from training.errors import TrainingError

from .scores import Score, by_method
from .triplets import BUCKETS

type Table = list[list[str]]
"""Rows of cells, the header first."""

SURE = 2.0
"""Standard errors above which a difference is marked."""
MARK = "*"


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
ABSOLUTE_ERROR = Measure("IE", lambda score: score.absolute_error, 2)
RMS_ERROR = Measure("IE rms", lambda score: score.rms_error, 2)
MEASURES = (PSNR, SSIM, SSIMULACRA2, MOTION_ERROR, ABSOLUTE_ERROR, RMS_ERROR)


def summary(scores: Sequence[Score]) -> Table:
    """Return a line for each method: means over the triplets, PSNR also by bucket, median seconds.

    SSIMULACRA2 has its median, too.
    """
    head = ["method", *(measure.title for measure in MEASURES), *_bucket_titles(scores), "s per frame"]
    rows = [[*head[:4], "median", *head[4:]]]
    for name, own in by_method(scores).items():
        line = [name, *(_mean(measure, own) for measure in MEASURES)]
        line += [_mean(PSNR, [s for s in own if s.bucket == bucket]) for bucket in buckets(scores)]
        rows.append([*line[:4], _middle(SSIMULACRA2, own), *line[4:], f"{median(s.seconds for s in own):.3f}"])
    return rows


def details(scores: Sequence[Score], measure: Measure) -> Table:
    """Return a line for each method: mean and median of one measure, and its means by bucket and by t."""
    times = sorted({s.span.t for s in scores})
    counts = {t: len({s.place for s in scores if s.span.t == t}) for t in times}
    rows = [[measure.title, "mean", "median", *_bucket_titles(scores), *(f"t={t} ({counts[t]})" for t in times)]]
    for name, own in by_method(scores).items():
        line = [name, _mean(measure, own), _middle(measure, own)]
        line += [_mean(measure, [s for s in own if s.bucket == bucket]) for bucket in buckets(scores)]
        rows.append(line + [_mean(measure, [s for s in own if s.span.t == t]) for t in times])
    return rows


def differences(scores: Sequence[Score], against: str) -> Table:
    """Return a line for each other method: its mean differences to one method, PSNR also by bucket.

    Raises:
        TrainingError: There are no results of that method.
    """
    found = by_method(scores)
    if against not in found:
        raise TrainingError(f"there are no results of {against}, only of {', '.join(found)}")
    reference = {s.place: s for s in found[against]}
    rows = [[f"less {against}", *(measure.title for measure in MEASURES), *_bucket_titles(scores)]]
    for name, own in found.items():
        if name == against:
            continue
        pairs = [(s, reference[s.place]) for s in own]
        line = [name, *(_difference(measure, pairs) for measure in MEASURES)]
        rows.append(line + [_difference(PSNR, [p for p in pairs if p[0].bucket == b]) for b in buckets(scores)])
    return rows


def rendered(table: Table, *, markdown: bool = False) -> str:
    """Return a table as text, its columns aligned by spaces, or in Markdown."""
    if markdown:
        rows = [table[0], ["---"] * len(table[0]), *table[1:]]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = ([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in table)
    return "\n".join("  ".join(cells).rstrip() for cells in lines)


def buckets(scores: Sequence[Score]) -> list[str]:
    """Return the buckets that hold triplets: those of motion, then others in order of appearance."""
    found = dict.fromkeys(s.bucket for s in scores)
    return [b for b in BUCKETS if b in found] + [b for b in found if b not in BUCKETS]


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean; ``None`` for fewer than two values."""
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def _bucket_titles(scores: Sequence[Score]) -> list[str]:
    return [f"{b} ({len({s.place for s in scores if s.bucket == b})})" for b in buckets(scores)]


def _mean(measure: Measure, scores: Sequence[Score]) -> str:
    values = _values(measure, scores)
    return f"{fmean(values):.{measure.digits}f}{_error(measure, values)}" if values else "-"


def _middle(measure: Measure, scores: Sequence[Score]) -> str:
    values = _values(measure, scores)
    return f"{median(values):.{measure.digits}f}" if values else "-"


def _difference(measure: Measure, pairs: Sequence[tuple[Score, Score]]) -> str:
    """Return the mean of what the first of each pair has more, marked where it is surely not 0."""
    own, others = (_values(measure, [pair[k] for pair in pairs]) for k in (0, 1))
    if not own or not others:
        return "-"
    values = [a - b for a, b in zip(own, others, strict=True)]
    mean, error = fmean(values), standard_error(values)
    mark = f" {MARK}" if error is not None and abs(mean) > SURE * error else ""
    return f"{mean:+.{measure.digits}f}{_error(measure, values)}{mark}"


def _error(measure: Measure, values: Sequence[float]) -> str:
    error = standard_error(values)
    return "" if error is None else f" ± {error:.{measure.digits}f}"


def _values(measure: Measure, scores: Sequence[Score]) -> list[float]:
    """Return the values; none where one of the scores lacks the measure."""
    values = [value for s in scores if (value := measure.value(s)) is not None]
    return values if len(values) == len(scores) else []
