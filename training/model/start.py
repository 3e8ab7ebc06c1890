"""Network that a run starts with: built as the recipe says, with fresh weights or those of a checkpoint."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.errors import RecipeError
from training.recipe import ModelTable
from vsrrin.checkpoint import loader
from vsrrin.nets.registry import by_name, first_few
from vsrrin.nets.spec import NetSpec

from .candidates_start import with_steady
from .splatting_start import start_splatting
from .widening import widened


@dataclass(frozen=True)
class Start:
    """Network ready to be trained, on the CPU, in training mode."""

    net: nn.Module
    spec: NetSpec
    arithmetic: str
    said: str
    """Origin of the weights, in words."""


def start(table: ModelTable, seed: int, where: str) -> Start:
    """Build the network of a recipe.

    Args:
        table: Its description.
        seed: Seed of the fresh weights.
        where: Name of the recipe, for messages.

    Raises:
        RecipeError: Settings, arithmetic or frozen parts do not fit the network, or nothing of the start weights does.
        CheckpointError: The start weights cannot be read.
    """
    spec = by_name(table.name)
    source = None if table.start is None else loader.load(table.start)
    same = source is not None and source.spec is spec
    arithmetic = table.arithmetic or (source.arithmetic if source is not None and same else spec.arithmetics[0])
    if arithmetic not in spec.arithmetics:
        raise RecipeError(
            f"{where}: model.arithmetic must be one of {', '.join(spec.arithmetics)}, not {arithmetic!r}."
        )
    if source is not None and same and not table.settings and not table.widen:
        # Of the sizes that its weights have.
        net = spec.build(source.net.state_dict(), arithmetic)
    else:
        torch.manual_seed(seed)
        net = _fresh(spec, table.settings, arithmetic, where)
    said = "fresh weights"
    if source is not None:
        state = with_steady(source.net.state_dict(), net.state_dict())
        if table.widen:
            state = _widened(state, net, seed, f"{where}: model.widen: {table.start}")
        said = f"weights of {table.start}{', widened' * table.widen}: {_take(net, state, str(table.start), where)}"
    if table.splatting:
        with naming(where):
            start_splatting(net)
    zero(net, table.zeroed, where)
    _freeze(net, table.frozen, where)
    return Start(net.train(), spec, arithmetic, said)


def zero(net: nn.Module, parts: tuple[str, ...], where: str) -> None:
    """Set parts of a network to zero.

    Args:
        net: Changed in place.
        parts: Names of modules or parameters, with all below them.
        where: Name of the recipe, for messages.

    Raises:
        RecipeError: There is no such part.
    """
    for value in _named(net, "zeroed", parts, where):
        nn.init.zeros_(value)


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Add the name of the recipe to its errors."""
    try:
        yield
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}.") from error


def _widened(state: Mapping[str, Tensor], net: nn.Module, seed: int, where: str) -> dict[str, Tensor]:
    own = net.state_dict()
    with naming(where):
        made = widened(state, own, seed)
    if all(made[key].shape == state[key].shape for key in made):
        raise RecipeError(f"{where} is as wide already as model.settings say; leave model.widen out, or change them.")
    return made


def _fresh(spec: NetSpec, settings: Mapping[str, Any], arithmetic: str, where: str) -> nn.Module:
    known = [name for name in inspect.signature(spec.default).parameters if name != "arithmetic"]
    for name in settings:
        if name not in known:
            raise RecipeError(f"{where}: {spec.name} has no setting model.settings.{name}; it has {', '.join(known)}.")
    takes_arithmetic = "arithmetic" in inspect.signature(spec.default).parameters
    # The default of a network is its class, which takes more than the description's type says.
    build: Any = spec.default
    try:
        net: nn.Module = build(**settings, **({"arithmetic": arithmetic} if takes_arithmetic else {}))
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise RecipeError(f"{where}: model.settings do not make a {spec.name}: {error}.") from error
    return net


def _take(net: nn.Module, state: Mapping[str, Tensor], origin: str, where: str) -> str:
    """Copy tensors of the same name, and return how many in words."""
    own = net.state_dict()
    shared = [key for key in own if key in state]
    differing = [key for key in shared if own[key].shape != state[key].shape]
    if differing or not shared:
        why = f"of another shape: {first_few(differing)}" if differing else "they share no name"
        raise RecipeError(f"{where}: the weights of model.from, {origin}, do not fit model.name and settings ({why}).")
    net.load_state_dict({key: state[key] for key in shared}, strict=False)
    fresh, unused = [key for key in own if key not in state], [key for key in state if key not in own]
    return f"{len(shared)} tensors taken; fresh: {first_few(fresh)}; not used: {first_few(unused)}"


def _freeze(net: nn.Module, parts: tuple[str, ...], where: str) -> None:
    for value in _named(net, "frozen", parts, where):
        value.requires_grad_(False)
    if not any(value.requires_grad for value in net.parameters()):
        raise RecipeError(f"{where}: model.frozen leaves nothing to train.")


def _named(net: nn.Module, key: str, parts: tuple[str, ...], where: str) -> list[nn.Parameter]:
    """Return the parameters of the parts that a key of the recipe names."""
    named: list[nn.Parameter] = []
    for part in parts:
        found = [value for name, value in net.named_parameters() if name == part or name.startswith(f"{part}.")]
        if not found:
            names = ", ".join(dict.fromkeys(name.partition(".")[0] for name, _ in net.named_parameters()))
            raise RecipeError(f"{where}: model.{key}: no part is called {part!r}; there are {names}, and those below.")
        named += found
    return named
