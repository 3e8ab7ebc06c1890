"""Networks with reproducible weights, and a pair of frames whose motion is known."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vsrrin.nets import NETS, NetSpec
from vsrrin.nets.bmbc import BMBC
from vsrrin.nets.cain import CAIN
from vsrrin.nets.raft_rrin import RAFTRRIN
from vsrrin.nets.rrin import RRIN
from vsrrin.nets.srrin import SRRIN

# How much the layers of each net amplify: chosen so that every part moves the result and little of it is clamped.
GAINS: defaultdict[str, dict[str, float]] = defaultdict(lambda: {"default": 1.4})
GAINS |= {
    "srrin": {"default": 1.4, "Flow_L.last.": 6.0, "refine_flow.last.": 2.5, "Mask.last.": 3.0, "final.last.": 0.2},
    "rrin": {"default": 1.4, "Flow_L.last.": 6.0, "refine_flow.last.": 2.5, "Mask.last.": 3.0, "final.last.": 0.2},
    "raft_rrin": {
        "default": 1.4,
        "raft.": 1.2,
        "raft.fnet.conv2": 0.6,
        "raft.update_block.flow_head.conv2": 0.06,
        "refine_flow.last.": 2.5,
        "Mask.last.": 3.0,
        "final.last.": 0.2,
    },
    "rrin_lite": {"default": 1.4, "refine.out.": 2.0, "choose.out.": 0.25},
    "rrin_lite_quick": {"default": 1.4, "weigher.weigh.": 2.0, "weigher.move.": 2.0},
    "cain": {"default": 0.6, "conv_du.": 2.5},
    "bmbc": {"default": 1.3, "predict_flow": 0.1, "dc_conv7": 0.2, "Conv_Output": 0.6},
    "plain": {},
}

# RRIN of its usual width takes ten billion multiplications for the smallest picture; tests/nets/test_rrin.py has it.
SMALL: dict[str, Callable[[], nn.Module]] = {
    "rrin": lambda: RRIN(width=8),
    "raft_rrin": lambda: RAFTRRIN(small=True, width=8),
    "srrin": lambda: SRRIN(width=8),
    "cain": lambda: CAIN(groups=2, blocks=2, features=32),
    "bmbc": lambda: BMBC(
        context=16,
        widths=(8, 16, 16, 24, 24, 32),
        dense=(32, 32, 24, 16, 8),
        dilated=(32, 32, 32, 24, 16, 8),
        channels=16,
        growth=8,
        blocks=2,
        layers=3,
    ),
}

KeyedState = Callable[[nn.Module, Mapping[str, float]], dict[str, Tensor]]


def _keyed_state(net: nn.Module, gains: Mapping[str, float]) -> dict[str, Tensor]:
    state = {}
    for key, like in net.state_dict().items():
        if not like.is_floating_point():  # batch norm's counter
            state[key] = torch.zeros_like(like)
            continue
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
        values = np.random.Generator(np.random.PCG64(seed)).standard_normal(tuple(like.shape))
        if like.dim() >= 2:
            gain = gains[max((p for p in gains if p in key), key=len, default="default")]
            values *= gain / np.sqrt(np.prod(like.shape[1:]))
        elif key.endswith("bias"):
            values *= 0.02
        elif key.endswith("running_mean"):
            values *= 0.1
        elif key.endswith("running_var"):
            values = 1 + 0.1 * np.abs(values)
        else:
            values = 1 + 0.1 * values
        state[key] = torch.from_numpy(values.astype(np.float32))
    return state


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="session")
def keyed_state() -> KeyedState:
    """(net, gains) to a state dict made from the keys alone; the rule is that of tests/data/rrin.npz."""
    return _keyed_state


@pytest.fixture(scope="session")
def live_net() -> Callable[[NetSpec], nn.Module]:
    """A net in evaluation mode, every part of which moves the result."""
    made: dict[str, nn.Module] = {}

    def make(spec: NetSpec) -> nn.Module:
        if spec.name not in made:
            net = SMALL.get(spec.name, spec.default)().eval().requires_grad_(False)
            net.load_state_dict(_keyed_state(net, GAINS[spec.name]))
            made[spec.name] = net
        return made[spec.name]

    return make


@pytest.fixture(scope="session")
def rebuild() -> Callable[[NetSpec, Mapping[str, Tensor], str], nn.Module]:
    """(spec, state dict, arithmetic) to a net in evaluation mode, without drawing weights first."""

    def make(spec: NetSpec, state: Mapping[str, Tensor], arithmetic: str) -> nn.Module:
        with torch.device("meta"):
            net = spec.build(state, arithmetic)
        net.to_empty(device="cpu").load_state_dict(state)
        return net.eval().requires_grad_(False)

    return make


@dataclass(frozen=True)
class Pair:
    """A textured plane that moves by (3, -2) px from frame 0 to frame 1."""

    img0: Tensor
    img1: Tensor
    flow: Tensor

    @staticmethod
    def at(t: float, height: int = 64, width: int = 96) -> Tensor:
        """The true picture at time t, (1, 3, H, W) in [0.05, 0.95]."""
        y, x = torch.meshgrid(torch.arange(height) + 2.0 * t, torch.arange(width) - 3.0 * t, indexing="ij")
        channels = []
        for k in range(3):
            waves = torch.sin(0.21 * x + 0.13 * y + k) + torch.sin(0.05 * x - 0.31 * y + 2 * k)
            spots = torch.cos(0.4 * x + 0.7 * k) * torch.cos(0.37 * y)
            channels.append(0.5 + 0.15 * waves + 0.15 * spots)
        return torch.stack(channels)[None]

    def time(self, t: float) -> Tensor:
        """t as the nets take it, (1, 1, 1, 1)."""
        return torch.full((1, 1, 1, 1), t)

    def extra(self, spec: NetSpec) -> tuple[Tensor, ...]:
        """What the net wants beside the frames: the flow, if it estimates none."""
        return (self.flow,) if spec.external_flow else ()

    def run(self, net: nn.Module, spec: NetSpec, t: float = 0.5) -> Tensor:
        """The result of one pass."""
        result: Tensor = net(self.img0, self.img1, self.time(t), *self.extra(spec))
        return result


@pytest.fixture(scope="session")
def pair() -> Pair:
    """Two frames and their true flow at half their size, (1, 4, H/2, W/2)."""
    flow = torch.tensor([1.5, -1.0, -1.5, 1.0]).view(1, 4, 1, 1).expand(1, 4, 32, 48).contiguous()
    return Pair(Pair.at(0.0), Pair.at(1.0), flow)


@pytest.fixture(params=NETS, ids=lambda spec: spec.name)
def spec(request: Any) -> NetSpec:
    """Every network in turn."""
    spec: NetSpec = request.param
    return spec
