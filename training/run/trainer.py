"""Training run: its steps, and what happens between them.

All that decides the steps to come is in `Trainer.state`, and samples are a pure function of their number: so a run that
was interrupted and goes on takes the very steps that it would have taken.
"""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from training.data.batch import Batch, Source
from training.data.recipe_source import describe, open_source
from training.errors import RecipeError, TrainingError
from training.losses.objective import Objective
from training.model import aids
from training.model.matching_start import start_matching
from training.model.precision import Weights, check_precision
from training.model.start import naming, start, zero
from training.model.stepper import Stepper
from training.optim.guard import Guard
from training.optim.optimiser import clip_gradient, make_optimiser
from training.optim.running_mean import RunningMean
from training.optim.schedule import learning_rate, set_learning_rate
from training.recipe import Recipe, differing, from_tables

from .folder import RunFolder
from .loader import feed, samples_per_step
from .processes import Team
from .report import Laps, Meter, Report


class Trainer:
    """One process of a training run.

    Args:
        recipe: Recipe of the run.
        folder: Folder of the run; held by the leading process.
        team: The processes that train together.
        resume: Whether to go on from the newest state in the folder, if there is one.
        open_samples: Function that makes the source of samples, in place of the one that the recipe describes.

    Raises:
        TrainingError: The recipe does not fit the machine, the network, or the run that is to go on.
        VsrrinError: Weights or data cannot be read.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        team: Team,
        *,
        resume: bool = False,
        open_samples: Callable[[], Source] | None = None,
    ) -> None:
        self.recipe, self.folder, self.team, self.table = recipe, folder, team, recipe.optim
        if recipe.machine.threads:
            torch.set_num_threads(recipe.machine.threads)
        self._open = open_samples or partial(open_source, recipe.data, recipe.seed)
        self._samples = samples_per_step(self.table, team)
        begun = start(recipe.model, recipe.seed, recipe.where)
        check_precision(self.table.precision, team.device, begun.spec)
        torch.manual_seed(recipe.seed)
        if recipe.model.normalise:
            if team.world > 1:
                raise RecipeError(
                    f"{recipe.where}: model.normalise is for one process: several would each normalise their own "
                    "samples. Start without torchrun, or leave it out."
                )
            aids.normalise(begun.net)
            zero(begun.net, recipe.model.zeroed, recipe.where)  # its hidden layers were drawn anew
            if recipe.model.matching:
                with naming(recipe.where):
                    start_matching(begun.net, begun.spec)
        if recipe.loss.get("flow_levels"):
            aids.teach_levels(begun.net, begun.spec)
        net = begun.net.to(team.device)
        self.weights = Weights(net, self.table.precision, channels_last=self.table.channels_last)
        self.mean = RunningMean(net, self.table.ema) if self.table.ema else None
        self.optimiser = make_optimiser(net, self.table)
        self._scaler = torch.amp.GradScaler(team.device.type, enabled=self.table.precision == "fp16")
        self._guard = Guard(self.table.patience)
        self._objective = Objective(recipe, team.device)
        self._meter = Meter()
        self.step = 0
        """Steps done."""
        self._measured_at = -1
        self._best: dict[str, float] | None = None
        self._batch: Batch | None = None
        if resume:
            self._resume()
        stepper: Any = Stepper(self.weights.running, begun.spec, picture=self._objective.needs_picture)
        if recipe.machine.compile:
            stepper = torch.compile(stepper)
        self._stepper = team.wrap(stepper, all_used=self._objective.needs_picture and not begun.spec.unused)
        self.report: Report | None = None
        if team.leads:
            self.report = Report(
                recipe,
                folder,
                begun,
                team.device,
                losses=self._objective.names,
                training_data=describe(recipe.data),
                samples=self._samples,
                done=self.step,
            )

    @property
    def result(self) -> nn.Module:
        """Resulting network without training aids: the running mean of the weights if there is one."""
        return aids.plain(self.weights.net if self.mean is None else self.mean.net)

    @property
    def finished(self) -> bool:
        """Whether all steps of the recipe are done."""
        return self.step >= self.table.steps

    def run(self, wants_stop: Callable[[], bool] = lambda: False) -> bool:
        """Take steps to the end of the recipe, or until a process of the team wants to stop.

        Args:
            wants_stop: Function that is called after every step; true ends the run.

        Returns:
            Whether the run is finished. If not, a state to go on from has been saved.

        Raises:
            TrainingError: Losses are not finite over and over, nothing can be written, or a worker has ended.
            RecipeError: No loss depends on what is trained.
            DatasetError: A sample cannot be made.
        """
        batches = feed(self._open, self.recipe.data.workers, self.step, self.table, self.team)
        stopping = False
        try:
            while not (stopping or self.finished):
                self._measure_if_due()
                stopping = self._take_step(batches, wants_stop)
                self._write_down(stopping)
            if self.finished:
                self._measure_if_due()
            self._save()
        except RuntimeError as error:
            # A signal handler of DataLoader raises it, wherever this process happens to be.
            if "DataLoader worker" not in str(error):
                raise
            raise TrainingError(
                f"a process that makes samples has ended ({error}). Was it killed, perhaps for want of memory? Resume "
                "the run, with fewer data.workers if it happens again"
            ) from error
        finally:
            if self.report is not None:
                self.report.close()
        return self.finished

    def state(self) -> dict[str, Any]:
        """Return all that decides the steps to come."""
        return {
            "recipe": self.recipe.tables(),
            "world": self.team.world,
            "model": self.weights.net.state_dict(),
            "mean": None if self.mean is None else self.mean.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
            "random": torch.get_rng_state(),
            "skipped": [self._guard.skipped, self._guard.in_a_row],
            "meter": [self._meter.sums, self._meter.count],
            "measured_at": self._measured_at,
            "best": self._best,
        }

    # --- a step ----------------------------------------------------------------------------------------------------

    def _take_step(self, batches: Iterator[Batch], wants_stop: Callable[[], bool]) -> bool:
        """Take a step of the optimiser; return whether any process wants to stop."""
        laps = Laps(self.team.device)
        set_learning_rate(self.optimiser, learning_rate(self.step, self.table))
        self.weights.begin()
        sums = dict.fromkeys(("loss", *self._objective.names), 0.0)
        stopping = False
        for left in reversed(range(self.table.accumulate)):
            self._batch = self._next(batches)
            laps.lap("data")
            picture, flow, shown = self._stepper(self._batch.img0, self._batch.img1, self._batch.t, self._batch.flow)
            total, values = self._objective(picture, flow, shown, self._batch)
            laps.lap("forward")
            if not total.requires_grad:
                raise RecipeError(
                    f"{self.recipe.where}: none of the losses ({', '.join(self._objective.names)}) depends on what is "
                    "trained; give another loss, or freeze less."
                )
            stopping, losses = self._agree({"loss": total.item()} | values, left == 0 and wants_stop())
            # Not otherwise: where flow is not finite, the gradient of a warp reads and writes anywhere.
            if math.isfinite(losses["loss"]):
                self._scaler.scale(total / self.table.accumulate).backward()  # type: ignore[no-untyped-call]
                self.weights.collect()
            laps.lap("backward")
            sums = {name: value + losses[name] / self.table.accumulate for name, value in sums.items()}
        gradient = self._move(sums["loss"])
        laps.lap("optimiser")
        self.step += 1
        if all(map(math.isfinite, (*sums.values(), gradient))):
            self._meter.add({**sums, "gradient": gradient, **laps.seconds})
        if self.report is not None:
            self.report.progress.step(sums["loss"])
        return stopping

    def _next(self, batches: Iterator[Batch]) -> Batch:
        try:
            batch = next(batches)
        except TrainingError as error:
            if not str(error).startswith("Caught "):
                raise
            # From a worker it comes with where it was raised, its own text last.
            raise type(error)(str(error).strip().rpartition("\n")[2].partition("Error: ")[2]) from error
        return batch.to(self.team.device, channels_last=self.table.channels_last)

    def _agree(self, losses: dict[str, float], stop: bool) -> tuple[bool, dict[str, float]]:
        """Return whether any process wants to stop, and the means of the losses over all of them."""
        if self.team.world == 1:
            return stop, losses
        values = torch.tensor([float(stop), *losses.values()], dtype=torch.float64, device=self.team.device)
        wanted, *means = self.team.mean(values).tolist()
        return wanted > 0, dict(zip(losses, means, strict=True))

    def _move(self, loss: float) -> float:
        """Move the weights unless the loss or the gradient is not finite; return the gradient's norm."""
        if not math.isfinite(loss):
            self.weights.take_back()
            self._guard.passes((loss,), self.step)
            return math.nan
        self._scaler.unscale_(self.optimiser)
        gradient = clip_gradient(self.optimiser, self.table.clip).item()
        if self._guard.passes((gradient,), self.step):
            self._scaler.step(self.optimiser)
            self.weights.spread()
            if self.mean is not None:
                self.mean.update(self.weights.net, self.step)
        else:
            self.weights.take_back()
        self._scaler.update()
        return gradient

    # --- between steps ---------------------------------------------------------------------------------------------

    def _write_down(self, stopping: bool) -> None:
        """Write what is due after a step: numbers, pictures, a state."""
        log = self.recipe.log
        if (self.step % log.every == 0 or self.finished) and self._meter.count:
            means = self._meter.read()
            if self.report is not None:
                rate = learning_rate(self.step - 1, self.table)
                self.report.numbers(self.step, rate, self._guard.skipped, means)
        if self.report is None:
            return
        if log.pictures and self.step % log.pictures == 0 and self._batch is not None:
            self.report.pictures(self.result, self._batch, self.step)
        if self.step % log.state == 0 and not (stopping or self.finished):
            self._save()

    def _measure_if_due(self) -> None:
        """Measure the network before the first step, every some steps, and after the last one; keep the best."""
        table = self.recipe.validate
        due = self.step % table.every == 0 or self.finished
        if table.data is None or not due or self._measured_at == self.step:
            return
        self._measured_at = self.step
        if self.report is None:
            return
        found = self.report.measure(self.result, self.step)
        if self._best is None or found["psnr"] > self._best["psnr"]:
            self._best = found
            self.report.save(self.result, self.folder.best, self.step, found)

    def _save(self) -> None:
        """Write a state, and the weights as they are."""
        if self.report is None:
            return
        self.folder.save_state(self.step, self.state())
        self.report.save(self.result, self.folder.last, self.step, None)

    def _resume(self) -> None:
        found = self.team.share(self.folder.newest_state() if self.team.leads else None)
        if found is None:
            return
        path, state = found
        self._check_same_run(state, str(path))
        self.step = state["step"]
        self.weights.load(state["model"])
        if self.mean is not None:
            self.mean.net.load_state_dict(state["mean"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"])
        self._guard.skipped, self._guard.in_a_row = state["skipped"]
        self._meter.sums, self._meter.count = state["meter"]
        self._measured_at, self._best = state["measured_at"], state["best"]

    def _check_same_run(self, state: dict[str, Any], path: str) -> None:
        names = differing(self.recipe, from_tables(state["recipe"], path))
        if names:
            hint = (
                ' (with a cosine schedule the learning rate of every step depends on it; "constant" and "multistep" '
                "runs can be made longer)"
                if names == ["optim.steps"]
                else ""
            )
            raise TrainingError(
                f"{self.recipe.where} differs from the recipe of the run in {self.folder.path}: {', '.join(names)}"
                f"{hint}. Give the recipe it was started with, {self.folder.recipe}, or start a new run "
                f"in another folder from its weights, model.from = {str(self.folder.last)!r}"
            )
        if state["world"] != self.team.world:
            raise TrainingError(
                f"the run in {self.folder.path} was started by {state['world']} process(es), not {self.team.world}: go "
                "on with as many, or the order of the samples changes"
            )


def deadline(minutes: float | None) -> Callable[[], bool]:
    """Return a function that tells whether so many minutes have passed since now; never for None."""
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    return lambda: time.monotonic() >= end
