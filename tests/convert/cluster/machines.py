"""A cluster on this machine: its scheduler and its workers are processes of their own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsrrin.convert.cluster.crew import Crew
from vsrrin.convert.prepare import Settings
from vsrrin.convert.run import Progress, Result, run
from vsrrin.convert.source import ClipSource
from vsrrin.convert.video import VideoConversion

_LONGEST = 200
"""Seconds that a process may take to start, on a machine that does other things, too."""
_ALONE = ("--no-dashboard", "--host", "127.0.0.1")


class Machines:
    """A scheduler, and workers that are started one by one.

    Args:
        folder: Folder for what they write.

    Attributes:
        folder: The folder.
        address: Address of the scheduler.
        workers: Processes of the workers, by their names.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.scheduler = self._start("scheduler", "--port", "0")
        try:
            said = self._wait(self.scheduler, "scheduler", r"Scheduler at: +(\S+)\n")
        except BaseException:
            self.end()
            raise
        self.address = said[1]

    def begin(self, *names: str, preload: str = "", **options: Any) -> None:
        """Start workers of one core, and wait for them."""
        for name in names:
            (self.folder / f"{name}.py").write_text(preload)
            self.workers[name] = self._start(
                "worker",
                *(self.address, "--no-nanny", "--nthreads", "1", "--memory-limit", "0", "--name", name),
                *("--local-directory", str(self.folder / name), "--preload", str(self.folder / f"{name}.py")),
                name=name,
                **options,
            )
        for name in names:
            self._wait(self.workers[name], name, "Registered to")

    def kill(self, name: str) -> None:
        """Kill a worker."""
        _end(self.workers.pop(name))

    def end(self) -> None:
        """Kill all of them."""
        for process in (*self.workers.values(), self.scheduler):
            _end(process)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.txt"

    def _start(self, kind: str, *arguments: str, name: str = "", **options: Any) -> subprocess.Popen[bytes]:
        with self._log(name or kind).open("wb") as log:
            command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *_ALONE, *arguments]
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)

    def _wait(self, process: subprocess.Popen[bytes], name: str, pattern: str) -> re.Match[str]:
        """Wait until a process says something."""
        end = time.monotonic() + _LONGEST
        while (found := re.search(pattern, said := self._log(name).read_text(errors="replace"))) is None:
            assert process.poll() is None and time.monotonic() < end, said
            time.sleep(0.05)
        return found


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(60)


def convert_there(
    machines: Machines | str,
    settings: Settings,
    *,
    progress: Callable[[Progress], None] | None = None,
    said: list[str] | None = None,
    images: ClipSource | None = None,
    **options: Any,
) -> Result:
    """Convert with the workers of a cluster."""
    said = [] if said is None else said
    address = machines if isinstance(machines, str) else machines.address
    with Crew(address, say=said.append, **options) as crew:
        conversion = VideoConversion(settings, images)
        crew.take(conversion, Fraction(24))
        return run(conversion, progress=progress, say=said.append)


def frames_of(path: Path) -> str:
    """Times and hashes of all decoded frames and of all sound."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-map", "0", "-f", "framemd5", "-"]
    return subprocess.run(command, capture_output=True, check=True, timeout=60, text=True, env=os.environ).stdout
