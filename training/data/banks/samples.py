"""Samples of a bank; crop, flips, time reversal and channel order are drawn anew for every use."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.augment import Window, augmented, cropped, pseudo_label, to_sample
from training.data.batch import Sample, generator
from training.data.synthetic_samples import truth
from training.data.triplet_choice import Times
from training.errors import DatasetError

from .files import BankReader, Entry, from_steps

_DRAWN, _ORDER = 4, 5
"""Purposes in the seed: keep the random numbers of this source apart from those of others."""
_SPARSE = 8
"""Step in pixels of flow between those looked at for the motion of a window."""
_MOST = 0.9
_DOUBLINGS = 16
"""After which motion is limited no more."""


@dataclass(frozen=True)
class GrowingMotion:
    """Limit to the motion of the windows in use, which grows during a run: small motion is learned first.

    Attributes:
        first: Pixels that nine tenths of a window move at most, at the beginning.
        doubles: Samples in which that doubles; 0 if it stays.
    """

    first: float
    doubles: int = 0

    def limit(self, index: int) -> float:
        """Return the limit for the sample of a number, in pixels."""
        return self.first * 2.0 ** min(index / self.doubles, _DOUBLINGS) if self.doubles else self.first


class BankSource:
    """Samples of a bank: all of them in every epoch, in a new order and with new augmentations.

    Args:
        path: The folder of the bank.
        crop: Side of a sample, pixels, even.
        seed: Sources of different seeds draw differently.
        times: ``middle`` for networks that make the middle frame only, for which a bank must have been made.
        motion: Limit to the motion of windows; if None all are taken in turn, else each is drawn by itself.

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
                f"make one with python -m training.bank --crop {crop}, or use smaller crops"
            )
        if times == "middle" and np.any(self._bank.index["t"] != 0.5):
            raise DatasetError(
                f"the bank {path} has other times than 1/2; make one with python -m training.bank --times middle"
            )
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))
        self._by_motion, self._motions = self._sorted_by_motion() if motion else (self._order[1], np.empty(0))

    def __reduce__(self) -> tuple[partial["BankSource"], tuple[Path]]:
        made = partial(BankSource, crop=self.crop, seed=self.seed, times=self.times, motion=self.motion)
        return made, (self.path,)  # not the maps

    def __len__(self) -> int:
        return len(self._bank)

    def sample(self, index: int) -> Sample:
        """Return the sample of a number; see :class:`training.data.batch.Source`."""
        rng = generator(self.seed, _DRAWN, index)
        entry = self._bank.entry(self._number(index))
        return to_sample(augmented(entry_window(entry, self.crop, rng), self.crop, rng))

    def _number(self, index: int) -> int:
        """Return which sample of the bank the sample of a number is made of."""
        if self.motion is not None:
            fitting = np.searchsorted(self._motions, self.motion.limit(index), "right")
            return int(self._by_motion[generator(self.seed, _ORDER, index).integers(fitting)])
        epoch, at = divmod(index, len(self))
        if self._order[0] != epoch:
            self._order = epoch, generator(self.seed, _ORDER, epoch).permutation(len(self))
        return int(self._order[1][at])

    def _sorted_by_motion(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the numbers of samples by their motion, and the motion of each."""
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
    """Return the length of DIS flow that nine tenths of a window do not exceed, in pixels of full size."""
    flow = 2 * from_steps(entry.flow[::_SPARSE, ::_SPARSE])
    return float(np.quantile(np.hypot(flow[..., 0::2], flow[..., 1::2]), _MOST))


def entry_window(entry: Entry, side: int, rng: np.random.Generator) -> Window:
    """Return a random square of a stored sample."""
    height, width = entry.frames.shape[1:3]
    top, left = (2 * int(rng.integers((size - side) // 2 + 1)) for size in (height, width))
    t, flow = float(entry.record["t"]), from_steps(entry.flow)
    if entry.owners is None:
        guessed, trust = pseudo_label(flow)
        whole = Window(frames=entry.frames, t=t, flow=flow, truth=guessed, trust=trust)
        return cropped(whole, top, left, side, side)
    rows, columns = slice(top, top + side), slice(left, left + side)
    half = slice(top // 2, (top + side) // 2), slice(left // 2, (left + side) // 2)
    exact, trust = truth(entry.owners[rows, columns], entry.record["moves"][:, : entry.record["layers"]], left, top)
    return Window(frames=entry.frames[:, rows, columns], t=t, flow=flow[half], truth=exact, trust=trust)
