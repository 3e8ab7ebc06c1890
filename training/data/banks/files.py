"""File format of a bank: windows of frames with their flow, in slots of fixed size for random access.

::

    manifest.json   what the bank is and how it was made; how many samples are finished
    frames.bin      a slot for each sample: (3, h, w, 3) uint8, at the times 0, t and 1
    flow.bin        (h/2, w/2, 4) int16, 1/64 pixel of half the size
    owners.bin      synthetic samples: (h, w, 2) uint8, whose the pixels are at the times 0 and 1; else a hole
    index.bin       `RECORD` each

Frames of synthetic motion have exact flow: it follows from ``owners`` and the motion of each layer in the index.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from training.errors import DatasetError
from vsrrin import files

FORMAT = 2
"""Goes up too when flow is found in another way: a bank must not go on with samples of two kinds."""
LAYERS = 5
"""Largest number of layers in a synthetic scene."""
_UNIT = 64
"""Steps of flow in a pixel of half the size: the error is below 1/128, the range 512 pixels of half the size."""
_MANIFEST = "manifest.json"
_NAMES = ("frames", "flow", "owners", "index")

RECORD = np.dtype(
    [
        ("t", "<f8"),
        ("error", "<f4"),  # mean, of plain interpolation with this flow, at half size; 1 from black to white
        ("height", "<u2"),
        ("width", "<u2"),
        ("shot", "<i4"),  # number in the manifest's list; -1 for synthetic
        ("start", "<i4"),
        ("gap", "<u2"),
        ("middle", "<u2"),
        ("top", "<u2"),
        ("left", "<u2"),
        ("layers", "<i4"),  # of a synthetic scene
        ("moves", "<f4", (2, LAYERS, 2, 3)),  # of the layers, see training.data.synthetic_samples.truth
    ]
)


@dataclass(frozen=True, slots=True)
class Entry:
    """Sample of a bank as it is stored."""

    record: np.void
    """Line of the index, of the type `RECORD`."""
    frames: NDArray[np.uint8]
    """(3, h, w, 3)."""
    flow: NDArray[np.int16]
    """(h/2, w/2, 4), see `to_steps`."""
    owners: NDArray[np.uint8] | None
    """(h, w, 2); None if the flow is not exact."""


def record(**values: Any) -> np.void:
    """Return a line of the index; fields that are not given are 0."""
    line: np.void = np.zeros(1, RECORD)[0]
    for name, value in values.items():
        line[name] = value
    return line


def to_steps(flow: NDArray[np.float32]) -> NDArray[np.int16]:
    """Convert flow to the stored form."""
    return np.clip(np.rint(flow * np.float32(_UNIT)), -32768, 32767).astype(np.int16)


def from_steps(steps: NDArray[np.int16]) -> NDArray[np.float32]:
    """Convert stored flow back to pixels."""
    flow: NDArray[np.float32] = steps.astype(np.float32)
    flow *= np.float32(1 / _UNIT)
    return flow


def slots(window: int) -> dict[str, int]:
    """Return the bytes of a sample in each file, for windows of that side."""
    area = window * window
    return {"frames": 9 * area, "flow": 2 * area, "owners": 2 * area, "index": RECORD.itemsize}


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a bank, or None if there is none.

    Raises:
        DatasetError: It cannot be read, or is of another format.
    """
    path = folder / _MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
        found = manifest["format"], manifest["samples"], manifest["done"], manifest["settings"]["window"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} is not the manifest of a bank ({error!r}); make the bank anew") from None
    if found[0] != FORMAT:
        raise DatasetError(f"{path} is of format {found[0]}, this version reads {FORMAT}; make the bank anew")
    return manifest


class BankWriter:
    """Writer of a bank; only what `save` has confirmed counts.

    Args:
        folder: Folder of the bank; made if it is missing.
        window: Side of the largest windows, in pixels.
    """

    def __init__(self, folder: Path, window: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._slots = slots(window)
        # Not through maps: on a full disk those end the process.
        self._files = {
            name: os.open(folder / f"{name}.bin", os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
            for name in _NAMES
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self._files.values():
            os.close(number)

    def put(self, number: int, entry: Entry) -> None:
        """Write a sample."""
        parts = {"frames": entry.frames, "flow": entry.flow, "index": np.asarray(entry.record)}
        if entry.owners is not None:
            parts["owners"] = entry.owners
        for name, part in parts.items():
            view, at = memoryview(np.ascontiguousarray(part)).cast("B"), number * self._slots[name]
            while len(view):
                written = os.pwrite(self._files[name], view, at)
                view, at = view[written:], at + written

    def save(self, manifest: dict[str, Any]) -> None:
        """Flush what was written and confirm it by replacing the manifest."""
        for name, number in self._files.items():
            size = manifest["samples"] * self._slots[name]
            if os.fstat(number).st_size < size:
                os.ftruncate(number, size)
            os.fsync(number)
        files.write(self._folder / _MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode(), DatasetError)


class BankReader:
    """Reader of a finished bank, memory-mapped so that only the samples in use are read.

    Args:
        folder: Folder of the bank.

    Raises:
        DatasetError: There is no bank, it is not finished, or a file is too short.
    """

    def __init__(self, folder: Path) -> None:
        manifest = read_manifest(folder)
        if manifest is None:
            raise DatasetError(f"{folder} holds no bank; make one with python -m training.bank --out {folder}")
        self.manifest = manifest
        samples, done = manifest["samples"], manifest["done"]
        if done < samples:
            raise DatasetError(
                f"the bank {folder} is not finished, it has {done} of {samples} samples; "
                f"give the command that makes it again, it goes on from there"
            )
        sizes = slots(manifest["settings"]["window"])
        for name, size in sizes.items():
            path = folder / f"{name}.bin"
            found = path.stat().st_size if path.is_file() else 0
            if found < samples * size:
                raise DatasetError(f"{path} has {found} bytes, {samples * size} belong to it; make the bank anew")
        self.index: NDArray[np.void] = np.fromfile(folder / "index.bin", RECORD, samples)
        self._maps = {
            name: np.asarray(np.memmap(folder / f"{name}.bin", np.uint8, "r", shape=(samples, sizes[name])))
            for name in ("frames", "flow", "owners")
        }

    def __len__(self) -> int:
        return len(self.index)

    def entry(self, number: int) -> Entry:
        """Return a sample; its arrays are views of the files."""
        line = self.index[number]
        height, width = int(line["height"]), int(line["width"])
        area = height * width
        owners = self._maps["owners"][number, : 2 * area].reshape(height, width, 2) if line["layers"] else None
        return Entry(
            record=line,
            frames=self._maps["frames"][number, : 9 * area].reshape(3, height, width, 3),
            flow=self._maps["flow"][number, : 2 * area].view(np.int16).reshape(height // 2, width // 2, 4),
            owners=owners,
        )
