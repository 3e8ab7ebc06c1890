"""Workers on this machine, each with its share of the cores, or with a GPU."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from distributed import Nanny, Scheduler, SpecCluster

from vsrrin.engine.backends.torch_backend import resolve_device
from vsrrin.engine.options import Devices
from vsrrin.errors import ArgumentError

from . import worker

_HERE = "127.0.0.1"
_DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""What workers begin with: Ctrl-C reaches them too, and it is the command that ends them."""
_GPUS = "CUDA_VISIBLE_DEVICES"


@contextmanager
def local_workers(count: int, device: Devices = None) -> Iterator[str]:
    """Run workers while the block lasts; one that dies is started again.

    Args:
        count: Number of workers.
        device: The device, or several, as in `vsrrin.Options`; GPUs are shared out in turn.

    Yields:
        Address of their scheduler.

    Raises:
        ArgumentError: There are not so many cores.
        BackendError: There is no such device.
    """
    cores = check_count(count)
    gpus = _gpus(device)
    shares = [cores[n * len(cores) // count : (n + 1) * len(cores) // count] for n in range(count)]
    common = {
        "host": _HERE, "memory_limit": 0, "dashboard": False, "silence_logs": logging.CRITICAL, "preload": _DEAF,
    }  # fmt: skip
    workers = {}
    for number, share in enumerate(shares):
        place = {worker.CORES: ",".join(map(str, share)), **({_GPUS: gpus[number % len(gpus)]} if gpus else {})}
        workers[str(number)] = {"cls": Nanny, "options": {**common, "nthreads": len(share), "env": place}}
    scheduler = {
        "cls": Scheduler,
        "options": {"host": _HERE, "port": 0, "dashboard": False, "dashboard_address": f"{_HERE}:0"},
    }
    with SpecCluster(workers=workers, scheduler=scheduler, silence_logs=logging.CRITICAL) as cluster:
        yield cluster.scheduler_address


def check_count(count: int) -> list[int]:
    """Return the numbers of the cores here, if they are enough for so many workers.

    Raises:
        ArgumentError: There are not so many cores.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    if not 1 <= count <= len(cores):
        raise ArgumentError(f"workers must be 1 to {len(cores)}, the number of cores here, not {count}")
    return cores


def _gpus(device: Devices) -> list[str]:
    """Return GPUs as the environment names them, empty if another device is meant."""
    names = device if isinstance(device, tuple | list) else (device,)
    places = [resolve_device(name) for name in names]
    if places[0].type != "cuda":
        return []
    seen = os.environ.get(_GPUS)
    known = seen.split(",") if seen else [str(number) for number in range(torch.cuda.device_count())]
    return known if device in (None, "cuda") else [known[place.index or 0] for place in places]
