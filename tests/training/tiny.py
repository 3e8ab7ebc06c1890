"""A network and data small enough to be trained in a test."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tests.conftest import texture
from training.data.batch import Sample
from training.recipe import Recipe, from_tables
from training.run.processes import Team

SETTINGS = {
    "refine_width": 8,
    "refine_blocks": 1,
    "choose_widths": [8, 8],
    "choose_blocks": [1, 1],
    "refine_context_widths": [8],
    "refine_context_blocks": [1],
    "choose_context_widths": [],
    "choose_context_blocks": [],
}
"""Of rrin_lite."""
SMALL: dict[str, dict[str, Any]] = {
    "rrin_lite": SETTINGS,
    "rrin_lite_quick": {"widths": [8, 8], "blocks": [1, 1]},
    "rrin": {"width": 4},
    "srrin": {"width": 4},
    "raft_rrin": {"width": 4, "small": True, "iterations": 2},
    "cain": {"groups": 1, "blocks": 1, "features": 16},
    "bmbc": {
        "context": 4,
        "widths": (4,) * 6,
        "dense": (4,) * 5,
        "dilated": (4,) * 6,
        "channels": 4,
        "growth": 4,
        "blocks": 1,
        "layers": 1,
    },
}
"""Settings of small networks, of those whose usual sizes take long."""
SIDE = 32
ALONE = Team(rank=0, world=1, local=0, local_world=1, device=torch.device("cpu"))

TABLES: dict[str, dict[str, Any]] = {
    "model": {"name": "rrin_lite", "settings": SETTINGS},
    "data": {"shots": ["moving"], "crop": SIDE, "workers": 0},
    "loss": {"l1": 1.0},
    "optim": {"steps": 6, "batch": 2, "learning_rate": 1e-3, "warmup": 2, "ema": 0.9},
    "log": {"every": 2, "pictures": 0, "state": 2},
    "machine": {"threads": 1},
}


def tables(**changes: Mapping[str, Any]) -> dict[str, Any]:
    """`TABLES`, with keys of tables replaced."""
    return {name: {**TABLES.get(name, {}), **changes.get(name, {})} for name in {**TABLES, **changes}}


def recipe(**changes: Mapping[str, Any]) -> Recipe:
    """The recipe of `tables`."""
    return from_tables(tables(**changes), "tiny")


class MovingTexture:
    """Samples of a texture that moves; the flow they give is off by a little, so that there is something to learn."""

    def __init__(self, side: int = SIDE) -> None:
        self.side = side

    def sample(self, index: int) -> Sample:
        chooser = torch.Generator().manual_seed(index)
        dx, dy = (float(x) for x in torch.rand(2, generator=chooser) * 8 - 4)
        t = (0.25, 0.5, 0.75)[index % 3]
        img0, target, img1 = (
            texture(self.side, self.side, (dx * at, dy * at), seed=index % 5)[0] for at in (0.0, t, 1.0)
        )
        flow = torch.tensor([dx, dy, -dx, -dy]).view(4, 1, 1)
        guessed = (flow / 2 + 0.5).expand(4, self.side // 2, self.side // 2).contiguous()
        truth = flow.expand(4, self.side, self.side).contiguous()
        return Sample(
            img0=img0,
            img1=img1,
            target=target,
            t=t,
            flow=guessed,
            truth=truth,
            trust=torch.ones(2, self.side, self.side),
        )


def write_recipe(folder: Path, **changes: Mapping[str, Any]) -> Path:
    """The recipe of `tables` as a file."""
    path = folder / "tiny.toml"
    path.write_text(recipe(**changes).toml(), "utf-8")
    return path
