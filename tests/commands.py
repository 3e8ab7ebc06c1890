"""The command `vsrrin` as a function: a process of its own takes seconds to start, most of them to load PyTorch."""

import io
from collections.abc import Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

from vsrrin.cli import main


def vsrrin_command(arguments: Sequence[str | Path], folder: Path | None = None) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of the command with these arguments, in a folder or the current one."""
    out, err = io.StringIO(), io.StringIO()
    with chdir(folder or "."), redirect_stdout(out), redirect_stderr(err):
        try:
            status = main.main([str(argument) for argument in arguments])
        except SystemExit as stopped:  # how the parser ends with help, or with what is wrong
            status = stopped.code if isinstance(stopped.code, int) else 0
    return status, out.getvalue(), err.getvalue()
