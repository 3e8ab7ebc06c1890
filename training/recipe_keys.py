"""Kinds of values in a recipe, and tables of them: validation of TOML and writing of it."""

import dataclasses
import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any

from training.errors import RecipeError


@dataclass(frozen=True)
class Kind:
    """Kind of value that a key may hold."""

    allowed: str
    """In words that follow "must be"."""
    accepts: Callable[[Any], bool]
    convert: Callable[[Any], Any] = lambda value: value
    """Conversion of the TOML value to the recipe's."""


def whole(least: int) -> Kind:
    """Return the kind of whole numbers from ``least`` on."""
    return Kind(f"a whole number of at least {least}", lambda value: type(value) is int and value >= least)


def number(least: float, most: float = math.inf, *, above: bool = False, below: bool = False) -> Kind:
    """Return the kind of finite numbers in a range; ``above`` and ``below`` leave out its ends."""

    def accepts(value: Any) -> bool:
        if type(value) not in (int, float) or not math.isfinite(value):
            return False
        low, high = value > least if above else value >= least, value < most if below else value <= most
        return bool(low and high)

    upper = "" if most == math.inf else f" and {'below' if below else 'at most'} {most:g}"
    return Kind(f"a number {'above' if above else 'of at least'} {least:g}{upper}", accepts, float)


def choice(*names: str) -> Kind:
    """Return the kind of one of some words."""
    return Kind(f"one of {', '.join(names)}", lambda value: value in names)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


FLAG = Kind("true or false", lambda value: type(value) is bool)
TEXT = Kind("a text that is not empty", _is_text)
TEXTS = Kind("a list of texts", lambda value: isinstance(value, list | tuple) and all(map(_is_text, value)), tuple)
STEPS = Kind(
    "a list of whole numbers, ascending",
    lambda value: (
        isinstance(value, list | tuple)
        and all(type(step) is int and step > 0 for step in value)
        and list(value) == sorted(set(value))
    ),
    tuple,
)
TABLE = Kind("a table", lambda value: isinstance(value, Mapping), dict)
WEIGHTS = Kind(
    "a table of numbers of at least 0",
    lambda value: isinstance(value, Mapping) and all(map(number(0).accepts, value.values())),
    lambda value: {key: float(weight) for key, weight in value.items()},
)


def key(kind: Kind, default: Any = MISSING, *, name: str | None = None) -> Any:
    """Return a dataclass field with its kind, its default, and its name in TOML if that differs."""
    metadata = {"kind": kind, "name": name}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def name_of(entry: "dataclasses.Field[Any]") -> str:
    """Return the name of a field in TOML."""
    return str(entry.metadata.get("name") or entry.name)


def read_table[T](cls: type[T], values: Mapping[str, Any], table: str, where: str) -> T:
    """Read a table from TOML values.

    Args:
        cls: A dataclass whose fields are made by :func:`key`.
        values: The values by key.
        table: Name of the table, for messages; empty for the keys outside of all tables.
        where: Name of the file, for messages.

    Raises:
        RecipeError: A key is unknown, missing, of the wrong type or out of range.
    """
    entries = {name_of(entry): entry for entry in dataclasses.fields(cls)}  # type: ignore[arg-type]
    prefix = f"{table}." if table else ""
    check_names(values, list(entries), prefix, where)
    given = {}
    for name, entry in entries.items():
        kind: Kind = entry.metadata["kind"]
        if name not in values:
            if entry.default is MISSING and entry.default_factory is MISSING:
                raise RecipeError(f"{where}: {prefix}{name} is missing; it must be {kind.allowed}.")
            continue
        if not kind.accepts(values[name]):
            raise RecipeError(f"{where}: {prefix}{name} must be {kind.allowed}, not {_shown(values[name])}.")
        given[entry.name] = kind.convert(values[name])
    return cls(**given)


def write_table(table: Any) -> dict[str, Any]:
    """Return a table as TOML values, with defaults filled in and without keys that have no value."""
    values = {name_of(entry): getattr(table, entry.name) for entry in dataclasses.fields(table)}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value is not None
    }


def check_names(given: Mapping[str, Any], known: list[str], prefix: str, where: str) -> None:
    """Check that all names are known.

    Raises:
        RecipeError: There is one.
    """
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {prefix}{close[0]}?" if close else ""
            raise RecipeError(f"{where}: there is no {prefix}{name}.{hint} There are {', '.join(known)}.")


def to_toml(tables: Mapping[str, Any]) -> str:
    """Return a recipe as TOML text: single values first, then the tables, with tables within them inline."""
    lines = [f"{name} = {_toml(value)}" for name, value in tables.items() if not isinstance(value, Mapping)]
    for name, value in tables.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", *(f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    return json.dumps(value)


def _toml_key(name: str) -> str:
    is_bare = name.isascii() and name.replace("_", "a").replace("-", "a").isalnum()
    return name if is_bare else _toml(name)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
