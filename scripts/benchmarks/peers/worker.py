"""Worker that runs one method in a process of its own, so that memory, caches and threads are its own.

    python -m scripts.benchmarks.peers.worker METHOD FOLDER

Reads one request a line from stdin, JSON with "command" and its arguments, and answers each with a line of JSON on
stdout: the result, or {"error": text}. Ends when stdin does. Started by :mod:`.process`.
"""

import json
import os
import pickle
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from scripts.benchmarks.clips import Source
from scripts.benchmarks.memory import own_peak, reset_peak

from .method import Method, UnavailableError
from .methods import make

_RATE = "rate:"
"""Beginning of a METHOD that measures how fast a library convolves; the library's name follows."""
_HOPELESS = 5
"""Multiple of the time allowed from which a first run is also the measure. Compiling, and measuring what is fastest
here, may well take longer than the run itself."""


class Worker:
    """Answers to requests; the public methods are the commands."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._made: Method | None = None
        self._rate: Any = None
        self._lengths: dict[tuple[str, int], int] = {}

    def run(self, source: dict[str, Any], factor: int, frames: int, seconds: float) -> dict[str, Any]:
        """Time one run, after one that warms up when it is the first with these arguments.

        Args:
            source: Fields of a `Source`.
            factor: Output frames per source frame.
            frames: Source frames at most.
            seconds: Time that a run should take at most, as long as it makes a frame at all.

        Returns:
            The fields of `Sample`; "frames", how many source frames it took; and of all processor cores together the
            seconds that were "possible" and that "others" used of them.
        """
        given = Source(**source)
        key = given.path, factor
        if key not in self._lengths:
            self._lengths[key] = self._length(given, factor, frames, seconds)
        length = self._lengths[key]
        reset_peak()
        before = _processor()
        sample = asdict(self._method.timed(given, length, factor))
        possible, others = (now - then for now, then in zip(_processor(), before, strict=True))
        peak = sample["peak"] or own_peak()
        return sample | {"frames": length, "peak": peak, "possible": possible, "others": max(others, 0.0)}

    def alone(self, source: dict[str, Any], factor: int) -> dict[str, Any]:
        """Return the seconds per frame of the bare network; "alone" is null where there is none."""
        given = Source(**source)
        return {"alone": self._method.alone(given, self._lengths.get((given.path, factor), 2))}

    def flop(self, source: dict[str, Any], factor: int) -> dict[str, Any]:
        """Return the operations per new frame."""
        return {"flop": self._method.flop(Source(**source), factor)}

    def score(self, triplets: str, csv: str) -> dict[str, Any]:
        """Measure quality on pickled triplets and write single results as `training.evaluate` does."""
        if not self._method.scored:
            return {"scored": False}
        from training.measure.comparison import measure
        from training.measure.score_tables import write_csv

        sources = pickle.loads(Path(triplets).read_bytes())
        write_csv(Path(csv), measure({self._name: self._method.picture}, sources, lambda line: None))
        return {"scored": True}

    def rate(self) -> dict[str, Any]:
        """Return the operations a second of convolutions, by precision."""
        if self._rate is None:
            from .limits import ConvolutionRate

            self._rate = ConvolutionRate(self._name.removeprefix(_RATE))
        return dict(self._rate.measure())

    @property
    def _method(self) -> Method:
        if self._made is None:
            self._made = make(self._name, self._folder)
        return self._made

    def _length(self, source: Source, factor: int, frames: int, seconds: float) -> int:
        """Return the number of source frames that take about the time allowed, found while warming up."""
        least = self._method.least_frames
        for _ in range(2):  # the first run compiles and loads
            begin = time.perf_counter()
            self._method.timed(source, least, factor)
            took = time.perf_counter() - begin
            if took > _HOPELESS * seconds:
                break
        return min(frames, max(least, least - 1 + int(seconds / took)))


def _processor() -> tuple[float, float]:
    """Return the seconds of all cores so far, and those of them that other processes used."""
    times = psutil.cpu_times()
    own = os.times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # contained in others
    return sum(times) - guest, sum(times) - guest - idle - sum(own[:4])


def main() -> None:
    """Answer until there are no more requests."""
    worker = Worker(sys.argv[1], Path(sys.argv[2]))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("command"))(**request)
        except UnavailableError as error:
            answer = {"error": str(error)}
        except Exception as error:
            traceback.print_exc()
            # Behind VapourSynth's callbacks a whole traceback comes as the text, the cause at its end.
            answer = {"error": (str(error).strip().splitlines() or [type(error).__name__])[-1]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
