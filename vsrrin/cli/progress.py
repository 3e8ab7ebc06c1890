"""Messages and progress bar of ``vsrrin convert`` on stderr, and its log file."""

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from threading import RLock
from types import MappingProxyType, TracebackType
from typing import TextIO

from vsrrin.errors import ConvertError

from .arguments import in_flags

_WINDOW = 20.0
"""Seconds of work from which the speed is taken."""
_SHORTEST = 0.5
"""Seconds of work that tell a speed: the first frames may all be finished at once."""
_REDRAWN = 0.1
"""Seconds between two drawings of the bar."""
_TENTHS = 10
_ALONE: Mapping[str, float] = MappingProxyType({})
_LOG_HEAD = "# vsrrin log"


class Log:
    """A text file with a time before each message; it grows, and is never replaced.

    Args:
        path: The file; one that exists must be such a log.

    Raises:
        ConvertError: The file cannot be written, or is no log.
    """

    def __init__(self, path: Path) -> None:
        try:
            if path.exists() and path.stat().st_size:
                with path.open("rb") as file:
                    if file.read(len(_LOG_HEAD)) != _LOG_HEAD.encode():
                        raise ConvertError(f"--log {path} exists and is no log of vsrrin: give another name")
            self._file = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
        except OSError as error:
            raise ConvertError(f"--log {path} cannot be written: {error.strerror}") from error
        self._file.write(f"{_LOG_HEAD}\n")

    def write(self, message: str) -> None:
        """Add a message, with the time before each of its lines."""
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        for line in message.splitlines() or [""]:
            self._file.write(f"{now} {line}\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Reporter:
    """Messages on stderr and in the log, with a progress bar at the bottom where stderr is a terminal.

    Its methods may be called from any thread.

    Args:
        log: A log that gets all messages, too.
        quiet: Whether stderr gets none; errors are not its business.
        stream: A stream in place of stderr.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        log: Log | None = None,
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._log, self._clock = log, clock
        self._quiet = quiet or self._stream is None  # the caller closed stderr
        self._draws = not self._quiet and self._stream.isatty()
        self._bar = ""
        self._drawn = float("-inf")
        self._tenth = 0
        self._speed = _Speed()
        self._lock = RLock()

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._bar:
                self._write("\n")
                self._bar = ""
            if self._log is not None:
                if error is not None:
                    self._log.write(f"stopped: {str(error) or type(error).__name__}")
                self._log.close()
                self._log = None

    def restart(self) -> None:
        """Forget the progress, as other work begins."""
        with self._lock:
            self._tenth, self._speed = 0, _Speed()

    def say(self, message: str) -> None:
        """Tell the user something, with flags for arguments."""
        message = in_flags(message)
        with self._lock:
            self.note(message)
            if not self._quiet:
                self._write(f"{self._wipe()}vsrrin: {message}\n{self._bar}")

    def complain(self, message: str) -> None:
        """Tell the user of an error that does not stop the work."""
        quiet, self._quiet = self._quiet, self._stream is None
        self.say(message)
        self._quiet = quiet

    def note(self, message: str) -> None:
        """Write something to the log only."""
        with self._lock:
            if self._log is not None:
                self._log.write(message)

    def progress(
        self, done: int, total: int, *, cuts: int | None = None, resumed: int = 0, workers: Mapping[str, float] = _ALONE
    ) -> None:
        """Show the progress of the work.

        Args:
            done: Number of finished frames, those of earlier runs included.
            total: Number of output frames.
            cuts: Number of scene cuts found; ``None`` where nobody looks for any.
            resumed: Number of frames of earlier runs.
            workers: Frames per second of each worker, by its name.
        """
        with self._lock:
            now = self._clock()
            self._speed.add(now, done - resumed)
            text = _status(done, total, self._speed.fps(), cuts) + _each(workers)
            tenth = _TENTHS * done // total
            if tenth > self._tenth:
                self._tenth = tenth
                self.note(text)
                if not self._quiet and not self._draws:
                    self._write(f"vsrrin: {text}\n")
            if self._draws and (now - self._drawn >= _REDRAWN or done == total):
                wipe, self._drawn = self._wipe(), now
                self._bar = _with_bar(text, done, total, shutil.get_terminal_size((80, 24)).columns - 1)
                self._write(f"{wipe}{self._bar}")
                if done == total:  # it stays, and what follows is said below it
                    self._write("\n")
                    self._bar = ""

    def _wipe(self) -> str:
        return f"\r{' ' * len(self._bar)}\r" if self._bar else ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class _Speed:
    """Frames per second over the last seconds."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()

    def add(self, now: float, done: int) -> None:
        self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[1][0] > _WINDOW:
            self._marks.popleft()

    def fps(self) -> float | None:
        """Return frames per second, or ``None`` while there is nothing to tell it from."""
        (first, start), (last, end) = self._marks[0], self._marks[-1]
        return (end - start) / (last - first) if last - first >= _SHORTEST and end > start else None


def _status(done: int, total: int, fps: float | None, cuts: int | None) -> str:
    speed = "" if fps is None else f", {fps:.1f} fps, {_clock_time((total - done) / fps)} left"
    return f"{100 * done // total:3} %  {done} of {total} frames{speed}{'' if cuts is None else f', cuts: {cuts}'}"


def _each(workers: Mapping[str, float]) -> str:
    each = ", ".join(f"{name}: {fps:.1f} fps" for name, fps in workers.items())
    return f"; workers: {len(workers)} ({each})" if workers else ""


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _with_bar(text: str, done: int, total: int, width: int) -> str:
    room = min(width - len(text) - 3, 40)
    if room < 5:
        return text[: max(width, 0)]
    full = room * done // total
    return f"[{'#' * full}{'-' * (room - full)}] {text}"
