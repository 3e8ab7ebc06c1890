"""Making of a bank, by one or several processes; interrupted work goes on where it stopped."""

import signal
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import torch

from training.data.pair_flow import Picture
from training.data.shots import Shot, open_photos, open_shots
from training.errors import DatasetError, TrainingError

from .files import FORMAT, BankWriter, Entry, read_manifest
from .maker import BankMaker, BankSettings

_SAVE_SECONDS = 15.0
_AHEAD = 2
"""Jobs waiting for each process."""


@dataclass(frozen=True)
class Data:
    """Sources of a bank's pictures."""

    shots: tuple[Path, ...] = ()
    """Datasets, see :func:`training.data.shots.open_shots`."""
    photos: Path | None = None
    """Folder of textures."""

    def open(self) -> tuple[list[Shot], Sequence[Picture]]:
        """Open the shots and the photos."""
        shots = [shot for path in self.shots for shot in open_shots(path).shots]
        return shots, [] if self.photos is None else open_photos(self.photos)

    def licences(self) -> dict[str, int]:
        """Return the number of shots by licence."""
        counts: Counter[str] = Counter()
        for path in self.shots:
            counts.update(open_shots(path).licences)
        return dict(counts)


def make_bank(folder: Path, samples: int, settings: BankSettings, data: Data, processes: int = 1) -> Iterator[int]:
    """Make a bank, or go on with an unfinished one.

    Args:
        folder: Folder of the bank.
        samples: Number of samples wanted.
        settings: Settings of the bank.
        data: Sources of its pictures.
        processes: Number of processes; the result does not depend on it.

    Yields:
        The number of finished samples, whenever it has grown.

    Raises:
        DatasetError: Data is missing, or there is a bank of other settings in the folder.
    """
    maker = BankMaker(settings, *data.open())
    manifest = _begin(folder, samples, settings, maker) | {"licences": data.licences()}
    size = settings.per_pair
    first, last = manifest["done"] // size, -(-manifest["samples"] // size)
    jobs = (
        map(maker.job, range(first, last)) if processes == 1 else _spread(settings, data, range(first, last), processes)
    )
    with BankWriter(folder, settings.window) as writer:
        writer.save(manifest)
        saved = time.monotonic()
        yield manifest["done"]
        for number, entries in enumerate(jobs, first):
            for at, entry in enumerate(entries[: samples - number * size], number * size):
                writer.put(at, entry)
            manifest["done"] = min((number + 1) * size, manifest["samples"])
            if number + 1 == last or time.monotonic() - saved > _SAVE_SECONDS:
                writer.save(manifest)
                saved = time.monotonic()
            yield manifest["done"]


def _begin(folder: Path, samples: int, settings: BankSettings, maker: BankMaker) -> dict[str, Any]:
    """Return the manifest to go on from."""
    given = asdict(settings)
    sources = {
        "shots": [[shot.name, shot.frames, shot.width, shot.height] for shot in maker.shots],
        "photos": len(maker.photos),
    }
    old = read_manifest(folder)
    if old is None:
        return {"format": FORMAT, "samples": samples, "done": 0, "settings": given, "sources": sources}
    known = asdict(BankSettings()) | old["settings"]
    differing = [f"{name} = {known[name]}, not {given[name]}" for name in given if given[name] != known[name]]
    if old.get("sources") != sources:
        differing.append("other shots or photos")
    if differing:
        raise DatasetError(
            f"the bank {folder} was begun with {', '.join(differing)}; give what it was begun with, or another folder"
        )
    return old | {"samples": max(samples, old["done"])}


def _spread(settings: BankSettings, data: Data, numbers: range, processes: int) -> Iterator[list[Entry]]:
    """Yield the results of jobs in order, made by several processes."""
    # Spawned: a fork would inherit threads that are not there.
    with ProcessPoolExecutor(processes, get_context("spawn"), _start, (settings, data)) as pool:
        waiting: deque[Future[list[Entry]]] = deque()
        try:
            for number in numbers:
                waiting.append(pool.submit(_work, number))
                if len(waiting) > _AHEAD * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


_maker: BankMaker | None = None
"""That of a process of `_spread`."""


def _start(settings: BankSettings, data: Data) -> None:
    global _maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _maker = BankMaker(settings, *data.open())


def _work(number: int) -> list[Entry]:
    if _maker is None:
        raise TrainingError("a process that makes samples was not started as it must be")
    return _maker.job(number)
