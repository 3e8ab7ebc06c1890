"""How well confidence tells the errors of new frames, and what a fallback changes.

    python -m scripts.benchmarks.confidence --data DIR [DIR ...] [--models NAME ...] [--below X ...]

On the triplets of `training.measure`, whose true middle frames are known: rank correlation of a frame's confidence with
its PSNR, and of a place's with its error; places by their confidence, the share of them that is right and their mean
error; PSNR and SSIMULACRA2 (mean) with each fallback.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

import vsrrin
from scripts.models.confidence_weights import tolerant_error
from training.measure.methods import from_tensor, to_tensor
from training.measure.metrics import psnr, ssimulacra2
from training.measure.triplets import Picture, Triplet, triplets
from training.measure.vs_clips import to_clip, to_picture
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Fallback, Options
from vsrrin.engine.trust import confidence_of
from vsrrin.flow.confidence import GOOD_ERROR, WINDOW, reduced, window_mean

EDGES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0)
"""Confidences between which the rows of tables lie."""


@dataclass(frozen=True)
class Judged:
    """New frame of a triplet.

    Attributes:
        confidence: That of the frame.
        quality: Its PSNR.
        places: (N, 3), a row a window: confidence, mean error, and mean error within the tolerance, as `GOOD_ERROR`.
    """

    confidence: float
    quality: float
    places: NDArray[np.float32]


def judged(engine: Interpolator, triplet: Triplet) -> Judged:
    """Make the new frame of a triplet and judge it."""
    left, truth, right = map(to_tensor, (triplet.left, triplet.truth, triplet.right))
    pair = engine.prepare(engine.ready(left), engine.ready(right))
    (new,) = engine.synthesize(pair, [triplet.span.t])
    trust = confidence_of(pair, engine.spec, new, float(triplet.span.t))
    error = window_mean(reduced((new - truth).abs().mean(1, keepdim=True)))
    maps = torch.cat((torch.from_numpy(trust)[None, None], error, tolerant_error(reduced(new), reduced(truth))), 1)
    middles = slice(WINDOW // 2, None, WINDOW)
    places = maps[0, :, middles, middles].flatten(1).T.numpy()
    return Judged(float(trust.mean()), psnr(from_tensor(new), triplet.truth), places)


def ranks_agree(first: Sequence[float] | NDArray[np.float32], second: Sequence[float] | NDArray[np.float32]) -> float:
    """Return Spearman's rank correlation."""
    ranks = np.stack([np.argsort(np.argsort(values)) for values in (first, second)])
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def replaced(triplet: Triplet, model: str, fallback: Fallback, below: float) -> Picture:
    """Return the new frame of a triplet, with a fallback."""
    t: Fraction = triplet.span.t
    clip = to_clip((triplet.left, triplet.right))
    clip = vsrrin.interpolate(clip, t.denominator, model, scene="off", fallback=fallback, fallback_below=below)
    with clip.get_frame(t.numerator) as frame:
        return to_picture(frame)


def print_tables(found: Sequence[Judged]) -> None:
    """Print what confidence tells."""
    places = np.concatenate([each.places for each in found])
    frames = [each.confidence for each in found]
    print(f"frames: {ranks_agree(frames, [each.quality for each in found]):.3f} with PSNR")
    print(f"places: {ranks_agree(places[:, 0], -places[:, 1]):.3f} with their error; ", end="")
    print(f"expected to be right {places[:, 0].mean():.3f}, right {(places[:, 2] <= GOOD_ERROR).mean():.3f}")
    print("| confidence | places | right | mean error, levels | frames | PSNR |\n|---|---|---|---|---|---|")
    for low, high in pairwise(EDGES):
        inside = places[(places[:, 0] > low) & (places[:, 0] <= high)]
        qualities = [each.quality for each in found if low < each.confidence <= high]
        right, error = (inside[:, 2] <= GOOD_ERROR).mean(), 255 * inside[:, 1].mean()
        shown = f"{len(qualities)} | {fmean(qualities):.1f}" if qualities else "0 |"
        print(f"| {low:g} to {high:g} | {len(inside)} | {right:.2f} | {error:.1f} | {shown} |")


def print_fallbacks(chosen: Sequence[Triplet], model: str, limits: Sequence[float]) -> None:
    """Print what fallbacks change, over all triplets and over the fast ones."""
    print("| fallback | below | PSNR | SSIMULACRA2 | PSNR, fast | SSIMULACRA2, fast |\n|---|---|---|---|---|---|")
    wanted: list[tuple[Fallback, float]] = [("none", 1.0)]
    wanted += [(name, limit) for name in ("blend", "hold") for limit in limits]
    fast = [triplet.bucket == "fast" for triplet in chosen]
    for fallback, below in wanted:
        pictures = [replaced(triplet, model, fallback, below) for triplet in chosen]
        scores = np.array(
            [(psnr(new, x.truth), ssimulacra2(new, x.truth) or 0.0) for new, x in zip(pictures, chosen, strict=True)]
        )
        means = [f"{mean:.2f}" for part in (scores, scores[fast]) for mean in part.mean(0)]
        print(f"| {fallback} | {below:g} | {' | '.join(means)} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables of each folder and model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of videos")
    parser.add_argument("--models", nargs="+", default=["rrin_lite", "balanced", "draft"])
    parser.add_argument("--below", type=float, nargs="*", default=[], help="measure fallbacks with these thresholds")
    parser.add_argument("--limit", type=int, help="triplets at most")
    options = parser.parse_args(arguments)
    for folder in options.data:
        chosen = triplets(folder, limit=options.limit)
        for model in options.models:
            engine = Interpolator(model, Options(precision="fp32"))
            found = [judged(engine, triplet) for triplet in chosen]
            print(f"\n{folder.name}, {model}: {len(found)} frames")
            print_tables(found)
            if options.below:
                print_fallbacks(chosen, model, options.below)


if __name__ == "__main__":
    main()
