"""Writer of the bundled draft weights: those of the network "plain", a number to tell it by.

python -m scripts.models.draft_weights [FILE]     (default: vsrrin/weights/draft.safetensors)
"""

import hashlib
import sys
from pathlib import Path

import vsrrin
from vsrrin.checkpoint import loader
from vsrrin.nets import plain

DEFAULT = Path(__file__).resolve().parents[2] / "vsrrin" / "weights" / "draft.safetensors"
SIDECAR = {
    "training_data": "none",
    "metrics": "none of its own: the result is that of plain DIS optical flow",
    "licence": "MIT",
    "source": "scripts/models/draft_weights.py",
    "created_with": f"vsrrin {vsrrin.__version__}",
    "description": (
        "No network at all: fast DIS optical flow, linear projection and a blend of the two warped frames. The fastest "
        "there is."
    ),
}


def main() -> None:
    """Write the file and print its size and sum."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    loader.save(plain.Plain(), plain.SPEC, path, arithmetic="exact", sidecar=SIDECAR)
    print(f"{path}: {path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
