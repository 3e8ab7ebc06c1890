"""Settings tried on frames of one's own: how fast they are on this machine, and what they lose."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import torch
from torch import Tensor

from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.checkpoint.ranges import save_ranges
from vsrrin.clip.triplets import Triplet, triplets
from vsrrin.convert.source import open_file
from vsrrin.engine.backends import calibration
from vsrrin.engine.backends.calibration import Way
from vsrrin.engine.backends.choice import ways_on_cpu
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.engine.quantisation import measured_ranges
from vsrrin.errors import ConvertError


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One setting, and what it came to.

    Attributes:
        model: The network's name.
        way: Backend and precision.
        seconds: Time of a new frame in the middle of a pair; the median.
        psnr: PSNR in dB of new frames against the true ones; the mean.
        automatic: Whether it is what "auto" chooses for the network.
    """

    model: str
    way: Way
    seconds: float
    psnr: float
    automatic: bool


def frames_of(videos: Sequence[Path], count: int) -> list[Triplet]:
    """Return about ``count`` triplets of videos together.

    Raises:
        VsrrinError: A video cannot be read, or none has three frames that differ.
    """
    each = -(-count // len(videos))
    found = [triplet for video in videos for triplet in triplets(open_file(video).clip, each)]
    if not found:
        names = ", ".join(map(str, videos))
        raise ConvertError(f"{names}: no three successive frames that differ and have no cut between them")
    return found


def tune(models: Iterable[str], found: Sequence[Triplet]) -> list[Trial]:
    """Try networks on the CPU every way they can be run there, the fastest first; what "auto" takes is measured anew.

    Args:
        models: Names or paths.
        found: Frames to try them on; the first one is run once more, before the others.

    Raises:
        VsrrinError: A network cannot be loaded.
    """
    trials = []
    for name in models:
        model = loader.load(name)
        ways = ways_on_cpu("auto", "auto", model)
        best = calibration.fastest(model.net, ways, again=True)[0] if len(ways) > 1 else ways[0]
        engines = {way: _engine(model, way) for way in ways}
        scores: dict[Way, list[tuple[float, float]]] = {way: [] for way in ways}
        for triplet in (found[0], *found):
            for way, engine in engines.items():
                begins = time.perf_counter()
                (made,) = engine.interpolate(triplet.left, triplet.right, [0.5])
                scores[way].append((time.perf_counter() - begins, psnr(made, triplet.middle)))
        for way, values in scores.items():
            seconds, decibels = zip(*values[1:], strict=True)
            trials.append(
                Trial(
                    model=model.name,
                    way=way,
                    seconds=median(seconds),
                    psnr=fmean(decibels),
                    automatic=way == best,
                )
            )
    return sorted(trials, key=lambda trial: trial.seconds)


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """Ranges written, and what 8 bit loses.

    Attributes:
        path: The file written.
        convolutions: Number of ranges in it.
        exact: PSNR in dB of new frames against the true ones in float32.
        rounded: The same in 8 bit.
    """

    path: Path
    convolutions: int
    exact: float
    rounded: float


def quantise(checkpoint: str | Path, found: Sequence[Triplet], source: str) -> Quantised:
    """Measure the ranges of a network on frames, and write them beside its checkpoint.

    Args:
        checkpoint: A name or path.
        found: Frames; every second one is for the ranges, all are for the loss.
        source: What they are, in words.

    Raises:
        VsrrinError: The network cannot be loaded or has nothing to quantise, or the file cannot be written.
    """
    model = loader.load(checkpoint)
    ranges = measured_ranges(model, ((triplet.left, triplet.right) for triplet in found))
    save_ranges(model.path, model.metadata, ranges, {"measured_on": f"{len(found)} frame pairs: {source}"})
    exact = _engine(model, Way("openvino", "fp32"))
    rounded = _engine(loader.load(checkpoint), Way("openvino", "int8"))
    scores = [
        [psnr(engine.interpolate(triplet.left, triplet.right, [0.5])[0], triplet.middle) for engine in (exact, rounded)]
        for triplet in found
    ]
    means = [fmean(column) for column in zip(*scores, strict=True)]
    facts = {
        "measured_on": f"{len(found)} frame pairs: {source}",
        "loss": f"PSNR against the true middle frames: {means[0]:.3f} dB in float32, {means[1]:.3f} dB in 8 bit",
    }
    path = save_ranges(model.path, model.metadata, ranges, facts)
    return Quantised(path=path, convolutions=sum(map(len, ranges.values())), exact=means[0], rounded=means[1])


def psnr(made: Tensor, true: Tensor) -> float:
    """Return PSNR in dB of a picture in [0, 1] after rounding to 8 bit."""
    error = (made.clamp(0, 1).mul(255).round() - true.clamp(0, 1).mul(255)).square().mean().clamp_min(1e-4)
    return float(10 * torch.log10(255**2 / error))


def _engine(model: Model, way: Way) -> Interpolator:
    return Interpolator(model, Options(device="cpu", backend=way.backend, precision=way.precision), cache_bytes=0)
