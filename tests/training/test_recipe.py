"""Recipes: reading, checking, overriding, comparing, writing."""

import itertools
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.training.tiny import SETTINGS, recipe, tables, write_recipe
from training.errors import RecipeError
from training.recipe import differing, from_tables, load

RECIPES = Path(__file__).parents[2] / "training" / "recipes"


def fault(**changes: dict[str, Any]) -> str:
    with pytest.raises(RecipeError) as caught:
        recipe(**changes)
    return str(caught.value)


def test_defaults_fill_what_is_left_out() -> None:
    found = recipe()
    assert (found.seed, found.optim.batch, found.optim.schedule, found.data.candidates) == (1, 2, "cosine", 4)
    assert found.model.start is None and found.model.settings == SETTINGS
    assert found.distil.teacher is None and found.validate.every == 1000


def test_a_recipe_written_as_toml_is_the_same_recipe(tmp_path: Path) -> None:
    written = recipe(
        model={"from": 'a "quoted" name', "frozen": ["refine", "choose.out"]},
        optim={"schedule": "multistep", "milestones": [2, 4], "learning_rate": 1e-5},
        loss={"census": 0.25},
    )
    path = tmp_path / "recipe.toml"
    path.write_text(written.toml(), "utf-8")
    read = load(path)
    assert read.tables() == written.tables() == tomllib.loads(written.toml())
    assert read.model.start == 'a "quoted" name' and read.optim.milestones == (2, 4)
    assert not differing(read, written)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"optim": {"bath": 2}}, "there is no optim.bath. Did you mean optim.batch? There are steps, batch,"),
        ({"optin": {}}, "there is no optin. Did you mean optim?"),
        ({"optim": {"batch": 0}}, "optim.batch must be a whole number of at least 1, not 0."),
        ({"optim": {"batch": 2.0}}, "optim.batch must be a whole number of at least 1, not 2.0."),
        ({"optim": {"channels_last": 1}}, "optim.channels_last must be true or false, not 1."),
        ({"optim": {"learning_rate": 0}}, "optim.learning_rate must be a number above 0, not 0."),
        ({"optim": {"learning_rate": float("nan")}}, "optim.learning_rate must be a number above 0, not nan."),
        ({"optim": {"ema": 1}}, "optim.ema must be a number of at least 0 and below 1, not 1."),
        ({"optim": {"precision": "half"}}, "optim.precision must be one of fp32, bf16, fp16, not 'half'."),
        ({"optim": {"schedule": "multistep"}}, "optim.milestones must name steps"),
        ({"optim": {"milestones": [2, 1]}}, "optim.milestones must be a list of whole numbers, ascending, not [2, 1]."),
        ({"optim": {"milestones": [2]}}, 'optim.milestones are for optim.schedule = "multistep", not "cosine".'),
        ({"optim": {"warmup": 7}}, "optim.warmup must be at most optim.steps, 6, not 7."),
        ({"model": {"name": "rife"}}, "must be one of bmbc, cain, raft_rrin, rrin, rrin_lite, rrin_lite_quick, srrin"),
        ({"model": {"frozen": "correct"}}, "model.frozen must be a list of texts, not 'correct'."),
        ({"data": {"crop": 40}}, "data.crop must be a multiple of 16, not 40."),
        ({"data": {"margin": 3}}, "data.margin must be even, not 3."),
        ({"data": {"shots": []}}, "data.shots is missing: give folders of shots, or data.bank"),
        ({"data": {"bank": "bank.npz"}}, "data.bank takes the place of data.shots and data.photos"),
        ({"data": {"synthetic": 0.5}}, "data.photos must be a folder of pictures"),
        ({"data": {"flat": 1.1}}, "data.flat must be a number of at least 0 and at most 1, not 1.1"),
        ({"data": {"synthetic": 0.5, "flat": 0.7, "photos": "x"}}, "must be 1 at most together, not 1.2"),
        ({"data": {"shots": [], "flat": 0.7}}, "data.shots is missing"),
        ({"loss": {"l1": -1}}, "loss must be a table of numbers of at least 0"),
        ({"loss": {"l1": 0}}, "no loss has a weight above 0"),
        ({"distil": {"frame": 1}}, "need distil.teacher"),
        ({"model": {"name": "cain"}}, 'cain makes the middle of a pair only: data.times must be "middle".'),
        (
            {"model": {"name": "cain"}, "data": {"times": "middle"}, "loss": {"flow": 1}},
            "cain finds no flow itself, so loss.flow, loss.flow_relative and distil.flow must be 0.",
        ),
        (
            {"loss": {"flow": 1}},
            "rrin_lite finds no flow itself, so loss.flow, loss.flow_relative and distil.flow must be 0.",
        ),
        (
            {"loss": {"flow_levels": 1}},
            "loss.flow_levels is for rrin and srrin, whose flow a U-Net finds, not for rrin_lite.",
        ),
        (
            {"model": {"normalise": True, "from": "draft"}},
            "model.normalise is for fresh weights, and model.from names others",
        ),
        ({"model": {"widen": True}}, "model.widen needs model.from, the narrower weights"),
        ({"model": {"widen": True, "from": "draft"}}, "model.widen is for rrin and srrin, not rrin_lite."),
        ({"model": {"splatting": True}}, "model.splatting is for srrin, which splats, not rrin_lite."),
        (
            {"model": {"name": "srrin", "splatting": True, "normalise": True}},
            "model.normalise draws the layers anew that model.splatting sets; leave one of them out.",
        ),
        ({"data": {"motion": 4.0}}, "data.motion is for windows of a bank; give data.bank"),
        ({"data": {"motion_doubles": 100}}, "data.motion_doubles needs data.motion, where it begins."),
        ({"model": {"matching": True}}, "model.matching needs model.normalise = true."),
        (
            {"model": {"matching": True, "normalise": True}},
            "model.matching is for rrin and srrin, whose flow a U-Net finds, not rrin_lite.",
        ),
        ({"distil": {"teacher": "runs/rrin.safetensors", "flow": 1}}, "rrin_lite finds no flow itself"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(changes: dict[str, Any], expected: str) -> None:
    text = fault(**changes)
    assert text.startswith("tiny: ") and expected in text


def test_what_is_missing_or_no_table_is_named() -> None:
    given = tables()
    del given["model"]
    with pytest.raises(RecipeError, match=r"tiny: model.name is missing; it must be one of bmbc,"):
        from_tables(given, "tiny")
    with pytest.raises(RecipeError, match=r"tiny: optim must be a table, \[optim\], not 3"):
        from_tables({**tables(), "optim": 3}, "tiny")
    with pytest.raises(RecipeError, match=r"tiny: seed must be a whole number of at least 0, not -1"):
        from_tables({**tables(), "seed": -1}, "tiny")


def test_overrides_replace_keys_as_toml_or_as_words(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    given = [
        "data.crop=64",
        "optim.schedule=constant",
        "model.settings.refine_width=16",
        "loss={ census = 2.0 }",
        "seed=7",
    ]
    found = load(path, given)
    assert (found.data.crop, found.optim.schedule, found.seed) == (64, "constant", 7)
    assert found.model.settings == {**SETTINGS, "refine_width": 16} and found.loss == {"census": 2.0}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data.crop", "--set must be table.key=value, such as optim.steps=1000, not 'data.crop'"),
        ("data..crop=1", "--set must be table.key=value"),
        ("data.crop.side=1", "--set data.crop.side=1: crop is no table"),
        ("data.crop=big", "data.crop must be a whole number of at least 16, not 'big'"),
    ],
)
def test_overrides_that_do_not_fit_are_named(tmp_path: Path, override: str, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(write_recipe(tmp_path), [override])
    assert expected in str(caught.value)


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    with pytest.raises(RecipeError, match=r"there is no recipe .*tinny.toml. In the same folder: tiny.toml."):
        load(tmp_path / "tinny.toml")
    (tmp_path / "tiny.toml").write_text("seed = = 1")
    with pytest.raises(RecipeError, match=r"tiny.toml cannot be read as TOML: .*line 1"):
        load(tmp_path / "tiny.toml")


def test_recipes_differ_in_what_changes_what_is_learned() -> None:
    same = recipe(log={"every": 9}, machine={"threads": 2}, data={"workers": 3}, model={"description": "x"})
    assert differing(recipe(), same) == []
    other = recipe(optim={"batch": 4}, model={"settings": {**SETTINGS, "refine_blocks": 3}}, loss={"census": 1.0})
    assert differing(recipe(), other) == ["model.settings.refine_blocks", "optim.batch", "loss.census"]


@pytest.mark.parametrize(("schedule", "expected"), [("cosine", ["optim.steps"]), ("constant", [])])
def test_only_a_schedule_that_does_not_depend_on_the_number_of_steps_lets_it_change(
    schedule: str, expected: list[str]
) -> None:
    shorter, longer = (recipe(optim={"schedule": schedule, "steps": steps}) for steps in (6, 60))
    assert differing(longer, shorter) == expected


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_recipes_that_come_along_are_valid(path: Path) -> None:
    found = load(path)
    assert path.read_text("utf-8").startswith("# ")
    assert found.model.name in path.stem or path.stem.startswith("tiny")


def commands(path: Path) -> list[list[str]]:
    """The arguments of the commands of training.train that a recipe's comment shows."""
    text = "\n".join(line[1:] for line in path.read_text("utf-8").splitlines() if line.startswith("#"))
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[3:] for line in lines if line.strip().startswith("python -m training.train")]


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_commands_in_their_comments_fit_and_keep_what_they_go_on_from(path: Path) -> None:
    found = commands(path)
    assert found, "nobody learns how to use it"
    for recipe_path, *options in found:
        assert Path(recipe_path).name == path.name
        overrides = [value for option, value in itertools.pairwise(options) if option == "--set"]
        model = load(path, overrides).model
        if any(override.startswith("model.from=") for override in overrides):
            assert not (model.zeroed or model.splatting), "what the first command made would be lost"
