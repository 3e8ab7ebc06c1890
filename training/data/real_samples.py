"""Samples of real video."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vsrrin.flow.dis import Preset

from .augment import Window, augmented, cropped, pseudo_label, to_sample
from .batch import Sample, generator
from .difficulty import difficulty
from .pair_flow import PairFlow
from .shots import Shot
from .triplet_choice import Place, Places, Times

_REAL = 1
"""Purpose in the seed: keeps the random numbers of this source apart from those of others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Settings of how samples are drawn."""

    crop: int = 192
    """Side of a sample, pixels, even."""
    largest_gap: int = 7
    """Frames from the left to the right frame, at most."""
    candidates: int = 4
    """Windows looked at for a sample."""
    hard: float = 0.75
    """Share of samples for which the hardest of them is taken, rather than the first."""
    times: Times = "any"
    """Whether the true frame is any between the two, or the middle one."""
    flow_preset: Preset = "fine"
    """Preset of the DIS flow in the samples."""
    flow_scale: float = 1.0
    """Size of the pictures that it is found on, relative to the frames."""
    margin: int = 48
    """Pixels around the crop, where there are so many, on which flow is estimated too, even: what comes into the crop
    is seen there, as it is in whole frames."""


class RealSource:
    """Samples of real video, with DIS flow as input and, where it is consistent, as pseudo label.

    Args:
        shots: Shots to draw from.
        sampling: Settings.
        seed: Sources of different seeds give different samples.

    Raises:
        DatasetError: No shot is long and large enough.
    """

    def __init__(self, shots: Sequence[Shot], sampling: Sampling, seed: int) -> None:
        self.shots = shots
        self.sampling = sampling
        self.seed = seed
        self._places = Places(shots, largest_gap=sampling.largest_gap, times=sampling.times, side=sampling.crop)
        self._flow = PairFlow(sampling.flow_preset, sampling.flow_scale)
        self._quick = PairFlow("fast")

    def sample(self, index: int) -> Sample:
        """Return the sample of a number; see :class:`training.data.batch.Source`."""
        rng = generator(self.seed, _REAL, index)
        place, top, left = self._choose(rng)
        return to_sample(augmented(self._window(place, top, left), self.sampling.crop, rng))

    def _choose(self, rng: np.random.Generator) -> tuple[Place, int, int]:
        """Return a triplet's place, and top and left of the crop: often the hardest of several of one shot."""
        side = self.sampling.crop
        number = self._places.shot(rng)
        shot = self.shots[number]
        found = []
        for _ in range(self.sampling.candidates):
            place = self._places.draw(number, rng)
            top, left = (2 * int(rng.integers((size - side) // 2 + 1)) for size in (shot.height, shot.width))
            found.append((place, top, left))
        if rng.random() >= self.sampling.hard or len(found) == 1:
            return found[0]
        scores = [difficulty(self._frames(*each, side, side), each[0].t, self._quick) for each in found]
        return found[int(np.argmax(scores))]

    def _frames(self, place: Place, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        """Return (3, height, width, 3) at the times 0, t and 1."""
        shot = self.shots[place.shot]
        return np.stack([shot.crop(number, top, left, height, width) for number in place.numbers])

    def _window(self, place: Place, top: int, left: int) -> Window:
        """Return the crop, with flow that was found on a larger part of the frames."""
        shot, side, margin = self.shots[place.shot], self.sampling.crop, self.sampling.margin
        # Of one size for all places of a shot: DIS keeps buffers for each.
        height, width = (min(side + 2 * margin, size // 2 * 2) for size in (shot.height, shot.width))
        above = min(max(top - margin, 0), shot.height // 2 * 2 - height)
        before = min(max(left - margin, 0), shot.width // 2 * 2 - width)
        frames = self._frames(place, above, before, height, width)
        flow = self._flow(frames[0], frames[2])
        truth, trust = pseudo_label(flow)
        window = Window(frames=frames, t=place.t, flow=flow, truth=truth, trust=trust)
        return cropped(window, top - above, left - before, side, side)
