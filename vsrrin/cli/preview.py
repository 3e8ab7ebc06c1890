"""``vsrrin preview``: arguments, and writing of the picture and the page."""

import argparse
import shlex
import sys
from pathlib import Path

from vsrrin.errors import ArgumentError, ConvertError

from . import arguments

# Loading torch takes seconds, so the work is imported by the function that does it: help and Ctrl-C stay quick.

_DESCRIPTION = """\
Write a picture that shows, for one pair of frames: the two source frames and the new frames between them as a run
with the same settings makes them; the motion that was estimated (its direction as colour); how the network blends the
two frames, or where motion is doubtful; how far the source frames differ; and whether a cut is seen there.
With --html it is a page to look at in a browser, with all of that one over the other, for several models and settings.

  vsrrin preview film.mkv --at 1:23.5
  vsrrin preview film.mkv --at 2004f --factor 4 --model weights/rrin.pth --out fast_pan.png
  vsrrin preview film.mkv --at 1:23.5 --html page.html --model rrin_lite --model draft --also scale=0.5"""

_LARGE = 100
"""Megabytes of a page that browsers need seconds to open."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``preview`` to a parser."""
    parser = commands.add_parser(
        "preview",
        help="show the new frames at one place of a video, and how they were made, as a PNG or as a page",
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
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="the .html to write; the .png is only written if --out is there too"
    )
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="NAME=VALUE...",
        help='other settings for the page, such as "scale=0.5 model=draft"; may be given several times, as --model may',
    )
    parser.add_argument("--factor", type=int, default=2, metavar="N", help="output frames per source frame (default 2)")
    arguments.add_interlacing(parser)
    arguments.add_options(parser, models=True)
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from vsrrin.convert import moments

    at = moments.parse_position(options.at, "--at")
    usual = Path(f"{options.source.resolve().stem}_{options.at.strip().replace(':', '.')}.png")
    sheet_file = options.out or (None if options.html else usual)
    for flag, target, ends in (("--out", sheet_file, (".png",)), ("--html", options.html, (".html", ".htm"))):
        if target is not None:
            _check_target(flag, target, ends, overwrite=options.overwrite)
    settings = _settings(options)
    if len(settings) > 1 and options.html is None:
        raise ArgumentError("several models and settings are shown side by side on a page only: give --html FILE")

    from vsrrin.checkpoint import inspection
    from vsrrin.preview import page, pair, picture, sheet
    from vsrrin.preview.findings import facts

    wanted = [arguments.make(pair.Wanted, each, at=at, model=inspection.locate(each.model)) for each in settings]
    pairs = pair.pairs(wanted)
    if sheet_file is not None:
        drawn = picture.picture(pairs[0])
        _write("--out", sheet_file, sheet.png(drawn))
        print(f"{sheet_file}: {drawn.shape[1]}x{drawn.shape[0]} pixels")
    if options.html is not None:
        text = page.page(pairs).encode()
        _write("--html", options.html, text)
        print(f"{options.html}: {len(text) / 1e6:.1f} MB")
        if len(text) > _LARGE * 1e6:
            print(
                "vsrrin: a page as large as this is slow in many browsers; fewer models, or a smaller --factor, help",
                file=sys.stderr,
            )
    for subject, said in facts(pairs):
        print(f"{subject:<9}{said}")
    return 0


def _settings(options: argparse.Namespace) -> list[argparse.Namespace]:
    """Return the arguments once for each model and each ``--also``, which departs from the first model's."""
    from vsrrin.engine.options import Options

    parser = argparse.ArgumentParser(prog="vsrrin preview --also", usage=argparse.SUPPRESS, add_help=False)
    arguments.add_options(parser)
    models = getattr(options, "model", [str(Options.model)])
    changes = [argparse.Namespace(model=model) for model in models]
    for also in options.also:
        try:
            parts = shlex.split(also)
        except ValueError as error:
            raise ArgumentError(f"--also {also!r} cannot be read: {error}") from error
        if not parts or not all("=" in part for part in parts):
            raise ArgumentError(f'--also must be settings as NAME=VALUE, such as "scale=0.5 model=draft", not {also!r}')
        first = argparse.Namespace(model=models[0])
        changes.append(parser.parse_args([f"--{part.lstrip('-')}" for part in parts], first))
    return [argparse.Namespace(**{**vars(options), **vars(changed)}) for changed in changes]


def _write(flag: str, target: Path, data: bytes) -> None:
    from vsrrin import files

    try:
        files.write(target, data)
    except ConvertError as error:
        raise ConvertError(f"{error}: name another file with {flag}") from error


def _check_target(flag: str, target: Path, ends: tuple[str, ...], *, overwrite: bool) -> None:
    """Check a target before the work."""
    if target.suffix.lower() not in ends:
        raise ArgumentError(f"{flag} must end with {ends[0]}, not {str(target)!r}")
    if not target.parent.is_dir():
        raise ConvertError(f"there is no folder {target.parent} to write {target.name} into: make it first")
    if target.exists() and not (overwrite and target.is_file()):
        raise ConvertError(f"{target} exists: name another file with {flag}, or give --overwrite to replace it")
