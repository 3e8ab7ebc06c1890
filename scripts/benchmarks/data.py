"""Speed of making samples to train on, by every source there is. Prints a markdown table.

    python -m scripts.benchmarks.data --shots DATASET --photos FOLDER [--bank BANK] [--crop 192] [--rounds 8]

One process, one thread, as in a worker beside a training step. The sources take turns: in every round each makes some
samples, so that whatever else the machine does meets all of them. Without --bank a small one is made beforehand, and
the samples a second of making it are printed too. Files are in the page cache after the first round, which does not
count.

"layers by grid_sample" is what the sources are compared with: layered motion rendered by PyTorch, layer by layer and
time by time over the whole crop, and OpenCV's DIS flow of the crop alone, as the prototype of rrin_lite was trained.
The sources find flow as the filter does, on more than the crop, which is most of their time.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

from training.data.banks.building import Data, make_bank
from training.data.banks.maker import BankSettings
from training.data.banks.samples import BankSource
from training.data.batch import Sample
from training.data.real_samples import RealSource, Sampling
from training.data.shots import open_photos, open_shots
from training.data.synthetic_samples import SyntheticSource

BEFORE = "layers by grid_sample"
BANK_SAMPLES = 64
PER_TURN = 8
"""Samples that a source makes in a round."""

type Layer = tuple[list[float], list[float], float, float]
"""Place, movement, angle and scale."""


class GridSampleSource:
    """Layered motion by `grid_sample`, and DIS flow of the crop alone."""

    def __init__(self, photos: Sequence[np.ndarray], crop: int) -> None:
        self._textures = [torch.from_numpy(photo.copy()).permute(2, 0, 1)[None] for photo in photos]
        self._crop = crop
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        x, y = (axis.flatten() for axis in torch.meshgrid(*[torch.arange(float(crop))] * 2, indexing="xy"))
        self._points = torch.stack((x, y, torch.ones(crop * crop)))

    def sample(self, index: int) -> Sample:
        """Return layers at three times, the flow of their owners, and DIS flow both ways."""
        rng, crop, t = random.Random(index), self._crop, 0.5
        pictures: list[Tensor] = []
        owners = [torch.zeros(crop * crop, dtype=torch.long) for _ in range(2)]
        layers = []
        for number in range(1 + rng.randrange(5)):
            size = crop + 128 if number == 0 else rng.randrange(40, max(48, crop * 4 // 5))
            place, move = [rng.uniform(0, crop) for _ in range(2)], [rng.gauss(0, 8) for _ in range(2)]
            place = [crop / 2, crop / 2] if number == 0 else place
            layers.append((place, move, rng.uniform(-0.1, 0.1), rng.uniform(0.8, 1.25)))
            texture = torch.cat((self._texture(rng, size), self._opacity(rng, size, number)), 1)
            for at, time_ in enumerate((0.0, t, 1.0)):
                inverse = torch.linalg.inv(_matrix(layers[-1], time_))
                grid = ((inverse[:2] @ self._points) / (size / 2)).view(2, crop, crop).permute(1, 2, 0)[None]
                outside = "zeros" if number else "reflection"
                found = F.grid_sample(texture, grid, "bilinear", outside, align_corners=False)
                if number == 0:
                    pictures.append(found[:, :3])
                    continue
                opacity = found[:, 3:]
                pictures[at] = pictures[at] * (1 - opacity) + found[:, :3] * opacity
                if at != 1:
                    owners[at // 2][opacity.flatten() > 0.5] = number
        truth = torch.cat([self._flow(layers, owner, at) for at, owner in enumerate(owners)])
        img0, target, img1 = (picture[0].clamp(0, 1) for picture in pictures)
        greys = [(image.mean(0) * 255).byte().numpy() for image in (img0, img1)]
        calculate: Callable[..., np.ndarray] = self._dis.calc  # OpenCV's types do not know that None is allowed
        flows = [calculate(*pair, None) for pair in (greys, greys[::-1])]
        full = torch.from_numpy(np.concatenate(flows, -1)).permute(2, 0, 1)
        return Sample(
            img0=img0,
            img1=img1,
            target=target,
            t=t,
            flow=F.avg_pool2d(full, 2) / 2,
            truth=truth,
            trust=torch.ones(2, crop, crop),
        )

    def _texture(self, rng: random.Random, size: int) -> Tensor:
        photo = rng.choice(self._textures)
        height, width = (min(size, side) for side in photo.shape[2:])
        top, left = rng.randrange(photo.shape[2] - height + 1), rng.randrange(photo.shape[3] - width + 1)
        piece = photo[:, :, top : top + height, left : left + width].float() / 255
        return F.interpolate(piece, (size, size), mode="bilinear", align_corners=False)

    def _opacity(self, rng: random.Random, size: int, number: int) -> Tensor:
        if number == 0:
            return torch.ones(1, 1, size, size)
        noise = torch.tensor([[rng.gauss(0, 1) for _ in range(5)] for _ in range(5)])[None, None]
        noise = F.interpolate(noise, (size, size), mode="bicubic", align_corners=True)
        side = torch.linspace(-1, 1, size)
        distance = (side[None, :] ** 2 + side[:, None] ** 2).sqrt()
        return torch.sigmoid((0.75 - distance + 0.25 * noise) * size) * (distance < 0.97).float()

    def _flow(self, layers: Sequence[Layer], owner: Tensor, at: int) -> Tensor:
        flow = torch.zeros(2, self._crop**2)
        for number, layer in enumerate(layers):
            move = _matrix(layer, 1.0 - at) @ torch.linalg.inv(_matrix(layer, float(at)))
            mask = owner == number
            flow[:, mask] = (move[:2] @ self._points - self._points[:2])[:, mask]
        return flow.view(2, self._crop, self._crop)


def _matrix(layer: Layer, when: float) -> Tensor:
    (x, y), (dx, dy), angle, scale = layer
    cosine, sine, u = np.cos(angle) * scale, np.sin(angle) * scale, when - 0.5
    return torch.tensor([[cosine, -sine, x + dx * u], [sine, cosine, y + dy * u], [0, 0, 1]], dtype=torch.float32)


def measure(sources: Mapping[str, Callable[[int], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds a sample in every round, by source; the sources take turns."""
    found: dict[str, list[float]] = {name: [] for name in sources}
    for number in range(rounds + 1):
        for name, sample in sources.items():
            start = time.perf_counter()
            for index in range(number * PER_TURN, (number + 1) * PER_TURN):
                sample(index)
            if number:  # the first round warms up
                found[name].append((time.perf_counter() - start) / PER_TURN)
        print(f"round {number} of {rounds} done", file=sys.stderr, flush=True)
    return found


