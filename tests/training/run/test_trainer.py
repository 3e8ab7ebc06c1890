"""Training runs in this process: steps, resuming, guards, what is written."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch._utils import ExceptionWrapper

from tests.training.tiny import ALONE, SMALL, MovingTexture, recipe
from training.data.batch import Sample
from training.errors import DatasetError, RecipeError, TrainingError
from training.recipe import Recipe
from training.run.folder import RunFolder
from training.run.logs import read_log
from training.run.trainer import Trainer, deadline
from vsrrin.checkpoint import loader
from vsrrin.nets.rrin import RRIN


@pytest.fixture(autouse=True)
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that the recipe names; the samples themselves are made here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moving").mkdir()
    (tmp_path / "moving/manifest.json").write_text('{"shots": [{"licence": "CC0"}, {"licence": "CC0"}]}')


def trainer(path: Path, given: Recipe | None = None, **options: Any) -> Trainer:
    path.mkdir(exist_ok=True)
    return Trainer(given or recipe(), RunFolder(path), ALONE, **{"open_samples": MovingTexture, **options})


def after(steps: int) -> Callable[[], bool]:
    """Wants to stop once it has been asked so often."""
    asked = iter(range(1, 10**6))
    return lambda: next(asked) >= steps


def same(first: Any, second: Any) -> bool:
    """Whether two states are equal to the last bit."""
    if isinstance(first, Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def learned(run: Trainer) -> dict[str, Any]:
    """The state but for what depends on the clock."""
    state = run.state()
    del state["meter"]
    return state


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optim": {"precision": "bf16", "accumulate": 2, "batch": 1, "clip": 0.5}},
        {"optim": {"schedule": "multistep", "milestones": [3], "ema": 0.0, "channels_last": False}},
        {
            "model": {"name": "rrin", "settings": {"width": 4}, "normalise": True},
            "loss": {"flow": 1.0, "flow_levels": 0.5},
            "optim": {"precision": "bf16", "muon": 8.0},
        },
        {
            "model": {"name": "rrin", "settings": {"width": 4}, "normalise": True},
            "loss": {"flow": 1.0, "flow_levels": 0.5},
            "optim": {"ema": 0.0, "muon": 8.0},
        },
    ],
    ids=["fp32", "bf16, accumulated", "multistep, no mean", "normalised, levels taught", "likewise, fp32, no mean"],
)
def test_a_run_that_was_stopped_and_goes_on_equals_one_that_was_not(tmp_path: Path, changes: dict[str, Any]) -> None:
    whole = trainer(tmp_path / "whole", recipe(**changes))
    assert whole.run() and whole.step == 6
    first = trainer(tmp_path / "parts", recipe(**changes))
    assert not first.run(after(3)) and first.step == 3
    second = trainer(tmp_path / "parts", recipe(**changes), resume=True)
    assert second.step == 3 and same(learned(first), learned(second))
    assert second.run()
    assert same(learned(whole), learned(second))
    assert (tmp_path / "whole/last.safetensors").read_bytes() == (tmp_path / "parts/last.safetensors").read_bytes()
    logs = [read_log(tmp_path / name / "log.csv") for name in ("whole", "parts")]
    assert [line["loss"] for line in logs[0]] == [line["loss"] for line in logs[1]]
    assert [line["step"] for line in logs[1]] == ["2", "4", "6"]


def test_zeroed_parts_stay_zero_where_layers_are_drawn_anew_to_be_normalised(tmp_path: Path) -> None:
    model = {"name": "rrin", "settings": {"width": 4}, "normalise": True, "zeroed": ["final", "Mask.last"]}
    run = trainer(tmp_path / "run", recipe(model=model))
    run.report.close()  # type: ignore[union-attr]
    state = run.weights.net.state_dict()
    zeroed = [
        value for name, value in state.items() if name.startswith(("final.", "Mask.last.")) and "norm.r" not in name
    ]
    assert len(zeroed) > 20 and not any(value.any() for value in zeroed if value.is_floating_point())
    assert state["Mask.down_path.0.block.0.weight"].any()


def test_a_killed_run_goes_on_from_its_newest_state_and_its_log_has_no_line_twice(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    whole.run()
    killed = trainer(tmp_path / "killed")
    killed.run()
    for name in ("state-000000006.pt", "last.safetensors", "last.json"):
        (tmp_path / "killed" / name).unlink()  # as if it had ended between steps 4 and 6
    again = trainer(tmp_path / "killed", resume=True)
    assert again.step == 4
    again.run()
    assert same(learned(whole), learned(again))
    lines = read_log(tmp_path / "killed/log.csv")
    assert [line["step"] for line in lines] == ["2", "4", "6"]


def test_a_tiny_network_learns(tmp_path: Path) -> None:
    given = recipe(
        optim={"steps": 40, "learning_rate": 3e-3, "schedule": "constant", "precision": "bf16"}, log={"every": 8}
    )
    run = trainer(tmp_path / "run", given)
    run.run()
    losses = [float(line["loss"]) for line in read_log(tmp_path / "run/log.csv")]
    assert losses[-1] < 0.8 * losses[0]


def test_weights_and_side_car_are_what_the_filter_loads(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run", recipe(model={"licence": "CC0", "description": "A test."}))
    run.run()
    model = loader.load(tmp_path / "run/last.safetensors")
    assert model.spec.name == "rrin_lite" and run.mean is not None
    for name, value in run.mean.net.state_dict().items():
        assert torch.equal(model.net.state_dict()[name], value), name
    sidecar = json.loads((tmp_path / "run/last.json").read_text())
    assert sidecar["training_data"] == "moving (2 x CC0)" and sidecar["licence"] == "CC0"
    assert (sidecar["seed"], sidecar["steps"], sidecar["samples"]) == (1, 6, 12)
    assert sidecar["description"] == "A test." and sidecar["recipe"]["optim"]["batch"] == 2
    assert all(sidecar[key] for key in (*loader.SIDECAR_GIVEN, *loader.SIDECAR_WRITTEN))


def test_frozen_parts_stay_and_all_others_move(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run", recipe(model={"frozen": ["refine", "choose.first"]}))
    before = {name: value.clone() for name, value in run.weights.net.state_dict().items()}
    run.run()
    moved = {name for name, value in run.weights.net.state_dict().items() if not torch.equal(value, before[name])}
    assert {"choose.out.weight", "choose.out.bias", "choose.level.0.0.conv.weight"} <= moved
    assert not any(name.startswith(("refine.", "choose.first.")) for name in moved)


class Spoiled(MovingTexture):
    """Every sample from number 4 to 7 is not finite."""

    def sample(self, index: int) -> Sample:
        sample = super().sample(index)
        if index in range(4, 8):
            sample.img0.fill_(torch.nan)
        return sample


def test_steps_that_are_not_finite_are_skipped_and_counted(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run", open_samples=Spoiled)
    assert run.run()
    assert all(torch.isfinite(value).all() for value in run.weights.net.state_dict().values())
    lines = read_log(tmp_path / "run/log.csv")
    assert [line["skipped"] for line in lines] == ["0", "2"]  # nothing can be said of steps 3 and 4
    assert run.state()["skipped"] == [2, 0]


def test_too_many_of_them_stop_the_run_with_what_to_try(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run", recipe(optim={"patience": 2}), open_samples=Spoiled)
    with pytest.raises(
        TrainingError, match=r"not finite in 2 steps in a row, up to step 3.*Try a lower optim.learning"
    ):
        run.run()
    assert [path.name for path in run.folder.states()] == ["state-000000002.pt"]


def test_a_run_goes_on_only_with_the_recipe_it_was_started_with(tmp_path: Path) -> None:
    trainer(tmp_path / "run").run(after(2))
    changed = recipe(optim={"batch": 3}, loss={"census": 1.0})
    with pytest.raises(
        TrainingError, match=r"tiny differs from the recipe of the run in .*: loss.census, optim.batch. Give"
    ):
        trainer(tmp_path / "run", changed, resume=True)
    longer = recipe(optim={"steps": 9})
    with pytest.raises(TrainingError, match=r": optim.steps \(with a cosine schedule .* can be made longer\)"):
        trainer(tmp_path / "run", longer, resume=True)


def test_a_run_with_a_constant_rate_can_be_made_longer(tmp_path: Path) -> None:
    shorter, longer = (recipe(optim={"schedule": "constant", "steps": steps}) for steps in (4, 6))
    trainer(tmp_path / "run", shorter).run()
    run = trainer(tmp_path / "run", longer, resume=True)
    assert run.step == 4 and run.run()
    whole = trainer(tmp_path / "whole", longer)
    whole.run()
    assert same(learned(whole), learned(run))


def test_a_finished_run_takes_no_more_steps(tmp_path: Path) -> None:
    trainer(tmp_path / "run").run()
    again = trainer(tmp_path / "run", resume=True)
    assert again.finished and again.run() and again.step == 6


def test_a_team_of_another_size_cannot_go_on(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run")
    run.run(after(2))
    state = {**run.state(), "world": 2}
    run.folder.save_state(2, state)
    with pytest.raises(TrainingError, match=r"was started by 2 process\(es\), not 1"):
        trainer(tmp_path / "run", resume=True)


def as_one(net: nn.Module) -> Tensor:
    """A copy of all weights in a row."""
    return torch.cat([weights.detach().flatten() for weights in net.parameters()])


def test_a_step_accumulates_to_that_of_a_larger_batch(tmp_path: Path) -> None:
    ends = []
    for batch, accumulate in ((4, 1), (2, 2)):
        given = recipe(optim={"steps": 3, "batch": batch, "accumulate": accumulate})
        run = trainer(tmp_path / f"{batch}", given)
        start = as_one(run.weights.net)
        run.run()
        ends.append(as_one(run.weights.net))
    # Adam makes a step of usual length of a gradient that is all rounding, so single weights say nothing.
    assert (ends[0] - ends[1]).norm() < 0.02 * (ends[0] - start).norm()


def test_only_flow_is_learned_without_making_pictures(tmp_path: Path) -> None:
    run = trainer(
        tmp_path / "run", recipe(model={"name": "rrin", "settings": {"width": 4}}, loss={"l1": 0.0, "flow": 1.0})
    )
    before = {name: value.clone() for name, value in run.weights.net.state_dict().items()}
    run.run()
    moved = {
        name.partition(".")[0]
        for name, value in run.weights.net.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved == {"Flow_L"}
    assert read_log(tmp_path / "run/log.csv")[-1]["flow"]


def test_what_helped_to_learn_is_not_in_the_weights(tmp_path: Path) -> None:
    aided = recipe(
        model={"name": "rrin", "settings": {"width": 4}, "normalise": True},
        loss={"l1": 0.0, "flow": 1.0, "flow_levels": 0.5},
    )
    run = trainer(tmp_path / "run", aided)
    run.run()
    line = read_log(tmp_path / "run/log.csv")[-1]
    assert float(line["loss"]) == pytest.approx(float(line["flow"]) + 0.5 * float(line["flow_levels"]), rel=1e-5)
    assert run.mean is not None
    loaded = loader.load(tmp_path / "run/last.safetensors")
    assert loaded.net.state_dict().keys() == RRIN(width=4).state_dict().keys()
    sample = MovingTexture().sample(1)
    with torch.no_grad():
        made, expected = (
            net(sample.img0[None], sample.img1[None]) for net in (loaded.net.estimate, run.mean.net.estimate)
        )
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-4)
    assert expected.abs().max() > 0.01


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_that_failed_leaves_no_trace_in_what_normalises(tmp_path: Path, precision: str) -> None:
    given = recipe(
        model={"name": "rrin", "settings": {"width": 4}, "normalise": True},
        loss={"l1": 0.0, "flow": 1.0},
        optim={"precision": precision},
    )

    class Once(MovingTexture):
        def sample(self, index: int) -> Sample:
            sample = super().sample(index)
            return dataclasses.replace(sample, img0=sample.img0 * float("inf")) if index == 3 else sample

    run = trainer(tmp_path / "run", given, open_samples=Once)
    run.run()
    assert read_log(tmp_path / "run/log.csv")[-1]["skipped"] == "1"
    for net in (run.weights.net, run.weights.running, run.result):
        assert all(torch.isfinite(value).all() for value in net.state_dict().values())


def test_several_processes_do_not_normalise(tmp_path: Path) -> None:
    given = recipe(model={"name": "rrin", "settings": {"width": 4}, "normalise": True})
    two = dataclasses.replace(ALONE, world=2)
    with pytest.raises(RecipeError, match=r"tiny: model\.normalise is for one process"):
        Trainer(given, RunFolder(tmp_path), two, open_samples=MovingTexture)


def test_losses_that_nothing_that_is_trained_changes_are_refused(tmp_path: Path) -> None:
    frozen = {"name": "rrin", "settings": {"width": 4}, "frozen": ["Flow_L"]}
    run = trainer(tmp_path / "run", recipe(model=frozen, loss={"l1": 0.0, "flow": 1.0}))
    with pytest.raises(RecipeError, match=r"tiny: none of the losses \(flow\) depends on what is trained"):
        run.run()


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_network_is_trained_shown_and_saved(tmp_path: Path, name: str) -> None:
    middle = "middle" if name == "cain" else "any"
    given = recipe(
        model={"name": name, "settings": SMALL[name]},
        data={"times": middle},
        optim={"steps": 1, "warmup": 0},
        log={"every": 1, "pictures": 1},
    )
    run = trainer(tmp_path / "run", given, open_samples=MiddleTexture if name == "cain" else MovingTexture)
    before = {key: value.clone() for key, value in run.weights.net.state_dict().items()}
    run.run()
    moved = [key for key, value in run.weights.net.state_dict().items() if not torch.equal(value, before[key])]
    assert moved
    model = loader.load(tmp_path / "run/last.safetensors")
    assert model.spec.name == name and model.net.state_dict().keys() == before.keys()
    (tag,) = EventAccumulator(str(tmp_path / "run/tb")).Reload().Tags()["images"]
    assert tag.startswith("left, right, made, true, error")


class MiddleTexture(MovingTexture):
    """Samples whose true frame is the middle one."""

    def sample(self, index: int) -> Sample:
        return super().sample(3 * index + 1)


class Missing(MovingTexture):
    """Fails as a source in a worker of DataLoader does."""

    def sample(self, index: int) -> Sample:
        try:
            raise DatasetError(f"a.png, sample {index}: is damaged; get it again")
        except DatasetError:
            ExceptionWrapper(where="in DataLoader worker process 0").reraise()


def test_an_error_in_a_worker_is_told_as_if_it_had_been_here(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        trainer(tmp_path / "run", open_samples=Missing).run()
    assert str(caught.value) == "a.png, sample 0: is damaged; get it again"


def test_a_deadline_passes() -> None:
    assert not deadline(None)() and not deadline(10.0)()
    assert deadline(1e-12)()
