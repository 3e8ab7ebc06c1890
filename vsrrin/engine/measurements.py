"""File in which measurements of this machine are kept, so that they are not made at every start."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import filelock
import platformdirs

from vsrrin.errors import VsrrinError
from vsrrin.files import write

_VERSION = 1
_MOST = 128
"""Entries kept; the oldest go first."""
_PATIENCE = 30
"""Seconds to wait for another process that measures."""

_NOT_KEPT = "what is fastest here is measured at every start, as {} cannot be written"

_log = logging.getLogger("vsrrin")


def path() -> Path:
    """Return the file."""
    return platformdirs.user_cache_path("vsrrin", appauthor=False, opinion=False) / "calibration.json"


@contextmanager
def alone() -> Iterator[None]:
    """Keep other processes out of the block, if the folder can be written; not to be nested."""
    with ExitStack() as held:
        try:
            path().parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(filelock.FileLock(f"{path()}.lock", timeout=_PATIENCE))
        except (OSError, filelock.Timeout):
            _once(_NOT_KEPT.format(path().parent))
        yield


def kept() -> dict[str, dict[str, object]]:
    """Return the entries by their names, the oldest first; none if the file is damaged."""
    try:
        content = json.loads(path().read_text(encoding="utf-8"))
        entries = content["entries"] if content["version"] == _VERSION else {}
        return {name: entry for name, entry in entries.items() if isinstance(entry, dict)}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        _once(f"{path()} is of no use and made anew: {error!r}")
        return {}


def keep(name: str, entry: Mapping[str, object]) -> None:
    """Write an entry, as JSON can hold it, in place of an older one of its name; within `alone`."""
    entries = kept()
    entries.pop(name, None)
    last = dict([*entries.items(), (name, dict(entry))][-_MOST:])
    try:
        write(path(), json.dumps({"version": _VERSION, "entries": last}, indent=1).encode())
    except (OSError, VsrrinError):
        _once(_NOT_KEPT.format(path().parent))


@cache
def _once(message: str) -> None:
    _log.info("%s", message)
