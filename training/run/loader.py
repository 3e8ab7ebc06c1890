"""Batches of a run in order, from any step on, and the processes that make them."""

import signal
from collections.abc import Callable, Iterator

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from training.data.batch import Batch, Sample, Source, collate
from training.recipe import OptimTable

from .processes import SIGNALS, Team

_AHEAD = 3
"""Batches that each worker makes ahead."""


def numbers(step: int, optim: OptimTable, team: Team) -> Iterator[list[int]]:
    """Yield the sample numbers of each batch of a process, from the first batch of a step on.

    A step takes ``world * batch * accumulate`` samples in order, and each process every ``world``-th of them: so
    processes that share a step see the samples that one process with a larger batch would.
    """
    size = samples_per_step(optim, team)
    while step < optim.steps:
        own = range(step * size + team.rank, (step + 1) * size, team.world)
        for start in range(0, len(own), optim.batch):
            yield list(own[start : start + optim.batch])
        step += 1


def samples_per_step(optim: OptimTable, team: Team) -> int:
    """Return the samples of a step, of all processes together."""
    return team.world * optim.batch * optim.accumulate


def feed(open_source: Callable[[], Source], workers: int, step: int, optim: OptimTable, team: Team) -> Iterator[Batch]:
    """Return the batches of a process from the first of a step on; prefetched ones end with the iterator.

    Args:
        open_source: Function that makes the source of samples; every worker calls it, so it must be picklable.
        workers: Processes that make samples; 0 makes them here.
        step: The first step.
        optim: Table with the sizes of batches and the number of steps.
        team: The processes that train together.
    """
    loader: DataLoader[Sample] = DataLoader(
        _Samples(open_source),
        batch_sampler=numbers(step, optim, team),
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_start_worker,
        # A fork would inherit locks of threads that it does not have.
        multiprocessing_context="spawn" if workers else None,
        prefetch_factor=_AHEAD if workers else None,
        # From pinned memory batches are copied to a GPU while it works.
        pin_memory=team.device.type == "cuda",
        # Else it would draw from the global random numbers, as often as a run is resumed.
        generator=torch.Generator(),
    )
    return iter(loader)


class _Samples(Dataset[Sample]):
    """Source of samples as a Dataset, opened by the first process that asks."""

    def __init__(self, open_source: Callable[[], Source]) -> None:
        self._open = open_source
        self._source: Source | None = None

    def __getitem__(self, index: int) -> Sample:
        if self._source is None:
            self._source = self._open()
        return self._source.sample(index)


def _start_worker(_number: int) -> None:
    # Signals meant for the run reach all processes of a terminal; the run itself ends its workers, in order.
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    cv2.setNumThreads(1)
