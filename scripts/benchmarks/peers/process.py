"""Handle on a worker (:mod:`.worker`)."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts.benchmarks.clips import ROOT


class WorkerError(Exception):
    """The worker could not do what it was asked, or has ended."""


class Process:
    """Worker, started by the first question."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self._folder = name, folder
        self._process: subprocess.Popen[str] | None = None

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Return the worker's answer to a command.

        Raises:
            WorkerError: It says that it cannot, or it ended.
        """
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.close()
            raise WorkerError(f"the process ended with status {process.returncode}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def close(self) -> None:
        """End the worker; the next question starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.communicate()  # closes stdin, which ends it

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None:
            paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scripts.benchmarks.peers.worker", self.name, str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            )
        return self._process
