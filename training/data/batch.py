"""Samples, batches of them, and the protocol of their sources.

A source is a pure function from a number to a sample. So samples do not depend on the order they are asked for, nor on
how many processes ask, and a run that is resumed goes on with exactly the samples that it would have seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from training.errors import TrainingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Two frames, the true frame between them, and the motion of the pair; C is the side of the crop, even."""

    img0: Tensor
    """(3, C, C) float32 RGB in [0, 1]; ``img1`` and ``target`` likewise."""
    img1: Tensor
    target: Tensor
    t: float
    """Time of ``target``, in (0, 1)."""
    flow: Tensor
    """(4, C/2, C/2) float32: DIS flow as the engine gives it to networks, (dx, dy) in pixels of half the size, 0->1
    then 1->0."""
    truth: Tensor
    """(4, C, C) float32: the flow to learn, (dx, dy) in pixels, 0->1 then 1->0; exact, or a pseudo label."""
    trust: Tensor
    """(2, C, C) float32: 1 where ``truth`` counts, else 0; for 0->1 and for 1->0."""


@dataclass(slots=True, kw_only=True)
class Batch:
    """Batch of N samples; the members are those of :class:`Sample`, stacked."""

    img0: Tensor
    """(N, 3, C, C) float32; ``img1`` and ``target`` likewise."""
    img1: Tensor
    target: Tensor
    t: Tensor
    """(N, 1, 1, 1) float32."""
    flow: Tensor
    """(N, 4, C/2, C/2) float32."""
    truth: Tensor
    """(N, 4, C, C) float32."""
    trust: Tensor
    """(N, 2, C, C) float32."""

    def __len__(self) -> int:
        return self.img0.shape[0]

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """Return a batch with a function applied to each member."""
        return Batch(**{name: change(getattr(self, name)) for name in self.__slots__})

    def to(self, device: torch.device | str, *, channels_last: bool = False) -> "Batch":
        """Return the batch on a device.

        Args:
            device: The device.
            channels_last: Whether memory holds the channels of a pixel side by side, as many convolutions want it.
        """
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return self.each(lambda x: x.to(device, non_blocking=True, memory_format=layout))

    def pin_memory(self) -> "Batch":
        """Return the batch in pinned memory; `torch.utils.data.DataLoader` calls this."""
        return self.each(Tensor.pin_memory)


class Source(Protocol):
    """Source of samples."""

    def sample(self, index: int) -> Sample:
        """Return the sample of a number from 0 on: the same one whenever, wherever and in whatever order."""
        ...


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of one size.

    Raises:
        TrainingError: There are none, or they differ in size.
    """
    sizes = sorted({tuple(sample.img0.shape) for sample in samples})
    if len(sizes) != 1:
        found = f"samples of the sizes {sizes}" if sizes else "no samples"
        raise TrainingError(f"collate: got {found}; give at least one, all of one size")
    return Batch(
        img0=torch.stack([sample.img0 for sample in samples]),
        img1=torch.stack([sample.img1 for sample in samples]),
        target=torch.stack([sample.target for sample in samples]),
        t=torch.tensor([sample.t for sample in samples], dtype=torch.float32).view(-1, 1, 1, 1),
        flow=torch.stack([sample.flow for sample in samples]),
        truth=torch.stack([sample.truth for sample in samples]),
        trust=torch.stack([sample.trust for sample in samples]),
    )


def generator(*numbers: int) -> np.random.Generator:
    """Return a random generator that depends on the given numbers alone: seed, purpose, index; each from 0 on."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(numbers)))
