"""Arguments that several commands share, and objects made of parsed arguments."""

import argparse
import re
from dataclasses import fields
from fractions import Fraction
from typing import Any

from vsrrin.convert import moments

_ARGUMENT = re.compile(r"""(?<![\w/.\\-])([a-z][a-z_]*)=(True|False|"[^"]*"|[A-Z]\w*)""")
_SUBJECT = re.compile(r"^(?!factor )([a-z]+(?:_[a-z]+)*)(?= must be )")  # a factor is said by --fps and --sf
_FLAGS = {"rate_out": "--fps", "image_rate": "--input-fps"}
"""Flags that have not the name of the argument that they set."""


def in_flags(message: str) -> str:
    """Return a message of the core, which names arguments as Python has them, with flags of the command line.

    ``tile must be`` at the beginning becomes ``--tile must be``, and ``overwrite=True`` becomes ``--overwrite``,
    ``subtitles=False`` ``--no-subtitles``, ``audio="drop"`` ``--audio drop`` and ``fps=RATE`` ``--fps RATE``.
    """

    def flag(found: re.Match[str]) -> str:
        name, value = found[1].replace("_", "-"), found[2].strip('"')
        if value in ("True", "False"):
            return f"--{name}" if value == "True" else f"--no-{name}"
        return f"{_FLAGS.get(found[1], f'--{name}')} {value}"

    named = _SUBJECT.sub(lambda found: f"--{found[1].replace('_', '-')}", message)
    return _ARGUMENT.sub(flag, named)


def add_options(group: "argparse._ActionsContainer", *, models: bool = False) -> None:
    """Add an argument for each option of interpolation.

    The namespace has only the arguments that are given, under the names of :class:`vsrrin.Options`.

    Args:
        group: Where to add them.
        models: Take several models; ``model`` is a list then.
    """

    def add(flag: str, metavar: str | None, text: str, **more: Any) -> None:
        group.add_argument(flag, metavar=metavar, help=text, default=argparse.SUPPRESS, **more)

    add(
        "--model",
        "NAME",
        "a checkpoint, or rrin_lite (default), balanced, draft",
        action="append" if models else "store",
    )
    add("--tile", "N|WxH", "size of tiles, 0 for none (default: if needed)", type=tile)
    add("--scale", "S", "size of the picture for motion, 0.25 to 1", type=float)
    add("--device", "D", "cpu, cuda, xpu, mps, or cuda:0,cuda:1 (default: the best one)", type=_devices)
    add("--precision", "P", "fp32, fp16, bf16, int8 or auto (default)")
    add("--backend", "B", "torch, openvino, compile, graphs or auto (default)")
    kept = ("guard", "still", "off")
    add("--overlays", None, "keep logos, subtitles and still parts (default), still parts, or nothing", choices=kept)
    cuts = ("auto", "props", "detect", "off")
    add("--scene", None, "how cuts are found (default: auto)", choices=cuts)
    add("--scene-threshold", "X", "0.4 is sensitive, 0.6 strict (default 0.5)", type=float)
    add("--at-cut", None, "what is shown at a cut (default: hold)", choices=("hold", "nearest", "blend"))
    places = ("none", "blend", "hold")
    add("--fallback", None, "what replaces new frames that cannot be trusted (default: none)", choices=places)
    add("--fallback-below", "X", "confidence below which it does, 0 to 1 (default 0.2)", type=float)
    repeated = "keep frames that repeat the one before, or spread the motion around them over them (default: keep)"
    add("--duplicates", None, repeated, choices=("keep", "spread"))
    add("--longest-run", "N", "frames that motion is spread over at most (default: 4)", type=int)


def add_part(group: "argparse._ActionsContainer") -> None:
    """Add the arguments for a part of a source."""
    group.add_argument("--start", metavar="T", help="83.5 (seconds), 1:23.5, 0:01:23.5, or 2004f (frame number)")
    group.add_argument("--end", metavar="T", help="the first moment that is left out, in the same way")


def part(options: argparse.Namespace) -> tuple[Fraction | int | None, Fraction | int | None]:
    """Return the first moment used and the first left out, ``None`` where they are not given."""
    start, end = (
        None if text is None else moments.parse_position(text, flag)
        for text, flag in ((options.start, "--start"), (options.end, "--end"))
    )
    return start, end


def add_interlacing(group: "argparse._ActionsContainer") -> None:
    """Add the arguments for interlaced sources."""
    interlaced = group.add_mutually_exclusive_group()
    interlaced.add_argument(
        "--deinterlace", choices=("frame", "field"), help="one frame of each frame, or of each field (twice the rate)"
    )
    interlaced.add_argument("--progressive", action="store_true", help="frames flagged as interlaced are not")


def make[T](kind: type[T], options: argparse.Namespace, **changed: Any) -> T:
    """Return a dataclass made of the parsed arguments with the names of its fields, unless changed."""
    named = {field.name for field in fields(kind) if field.init} & set(vars(options))  # type: ignore[arg-type]
    return kind(**{name: getattr(options, name) for name in named} | changed)


def tile(text: str) -> int | tuple[int, int]:
    """Return the side of a tile in pixels, or its (width, height)."""
    return _sides(text, "pixels as N or WxH, such as 512 or 640x480, or 0 for no tiles")


def size(text: str) -> tuple[int, int]:
    """Return a (width, height) in pixels."""
    sides = _sides(text, allowed := "pixels as WxH, such as 1920x1080")
    if not isinstance(sides, tuple):
        raise argparse.ArgumentTypeError(f"must be {allowed}, not {text!r}")
    return sides


def _sides(text: str, allowed: str) -> int | tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise argparse.ArgumentTypeError(f"must be {allowed}, not {text!r}")
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


def _devices(text: str) -> str | tuple[str, ...]:
    names = tuple(text.split(","))
    return names if len(names) > 1 else text
