"""Accuracy of the scene-cut detector on spliced sequences with known cuts, beside two simple baselines.

Shots (video files without a cut inside) are read once, joined in seeded random orders and damaged in ways that fool
detectors: darkness, noise, flashes, hand shake, dropped and repeated frames, bars, fades. For each condition the
table gives how many of the cuts were found and how many pairs inside a shot were taken for a cut.

    python -m scripts.benchmarks.scenes --data DIR [--photos DIR] [--threshold 0.5] [--playing] [--dump DIR]

DIR holds the shots; a folder of photos adds fast synthetic pans. ``--dump`` writes the worst false alarms and misses
of each condition as pictures: look at them before tuning, for a "shot" may itself hold a cut or a flash.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vsrrin.clip import scene_score

from .sequences import CONDITIONS, Shot, Spliced, photo_pans, read_photo, read_shot


def window(thumbs: Sequence[scene_score.Thumbnail], k: int) -> list[scene_score.Thumbnail | None]:
    """Return the thumbnails from which the pair (k, k + 1) is judged."""
    numbers = range(k - scene_score.RADIUS, k + scene_score.RADIUS + 2)
    return [thumbs[i] if 0 <= i < len(thumbs) else None for i in numbers]


def scores(frames: Shot) -> list[float]:
    """Return vsrrin's score of each pair."""
    thumbs = [scene_score.thumbnail(frame) for frame in frames]
    return [scene_score.cut_score(window(thumbs, k)) for k in range(len(frames) - 1)]


def early_scores(frames: Shot) -> list[float]:
    """Return vsrrin's score of each pair when playing."""
    thumbs = [scene_score.thumbnail(frame) for frame in frames]
    return [scene_score.early_cut_score(window(thumbs, k)[: scene_score.RADIUS + 3]) for k in range(len(frames) - 1)]


def luma_differences(frames: Shot) -> list[float]:
    """Return the mean absolute difference of luma of each pair, PlaneStatsDiff (a cut above 0.1 in vs-jetpack)."""
    return [float(cv2.absdiff(a, b).mean()) / 255 for a, b in pairwise(frames)]


def ssim_losses(frames: Shot) -> list[float]:
    """Return 1 - SSIM of thumbnails of 32x32 of each pair (a cut where the SSIM is below 0.3 in cccv)."""
    thumbs = [cv2.resize(f, (32, 32), interpolation=cv2.INTER_LINEAR).astype(np.float64) / 255 for f in frames]

    def blur(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5), dtype=np.float64)

    def loss(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
        ma, mb = blur(a), blur(b)
        va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
        ssim = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4))
        return 1 - float(ssim.mean())

    return [loss(a, b) for a, b in pairwise(thumbs)]


@dataclass
class Tally:
    """Numbers of cuts and other pairs, and of those that a detector took for cuts."""

    cuts: int = 0
    found: int = 0
    false: int = 0
    pairs: int = 0

    def add(self, values: Sequence[float], sequence: Spliced, threshold: float) -> None:
        """Count the pairs of a sequence, whose values are those of a detector."""
        for k, value in enumerate(values):
            if k in sequence.cuts:
                self.cuts, self.found = self.cuts + 1, self.found + (value >= threshold)
            elif k not in sequence.ignored:
                self.pairs, self.false = self.pairs + 1, self.false + (value >= threshold)

    def __str__(self) -> str:
        recall = self.found / self.cuts if self.cuts else 1.0
        precision = self.found / (self.found + self.false) if self.found + self.false else 1.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        rate = 1000 * self.false / self.pairs if self.pairs else 0.0
        return f"{self.found:5d} {self.false:5d} {rate:7.2f} {precision:6.3f} {recall:6.3f} {f1:6.3f}"


def dump(name: str, judged: list[tuple[Spliced, list[float]]], threshold: float, folder: Path) -> None:
    """Write the worst false alarms and misses, four frames each, as one picture."""
    wrong = []
    for sequence, values in judged:
        for k, value in enumerate(values):
            if k not in sequence.ignored and (k in sequence.cuts) != (value >= threshold):
                wrong.append((abs(value - threshold), "miss" if k in sequence.cuts else "false", value, k, sequence))
    rows = []
    for _, kind, value, k, sequence in sorted(wrong, key=lambda entry: -entry[0])[:16]:
        numbers = [min(max(k + i, 0), len(sequence.frames) - 1) for i in (-1, 0, 1, 2)]
        row = np.hstack([cv2.resize(sequence.frames[i], (240, 135)) for i in numbers])
        rows.append(cv2.putText(row, f"{kind} {value:.2f} at {k}", (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255))
    if rows:
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{name}.png"), np.vstack(rows))


def evaluate(
    name: str, sequences: Iterator[Spliced], threshold: float, folder: Path | None, judge: Callable[[Shot], list[float]]
) -> list[Tally]:
    """Print one line of the table and return the tallies of the three detectors."""
    tallies, judged = [Tally(), Tally(), Tally()], []
    for sequence in sequences:
        ours = judge(sequence.frames)
        judged.append((sequence, ours))
        tallies[0].add(ours, sequence, threshold)
        tallies[1].add(luma_differences(sequence.frames), sequence, 0.1)
        tallies[2].add(ssim_losses(sequence.frames), sequence, 0.7)
    if folder is not None:
        dump(name, judged, threshold, folder)
    print_line(name, tallies)
    return tallies


def print_line(name: str, tallies: list[Tally]) -> None:
    """Print a line of the table."""
    print(f"{name:15s} {tallies[0].cuts:5d} {tallies[0].pairs:6d} | " + " | ".join(map(str, tallies)), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of shots (*.mp4, *.mkv, *.webm)")
    parser.add_argument("--photos", type=Path, help="folder of *.jpg for synthetic pans")
    parser.add_argument("--threshold", type=float, default=scene_score.THRESHOLD)
    parser.add_argument("--playing", action="store_true", help="the detector of vsrrin.play, which sees less ahead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "vsrrin-scenes")
    parser.add_argument("--dump", type=Path, help="folder for pictures of the worst errors")
    options = parser.parse_args(arguments)
    paths = sorted(p for p in options.data.iterdir() if p.suffix in {".mp4", ".mkv", ".webm"})
    shots = [read_shot(path, options.cache) for path in paths]
    columns = "found false per1000  prec. recall     F1"
    print(f"{'':28s} | {'ours':40s}| {'luma difference > 0.1':40s}| SSIM of 32x32 < 0.3")
    print(f"{'condition':15s} {'cuts':>5s} {'pairs':>6s} | {columns} | {columns} | {columns}")
    runs = {c.__name__: c(shots, np.random.default_rng([options.seed, n])) for n, c in enumerate(CONDITIONS)}
    if options.photos:
        photos = [read_photo(path) for path in sorted(options.photos.glob("*.jpg"))]
        runs["photo_pans"] = photo_pans(photos, np.random.default_rng(options.seed))
    judge = early_scores if options.playing else scores
    totals = [Tally(), Tally(), Tally()]
    for name, sequences in runs.items():
        for total, tally in zip(totals, evaluate(name, sequences, options.threshold, options.dump, judge), strict=True):
            for key, value in vars(tally).items():
                setattr(total, key, getattr(total, key) + value)
    print_line("all", totals)


if __name__ == "__main__":
    main()
