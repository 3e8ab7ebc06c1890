"""``vsrrin preview``: arguments, and writing of the picture."""

import argparse
from pathlib import Path

from vsrrin.errors import ArgumentError, ConvertError

from . import arguments

# Loading torch takes seconds, so the work is imported by the function that does it: help and Ctrl-C stay quick.

_DESCRIPTION = """\
Write a picture that shows, for one pair of frames: the two source frames and the new frames between them as a run
with the same settings makes them; the motion that was estimated (its direction as colour); how the network blends the
two frames, or where motion is doubtful; how far the source frames differ; and whether a cut is seen there.

  vsrrin preview film.mkv --at 1:23.5
  vsrrin preview film.mkv --at 2004f --factor 4 --model weights/rrin.pth --out fast_pan.png"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``preview`` to a parser."""
    parser = commands.add_parser(
        "preview",
        help="show the new frames at one place of a video, and how they were made, as a PNG",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="IN", type=Path, help="a video, or a folder of images")
    parser.add_argument(
        "--at", required=True, metavar="TIME", help="83.5 (seconds), 1:23.5, 0:01:23.5, or 2004f (frame number)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the .png to write (default: IN_TIME.png in the current folder)"
    )
    parser.add_argument("--factor", type=int, default=2, metavar="N", help="output frames per source frame (default 2)")
    arguments.add_interlacing(parser)
    arguments.add_options(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from vsrrin.convert import moments

    at = moments.parse_position(options.at, "--at")
    target = options.out or Path(f"{options.source.resolve().stem}_{options.at.strip().replace(':', '.')}.png")
    _check_target(target, overwrite=options.overwrite)

    from vsrrin import files
    from vsrrin.checkpoint import inspection
    from vsrrin.preview import picture, sheet

    wanted = arguments.make(
        picture.Wanted,
        options,
        at=at,
        model=inspection.locate(getattr(options, "model", str(picture.Wanted.model))),
    )
    made = picture.preview(wanted)
    try:
        files.write(target, sheet.png(made.picture))
    except ConvertError as error:
        raise ConvertError(f"{error}: name another file with --out") from error
    height, width = made.picture.shape[:2]
    print(f"{target}: {width}x{height} pixels")
    for subject, text in made.facts:
        print(f"{subject:<9}{text}")
    return 0


def _check_target(target: Path, *, overwrite: bool) -> None:
    """Check the target before the work."""
    if target.suffix.lower() != ".png":
        raise ArgumentError(f"--out must end with .png, not {str(target)!r}")
    if not target.parent.is_dir():
        raise ConvertError(f"there is no folder {target.parent} to write {target.name} into: make it first")
    if target.exists() and not (overwrite and target.is_file()):
        raise ConvertError(f"{target} exists: name another file with --out, or give --overwrite to replace it")