def table(found: dict[str, list[float]]) -> str:
    """Return a markdown table: median time, samples a second, and their multiple of those of `BEFORE`."""
    before = statistics.median(found[BEFORE])
    lines = [["source", "ms a sample", "samples a second", "times as many"], ["---"] * 4]
    for name, seconds in found.items():
        median = statistics.median(seconds)
        lines.append([name, f"{median * 1e3:.1f}", f"{1 / median:.0f}", f"{before / median:.2f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", type=Path, required=True, metavar="DATASET")
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--bank", type=Path, metavar="BANK", help="made by training.bank; else a small one is made")
    parser.add_argument("--crop", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args(arguments)
    if options.crop < 64 or options.crop % 16 or options.rounds < 1:
        parser.error("--crop must be a multiple of 16 and at least 64, --rounds at least 1")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print."""
    options = parse(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    shots, photos = open_shots(options.shots).shots, open_photos(options.photos)
    sampling = Sampling(crop=options.crop)
    few = [photos[number] for number in range(min(len(photos), 24))]  # in memory, so that no decoding is measured
    with tempfile.TemporaryDirectory() as folder:
        bank = options.bank
        if bank is None:
            bank = Path(folder) / "bank"
            settings = BankSettings(window=options.crop + 64, crop=options.crop)
            start = time.perf_counter()
            for _ in make_bank(bank, BANK_SAMPLES, settings, Data((options.shots,), options.photos)):
                pass
            print(f"Making a bank: {BANK_SAMPLES / (time.perf_counter() - start):.1f} samples a second\n")
        sources = {
            BEFORE: GridSampleSource(few, options.crop).sample,
            "SyntheticSource, no margin": SyntheticSource(few, replace(sampling, margin=0), 1).sample,
            "SyntheticSource": SyntheticSource(few, sampling, 1).sample,
            "RealSource": RealSource(shots, sampling, 1).sample,
            "BankSource": BankSource(bank, crop=options.crop, seed=1).sample,
        }
        found = measure(sources, options.rounds)
    print(f"Crop {options.crop}, one thread, medians of {options.rounds} rounds of {PER_TURN} samples\n")
    print(table(found))


if __name__ == "__main__":
    main()
