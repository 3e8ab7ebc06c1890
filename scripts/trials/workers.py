"""Processes that do one task after another, as loading PyTorch and VapourSynth for each would take seconds."""

import faulthandler
import multiprocessing
import os
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from psutil import Process

_MIB = 2**20
_TASKS = 200
"""Tasks after which a process is replaced by a new one."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one task.

    Attributes:
        result: What it returned; ``None`` if it failed.
        failure: "hang", "crash: SIGNAL", or the traceback of what it raised; empty if it returned.
        mib: Most memory that the process has had while it ran, 0 if it died.
    """

    result: Any = None
    failure: str = ""
    mib: int = 0


class Worker:
    """A process that does one task after another, and is replaced by another when it dies or hangs.

    Args:
        task: A function of a module; it gets what `run` is given.
        patience: Seconds of computing that a task may take, and a tenth of those that may pass meanwhile.
        most: MiB of its own data that a process may have.
    """

    def __init__(self, task: Callable[..., Any], *, patience: float = 60, most: int = 6000) -> None:
        self._task, self._patience, self._most = task, patience, most
        self._process: Any = None
        self._left = 0

    def run(self, *arguments: Any) -> Outcome:
        """Return what becomes of the task with these arguments."""
        if not self._left:
            self._start()
        self._left -= 1
        self._pipe.send(arguments)
        if not self._answers():
            os.kill(self._process.pid, signal.SIGABRT)  # it tells where it is
            self._process.join(5)
            self.stop()
            return Outcome(failure=f"hang\n{self._said()}")
        try:
            outcome: Outcome = self._pipe.recv()
        except EOFError:
            self._process.join()
            self._left = 0
            return Outcome(failure=f"crash: status {self._process.exitcode}\n{self._said()}")
        return outcome

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._left = 0

    def _start(self) -> None:
        self.stop()
        self._log = tempfile.NamedTemporaryFile(prefix="vsrrin-trial-")  # noqa: SIM115
        self._pipe, theirs = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        self._process = spawn.Process(target=_serve, args=(theirs, self._task, self._most, self._log.name))
        self._process.start()
        theirs.close()
        self._pipe.recv()  # it has loaded everything
        self._left = _TASKS

    def _answers(self) -> bool:
        """Wait for the process, which may have to share the machine with others, and return whether it answers."""
        begun, before = time.monotonic(), self._computed()
        while not self._pipe.poll(1):
            if self._computed() - before > self._patience or time.monotonic() - begun > 10 * self._patience:
                return False
        return True

    def _computed(self) -> float:
        times = Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def _said(self) -> str:
        return Path(self._log.name).read_text(errors="replace")[-2000:]


def each[T](
    numbers: Iterable[int], one: Callable[[int, Worker], T], task: Callable[..., Any], *, workers: int
) -> Iterator[T]:
    """Yield what ``one`` returns for each number, in order, with several workers for the task side by side."""
    free: SimpleQueue[Worker] = SimpleQueue()
    made = [Worker(task) for _ in range(workers)]
    for worker in made:
        free.put(worker)

    def with_worker(number: int) -> T:
        worker = free.get()
        try:
            return one(number, worker)
        finally:
            free.put(worker)

    try:
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(with_worker, numbers)
    finally:
        for worker in made:
            worker.stop()


def _serve(pipe: Connection, task: Callable[..., Any], most: int, log: str) -> None:
    """Do tasks until nobody gives any."""
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_DATA, (most * _MIB, most * _MIB))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe.send("ready")
    with suppress(EOFError):
        while True:
            arguments = pipe.recv()
            os.ftruncate(output, 0)
            _forget_peak()
            try:
                outcome = Outcome(result=task(*arguments), mib=_peak())
            except BaseException:
                outcome = Outcome(failure=traceback.format_exc(), mib=_peak())
            pipe.send(outcome)


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Return the peak of the resident memory since it was forgotten, in MiB."""
    status = Path("/proc/self/status").read_text()
    peak = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)
    return (peak or Process().memory_info().rss // 1024) // 1024
