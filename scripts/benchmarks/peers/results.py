"""Results of the benchmark, kept as JSON, read again, summed up."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

LIBRARIES = ("torch", "openvino")
"""Libraries whose rate of convolutions is measured."""
CHANNELS, HEIGHT, WIDTH = 64, 240, 432
"""Size of the 3x3 convolutions whose rate is the limit."""


@dataclass(kw_only=True)
class Cell:
    """Times and memory of one method at one size with one factor.

    Attributes:
        method: Its name and options.
        size: Size as it was asked for.
        width: Width of the frames.
        height: Height of the frames.
        factor: Output frames per source frame.
        runs: The worker's answer in each round.
        alone: Seconds per frame of the bare network in each round; empty where there is none.
        flop: Operations of convolutions per new frame; ``None`` where there are none or it was not asked.
        problem: Why nothing was measured.
    """

    method: str
    size: str
    width: int
    height: int
    factor: int
    runs: list[dict[str, Any]] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    flop: float | None = None
    problem: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """Method, size and factor."""
        return self.method, self.size, self.factor

    @property
    def seconds(self) -> float | None:
        """Seconds per new frame, median of the rounds."""
        return median([run["seconds"] / run["new"] for run in self.runs if run["new"]])

    @property
    def spread(self) -> float | None:
        """Spread of the rounds: (longest - shortest) / median."""
        found = [run["seconds"] / run["new"] for run in self.runs if run["new"]]
        return (max(found) - min(found)) / statistics.median(found) if found else None

    @property
    def cpu(self) -> float | None:
        """Seconds of processor cores per new frame, median of the rounds."""
        return median([run["cpu"] / run["new"] for run in self.runs if run["new"]])

    @property
    def peak(self) -> int | None:
        """Peak bytes of all rounds."""
        return max((run["peak"] for run in self.runs), default=None)


@dataclass
class Quality:
    """Quality of one method over all triplets; ``None`` where it was not measured, for the reason in ``problem``."""

    psnr: float | None = None
    ssim: float | None = None
    triplets: int = 0
    problem: str = ""


@dataclass
class Results:
    """All results of a benchmark.

    Attributes:
        machine: Facts about the machine, by name.
        cells: Times and memory.
        quality: Quality by method.
        rates: Operations a second of convolutions in each round, by library, then precision.
    """

    machine: dict[str, str] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    quality: dict[str, Quality] = field(default_factory=dict)
    rates: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        cells = [Cell(**cell) for cell in data["cells"]]
        quality = {name: Quality(**found) for name, found in data["quality"].items()}
        return cls(data["machine"], cells, quality, data["rates"])

    def add(self, earlier: "Results") -> None:
        """Take over what an earlier run has and this one has not."""
        own = {cell.key for cell in self.cells}
        self.cells += [cell for cell in earlier.cells if cell.key not in own]
        self.quality = earlier.quality | self.quality
        self.rates = self.rates or earlier.rates
        self.machine = earlier.machine | self.machine

    def cell(self, method: str, size: str, factor: int) -> Cell | None:
        """Return the measured cell, if there is one."""
        found = (cell for cell in self.cells if cell.key == (method, size, factor) and cell.runs)
        return next(found, None)

    @property
    def methods(self) -> list[str]:
        """All methods, in order."""
        return list(dict.fromkeys([*(cell.method for cell in self.cells), *self.quality]))

    @property
    def sizes(self) -> list[str]:
        """All sizes, in order."""
        return list(dict.fromkeys(cell.size for cell in self.cells))

    def psnr(self, method: str) -> float | None:
        """Return the PSNR in dB, where measured."""
        return self.quality[method].psnr if method in self.quality else None

    @property
    def others(self) -> float | None:
        """Part of the processor that other programs used during the timed runs."""
        runs = [run for cell in self.cells for run in cell.runs]
        possible = sum(run["possible"] for run in runs)
        return sum(run["others"] for run in runs) / possible if possible else None

    def rate(self, precision: str | None = None) -> float | None:
        """Return the operations a second in the best library, with ``precision`` or with the better one."""
        found = [
            value
            for library in self.rates.values()
            for name, values in library.items()
            if precision in (None, name) and (value := median(values)) is not None
        ]
        return max(found, default=None)

    def share_of_limit(self, cell: Cell) -> float | None:
        """Return the time its convolutions would take at the machine's rate, as a share of the time it took."""
        precision = "fp32" if "precision=fp32" in cell.method or cell.method.endswith("-eager") else None
        rate = self.rate(precision)
        if not rate or not cell.flop or cell.seconds is None:
            return None
        return cell.flop / rate / cell.seconds


def median(values: Sequence[float]) -> float | None:
    """Return the median, or ``None`` where there is nothing."""
    return statistics.median(values) if values else None
