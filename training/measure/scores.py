"""Results of an evaluation, one for each method and triplet, and the CSV that keeps them."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from training.errors import TrainingError

from .triplets import Span

type Place = tuple[str, str, Span]
"""Name of the data, name of the clip, and the triplet in it."""

COLUMNS = (
    "method",
    "data",
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
    "absolute_error",
    "rms_error",
    "seconds",
)
"""Columns of the CSV."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Result of one method on one triplet; the measures are those of :mod:`training.measure.metrics`.

    Attributes:
        method: Name of the method.
        data: Name of the folder that holds the clip.
        clip: Name of the file, or of the folder of a single triplet.
        span: Place of the triplet in it.
        motion: Mean motion from source frame to source frame, pixels.
        bucket: See `Triplet.bucket`.
        psnr: dB.
        ssim: At most 1.
        ssimulacra2: At most 100; ``None`` where it was not measured.
        motion_error: tOF, pixels.
        absolute_error: IE as papers on networks have it, levels of 255.
        rms_error: IE as Baker et al. have it, levels of 255.
        seconds: For this frame.
    """

    method: str
    data: str
    clip: str
    span: Span
    motion: float
    bucket: str
    psnr: float
    ssim: float
    ssimulacra2: float | None
    motion_error: float
    absolute_error: float
    rms_error: float
    seconds: float

    @property
    def place(self) -> Place:
        """What was measured: the same for all methods."""
        return self.data, self.clip, self.span


def write_csv(path: Path, scores: Iterable[Score]) -> None:
    """Write a line for each method and triplet."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for s in scores:
            place = s.data, s.clip, s.span.start, s.span.gap, s.span.t, s.motion, s.bucket
            errors = s.motion_error, s.absolute_error, s.rms_error
            writer.writerow([s.method, *place, s.psnr, s.ssim, s.ssimulacra2, *errors, s.seconds])


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
    """Return all results; a method's later ones take the place of its earlier ones on the same data.

    Args:
        old: Results of earlier runs, in order.
        new: Results of this run.
    """
    latest = {(s.method, s.place): s for s in old}
    fresh = list(new)
    again = {(s.method, s.data) for s in fresh}
    return [s for s in latest.values() if (s.method, s.data) not in again] + fresh


def by_method(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """Return the scores of each method, in order of appearance."""
    found: dict[str, list[Score]] = {}
    for score in scores:
        found.setdefault(score.method, []).append(score)
    return found


def by_data(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """Return the scores on each set of data, in order of appearance."""
    found: dict[str, list[Score]] = {}
    for score in scores:
        found.setdefault(score.data, []).append(score)
    return found


def on_all_data(scores: Sequence[Score]) -> list[Score]:
    """Return the scores of those methods that were measured on every set of data."""
    every = {s.data for s in scores}
    return [s for own in by_method(scores).values() if {s.data for s in own} == every for s in own]


def check_comparable(scores: Sequence[Score]) -> None:
    """Check that the means of the methods compare, on each set of data.

    Raises:
        TrainingError: Methods were measured on different triplets.
    """
    for data, found in by_data(scores).items():
        places = {name: {s.place for s in own} for name, own in by_method(found).items()}
        first = next(iter(places))
        for name, own in places.items():
            if own != places[first]:
                raise TrainingError(
                    f"{first} and {name} were measured on different triplets of {data} ({len(places[first])} and "
                    f"{len(own)}, {len(own & places[first])} in common); merge results of the same choice and limit"
                )


def _score(row: dict[str, str]) -> Score:
    third = float(row["ssimulacra2"]) if row["ssimulacra2"] else None
    return Score(
        method=row["method"],
        data=row["data"],
        clip=row["clip"],
        span=Span(int(row["start"]), int(row["gap"]), Fraction(row["t"])),
        motion=float(row["motion"]),
        bucket=row["bucket"],
        psnr=float(row["psnr"]),
        ssim=float(row["ssim"]),
        ssimulacra2=third,
        motion_error=float(row["motion_error"]),
        absolute_error=float(row["absolute_error"]),
        rms_error=float(row["rms_error"]),
        seconds=float(row["seconds"]),
    )
