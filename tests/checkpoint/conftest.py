"""A narrow network and its file, for tests of checkpoints."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vsrrin.checkpoint import loader
from vsrrin.nets import rrin

SIDECAR = {"training_data": "d", "metrics": "m", "licence": "l", "source": "s", "created_with": "c"}


@pytest.fixture(scope="module")
def net() -> rrin.RRIN:
    """A narrow RRIN, so that files are small."""
    torch.manual_seed(0)
    return rrin.RRIN(width=4).eval()


@pytest.fixture
def state(net) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in net.state_dict().items()}


@pytest.fixture
def saved(net, tmp_path) -> Path:
    """A file of ours with its side-car."""
    path = tmp_path / "mine.safetensors"
    loader.save(net, rrin.SPEC, path, arithmetic="exact", sidecar=SIDECAR)
    return path


def write(path: Path, content: object, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path
