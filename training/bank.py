"""Banks: samples made beforehand, so that training spends next to nothing on them.

    python -m training.bank --shots DATASET [--photos FOLDER] --out BANK --samples N [--synthetic 0.3] ...

Each is a window larger than a crop, with DIS flow found on whole frames, as the filter finds it. Where in the window
the crop lies, flips, transposition, time reversal and the order of the channels are drawn anew for every use.

Making a bank can be interrupted at any time; the same command goes on from there. With a larger N it adds samples to a
finished one. Settings other than N and the number of processes must be the same.
"""

import argparse
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from training.arguments import whole
from training.data.augment import Window, augmented, cropped, pseudo_label, to_sample
from training.data.banks.files import FORMAT, BankReader, BankWriter, Entry, from_steps, read_manifest
from training.data.banks.maker import BankMaker, BankSettings
from training.data.batch import Sample, generator
from training.data.pair_flow import Picture
from training.data.shots import Shot, open_photos, open_shots
from training.data.synthetic_samples import truth
from training.data.triplet_choice import Times
from training.errors import DatasetError, TrainingError
from vsrrin.errors import VsrrinError
from vsrrin.flow.dis import PRESETS

_DRAWN, _ORDER = 4, 5
"""Tell the random numbers of this source from those of others with the same seed."""
_SAVE_SECONDS = 15.0
_AHEAD = 2
"""Jobs waiting for each process."""
_SPARSE = 8
"""Of so many pixels of flow, in each direction, one is looked at for the motion of a window."""
_MOST = 0.9
_DOUBLINGS = 16
"""After which motion is limited no more."""


@dataclass(frozen=True)
class GrowingMotion:
    """The motion of windows that are taken, which grows during a run: what moves a little is learned first.

    Attributes:
        first: Pixels that nine tenths of a window move at most, at the beginning.
        doubles: Samples in which that doubles; 0 if it stays.
    """

    first: float
    doubles: int = 0

    def limit(self, index: int) -> float:
        """For the sample of a number."""
        return self.first * 2.0 ** min(index / self.doubles, _DOUBLINGS) if self.doubles else self.first


