"""The command ``vsrrin``: parsing and exit status; each command's arguments and printing are in a module of its own.

Exit status: 0 done; 1 it could not be done, the reason is on stderr; 2 wrong usage; 130 interrupted; 141 nobody reads
the output any more. Results go to stdout, everything else to stderr.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOBase, TextIOWrapper, UnsupportedOperation

import vsrrin
from vsrrin.errors import ArgumentError, VsrrinError

from . import convert, damage, doctor, models, preview, tune
from .arguments import in_flags

# Each adds its parser and sets `run`, a function from the parsed arguments to the exit status.
_COMMANDS = (convert.add, damage.add, models.add, doctor.add, preview.add, tune.add)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Those of the command line unless given.

    Returns:
        The exit status.
    """
    _fill_closed()
    if sys.stdout is None:  # the caller closed it
        sys.stdout = _ClosedOutput()
    elif isinstance(sys.stdout, TextIOWrapper):  # names of files may hold what a terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            options = _parser().parse_args(arguments)
            status: int = options.run(options)
        finally:
            sys.stdout.flush()
    except ArgumentError as error:
        return _fail(error, 2)
    except VsrrinError as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        _forget_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        _forget_output()
        return _fail(error, 1)
    return status


def _fill_closed() -> None:
    """Open nothing in place of closed standard streams: the next file opened would get what libraries write to them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


class _Parser(argparse.ArgumentParser):
    """Parser that refuses unknown arguments itself, with its own usage: that of a command, not of the whole program."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        found, unknown = super().parse_known_args(args, namespace)
        # Names after a flag are left over where any number of names may come.
        marked = unknown.index("--") if "--" in unknown else len(unknown)
        if unknown and (not hasattr(found, "paths") or any(text.startswith("-") for text in unknown[:marked])):
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        if unknown:
            found.paths += [*unknown[:marked], *unknown[marked + 1 :]]
        return found, []


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(prog="vsrrin", description=vsrrin.__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"vsrrin {vsrrin.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in _COMMANDS:
        add(commands)
    return parser


class _ClosedOutput(TextIOBase):
    """A closed stdout; Python itself would drop in silence what is printed to it."""

    def write(self, text: str) -> int:
        raise VsrrinError("stdout, where the result goes, is closed: lead it to a file or to a terminal")


def _forget_output() -> None:
    """Lead stdout nowhere: what is still buffered would fail again when the interpreter exits."""
    with suppress(UnsupportedOperation):  # it is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(error: Exception, status: int) -> int:
    if sys.stderr is not None:
        print(f"vsrrin: {in_flags(str(error))}", file=sys.stderr)
    return status
