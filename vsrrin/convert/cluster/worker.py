"""What a worker does: it opens the source as the client has, encodes segments, and gives them away in pieces.

The client calls these functions through Dask; those with ``dask_worker`` run beside the work and are quick. Of a worker
only a folder remains, in its local directory, and Dask removes that.
"""

import os
import platform
import shutil
import time
from collections import OrderedDict
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import Any

import torch
import vapoursynth as vs
from distributed import Worker, get_worker

from vsrrin.convert import speed
from vsrrin.convert.encode import Job, frames, write_segment
from vsrrin.convert.image_folder import open_images
from vsrrin.convert.media.encoders import EncoderSettings
from vsrrin.convert.prepare import Settings, prepare
from vsrrin.convert.signature import versions
from vsrrin.convert.source import FrameError, Source, unreadable
from vsrrin.convert.work_folder import sha256
from vsrrin.engine import forks
from vsrrin.engine.backends.processor import processor
from vsrrin.errors import ConvertError

CORES = "VSRRIN_CORES"
"""Variable of the environment with the cores of a worker, as numbers and commas; all if there is none."""
PIECE = 8 << 20
"""Most bytes that travel at once."""
_KEPT = 2
"""Conversions kept open; the one that was not used for longest goes first."""
_TOLD = 0.5
"""Seconds between two reports."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A conversion, as a worker is asked for it.

    Attributes:
        token: Its name, which no other has.
        settings: Its settings, with the source's path on the worker.
        image_rate: Rate at which a folder of images is shown.
        digest: Checksum of the source.
        encoder: The encoder.
        weights: Path of the checkpoint among the files sent; ``None`` for one that comes with vsrrin.
    """

    token: str
    settings: Settings
    image_rate: Fraction
    digest: str
    encoder: EncoderSettings
    weights: str | None


@dataclass(frozen=True, kw_only=True)
class Made:
    """A segment in a worker's folder: what `WorkFolder.finish` takes, the bytes of its file, and their checksum."""

    cuts: tuple[int, ...]
    headers: bytes
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class _Opened:
    settings: Settings
    source: Source
    job: Job
    state: object
    folder: Path


class ForgottenError(Exception):
    """A conversion that this process does not know, or no more, as after a new start."""


_opened: OrderedDict[str, _Opened] = OrderedDict()
_busy = Lock()
"""Held while a segment is made: two at a time would take twice the memory and no less time."""


def told(device: str, dask_worker: Worker) -> dict[str, Any]:
    """Return the `facts` of a worker, and its name."""
    return {"name": str(dask_worker.name), **facts(device)}


