"""Distillation: the results of another network take the place of the truth.

Source: Hinton, Vinyals, Dean: "Distilling the knowledge in a neural network", arXiv:1503.02531, for pictures and flow.
"""

from dataclasses import dataclass, replace

import torch

from training.data.batch import Batch
from training.errors import RecipeError
from training.recipe import Recipe
from vsrrin.checkpoint import loader
from vsrrin.engine.backends.torch_backend import TorchBackend, resolve_precision


@dataclass(frozen=True)
class Lesson:
    """Batches with the teacher's results in place of the truth; None where they are not asked for."""

    frame: Batch | None
    """Its ``target`` is the teacher's picture."""
    flow: Batch | None
    """Its ``truth`` is the teacher's flow, and all of it counts."""


class Teacher:
    """Network that is not trained, run on batches.

    Args:
        recipe: Recipe with the teacher and what is learned from it.
        device: Device of the teacher.

    Raises:
        RecipeError: It does not know what is to be learned from it.
        VsrrinError: Its weights cannot be loaded.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        table = recipe.distil
        model = loader.load(table.teacher or "")
        spec = model.spec
        if table.flow and not spec.estimates_flow:
            raise RecipeError(
                f"{recipe.where}: distil.teacher is {spec.name}, which finds no flow itself; distil.flow must be 0."
            )
        if table.frame and not spec.arbitrary_t and recipe.data.times != "middle":
            raise RecipeError(
                f"{recipe.where}: distil.teacher is {spec.name}, which makes the middle of a pair only; set data.times "
                'to "middle", or distil.frame to 0.'
            )
        if recipe.data.crop % spec.size_multiple:
            raise RecipeError(
                f"{recipe.where}: data.crop must be a multiple of {spec.size_multiple} for distil.teacher, {spec.name}."
            )
        self._backend = TorchBackend(model.net, spec, device, resolve_precision("auto", device, spec))
        self._frame, self._flow = table.frame > 0, table.flow > 0

    def __call__(self, batch: Batch) -> Lesson:
        """Return the teacher's results for a batch on its device."""
        estimate = self._backend.estimate(batch.img0, batch.img1, batch.flow)
        frame = flow = None
        if self._frame:
            made = self._backend.synthesize(batch.img0, batch.img1, estimate, batch.t)
            # A copy: the results of inference cannot take part in what has a gradient.
            frame = replace(batch, target=made.clamp(0, 1).clone())
        if self._flow:
            flow = replace(batch, truth=estimate[:, :4].float().clone(), trust=torch.ones_like(batch.trust))
        return Lesson(frame, flow)
