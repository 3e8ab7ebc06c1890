"""Checkpoints that are published in several files, and the networks that they make together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from vsrrin.errors import CheckpointError, UnknownNetError
from vsrrin.nets import NETS, NetSpec, identify
from vsrrin.nets.spec import Part

from .files import CheckpointFile


@dataclass(frozen=True)
class Joined:
    """Parts of one network, put together."""

    spec: NetSpec
    state: dict[str, Tensor]
    parts: tuple[tuple[Part, CheckpointFile], ...]


@dataclass(frozen=True)
class _Role:
    file: CheckpointFile
    part: Part
    taken: Mapping[str, Tensor]


def join(folder: Path, files: Sequence[CheckpointFile]) -> Joined:
    """Put the files of a folder together; each must be another part of one network, and none may be missing.

    Raises:
        CheckpointError: They are not; the text says what is missing, what is there twice, and what else there is.
    """
    candidates = [(spec, _roles(spec, files)) for spec in NETS if spec.parts]
    spec, roles = max(candidates, key=lambda candidate: len(candidate[1]), default=(None, []))
    if spec is None or not roles:
        kinds = "; ".join(f"{file.path.name}: {_what(file.state)}" for file in files)
        networks = ", ".join(candidate.name for candidate, _ in candidates) or "none"
        raise CheckpointError(
            f"load: the folder {folder} holds no parts of a network ({kinds}). A folder is for a network that is "
            f"published in several files ({networks}); give the path of a file."
        )
    problems = _problems(spec, roles, files)
    if problems:
        raise CheckpointError(f"load: the folder {folder} does not hold the parts of {spec.name}: {problems}")
    state = {key: value for role in roles for key, value in role.taken.items()}
    return Joined(spec, state, tuple((role.part, role.file) for role in roles))


def as_part(state: Mapping[str, Tensor]) -> str | None:
    """Return a message about a file that is a part of a network, and no network by itself; None if it is no part."""
    for spec in NETS:
        part = _part_of(spec, state)
        if part is not None:
            others = "; ".join(other.published_as for other in spec.parts if other is not part[0])
            return (
                f"this is one part of {spec.name}: {part[0].published_as}. Also needed: {others}. Put the files into "
                "a folder of their own and give the folder."
            )
    return None


def _part_of(spec: NetSpec, state: Mapping[str, Tensor]) -> tuple[Part, Mapping[str, Tensor]] | None:
    for part in spec.parts:
        taken = part.take(state)
        if taken is not None:
            return part, taken
    return None


def _roles(spec: NetSpec, files: Sequence[CheckpointFile]) -> list[_Role]:
    found = ((file, _part_of(spec, file.state)) for file in files)
    return [_Role(file, *part) for file, part in found if part is not None]


def _problems(spec: NetSpec, roles: Sequence[_Role], files: Sequence[CheckpointFile]) -> str:
    """Return what keeps the files from being a network, as one text; empty if nothing does."""
    problems = []
    for part in spec.parts:
        names = [role.file.path.name for role in roles if role.part is part]
        if not names:
            problems.append(f"{part.name} is missing ({part.published_as})")
        elif len(names) > 1:
            problems.append(f"{part.name} is there more than once ({', '.join(names)}); keep one")
    used = [role.file for role in roles]
    problems += [f"{f.path.name} is no part of it ({_what(f.state)})" for f in files if f not in used]
    if not problems:
        return ""
    whole = [f"{f.path.name} is a whole checkpoint of {name}" for f in files if (name := _whole(f.state)) is not None]
    advice = f" By itself, {' and '.join(whole)}: give the path of the file to use it." if whole else ""
    return "; ".join(problems) + "." + advice


def _whole(state: Mapping[str, Tensor]) -> str | None:
    try:
        return identify(state).name
    except UnknownNetError:
        return None


def _what(state: Mapping[str, Tensor]) -> str:
    """Return a few words on the nature of a state dict."""
    name = _whole(state)
    if name is not None:
        return f"a checkpoint of {name}"
    parts = ((spec, _part_of(spec, state)) for spec in NETS)
    return next((f"{part[0].name} of {spec.name}" for spec, part in parts if part is not None), "weights not known")
