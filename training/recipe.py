"""Recipes: TOML files that describe a training run, read into dataclasses and checked.

Paths in a recipe are relative to the working directory. Every key, what it may hold and what it holds where it is left
out stands in the tables below; ``training/recipes/`` has recipes with comments. Which loss names there are is known to
:mod:`training.losses.weighted`, which settings a network has to its constructor.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from training.errors import RecipeError
from training.recipe_keys import (
    FLAG,
    STEPS,
    TABLE,
    TEXT,
    TEXTS,
    WEIGHTS,
    check_names,
    choice,
    key,
    number,
    read_table,
    to_toml,
    whole,
    write_table,
)
from vsrrin.flow.dis import PRESETS
from vsrrin.nets import NETS
from vsrrin.nets.registry import by_name


@dataclass(frozen=True, kw_only=True)
class ModelTable:
    """Network to train, and where it starts."""

    name: str = key(choice(*sorted(spec.name for spec in NETS if spec.trainable)))
    start: str | None = key(TEXT, None, name="from")
    """Bundled name or path of weights to start from, of this network or of one that shares keys with it."""
    settings: Mapping[str, Any] = key(TABLE, {})
    """Keyword arguments of the network's class."""
    widen: bool = key(FLAG, False)
    """Whether the start weights are of a narrower network, made wider without changing what it computes, see
    :mod:`training.model.widening`."""
    splatting: bool = key(FLAG, False)
    """Whether the refinement of ``srrin`` starts by turning the flow to frame 0 round, see
    :mod:`training.model.splatting_start`; for start weights of ``rrin``."""
    zeroed: tuple[str, ...] = key(TEXTS, ())
    """Parts that start at zero, named like frozen ones: with the last layer of a residue, there is none at first."""
    frozen: tuple[str, ...] = key(TEXTS, ())
    """Parts that are not trained: names of modules or parameters, with all below them."""
    normalise: bool = key(FLAG, False)
    """Whether the hidden convolutions of fresh weights normalise what they make (batch normalisation) while they are
    trained; in the weights that are written that is folded into them."""
    matching: bool = key(FLAG, False)
    """Whether the U-Net that finds the flow starts with layers that compare the frames, see
    :mod:`training.model.matching_start`; needs ``normalise``."""
    arithmetic: str | None = key(TEXT, None)
    """Arithmetic as for `vsrrin.checkpoint.loader.load`; default: that of the start weights, or the first."""
    licence: str = key(TEXT, "not stated")
    """Licence of the resulting weights, for the side-car."""
    description: str = key(TEXT, "Trained by training.train.")
    """Description of the resulting weights, for the side-car."""


@dataclass(frozen=True, kw_only=True)
class DataTable:
    """Data to learn from."""

    shots: tuple[str, ...] = key(TEXTS, ())
    """Datasets of shots, see :mod:`training.data.shots`."""
    photos: str | None = key(TEXT, None)
    """Folder of pictures, textures of synthetic motion."""
    bank: str | None = key(TEXT, None)
    """File of samples made beforehand, in place of shots and photos."""
    crop: int = key(whole(16), 192)
    """Side of a sample, pixels; a multiple of 16."""
    synthetic: float = key(number(0, 1), 0.0)
    """Share of samples with synthetic motion of photos."""
    flat: float = key(number(0, 1), 0.0)
    """Share of samples of flat art; before photos, where there are some."""
    largest_gap: int = key(whole(2), 7)
    """Frames from the left to the right frame of a sample, at most."""
    candidates: int = key(whole(1), 4)
    """Windows of a shot looked at for a sample."""
    hard: float = key(number(0, 1), 0.75)
    """Share of samples for which the hardest of them is taken, rather than the first."""
    margin: int = key(whole(0), 48)
    """Pixels around a sample, where there are so many, on which its flow is estimated too; even."""
    times: Literal["any", "middle"] = key(choice("any", "middle"), "any")
    """Whether the true frame is any between the two, or the middle one."""
    motion: float = key(number(0), 0.0)
    """Limit to the motion of a bank's windows: nine tenths of one move at most so many pixels, by DIS; 0: any."""
    motion_doubles: int = key(whole(0), 0)
    """Samples in which ``motion`` doubles, over and over; 0 lets it stay."""
    flow_preset: Literal["fast", "fine"] = key(choice(*PRESETS), "fine")
    """Preset of the DIS flow that networks with flow from outside are given."""
    flow_scale: float = key(number(0.25, 1), 1.0)
    """Size of the pictures that it is found on, relative to the frames."""
    workers: int = key(whole(0), 1)
    """Processes that make samples; 0 makes them in the trainer's own."""


