"""Fit of the weights by which confidence is made of what is measured (`vsrrin.flow.confidence`).

    python -m scripts.models.confidence_weights TRAINING_VIDEOS [--models NAME ...]

Of each video a new frame is made by each model whose true frame is known, of a pair two to eight frames apart. Every
place of it is a sample: is it good, that is, within `TOLERANCE` and `GOOD_ERROR`? The weights are those of a logistic
regression.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

from training.measure.methods import to_tensor
from training.measure.triplets import read_frames, video_files
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.engine.trust import reduced_pair
from vsrrin.flow.confidence import GOOD_ERROR, MEASURES, TOLERANCE, WINDOW, measures, reduced, window_mean

MODELS = ("draft", "balanced")
PLACES = ((2, 1), (4, 2), (4, 1), (3, 2), (6, 3), (8, 1), (8, 6), (5, 1))
"""Frames from left to right, and from left to the true one, of the pairs taken in turn."""
_RIDGE = 1e-4
_STEPS = 25


def samples(engine: Interpolator, left: Tensor, truth: Tensor, right: Tensor, t: Fraction) -> tuple[Tensor, Tensor]:
    """Return measures (N, 6), the last one of t, and errors (N) of places of a new frame, a window apart."""
    pair = engine.prepare(engine.ready(left), engine.ready(right))
    (new,) = engine.synthesize(pair, [t])
    places = slice(WINDOW // 2, None, WINDOW)
    found = measures(reduced_pair(pair, engine.spec), reduced(new) * pair.gain, float(t))
    rows = found[0, :, places, places].flatten(1).T
    error = tolerant_error(reduced(new), reduced(truth))[0, 0, places, places].flatten()
    return torch.cat((rows, torch.full((len(rows), 1), math.log(4 * t * (1 - t)))), 1), error


def tolerant_error(new: Tensor, truth: Tensor) -> Tensor:
    """Return the least mean absolute error of each window within `TOLERANCE`, (1, 1, h, w), of reduced frames."""
    around = F.pad(truth, (TOLERANCE,) * 4, mode="replicate").unfold(2, new.shape[2], 1).unfold(3, new.shape[3], 1)
    shifts = [around[:, :, y, x] for y in range(around.shape[2]) for x in range(around.shape[3])]
    errors = [window_mean((new - shifted).abs().mean(1, keepdim=True)) for shifted in shifts]
    return torch.stack(errors).amin(0)


def triplets(folder: Path) -> Iterator[tuple[Tensor, Tensor, Tensor, Fraction]]:
    """Yield left, true and right frames, and the time of the true one."""
    for number, path in enumerate(video_files(folder)):
        frames = read_frames(path)
        gap, at = PLACES[number % len(PLACES)]
        if len(frames) > gap:
            start = (len(frames) - gap) // 2
            left, truth, right = (to_tensor(frames[start + k]) for k in (0, at, gap))
            yield left, truth, right, Fraction(at, gap)


def fit(measured: Tensor, good: Tensor) -> tuple[Tensor, float]:
    """Return weights and constant of the logistic regression from (N, K) to (N) of 0 and 1, by Newton's method."""
    mean, spread = measured.mean(0), measured.std(0)
    inputs = torch.cat(((measured - mean) / spread, torch.ones(len(measured), 1)), 1).double()
    weights = torch.zeros(inputs.shape[1], dtype=torch.double)
    ridge = _RIDGE * torch.eye(len(weights), dtype=torch.double)
    for _ in range(_STEPS):
        likely = torch.sigmoid(inputs @ weights)
        slope = inputs.T @ (likely - good) / len(good) + ridge @ weights
        curve = (inputs.T * (likely * (1 - likely))) @ inputs / len(good) + ridge
        weights -= torch.linalg.solve(curve, slope)
    scaled = weights[:-1] / spread
    return scaled, float(weights[-1] - scaled @ mean.double())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the constants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", default=MODELS)
    options = parser.parse_args(arguments)
    engines = [Interpolator(name, Options(precision="fp32", backend="torch")) for name in options.models]
    parts = [samples(engine, *triplet) for triplet in triplets(options.folder) for engine in engines]
    measured, errors = (torch.cat(column) for column in zip(*parts, strict=True))
    good = (errors <= GOOD_ERROR).double()
    weights, constant = fit(measured, good)
    print(f"{len(parts)} new frames, {len(good)} places, of which {float(good.mean()):.1%} are good")
    print(f"weights of {', '.join(MEASURES)}, time: {[round(float(weight), 3) for weight in weights]}")
    print(f"constant: {constant:.3f}")


if __name__ == "__main__":
    main()