def facts(device: str) -> dict[str, Any]:
    """Return what may change bits on this machine.

    Args:
        device: Type of the device to work on.
    """
    found = {"processor": processor(), "system": f"{platform.system()} {platform.machine()}"}
    if device == "cuda":
        found["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {"host": platform.node(), "versions": versions(), **found}


def write_piece(token: str, name: str, offset: int, data: bytes, dask_worker: Worker) -> None:
    """Write a piece of a file that belongs to a conversion."""
    path = _folder(dask_worker, token) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab" if offset else "wb") as file:
        file.write(data)


def open_source(order: Order) -> dict[str, object]:
    """Open a conversion, and return its signature.

    Raises:
        VsrrinError: The source is not there or another one, or something cannot be used.
    """
    forks.begin()
    worker, key = get_worker(), get_worker().get_current_task()
    folder = _folder(worker, order.token)
    _pin()
    torch.set_num_threads(worker.state.nthreads)
    vs.core.num_threads = worker.state.nthreads
    try:
        with _busy:
            opened, signature = _open(order, folder)
            _check_wanted(worker, key)
            _opened[order.token] = opened
            while len(_opened) > _KEPT:
                shutil.rmtree(_opened.popitem(last=False)[1].folder, ignore_errors=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return signature


def _open(order: Order, folder: Path) -> tuple[_Opened, dict[str, object]]:
    source = order.settings.source
    if not source.exists():
        raise ConvertError(
            f'{source} is not there: mount its folder there, or say with cluster_map="FROM=TO" where it is'
        )
    state = _state(source)
    if (digest := sha256(source)) != order.digest:
        raise ConvertError(
            f"{source} is another file there (sha256 {digest[:16]}..., here {order.digest[:16]}...): bring the same "
            'file there, or say with cluster_map="FROM=TO" where it is'
        )
    folder.mkdir(parents=True, exist_ok=True)
    settings = replace(order.settings, target=folder / order.settings.target.name)
    if order.weights is not None:
        settings = replace(settings, model=folder / order.weights)
    images = open_images(source, order.image_rate, for_video=True).clip if source.is_dir() else None
    prepared = prepare(settings, images)
    job = replace(prepared.job, encoder=order.encoder)
    opened = _Opened(settings=settings, source=prepared.source, job=job, state=state, folder=folder)
    _check_source(opened)
    return opened, dict(prepared.signature)


def encode(token: str, number: int) -> Made:
    """Encode a segment into the folder of its conversion.

    Raises:
        ForgottenError: The conversion is not open.
        VsrrinError: A frame cannot be made or encoded, the segment cannot be written, or the source has changed.
    """
    worker, key = get_worker(), get_worker().get_current_task()
    with _busy:
        if token not in _opened:
            raise ForgottenError(token)
        _opened.move_to_end(token)
        opened = _opened[token]
        _check_source(opened)
        path, span = _segment(opened.folder, number), opened.job.spans[number]
        told = begun = time.monotonic()
        try:
            with (
                closing(frames(opened.job.clip, span)) as made,
                closing(write_segment(opened.job, number, made, path)) as work,
            ):
                done = 0
                while True:
                    try:
                        next(work)
                    except StopIteration as end:
                        cuts, headers = end.value
                        break
                    done += 1
                    if (now := time.monotonic()) - told >= _TOLD or done == len(span):
                        told = now
                        _tell(worker, token, number, done, done / max(now - begun, 1e-9))
                        _check_wanted(worker, key)
            _check_source(opened)
            return Made(cuts=cuts, headers=headers, size=path.stat().st_size, sha256=sha256(path))
        except FrameError as error:
            near = speed.timing(opened.settings.rates, opened.source).at(error.number).left
            path.unlink(missing_ok=True)
            raise unreadable(error, opened.source, near) from error
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, ConvertError) and str(error).startswith(str(path)):
                raise ConvertError(
                    f"{error}: free space there, or start the worker with another --local-directory"
                ) from error
            raise


def read_piece(token: str, number: int, offset: int, dask_worker: Worker) -> bytes:
    """Return a piece of a finished segment."""
    with _segment(_folder(dask_worker, token), number).open("rb") as file:
        file.seek(offset)
        return file.read(PIECE)


def forget(token: str, number: int | None = None, *, dask_worker: Worker) -> None:
    """Remove a segment that the client has, or all that belongs to a conversion."""
    if number is not None:
        _segment(_folder(dask_worker, token), number).unlink(missing_ok=True)
    else:
        _opened.pop(token, None)
        shutil.rmtree(_folder(dask_worker, token), ignore_errors=True)


def _pin() -> None:
    """Keep this process to the cores that its environment names, with the threads that it has and those to come."""
    if CORES in os.environ and hasattr(os, "sched_setaffinity"):
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), map(int, os.environ[CORES].split(",")))


def _folder(worker: Worker, token: str) -> Path:
    return Path(worker.local_directory) / f"vsrrin-{token}"


def _segment(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.nut"


def _state(path: Path) -> object:
    """Return what changes when a file, or one in a folder, is written."""
    found = sorted(path.iterdir()) if path.is_dir() else [path]
    return [(file.name, (state := file.stat()).st_size, state.st_mtime_ns) for file in found]


def _check_source(opened: _Opened) -> None:
    source = opened.settings.source
    try:
        same = _state(source) == opened.state
    except OSError as error:
        raise ConvertError(f"{source} cannot be read any more: {error.strerror}: bring it back") from error
    if not same:
        raise ConvertError(
            f"{source} has changed while it was converted: bring back the file as it was, or begin again with "
            "overwrite=True"
        )


def _tell(worker: Worker, token: str, number: int, done: int, rate: float) -> None:
    worker.log_event(f"vsrrin-{token}", {"worker": worker.address, "segment": number, "frames": done, "fps": rate})


def _check_wanted(worker: Worker, key: object) -> None:
    """Stop if the client has gone, or does not want the segment any more."""
    task = worker.state.tasks.get(key)
    if task is None or task.state == "cancelled":
        raise ForgottenError("the client has gone")
