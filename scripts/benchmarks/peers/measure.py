"""Run of the benchmark, with every method in a process of its own; the methods take turns."""

import argparse
import pickle
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import fmean

import psutil

from scripts.benchmarks.clips import Source, size_of, write_source

from .machine import machine
from .process import Process, WorkerError
from .results import LIBRARIES, Cell, Quality, Results

_LEAST_FREE = 0.2
"""Part of the memory below which workers do not stay alive between rounds."""


class Benchmark:
    """One run, which keeps in ``results`` what it found."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options, self._folder = options, folder
        self.results = Results(machine=machine())

    def measure(self) -> None:
        """Measure everything that was asked for."""
        options = self._options
        processes = {name: Process(name, self._folder) for name in options.methods}
        try:
            if options.rounds:
                for size in options.sizes:
                    self._measure_size(size, processes)
                    if size != options.sizes[-1] or not options.quality:
                        close(processes)
            if options.quality:
                self._measure_quality(processes)
        finally:
            close(processes)

    # --- times -----------------------------------------------------------------------------------------------------

    def _measure_size(self, size: str, processes: dict[str, Process]) -> None:
        options, (width, height) = self._options, size_of(size)
        source = write_source(options.clip, self._folder / f"{size}.yuv", (width, height), options.frames)
        cells = [
            Cell(method=name, size=size, width=width, height=height, factor=factor)
            for name in options.methods
            for factor in options.factors
        ]
        self.results.cells += cells
        limits = {library: Process(f"rate:{library}", self._folder) for library in LIBRARIES if options.limits}
        for number in range(options.rounds):
            self._measure_rates(limits)
            turn = number % len(options.methods)
            for name in options.methods[turn:] + options.methods[:turn]:
                for cell in cells:
                    if cell.method == name and not cell.problem:
                        self._measure_cell(cell, source, processes[name])
                if psutil.virtual_memory().available < _LEAST_FREE * psutil.virtual_memory().total:
                    processes[name].close()
            self._save(f"{size}: round {number + 1} of {options.rounds} done")
        close(limits)
        if options.limits:
            for cell in cells:
                if cell.runs:
                    self._try(cell, partial(self._count, cell, source, processes[cell.method]))
            self._save(f"{size}: operations counted")

    def _measure_cell(self, cell: Cell, source: Source, process: Process) -> None:
        def run() -> None:
            options = self._options
            arguments = {"source": asdict(source), "factor": cell.factor}
            answer = process.ask("run", **arguments, frames=options.frames, seconds=options.seconds)
            cell.runs.append(answer)
            alone = process.ask("alone", **arguments)["alone"] if cell.factor == min(options.factors) else None
            if alone is not None:
                cell.alone.append(alone)
            log(f"{cell.size} x{cell.factor} {cell.method}: {answer['seconds'] / max(answer['new'], 1):.4f} s")

        self._try(cell, run)

    def _count(self, cell: Cell, source: Source, process: Process) -> None:
        cell.flop = process.ask("flop", source=asdict(source), factor=cell.factor)["flop"]

    def _try(self, cell: Cell, run: Callable[[], None]) -> None:
        try:
            run()
        except WorkerError as error:
            cell.problem = str(error)
            log(f"{cell.size} x{cell.factor} {cell.method}: {error}")

    def _measure_rates(self, limits: dict[str, Process]) -> None:
        for library, process in list(limits.items()):
            try:
                for precision, rate in process.ask("rate").items():
                    self.results.rates.setdefault(library, {}).setdefault(precision, []).append(rate)
            except WorkerError as error:
                log(f"convolutions in {library}: {error}")
                del limits[library]

    # --- quality ---------------------------------------------------------------------------------------------------

    def _measure_quality(self, processes: dict[str, Process]) -> None:
        from training.measure.score_tables import read_csv
        from training.measure.triplets import triplets

        path, csv = self._folder / "triplets.pickle", self._folder / "scores.csv"
        found = triplets(self._options.val, limit=self._options.limit)
        for triplet in found:
            _ = triplet.motion  # found once, and kept in what the workers get
        path.write_bytes(pickle.dumps(found))
        for name, process in processes.items():
            self.results.quality[name] = quality = Quality()
            try:
                if process.ask("score", triplets=str(path), csv=str(csv))["scored"]:
                    scores = read_csv(csv)
                    quality.psnr, quality.ssim = (fmean(getattr(s, what) for s in scores) for what in ("psnr", "ssim"))
                    quality.triplets = len(scores)
            except WorkerError as error:
                quality.problem = str(error)
            process.close()
            self._save(f"quality of {name}: {quality.psnr or quality.problem or 'not measured, random weights'}")

    def _save(self, what: str) -> None:
        self.results.save(self._options.out / "results.json")
        log(what)


def close(processes: dict[str, Process]) -> None:
    """End workers."""
    for process in processes.values():
        process.close()


def log(text: str) -> None:
    """Write progress to stderr."""
    print(text, file=sys.stderr, flush=True)
