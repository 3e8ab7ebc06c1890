"""Stand-ins for the programs of a machine, for the tests of the set-up scripts."""

from __future__ import annotations

import shutil
from pathlib import Path

TOOLS = (
    *("sh", "cat", "chmod", "cut", "date", "dirname", "flock", "mkdir", "ls"),
    *("mktemp", "mv", "rm", "sleep", "sort", "tail", "tr"),
)


def write_program(path: Path, body: str) -> Path:
    """Write a shell script that can be run as `path`, and return `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def link_tools(folder: Path) -> Path:
    """Make `folder` a PATH folder with the few real programs the scripts use, and no Python."""
    folder.mkdir()
    for name in TOOLS:
        program = shutil.which(name)
        assert program is not None, f"{name} is not installed"
        (folder / name).symlink_to(program)
    return folder