@dataclass(frozen=True, kw_only=True)
class OptimTable:
    """Optimisation; steps are steps of the optimiser."""

    steps: int = key(whole(1))
    batch: int = key(whole(1), 8)
    """Samples that go through the network at once, in each process."""
    accumulate: int = key(whole(1), 1)
    """Batches whose gradients make one step."""
    learning_rate: float = key(number(0, above=True), 4e-4)
    muon: float = key(number(0), 0.0)
    """By how much faster hidden convolutions are moved, by Muon, see :mod:`training.optim.muon`; 0 moves them by
    AdamW."""
    warmup: int = key(whole(0), 0)
    """Steps in which the learning rate rises to its full height."""
    schedule: str = key(choice("cosine", "multistep", "constant"), "cosine")
    milestones: tuple[int, ...] = key(STEPS, ())
    """Steps after which ``multistep`` multiplies the learning rate by ``gamma``."""
    gamma: float = key(number(0, 1, above=True), 0.5)
    floor: float = key(number(0, 1), 0.0)
    """Share of the learning rate that ``cosine`` ends with."""
    weight_decay: float = key(number(0), 1e-4)
    clip: float = key(number(0), 1.0)
    """Largest norm of the gradient; 0 for any."""
    ema: float = key(number(0, 1, below=True), 0.999)
    """Decay of the running mean of the weights; 0 for none."""
    precision: str = key(choice("fp32", "bf16", "fp16"), "fp32")
    """Type of the hidden layers; the trained weights are float32 always."""
    channels_last: bool = key(FLAG, True)
    patience: int = key(whole(1), 20)
    """Steps in a row that may fail (loss or gradient not finite) before the run stops."""


@dataclass(frozen=True)
class DistilTable:
    """Distillation from another network."""

    teacher: str | None = key(TEXT, None)
    """Bundled name or path of the teacher's weights."""
    frame: float = key(number(0), 0.0)
    """Weight of the difference from the teacher's picture."""
    flow: float = key(number(0), 0.0)
    """Weight of the difference from the teacher's flow."""


@dataclass(frozen=True)
class ValidateTable:
    """Validation during the run."""

    data: str | None = key(TEXT, None)
    """Folder of video files, see :mod:`training.measure.triplets`."""
    every: int = key(whole(1), 1000)
    limit: int | None = key(whole(1), None)
    """At most so many triplets."""


@dataclass(frozen=True)
class LogTable:
    """Logs and their intervals, in steps."""

    every: int = key(whole(1), 50)
    """Between lines of log.csv."""
    pictures: int = key(whole(0), 1000)
    """Between pictures; 0 for none."""
    state: int = key(whole(1), 1000)
    """Between states, from which an interrupted run goes on."""


@dataclass(frozen=True)
class MachineTable:
    """Use of the machine; may differ between a run and its continuation."""

    threads: int = key(whole(0), 0)
    """Threads of an operation on the CPU; 0 for PyTorch's own choice."""
    compile: bool = key(FLAG, False)
    """Whether the network goes through torch.compile."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Description of a training run; tables that are left out have their defaults."""

    where: str
    """Name of the file, for messages."""
    seed: int
    model: ModelTable
    data: DataTable
    loss: Mapping[str, float]
    """Weight by name of the loss, see :mod:`training.losses.weighted`."""
    optim: OptimTable
    distil: DistilTable
    validate: ValidateTable
    log: LogTable
    machine: MachineTable

    def tables(self) -> dict[str, Any]:
        """Return the recipe as TOML tables, with defaults filled in."""
        written: dict[str, Any] = {"seed": self.seed}
        for name in _TABLES:
            value = getattr(self, name)
            written[name] = dict(value) if name == "loss" else write_table(value)
        return written

    def toml(self) -> str:
        """Return the recipe as TOML text, with defaults filled in."""
        return to_toml(self.tables())


