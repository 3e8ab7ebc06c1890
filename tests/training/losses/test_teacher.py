"""Distillation: what a teacher makes of a batch takes the place of the truth."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.tiny import SETTINGS, MovingTexture, recipe
from training.data.batch import collate
from training.errors import RecipeError
from training.losses.objective import Objective
from training.losses.teacher import Teacher
from training.recipe import Recipe
from vsrrin.checkpoint import loader
from vsrrin.errors import CheckpointError
from vsrrin.nets import cain, rrin, rrin_lite

CPU = torch.device("cpu")
BATCH = collate([MovingTexture().sample(number) for number in range(2)])


def save(path: Path, net: torch.nn.Module, spec: object) -> str:
    sidecar = dict.fromkeys(loader.SIDECAR_GIVEN, "a test")
    loader.save(net, spec, path, arithmetic=spec.arithmetics[0], sidecar=sidecar)
    return str(path)


@pytest.fixture
def small_rrin(tmp_path: Path) -> str:
    torch.manual_seed(0)
    return save(tmp_path / "rrin.safetensors", rrin.RRIN(width=4), rrin.SPEC)


def learner(**distil: Any) -> Recipe:
    """The recipe of a network that learns flow, with a teacher."""
    return recipe(model={"name": "rrin", "settings": {"width": 4}}, loss={"l1": 0.5}, distil=distil)


def test_the_bundled_network_teaches_its_picture() -> None:
    lesson = Teacher(recipe(distil={"teacher": "rrin_lite", "frame": 1.0}), CPU)(BATCH)
    assert lesson.frame is not None and lesson.flow is None
    assert lesson.frame.truth is BATCH.truth
    assert 0 < (lesson.frame.target - BATCH.target).abs().mean() < 0.1


def test_only_what_is_asked_for_is_taught(small_rrin: str) -> None:
    lesson = Teacher(learner(teacher=small_rrin, flow=1.0), CPU)(BATCH)
    assert lesson.frame is None and lesson.flow is not None and lesson.flow.target is BATCH.target
    found = loader.load(small_rrin).net.estimate(BATCH.img0, BATCH.img1)[:, :4]  # type: ignore[operator]
    torch.testing.assert_close(lesson.flow.truth, found, atol=1e-3, rtol=1e-3)
    assert lesson.flow.trust.min() == 1


def test_both_losses_move_a_student_towards_its_teacher(small_rrin: str) -> None:
    objective = Objective(learner(teacher=small_rrin, frame=2.0, flow=0.5), CPU)
    assert objective.names == ["l1", "distil_frame", "distil_flow"] and objective.needs_picture
    picture, flow = BATCH.target.clone().requires_grad_(), BATCH.flow.clone().requires_grad_()
    total, values = objective(picture, flow, [], BATCH)
    assert list(values) == objective.names and values["l1"] == 0
    assert total.item() == pytest.approx(2.0 * values["distil_frame"] + 0.5 * values["distil_flow"], rel=1e-5)
    total.backward()
    assert picture.grad is not None and picture.grad.abs().sum() > 0
    assert flow.grad is not None and flow.grad.abs().sum() > 0


def test_a_teacher_alone_is_enough(small_rrin: str) -> None:
    student = {"name": "rrin", "settings": {"width": 4}}
    objective = Objective(recipe(model=student, loss={"l1": 0}, distil={"teacher": small_rrin, "flow": 1.0}), CPU)
    assert objective.names == ["distil_flow"] and not objective.needs_picture
    total, values = objective(None, BATCH.flow, [], BATCH)
    assert total.item() == pytest.approx(values["distil_flow"])


def test_a_teacher_that_does_not_know_it_is_refused(tmp_path: Path) -> None:
    name = save(tmp_path / "cain.safetensors", cain.CAIN(groups=1, blocks=1, features=16), cain.SPEC)
    for teacher, called in ((name, "cain"), ("rrin_lite", "rrin_lite")):
        text = f"tiny: distil.teacher is {called}, which finds no flow itself; distil.flow must be 0."
        with pytest.raises(RecipeError, match=re.escape(text)):
            Teacher(learner(teacher=teacher, flow=1.0), CPU)
    with pytest.raises(RecipeError, match=r"cain, which makes the middle of a pair only; set data.times to \"middle\""):
        Teacher(recipe(distil={"teacher": name, "frame": 1.0}), CPU)
    Teacher(recipe(distil={"teacher": name, "frame": 1.0}, data={"times": "middle"}), CPU)


def test_a_teacher_that_is_not_there_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"there is no file .*nowhere.safetensors"):
        Teacher(recipe(distil={"teacher": "runs/nowhere.safetensors", "frame": 1.0}), CPU)


def test_a_student_of_the_same_kind_can_be_larger_or_smaller(tmp_path: Path) -> None:
    name = save(tmp_path / "lite.safetensors", rrin_lite.SPEC.default(**SETTINGS), rrin_lite.SPEC)
    lesson = Teacher(recipe(distil={"teacher": name, "frame": 1.0}), CPU)(BATCH)
    assert lesson.frame is not None and lesson.frame.target.shape == BATCH.target.shape
