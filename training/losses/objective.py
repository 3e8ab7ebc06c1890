"""Objective of a training step: the losses of a recipe, against the truth and against a teacher."""

import torch
from torch import Tensor

from training.data.batch import Batch
from training.recipe import Recipe

from .teacher import Teacher
from .weighted import OF_FLOW, make_loss

type Losses = tuple[Tensor, dict[str, float]]


class Objective:
    """Objective of a training step: the losses of a recipe, against the truth and against a teacher.

    Args:
        recipe: Recipe of the run.
        device: Device of the teacher.

    Raises:
        RecipeError: There is no such loss, or the teacher does not know what is to be learned from it.
        VsrrinError: The teacher's weights cannot be loaded.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        weights = {name: weight for name, weight in recipe.loss.items() if weight > 0}
        distil = recipe.distil
        self._loss = make_loss(weights) if weights else None
        self._frame = make_loss({"laplacian": distil.frame}) if distil.frame else None
        self._flow = make_loss({"flow": distil.flow}) if distil.flow else None
        self._teacher = Teacher(recipe, device) if self._frame or self._flow else None
        self.needs_picture = any(name not in OF_FLOW for name in weights) or self._frame is not None
        taught = {"distil_frame": self._frame, "distil_flow": self._flow}
        self.names = [*weights, *(name for name, loss in taught.items() if loss)]
        """Names of the losses, in order."""

    def __call__(self, picture: Tensor | None, flow: Tensor | None, shown: list[Tensor], batch: Batch) -> Losses:
        """Return the sum to minimise, and the single losses by name, without their weights.

        Args:
            picture: The network's picture, (N, 3, H, W), if `needs_picture`.
            flow: The network's flow, as :class:`Stepper` returns it.
            shown: That of its coarser levels, likewise.
            batch: The batch it was made from.
        """
        made = batch.target if picture is None else picture
        total = made.new_zeros(())
        values: dict[str, Tensor] = {}
        if self._loss is not None:
            total, values = self._loss(made, batch, flow=flow, shown=shown)
        if self._teacher is not None:
            lesson = self._teacher(batch)
            for name, loss, taught in (
                ("distil_frame", self._frame, lesson.frame),
                ("distil_flow", self._flow, lesson.flow),
            ):
                if loss is not None and taught is not None:
                    part, single = loss(made, taught, flow=flow)
                    total = total + part
                    values[name] = next(iter(single.values()))
        return total, {name: float(value) for name, value in values.items()}
