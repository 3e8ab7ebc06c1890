"""Peak memory of the running process."""

import contextlib
import resource
import sys
from pathlib import Path

# ru_maxrss is in kilobytes, on macOS in bytes.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def own_peak() -> int:
    """Return the peak resident bytes of this process."""
    try:
        # Linux hands ru_maxrss down from the process that started this one, so that it would be the larger of both.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def reset_peak() -> None:
    """Make `own_peak` begin again from what is resident now; only Linux can, elsewhere nothing happens."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
