"""Reports of the leading process: numbers, pictures, validation, and weights that can be used."""

import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import nn

import vsrrin
from training.data.batch import Batch
from training.measure.validation import COLUMNS, Validation
from training.model.start import Start
from training.recipe import Recipe
from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.backends.torch_backend import TorchBackend, resolve_precision
from vsrrin.engine.options import Options
from vsrrin.preview.motion_maps import maps_of

from .folder import RunFolder
from .logs import CsvLog, Progress, TensorBoard, contact_sheet

PARTS = ("data", "forward", "backward", "optimiser")
"""Parts of a step whose time is measured."""
_SHOWN = 3
"""Pairs in a picture."""


class Meter:
    """Means of numbers over the steps since the last reading."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, values: Mapping[str, float]) -> None:
        """Add the numbers of a step."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1

    def read(self) -> dict[str, float]:
        """Return the means and reset."""
        means = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


class Laps:
    """Seconds of a step, by what they were spent on.

    Args:
        device: Device to wait for at the end of each part, since it works on by itself.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._device = device
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        """End a part."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.seconds[part] += now - self._last
        self._last = now


class Report:
    """Writer of everything in a run's folder but its states.

    Args:
        recipe: Recipe of the run.
        folder: Folder of the run.
        begun: Network that the run started with.
        device: Device on which networks are measured.
        losses: Names of the losses.
        training_data: Data that the network learns from and its licences, in short.
        samples: Samples of a step.
        done: Steps done before.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        begun: Start,
        device: torch.device,
        *,
        losses: list[str],
        training_data: str,
        samples: int,
        done: int,
    ) -> None:
        self._recipe, self._folder, self._begun, self._device = recipe, folder, begun, device
        self._samples, self._training_data = samples, training_data
        columns = ["step", "samples", "learning_rate", "loss", *losses, "gradient", "skipped", "samples_per_s"]
        self._csv = CsvLog(folder.log, [*columns, *PARTS, *COLUMNS], after=done)
        self._board = TensorBoard(folder.tensorboard, after=done)
        self._validation: Validation | None = None
        self.progress = Progress(recipe.optim.steps, done, samples)
        folder.write_text(folder.recipe, recipe.toml())
        if not done:
            self._board.text("recipe", f"```toml\n{recipe.toml()}```")

    def numbers(self, step: int, rate: float, skipped: int, means: Mapping[str, float]) -> None:
        """Write the means of some steps: losses, ``gradient``, and the seconds of `PARTS`."""
        seconds = sum(means[part] for part in PARTS)
        values = {name: value for name, value in means.items() if name not in PARTS}
        shares = {part: means[part] / seconds for part in PARTS}
        speed = {"samples_per_s": self._samples / seconds}
        shown = {"learning_rate": rate, "skipped": float(skipped), **values, **speed, **shares}
        self._csv.write({"step": step, "samples": step * self._samples, **shown})
        losses = {f"loss/{name}": value for name, value in values.items() if name != "gradient"}
        others = {name: shown[name] for name in ("learning_rate", "gradient", "skipped", "samples_per_s")}
        self._board.scalars({**losses, **others, **{f"share/{part}": share for part, share in shares.items()}}, step)

    def measure(self, net: nn.Module, step: int) -> dict[str, float]:
        """Validate the network, and write down the result."""
        table = self._recipe.validate
        if self._validation is None:
            self._validation = Validation(
                Path(table.data or ""), table.limit, self._begun.spec, self._device, self._begun.arithmetic
            )
        found = self._validation(net)
        self._csv.write({"step": step, "samples": step * self._samples, **found})
        self._board.scalars({f"validation/{name}": value for name, value in found.items()}, step)
        self.progress.say(f"step {step}: " + ", ".join(f"{name} {value:.3f}" for name, value in found.items()))
        return found

    def pictures(self, net: nn.Module, batch: Batch, step: int) -> None:
        """Write a picture of the network's results for the first pairs of a batch."""
        spec = self._begun.spec
        shown = batch.each(lambda x: x[:_SHOWN])
        backend = TorchBackend(net, spec, self._device, resolve_precision("auto", self._device, spec))
        estimate = backend.estimate(shown.img0, shown.img1, shown.flow)
        made = backend.synthesize(shown.img0, shown.img1, estimate, shown.t)
        model = Model(net=net, spec=spec, arithmetic=self._begun.arithmetic, name=spec.name, path=self._folder.last)
        maps = [
            maps_of(model, img0[None].cpu(), img1[None].cpu(), Fraction(float(t)), Options(device=str(self._device)))
            for img0, img1, t in zip(shown.img0, shown.img1, shown.t, strict=True)
        ]
        sheet = contact_sheet(shown.img0, shown.img1, shown.target, made, maps)
        self._board.picture("left, right, made, true, error, flow, mask", sheet, step)

    def save(self, net: nn.Module, path: Path, step: int, found: Mapping[str, float] | None) -> None:
        """Write weights as the filter loads them, with their side-car.

        Args:
            net: The network.
            path: The file.
            step: Steps done.
            found: Result of `measure`, if it was measured.
        """
        recipe, data = self._recipe, self._recipe.validate.data
        metrics = f"not measured, {step} steps"
        if found is not None:
            numbers = ", ".join(f"{name} {value:.3f} dB" for name, value in found.items())
            metrics = f"{numbers} on {Path(data or '').name}, after {step} steps"
        sidecar: dict[str, Any] = {
            "training_data": self._training_data,
            "metrics": metrics,
            "licence": recipe.model.licence,
            "source": f"training.train, {self._begun.said}",
            "created_with": f"vsrrin {vsrrin.__version__}, torch {torch.__version__}",
            "description": recipe.model.description,
            "recipe": recipe.tables(),
            "seed": recipe.seed,
            "steps": step,
            "samples": step * self._samples,
        }
        loader.save(net, self._begun.spec, path, arithmetic=self._begun.arithmetic, sidecar=sidecar)

    def close(self) -> None:
        """Close all logs."""
        self.progress.close()
        self._csv.close()
        self._board.close()
