"""``vsrrin tune``: arguments and printing."""

import argparse
from pathlib import Path

from vsrrin.errors import ArgumentError

_DESCRIPTION = """\
Try the networks on frames of a video, every way that this processor can run them: every second frame is made of its
neighbours, and compared with what it should be. What is measured here is what precision and backend "auto" go by from
then on. Close other programs first.

  vsrrin tune film.mkv
  vsrrin tune film.mkv --model rrin_lite weights/mine.pth"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``tune`` to a parser."""
    parser = commands.add_parser(
        "tune",
        help="measure which network and settings this machine runs how fast, and how well",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="IN", type=Path, help="a video")
    usual = ["draft", "balanced", "rrin_lite"]
    parser.add_argument(
        "--model", nargs="+", default=usual, metavar="NAME", help=f"networks (default: {' '.join(usual)})"
    )
    parser.add_argument("--frames", type=int, default=8, metavar="N", help="new frames for each setting (default: 8)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.frames < 1:
        raise ArgumentError(f"--frames must be at least 1, not {options.frames}")
    from vsrrin.checkpoint import inspection
    from vsrrin.doctor import tuning
    from vsrrin.engine.backends.processor import processor

    found = tuning.frames_of([options.source], options.frames)
    height, width = found[0].left.shape[-2:]
    print(f"{processor()}; {width}x{height}, {len(found)} new frames for each line", flush=True)
    trials = tuning.tune([str(inspection.locate(name)) for name in options.model], found)
    size = max(len(trial.model) for trial in trials)
    print(f"{'model':<{size}}  backend   precision   s/frame  frames/s  PSNR")
    for trial in trials:
        backend, precision = trial.way.backend, trial.way.precision
        print(
            f"{trial.model:<{size}}  {backend:<9} {precision:<9} {trial.seconds:9.4f} {1 / trial.seconds:9.1f}  "
            f"{trial.psnr:5.2f}{'  auto' if trial.automatic else ''}"
        )
    return 0
