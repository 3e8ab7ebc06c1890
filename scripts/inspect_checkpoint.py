"""Print what a checkpoint holds: keys and shapes, which network it is, and why it is none of the others.

Usage: python scripts/inspect_checkpoint.py FILE
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from vsrrin import checkpoint
from vsrrin.errors import CheckpointError, UnknownNetError
from vsrrin.nets import NETS, identify
from vsrrin.nets.registry import differences, first_few


def report(state: Mapping[str, Tensor]) -> Iterator[str]:
    """The lines to print about a canonical state dict."""
    width = max(map(len, state))
    for key, value in state.items():
        yield f"{key:<{width}}  {str(value.dtype).removeprefix('torch.')}  {tuple(value.shape)}"
    yield f"{len(state)} tensors, {sum(value.numel() for value in state.values())} values"
    try:
        found = identify(state)
        yield f"network: {found.name} ({found.paper}); arithmetics: {', '.join(found.arithmetics)}"
    except UnknownNetError as error:
        found = None
        yield f"network: none. {error}"
    for spec in NETS:
        if spec is not found:
            missing, left_over, differing = differences(spec, state)
            yield (
                f"not {spec.name}: keys missing: {first_few(missing)}; left over: {first_few(left_over)}; "
                f"of another shape: {first_few(differing)}"
            )


def main() -> int:
    """Read the file named on the command line and print the report."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        state = checkpoint.read(Path(sys.argv[1]))
    except CheckpointError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(report(state)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
