"""Pictures and batches to compare."""

import torch
from torch import Tensor

from tests.conftest import texture
from training.data.batch import Batch


def pictures(side: int = 32) -> tuple[Tensor, Tensor]:
    """Two pairs of pictures that differ a little."""
    target = torch.cat((texture(side, side), texture(side, side, seed=1)))
    moved = torch.cat((texture(side, side, (0.4, 0.2)), texture(side, side, (-0.3, 0.1), seed=1)))
    return moved, target


def batch_of(target: Tensor, truth: Tensor | None = None, trust: Tensor | None = None) -> Batch:
    count, _, height, width = target.shape
    truth = torch.zeros(count, 4, height, width) if truth is None else truth
    trust = torch.ones(count, 2, height, width) if trust is None else trust
    half = torch.zeros(count, 4, height // 2, width // 2)
    return Batch(
        img0=target,
        img1=target,
        target=target,
        t=torch.full((count, 1, 1, 1), 0.5),
        flow=half,
        truth=truth,
        trust=trust,
    )