_TABLES = tuple(entry.name for entry in fields(Recipe) if entry.name not in ("where", "seed"))
# These may differ between a run and its continuation: they do not change what is learned.
_FREE = ("machine.", "log.", "data.workers", "model.licence", "model.description")


def load(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: The file.
        overrides: ``table.key=value`` each, which replace what the file says; the value is TOML, or a bare word.

    Raises:
        RecipeError: The file is missing or no TOML, or a key or value is not valid.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        beside = sorted(found.name for found in path.parent.glob("*.toml")) if path.parent.is_dir() else []
        hint = f" In the same folder: {', '.join(beside)}." if beside else ""
        raise RecipeError(f"there is no recipe {path}.{hint}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path} cannot be read as TOML: {error}.") from None
    for override in overrides:
        _override(tables, override)
    return from_tables(tables, str(path))


def from_tables(tables: Mapping[str, Any], where: str) -> Recipe:
    """Make a recipe of TOML tables.

    Args:
        tables: Tables by name, and ``seed``.
        where: Name of the file, for messages.

    Raises:
        RecipeError: A key or value is not valid.
    """
    check_names(tables, ["seed", *_TABLES], "", where)
    for name in _TABLES:
        if not isinstance(tables.get(name, {}), Mapping):
            raise RecipeError(f"{where}: {name} must be a table, [{name}], not {tables[name]!r}.")
    top = read_table(_Top, {name: tables[name] for name in ("seed", "loss") if name in tables}, "", where)
    recipe = Recipe(
        where=where,
        seed=top.seed,
        model=read_table(ModelTable, tables.get("model", {}), "model", where),
        data=read_table(DataTable, tables.get("data", {}), "data", where),
        loss=top.loss,
        optim=read_table(OptimTable, tables.get("optim", {}), "optim", where),
        distil=read_table(DistilTable, tables.get("distil", {}), "distil", where),
        validate=read_table(ValidateTable, tables.get("validate", {}), "validate", where),
        log=read_table(LogTable, tables.get("log", {}), "log", where),
        machine=read_table(MachineTable, tables.get("machine", {}), "machine", where),
    )
    fault = next(filter(None, (check(recipe) for check in _CHECKS)), None)
    if fault:
        raise RecipeError(f"{where}: {fault}.")
    return recipe


def differing(recipe: Recipe, other: Recipe) -> list[str]:
    """Return the keys in which two recipes differ, but for those that do not change what is learned.

    ``optim.steps`` is one of them where the learning rate does not depend on it, that is, unless the schedule is
    ``cosine``: such a run can be made longer.
    """
    free = _FREE if recipe.optim.schedule == "cosine" else (*_FREE, "optim.steps")
    first, second = _flat(recipe.tables()), _flat(other.tables())
    names = dict.fromkeys((*first, *second))
    return [name for name in names if not name.startswith(free) and first.get(name) != second.get(name)]


@dataclass(frozen=True)
class _Top:
    seed: int = key(whole(0), 1)
    loss: Mapping[str, float] = key(WEIGHTS, {})


def _flat(tables: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tables.items():
        inner = _flat(value) if isinstance(value, Mapping) else None
        flat |= {name: value} if inner is None else {f"{name}.{key}": item for key, item in inner.items()}
    return flat


def _override(tables: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    names = name.strip().split(".")
    if not equals or not all(names):
        raise RecipeError(f"--set must be table.key=value, such as optim.steps=1000, not {override!r}.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()  # a word that needs no quotes
    for outer in names[:-1]:
        tables = tables.setdefault(outer, {})
        if not isinstance(tables, dict):
            raise RecipeError(f"--set {override}: {outer} is no table.")
    tables[names[-1]] = value


# --- what single keys cannot tell ----------------------------------------------------------------------------------


def _check_data(recipe: Recipe) -> str | None:
    data, net = recipe.data, by_name(recipe.model.name)
    layered = round(data.synthetic + data.flat, 9)
    if data.crop % 16:
        return f"data.crop must be a multiple of 16, not {data.crop}"
    if data.margin % 2:
        return f"data.margin must be even, not {data.margin}"
    if data.bank is not None:
        if data.shots or data.photos is not None:
            return "data.bank takes the place of data.shots and data.photos; give one or the other"
    elif data.motion:
        return "data.motion is for windows of a bank; give data.bank, or leave it out"
    elif layered > 1:
        return f"data.synthetic and data.flat must be 1 at most together, not {layered:g}"
    elif layered < 1 and not data.shots:
        return (
            "data.shots is missing: give folders of shots, or data.bank, or data.synthetic = 1 and data.photos, "
            "or data.flat = 1"
        )
    elif data.synthetic > 0 and data.photos is None:
        return "data.synthetic is above 0, so data.photos must be a folder of pictures"
    if data.motion_doubles and not data.motion:
        return "data.motion_doubles needs data.motion, where it begins"
    if not net.arbitrary_t and data.times != "middle":
        return f'{net.name} makes the middle of a pair only: data.times must be "middle"'
    return None


def _check_loss(recipe: Recipe) -> str | None:
    net, distil = by_name(recipe.model.name), recipe.distil
    if not any(recipe.loss.values()) and not (distil.frame or distil.flow):
        return "no loss has a weight above 0; give [loss] one, such as laplacian = 1.0"
    if (distil.frame or distil.flow) and distil.teacher is None:
        return "distil.frame and distil.flow need distil.teacher, a bundled name or the path of weights"
    if (recipe.loss.get("flow") or recipe.loss.get("flow_relative") or distil.flow) and not net.estimates_flow:
        return f"{net.name} finds no flow itself, so loss.flow, loss.flow_relative and distil.flow must be 0"
    if recipe.loss.get("flow_levels") and net.flow_unet is None:
        return f"loss.flow_levels is for {_those('flow_unet')}, whose flow a U-Net finds, not for {net.name}"
    return None


def _check_model(recipe: Recipe) -> str | None:
    net = by_name(recipe.model.name)
    if recipe.model.normalise and recipe.model.start is not None:
        return "model.normalise is for fresh weights, and model.from names others; leave one of them out"
    if recipe.model.widen and recipe.model.start is None:
        return "model.widen needs model.from, the narrower weights"
    if recipe.model.widen and not net.scales_with_width:
        return f"model.widen is for {_those('scales_with_width')}, not {net.name}"
    if recipe.model.splatting and not net.splats:
        return f"model.splatting is for {_those('splats')}, which splats, not {net.name}"
    if recipe.model.splatting and recipe.model.normalise:
        return "model.normalise draws the layers anew that model.splatting sets; leave one of them out"
    if recipe.model.normalise and recipe.optim.batch == 1 and recipe.data.crop <= 16:
        return "model.normalise needs more than one value at the coarsest level: a larger optim.batch or data.crop"
    if recipe.model.matching and not recipe.model.normalise:
        return "model.matching needs model.normalise = true"
    if recipe.model.matching and net.flow_unet is None:
        return f"model.matching is for {_those('flow_unet')}, whose flow a U-Net finds, not {net.name}"
    return None


def _check_optim(recipe: Recipe) -> str | None:
    optim = recipe.optim
    if optim.schedule == "multistep" and not optim.milestones:
        return 'optim.schedule is "multistep", so optim.milestones must name steps'
    if optim.schedule != "multistep" and optim.milestones:
        return f'optim.milestones are for optim.schedule = "multistep", not "{optim.schedule}"'
    if optim.warmup > optim.steps:
        return f"optim.warmup must be at most optim.steps, {optim.steps}, not {optim.warmup}"
    return None


def _those(fact: str) -> str:
    """Return the names of the networks for which a fact of NetSpec holds, in words."""
    return " and ".join(spec.name for spec in sorted(NETS, key=lambda spec: spec.name) if getattr(spec, fact))


_CHECKS = (_check_model, _check_data, _check_loss, _check_optim)