class BankSource:
    """Samples of a bank: all of them in every epoch, each time in another order and changed in another way.

    Args:
        path: The folder of the bank.
        crop: Side of a sample, pixels, even.
        seed: Sources of different seeds draw differently.
        times: ``middle`` for networks that make the middle frame only, for which a bank must have been made.
        motion: Which windows to take by their motion; all if None, else each is drawn by itself.

    Raises:
        DatasetError: There is no bank, it is not finished, or its windows, times or motion do not fit.
    """

    def __init__(
        self, path: Path, *, crop: int, seed: int, times: Times = "any", motion: GrowingMotion | None = None
    ) -> None:
        self.path = path
        self.times = times
        self.crop = crop
        self.seed = seed
        self.motion = motion
        self._bank = BankReader(path)
        smallest = int(min(self._bank.index["height"].min(), self._bank.index["width"].min()))
        if smallest < crop:
            raise DatasetError(
                f"the bank {path} has windows of {smallest} pixels, less than a crop of {crop}; "
                f"make one with --crop {crop}, or use smaller crops"
            )
        if times == "middle" and np.any(self._bank.index["t"] != 0.5):
            raise DatasetError(f"the bank {path} has other times than 1/2; make one with --times middle")
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))
        self._by_motion, self._motions = self._sorted_by_motion() if motion else (self._order[1], np.empty(0))

    def __reduce__(self) -> tuple[partial["BankSource"], tuple[Path]]:
        made = partial(BankSource, crop=self.crop, seed=self.seed, times=self.times, motion=self.motion)
        return made, (self.path,)  # not the maps

    def __len__(self) -> int:
        return len(self._bank)

    def sample(self, index: int) -> Sample:
        """The sample of a number; see :class:`training.data.batch.Source`."""
        rng = generator(self.seed, _DRAWN, index)
        entry = self._bank.entry(self._number(index))
        return to_sample(augmented(entry_window(entry, self.crop, rng), self.crop, rng))

    def _number(self, index: int) -> int:
        """Which sample of the bank it is."""
        if self.motion is not None:
            fitting = np.searchsorted(self._motions, self.motion.limit(index), "right")
            return int(self._by_motion[generator(self.seed, _ORDER, index).integers(fitting)])
        epoch, at = divmod(index, len(self))
        if self._order[0] != epoch:
            self._order = epoch, generator(self.seed, _ORDER, epoch).permutation(len(self))
        return int(self._order[1][at])

    def _sorted_by_motion(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Numbers of samples by their motion, and the motion of each."""
        assert self.motion is not None
        motions = np.array([_motion(self._bank.entry(number)) for number in range(len(self))])
        order = np.argsort(motions, kind="stable")
        if motions[order[0]] > self.motion.first:
            raise DatasetError(
                f"data.motion is {self.motion.first:g} pixels, and what moves least in the bank {self.path} moves "
                f"{motions[order[0]]:.1f}; give a larger one"
            )
        return order, motions[order]


def _motion(entry: Entry) -> float:
    """Length of DIS flow that nine tenths of a window do not exceed, pixels of full size."""
    flow = 2 * from_steps(entry.flow[::_SPARSE, ::_SPARSE])
    return float(np.quantile(np.hypot(flow[..., 0::2], flow[..., 1::2]), _MOST))


def entry_window(entry: Entry, side: int, rng: np.random.Generator) -> Window:
    """A random square of a sample of a bank."""
    height, width = entry.frames.shape[1:3]
    top, left = (2 * int(rng.integers((size - side) // 2 + 1)) for size in (height, width))
    t, flow = float(entry.record["t"]), from_steps(entry.flow)
    if entry.owners is None:
        return cropped(Window(entry.frames, t, flow, *pseudo_label(flow)), top, left, side, side)
    rows, columns = slice(top, top + side), slice(left, left + side)
    half = slice(top // 2, (top + side) // 2), slice(left // 2, (left + side) // 2)
    exact = truth(entry.owners[rows, columns], entry.record["moves"][:, : entry.record["layers"]], left, top)
    return Window(entry.frames[:, rows, columns], t, flow[half], *exact)


# --- making ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """Where the pictures of a bank come from."""

    shots: tuple[Path, ...] = ()
    """Datasets, see :func:`training.data.shots.open_shots`."""
    photos: Path | None = None
    """Folder of textures."""

    def open(self) -> tuple[list[Shot], Sequence[Picture]]:
        """The shots and the photos."""
        shots = [shot for path in self.shots for shot in open_shots(path).shots]
        return shots, [] if self.photos is None else open_photos(self.photos)

    def licences(self) -> dict[str, int]:
        """How many shots there are of each licence."""
        counts: Counter[str] = Counter()
        for path in self.shots:
            counts.update(open_shots(path).licences)
        return dict(counts)


def make_bank(folder: Path, samples: int, settings: BankSettings, data: Data, processes: int = 1) -> Iterator[int]:
    """Make a bank, or go on with one.

    Args:
        folder: Of the bank.
        samples: How many it shall have.
        settings: What it is made of.
        data: Where its pictures come from.
        processes: That work at the same time; the result does not depend on it.

    Yields:
        How many samples there are, every time some are finished.

    Raises:
        DatasetError: Data is missing, or there is a bank of other settings in the folder.
    """
    maker = BankMaker(settings, *data.open())
    manifest = _begin(folder, samples, settings, maker) | {"licences": data.licences()}
    size = settings.per_pair
    first, last = manifest["done"] // size, -(-manifest["samples"] // size)
    jobs = (
        map(maker.job, range(first, last)) if processes == 1 else _spread(settings, data, range(first, last), processes)
    )
    with BankWriter(folder, settings.window) as writer:
        writer.save(manifest)
        saved = time.monotonic()
        yield manifest["done"]
        for number, entries in enumerate(jobs, first):
            for at, entry in enumerate(entries[: samples - number * size], number * size):
                writer.put(at, entry)
            manifest["done"] = min((number + 1) * size, manifest["samples"])
            if number + 1 == last or time.monotonic() - saved > _SAVE_SECONDS:
                writer.save(manifest)
                saved = time.monotonic()
            yield manifest["done"]


def _begin(folder: Path, samples: int, settings: BankSettings, maker: BankMaker) -> dict[str, Any]:
    """The manifest to go on from."""
    given = asdict(settings)
    sources = {
        "shots": [[shot.name, shot.frames, shot.width, shot.height] for shot in maker.shots],
        "photos": len(maker.photos),
    }
    old = read_manifest(folder)
    if old is None:
        return {"format": FORMAT, "samples": samples, "done": 0, "settings": given, "sources": sources}
    known = asdict(BankSettings()) | old["settings"]
    differing = [f"{name} = {known[name]}, not {given[name]}" for name in given if given[name] != known[name]]
    if old.get("sources") != sources:
        differing.append("other shots or photos")
    if differing:
        raise DatasetError(
            f"the bank {folder} was begun with {', '.join(differing)}; "
            f"give what it was begun with, or another folder for --out"
        )
    return old | {"samples": max(samples, old["done"])}


def _spread(settings: BankSettings, data: Data, numbers: range, processes: int) -> Iterator[list[Entry]]:
    """The results of jobs, in order, made by several processes."""
    # Spawned: a fork would inherit threads that are not there.
    with ProcessPoolExecutor(processes, get_context("spawn"), _start, (settings, data)) as pool:
        waiting: deque[Future[list[Entry]]] = deque()
        try:
            for number in numbers:
                waiting.append(pool.submit(_work, number))
                if len(waiting) > _AHEAD * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


_maker: BankMaker | None = None
"""That of a process of `_spread`."""


def _start(settings: BankSettings, data: Data) -> None:
    global _maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _maker = BankMaker(settings, *data.open())


def _work(number: int) -> list[Entry]:
    if _maker is None:
        raise TrainingError("a process that makes samples was not started as it must be")
    return _maker.job(number)


# --- the command -----------------------------------------------------------------------------------------------------


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    known = BankSettings()
    parser = argparse.ArgumentParser(
        prog="python -m training.bank", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--shots", type=Path, nargs="+", default=[], metavar="DATASET", help="made by training.prepare, or others")
    add("--photos", type=Path, metavar="FOLDER", help="pictures, textures of synthetic motion")
    add("--out", type=Path, required=True, metavar="BANK", help="folder of the bank")
    add("--samples", type=whole(1), required=True, metavar="N", help="how many")
    add("--window", type=_even, default=known.window, help="side of the windows (%(default)s)")
    add("--crop", type=_even, default=known.crop, help="largest crop that will be taken (%(default)s)")
    add("--synthetic", type=_share, default=None, help="share of synthetic motion (0.3, without photos 0)")
    add("--largest-gap", type=whole(2), default=known.largest_gap, help="frames from left to right (%(default)s)")
    add("--times", choices=("any", "middle"), default=known.times, help="place of the true frame (%(default)s)")
    add("--candidates", type=whole(1), default=known.candidates, help="pairs looked at for one (%(default)s)")
    add("--hard", type=_share, default=known.hard, help="how often the hardest is taken (%(default)s)")
    add("--per-pair", type=whole(1), default=known.per_pair, help="windows of a pair (%(default)s)")
    add("--flow-preset", choices=tuple(PRESETS), default=known.flow_preset, help="of DIS flow (%(default)s)")
    add("--flow-scale", type=_scale, default=known.flow_scale, help="size of its pictures (%(default)s)")
    add("--seed", type=whole(0), default=known.seed, help="%(default)s")
    add("--processes", type=whole(1), default=1, help="that work at the same time (%(default)s)")
    options = parser.parse_args(arguments)
    if options.synthetic is None:
        options.synthetic = 0.0 if options.photos is None else known.synthetic
    if options.synthetic < 1 and not options.shots:
        parser.error("--shots is missing: give datasets, or --synthetic 1 and --photos")
    if options.synthetic > 0 and options.photos is None:
        parser.error("--photos is missing: give a folder of pictures, or --synthetic 0")
    if options.window < options.crop:
        parser.error(f"--window must be at least --crop, {options.crop}, not {options.window}")
    return options


def _even(text: str) -> int:
    value = int(text)
    if value < 16 or value % 2:
        raise argparse.ArgumentTypeError(f"must be even and at least 16, not {value}")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to 1, not {value}")
    return value


def _scale(text: str) -> float:
    value = float(text)
    if not 0.25 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0.25 to 1, not {value}")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a bank as the command line says; the exit status."""
    options = parse(arguments)
    settings = BankSettings(**{field.name: getattr(options, field.name) for field in fields(BankSettings)})
    data = Data(tuple(options.shots), options.photos)
    began, start, shown = time.monotonic(), None, 0.0
    try:
        for done in make_bank(options.out, options.samples, settings, data, options.processes):
            now = time.monotonic()
            start = done if start is None else start
            if now - shown > 5 or done == options.samples:
                rate = (done - start) / max(now - began, 1e-9)
                print(f"{done} of {options.samples} samples, {rate:.1f} a second", file=sys.stderr, flush=True)
                shown = now
    except VsrrinError as error:
        print(f"training.bank: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"training.bank: {error}; the same command goes on from what is finished", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("training.bank: interrupted; the same command goes on from what is finished", file=sys.stderr)
        return 130
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
