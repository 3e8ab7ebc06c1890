"""Write the bundled rrin_lite weights: seeded hidden layers, output layers zero.

With them the network returns what DIS flow, linear projection and a blend return, and a trainer starts from there.
Every tensor is drawn from a generator seeded with its own key, so a run gives the very same bytes on any machine.

Usage: python scripts/make_initial_weights.py [FILE]     (default: vsrrin/weights/rrin_lite.safetensors)
"""

import hashlib
import math
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import vsrrin
from vsrrin import checkpoint
from vsrrin.nets import rrin_lite

DEFAULT = Path(__file__).resolve().parent.parent / "vsrrin" / "weights" / "rrin_lite.safetensors"
SALT = "vsrrin rrin_lite initial 1: "
NEGATIVE_SLOPE = 0.2

SIDECAR = {
    "training_data": "none: untrained",
    "metrics": "none of its own: the result is that of plain DIS optical flow",
    "licence": "MIT",
    "source": "scripts/make_initial_weights.py",
    "created_with": f"vsrrin {vsrrin.__version__}",
    "description": (
        "Initial weights. The three output layers are zero, so every residue is zero and the result is exactly plain "
        "DIS optical flow with linear projection and a blend of the two warped frames. The hidden layers are seeded "
        "random numbers, untrained, stored in float16."
    ),
}


def draw(key: str, like: Tensor) -> Tensor:
    """He-initialised values of a hidden tensor, from a generator seeded with its key."""
    if key.endswith(".bias"):
        return torch.zeros_like(like)
    if key.endswith(".beta"):
        return torch.full_like(like, 0.5)
    seed = int.from_bytes(hashlib.sha256((SALT + key).encode()).digest()[:8], "little")
    values = np.random.Generator(np.random.PCG64(seed)).standard_normal(tuple(like.shape))
    # A transposed convolution of stride 2 with a 4x4 kernel adds in_channels * 4 products per output.
    fan_in = like.shape[0] * 4 if key == "correct.head.0.weight" else math.prod(like.shape[1:])
    return torch.from_numpy(values * math.sqrt(2 / ((1 + NEGATIVE_SLOPE**2) * fan_in))).float()


def main() -> None:
    """Write the file and say what was written."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    net = rrin_lite.RRINLite()
    outputs = ("correct.out.", "refine.out.", "synth.last.")
    state = net.state_dict()
    net.load_state_dict({k: v if k.startswith(outputs) else draw(k, v) for k, v in state.items()})
    checkpoint.save(net, rrin_lite.SPEC, path, arithmetic="exact", sidecar=SIDECAR, dtype=torch.float16)
    print(f"{path}: {path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
