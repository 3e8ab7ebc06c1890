"""Command that makes a bank: samples made beforehand, so that training spends next to nothing on them.

    python -m training.bank --shots DATASET [--photos FOLDER] --out BANK --samples N [--synthetic 0.3]
                            [--flat 0.2] ...

Each is a window larger than a crop, with DIS flow found on whole frames, as the filter finds it. Where in the window
the crop lies, flips, transposition, time reversal and the order of the channels are drawn anew for every use.

Making a bank can be interrupted at any time; the same command goes on from there. With a larger N it adds samples to a
finished one. Settings other than N and the number of processes must be the same.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from training.arguments import whole
from training.data.banks.building import Data, make_bank
from training.data.banks.maker import BankSettings
from vsrrin.errors import VsrrinError
from vsrrin.flow.dis import PRESETS


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments, and check those that depend on each other."""
    known = BankSettings()
    parser = argparse.ArgumentParser(
        prog="python -m training.bank", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--shots", type=Path, nargs="+", default=[], metavar="DATASET", help="made by training.prepare, or others")
    add("--photos", type=Path, metavar="FOLDER", help="pictures, textures of synthetic motion")
    add("--out", type=Path, required=True, metavar="BANK", help="folder of the bank")
    add("--samples", type=whole(1), required=True, metavar="N", help="how many")
    add("--window", type=_even, default=known.window, help="side of the windows (%(default)s)")
    add("--crop", type=_even, default=known.crop, help="largest crop that will be taken (%(default)s)")
    add("--synthetic", type=_share, default=None, help="share of synthetic motion of photos (0.3, without photos 0)")
    add("--flat", type=_share, default=known.flat, help="share of flat art, before photos if given (%(default)s)")
    add("--largest-gap", type=whole(2), default=known.largest_gap, help="frames from left to right (%(default)s)")
    add("--times", choices=("any", "middle"), default=known.times, help="place of the true frame (%(default)s)")
    add("--candidates", type=whole(1), default=known.candidates, help="pairs looked at for one (%(default)s)")
    add("--hard", type=_share, default=known.hard, help="how often the hardest is taken (%(default)s)")
    add("--per-pair", type=whole(1), default=known.per_pair, help="windows of a pair (%(default)s)")
    add("--flow-preset", choices=tuple(PRESETS), default=known.flow_preset, help="of DIS flow (%(default)s)")
    add("--flow-scale", type=_scale, default=known.flow_scale, help="size of its pictures (%(default)s)")
    add("--seed", type=whole(0), default=known.seed, help="%(default)s")
    add("--processes", type=whole(1), default=1, help="that work at the same time (%(default)s)")
    options = parser.parse_args(arguments)
    if options.synthetic is None:
        options.synthetic = 0.0 if options.photos is None else min(known.synthetic, 1 - options.flat)
    layered = round(options.synthetic + options.flat, 9)
    if layered > 1:
        parser.error(f"--synthetic and --flat must be 1 at most together, not {layered:g}")
    if layered < 1 and not options.shots:
        parser.error("--shots is missing: give datasets, or --synthetic 1 and --photos, or --flat 1")
    if options.synthetic > 0 and options.photos is None:
        parser.error("--photos is missing: give a folder of pictures, or --synthetic 0")
    if options.window < options.crop:
        parser.error(f"--window must be at least --crop, {options.crop}, not {options.window}")
    return options


def _even(text: str) -> int:
    value = int(text)
    if value < 16 or value % 2:
        raise argparse.ArgumentTypeError(f"must be even and at least 16, not {value}")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to 1, not {value}")
    return value


def _scale(text: str) -> float:
    value = float(text)
    if not 0.25 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0.25 to 1, not {value}")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit status: 0, 2 for an error, 130 when interrupted."""
    options = parse(arguments)
    settings = BankSettings(**{field.name: getattr(options, field.name) for field in fields(BankSettings)})
    data = Data(tuple(options.shots), options.photos)
    began, start, shown = time.monotonic(), None, 0.0
    try:
        for done in make_bank(options.out, options.samples, settings, data, options.processes):
            now = time.monotonic()
            start = done if start is None else start
            if now - shown > 5 or done == options.samples:
                rate = (done - start) / max(now - began, 1e-9)
                print(f"{done} of {options.samples} samples, {rate:.1f} a second", file=sys.stderr, flush=True)
                shown = now
    except VsrrinError as error:
        print(f"training.bank: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"training.bank: {error}; the same command goes on from what is finished", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("training.bank: interrupted; the same command goes on from what is finished", file=sys.stderr)
        return 130
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
