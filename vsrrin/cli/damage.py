"""``vsrrin damage``: arguments and printing."""

import argparse
from collections import Counter
from pathlib import Path

from . import arguments
from .progress import Reporter

_DESCRIPTION = """\
Look for damaged frames (black, flash, green, torn, frozen), and print a list of them for convert --repair:

  vsrrin damage tape.avi > list.txt              look; then correct the list in an editor
  vsrrin convert tape.avi new.mkv --repair list.txt --fps 1x

What is listed is strict, but a guess. Runs of more than 4 frames are not listed."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``damage`` to a parser."""
    parser = commands.add_parser(
        "damage",
        help="list the damaged frames of a video",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="IN", type=Path, help="a video, or a folder of images")
    arguments.add_part(parser)
    arguments.add_interlacing(parser)
    parser.add_argument("--quiet", action="store_true", help="print the list only, and errors")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from vsrrin.convert import damage_list, moments

    start, end = arguments.part(options)
    source = damage_list.opened(
        options.source,
        start=start,
        end=end,
        deinterlace=options.deinterlace,
        progressive=options.progressive,
    )
    kinds: Counter[str] = Counter()
    total = source.clip.num_frames
    with Reporter(quiet=options.quiet) as reporter:
        for done, found in enumerate(damage_list.damaged(source), 1):
            if found:
                kinds[found.kind] += found.last - found.first + 1
                numbers = str(found.first) if found.first == found.last else f"{found.first}-{found.last}"
                print(f"{numbers:<15} # {moments.written(found.time)} {found.kind}", flush=True)
            reporter.progress(done, total)
        parts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        reporter.say(f"{kinds.total()} of {total} frames are damaged{f': {parts}' if parts else ''}")
    return 0
