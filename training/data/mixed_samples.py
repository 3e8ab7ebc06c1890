"""Mixtures of several sources of samples."""

from collections.abc import Sequence

import numpy as np

from training.errors import RecipeError

from .batch import Sample, Source

_GOLDEN = (5**0.5 - 1) / 2


class MixedSource:
    """Several sources taking turns in given shares; the turn depends on the number of the sample alone.

    Args:
        parts: Sources and their shares; shares are relative to their sum.

    Raises:
        RecipeError: There is no source, a share is negative, or all are 0.
    """

    def __init__(self, parts: Sequence[tuple[Source, float]]) -> None:
        self._sources = [source for source, share in parts if share > 0]
        self._turns = Turns([share for _, share in parts if share != 0])

    def sample(self, index: int) -> Sample:
        """Return the sample of a number; see :class:`training.data.batch.Source`."""
        return self._sources[self._turns.of(index)].sample(index)


class Turns:
    """Order of turns among several participants with given shares.

    Turns are spread evenly (multiples of the golden ratio), so that every few of them have about the shares of all.

    Args:
        shares: Relative to their sum.

    Raises:
        RecipeError: There are none, one is negative or not finite, or all are 0.
    """

    def __init__(self, shares: Sequence[float]) -> None:
        given = np.array(shares, np.float64)
        if not np.all(np.isfinite(given)) or np.any(given < 0) or given.sum() <= 0:
            raise RecipeError(f"shares of sources: got {list(shares)}; give numbers from 0 on, at least one above 0")
        self._upto = np.cumsum(given / given.sum())

    def of(self, index: int) -> int:
        """Return the number of the participant whose turn it is."""
        return min(int(np.searchsorted(self._upto, index * _GOLDEN % 1, side="right")), len(self._upto) - 1)
