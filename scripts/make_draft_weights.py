"""Write the bundled draft weights: rrin_lite of the first generation, as small as it can be, all zero.

With them the network returns what DIS flow, linear projection and a blend return, and computes nothing else.

Usage: python scripts/make_draft_weights.py [FILE]     (default: vsrrin/weights/draft.safetensors)
"""

import hashlib
import sys
from pathlib import Path

import torch

import vsrrin
from vsrrin import checkpoint
from vsrrin.nets import rrin_lite

DEFAULT = Path(__file__).resolve().parent.parent / "vsrrin" / "weights" / "draft.safetensors"
SIDECAR = {
    "training_data": "none",
    "metrics": "none of its own: the result is that of plain DIS optical flow",
    "licence": "MIT",
    "source": "scripts/make_draft_weights.py",
    "created_with": f"vsrrin {vsrrin.__version__}",
    "description": (
        "No network at all: every weight is zero, so that the result is plain DIS optical flow with linear projection "
        "and a blend of the two warped frames. The fastest there is."
    ),
}


def main() -> None:
    """Write the file and say what was written."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    net = rrin_lite.RRINLite(
        correct_width=2, correct_blocks=0, refine_width=1, refine_blocks=0, synth_width=1, synth_depth=1
    )
    net.load_state_dict({key: torch.zeros_like(value) for key, value in net.state_dict().items()})
    checkpoint.save(net, rrin_lite.SPEC, path, arithmetic="exact", sidecar=SIDECAR, dtype=torch.float16)
    print(f"{path}: {path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
