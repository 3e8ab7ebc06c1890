"""Names of checkpoints: those of bundled weights, and paths."""

import difflib
import os
from pathlib import Path

from vsrrin.errors import ArgumentError, UnknownNetError
from vsrrin.nets import NETS
from vsrrin.nets.registry import by_name

from .files import SUFFIXES

_WEIGHTS = Path(__file__).parents[1] / "weights"
_OTHER_NAMES = {"best": "rrin_lite"}
"""Other names of bundled weights."""


def bundled() -> dict[str, Path]:
    """Return the names of the weights that come with vsrrin, and their files."""
    return {path.stem: path for path in sorted(_WEIGHTS.glob("*.safetensors"))}


def locate(model: str | os.PathLike[str]) -> tuple[Path, bool]:
    """Return the path of a model, by the rule of :func:`vsrrin.load`, and whether it is bundled; it need not exist.

    Raises:
        ArgumentError: ``model`` is of another type.
        UnknownNetError: No bundled weights have that name.
    """
    if not isinstance(model, str | os.PathLike):
        raise ArgumentError(f"load: model must be a name or a path, got {type(model).__name__}.")
    if not isinstance(model, str):
        return Path(model), False
    separators = [separator for separator in (os.sep, os.altsep) if separator]
    if model.endswith(SUFFIXES) or any(separator in model for separator in separators):
        return Path(model), False
    names = bundled()
    known = _OTHER_NAMES.get(model, model)
    if known in names:
        return names[known], True
    available = f"Bundled: {', '.join(names) or 'none'}."
    folder = f" To mean the folder of that name, write {os.path.join('.', model)!r}." if os.path.isdir(model) else ""
    if any(model == spec.name for spec in NETS):
        raise UnknownNetError(
            f"load: no bundled weights are called {model}. {by_name(model).weights_from} {available}{folder}"
        )
    close = difflib.get_close_matches(model, [*names, *(spec.name for spec in NETS)], 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UnknownNetError(
        f"load: no model is called {model!r}.{hint}{folder} {available} A file needs a path with one of the suffixes "
        f"{', '.join(SUFFIXES)}."
    )


def alternatives(path: Path) -> str:
    """Return what else there is: bundled names, and files beside it with a similar name."""
    names = bundled()
    beside = [p.name for p in path.parent.iterdir() if p.suffix in SUFFIXES] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, 3)
    hint = f"In the same folder: {', '.join(close)}. " if close else ""
    return f"{hint}Bundled names: {', '.join(names) or 'none'}."
