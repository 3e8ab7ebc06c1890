"""Folder of a run: its states, weights and recipe, and the lock on it.

A state is a file of torch.save with all that decides the steps to come: weights, their running mean, the optimiser,
the random state, the number of steps done (and with it the learning rate and the place in the data), the best score.
Every file appears whole or not at all.
"""

import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from training.errors import TrainingError
from vsrrin import files

FORMAT = 1
"""Version of what a state holds."""
KEPT = 2
"""States kept."""
_NAME = re.compile(r"state-(\d+)\.pt")
_UNFINISHED = (f".*{files.PART}", ".*.new", ".best.*", ".last.*")
"""Files that a process was writing when it was killed."""


class RunFolder:
    """Folder of a run.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.toml"
        self.log = path / "log.csv"
        self.tensorboard = path / "tb"
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"

    @contextmanager
    def held(self, *, fresh: bool) -> Iterator[None]:
        """Lock the folder for this process; make it if it is missing.

        Args:
            fresh: Whether a new run begins, so that it must have no states.

        Raises:
            TrainingError: Another process trains there, it has states, or it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            held = FileLock(self.path / ".lock").acquire(blocking=False)
        except Timeout:
            raise TrainingError(
                f"another process trains in {self.path}; stop it first, or give another folder"
            ) from None
        except OSError as error:
            raise TrainingError(f"{self.path} cannot be written: {error}; give another folder") from None
        with held:
            if fresh and self.states():
                raise TrainingError(f"{self.path} holds a run already: resume it, or give another folder")
            for pattern in _UNFINISHED:
                for left in self.path.glob(pattern):
                    left.unlink()
            yield

    def states(self) -> list[Path]:
        """Return the states, newest first."""
        found = [
            (int(match[1]), path) for path in self.path.glob("state-*.pt") if (match := _NAME.fullmatch(path.name))
        ]
        return [path for _, path in sorted(found, reverse=True)]

    def save_state(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write a state, and remove those that are no longer among the newest.

        Raises:
            TrainingError: The disk is full, or cannot be written.
        """
        path = self.path / f"state-{step:09}.pt"
        try:
            with files.replacing(path, TrainingError) as part, part.open("wb") as file:
                torch.save({"format": FORMAT, "step": step, **state}, file)
        except RuntimeError as error:  # torch.save says so where the disk is full
            raise TrainingError(f"{path} cannot be written: {error}; what was there before is kept") from error
        for old in self.states()[KEPT:]:
            old.unlink(missing_ok=True)
        return path

    def newest_state(self) -> tuple[Path, dict[str, Any]] | None:
        """Return the newest state that can be read, if there are any.

        Raises:
            TrainingError: None of those that there are can be read, or another version of the trainer wrote it.
        """
        faults = []
        for path in self.states():
            try:
                state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
                faults.append(f"{path.name}: {str(error).partition(chr(10))[0]}")
                continue
            if state.get("format") != FORMAT:
                raise TrainingError(
                    f"{path} is of version {state.get('format')} of the trainer's states, this one reads {FORMAT}; "
                    f"start a new run from the weights {self.last} (model.from)"
                )
            return path, state
        if faults:
            raise TrainingError(f"no state in {self.path} can be read ({'; '.join(faults)}); start a new run")
        return None

    def write_text(self, path: Path, text: str) -> None:
        """Write a file of the folder.

        Raises:
            TrainingError: The disk is full, or cannot be written.
        """
        files.write(path, text.encode(), TrainingError)
