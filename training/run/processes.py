"""Processes that train together, by PyTorch's DistributedDataParallel, and the signals that stop them.

Sources: Li et al., "PyTorch Distributed: Experiences on accelerating data parallel training", VLDB 2020.
"""

import os
import signal
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.errors import TrainingError
from vsrrin.engine.backends.torch_backend import resolve_device

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, kw_only=True)
class Team:
    """Processes that train together, as one of them sees them."""

    rank: int
    world: int
    local: int
    """Number of this process on its machine."""
    local_world: int
    """Processes on this machine."""
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over all processes; every one of them has to call this."""
        if self.world > 1:
            dist.all_reduce(values)
            values /= self.world
        return values

    def share(self, value: Any) -> Any:
        """Return the value of the leading process in every process; waits until all are here."""
        if self.world == 1:
            return value
        parcel = [value]
        dist.broadcast_object_list(parcel)
        return parcel[0]

    def wrap(self, net: nn.Module, *, all_used: bool) -> nn.Module:
        """Return the network with gradients averaged over the processes; itself for one process.

        Args:
            net: The network with the gradients.
            all_used: Whether a step uses all parameters.
        """
        if self.world == 1:
            return net
        return DistributedDataParallel(net, find_unused_parameters=not all_used)

    def leave(self) -> None:
        """Leave the process group, when all is done."""
        if self.world > 1:
            dist.destroy_process_group()


def join(device: str | None = None) -> Team:
    """Join the team that ``torchrun`` describes in the environment; without it, a team of one.

    Args:
        device: See :func:`resolve_device`; left out, each process of a machine has a GPU of its own if there are any.

    Raises:
        TrainingError: The environment is not as ``torchrun`` makes it, or there are too few GPUs.
        VsrrinError: There is no such device.
    """
    try:
        rank, world, local, local_world = (
            int(os.environ.get(name, default))
            for name, default in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1"))
        )
    except ValueError as error:
        raise TrainingError(f"RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE must be numbers: {error}") from None
    place = resolve_device(device)
    if place.type == "cuda":
        torch.cuda.set_device(place)  # or pinning memory would begin to use the first one
    if world > 1:
        if place.type == "cuda":
            if local >= torch.cuda.device_count():
                raise TrainingError(
                    f"{local_world} processes on this machine need {local_world} GPUs, and there are "
                    f"{torch.cuda.device_count()}; start fewer, or give the device cpu"
                )
            place = torch.device("cuda", local)
            torch.cuda.set_device(place)
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    return Team(rank=rank, world=world, local=local, local_world=local_world, device=place)


class Stop:
    """Flag that SIGINT and SIGTERM set, so that the run can end in order after the current step.

    A second one ends the process at once. Under ``torchrun`` it does not: there a Ctrl-C reaches each process twice,
    from the terminal and from ``torchrun``, which kills by itself what does not end.

    Args:
        shared: Whether the process is one of ``torchrun``'s.
    """

    def __init__(self, *, shared: bool) -> None:
        self.asked = False
        """Whether one has come."""
        self._shared = shared

    def listen(self) -> None:
        """Install the signal handlers."""
        for number in SIGNALS:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if not self._shared:
            for each in SIGNALS:
                signal.signal(each, signal.SIG_DFL)
