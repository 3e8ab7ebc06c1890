"""The command ``vsrrin``: parsing and exit status; each command's arguments and printing are in a module of its own.

Exit status: 0 done; 1 it could not be done, the reason is on stderr; 2 wrong usage; 130 interrupted; 141 nobody reads
the output any more. Results go to stdout, everything else to stderr.
"""

import argparse
import os
import re
import signal
import sys
from collections.abc import Sequence

import vsrrin
from vsrrin.errors import ArgumentError, VsrrinError

from . import convert, doctor, models, preview

# Each adds its parser and sets `run`, a function from the parsed arguments to the exit status.
_COMMANDS = (convert.add, models.add, doctor.add, preview.add)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Those of the command line unless given.

    Returns:
        The exit status.
    """
    try:
        try:
            options = _parser().parse_args(arguments)
            status: int = options.run(options)
        finally:
            if sys.stdout is not None:  # it is None where the caller closed it
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vsrrin", description=vsrrin.__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"vsrrin {vsrrin.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in _COMMANDS:
        add(commands)
    return parser


def _forget_output() -> None:
    """Lead stdout nowhere: what is still buffered would fail again when the interpreter exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(error: Exception, status: int) -> int:
    # What a function takes as overwrite=True, a command takes as --overwrite.
    text = re.sub(r"\b([a-z_]+)=True\b", lambda found: f"--{found[1].replace('_', '-')}", str(error))
    print(f"vsrrin: {text}", file=sys.stderr)
    return status
