"""Samples of a bank before they are stored: the hardest windows of hard pairs, and synthetic scenes."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.batch import generator
from training.data.difficulty import changes_light, half_brightness, lengths, plain_error, worth
from training.data.flat_samples import FlatSource
from training.data.mixed_samples import Turns
from training.data.pair_flow import PairFlow, Picture
from training.data.real_samples import Sampling
from training.data.shots import Shot
from training.data.synthetic_samples import LayeredSource, SyntheticSource
from training.data.triplet_choice import Place, Places, Times
from vsrrin.flow.dis import Preset

from .files import LAYERS, Entry, record, to_steps

_PURPOSE = 3
"""Purpose in the seed: keeps the random numbers of banks apart from those of others."""
_DULL = 0.004
"""Mean error of plain interpolation, 1 from black to white, below which nothing is to be learned: about 40 dB."""
_TRIES = 8
"""Shots looked at for one whose pictures have something to learn."""
_STEP = 4
"""Pixels of half the size between the places of windows that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankSettings:
    """Settings that decide the contents of a bank."""

    window: int = 256
    """Side of the windows, pixels, even; crops are taken from them when they are used."""
    crop: int = 192
    """The largest crop that will be: of frames that are smaller than a window, windows of that side will do."""
    synthetic: float = 0.3
    """Share of samples with synthetic motion of photos."""
    flat: float = 0.0
    """Share of samples of flat art, see :mod:`training.data.flat_samples`."""
    largest_gap: int = 7
    """Frames from the left to the right frame, at most."""
    times: Times = "any"
    """Whether the true frame is any between the two, or the middle one."""
    candidates: int = 4
    """Pairs of a shot looked at."""
    hard: float = 0.75
    """Share of samples for which the hardest pair and window is taken, rather than the first."""
    per_pair: int = 2
    """Windows of a pair."""
    flow_preset: Preset = "fine"
    """Preset of the DIS flow."""
    flow_scale: float = 1.0
    """Size of the pictures that it is found on, relative to the frames."""
    seed: int = 1


class BankMaker:
    """Maker of a bank's samples, one job at a time.

    Args:
        settings: Settings of the bank.
        shots: Real video; may be empty if all is synthetic.
        photos: Textures; may be empty if none is of photos.

    Raises:
        DatasetError: No shot is long and large enough, or there are no photos.
    """

    def __init__(self, settings: BankSettings, shots: Sequence[Shot], photos: Sequence[Picture]) -> None:
        self.settings = settings
        real = round(1 - settings.synthetic - settings.flat, 9)
        self._turns = Turns((real, settings.synthetic, settings.flat))
        self._flow, self._quick = PairFlow(settings.flow_preset, settings.flow_scale), PairFlow("fast")
        self.shots = shots
        self.photos = photos
        if real > 0:
            side = min(settings.crop, settings.window)
            self._places = Places(shots, largest_gap=settings.largest_gap, times=settings.times, side=side)
        sampling = Sampling(
            crop=settings.window,
            times=settings.times,
            flow_preset=settings.flow_preset,
            flow_scale=settings.flow_scale,
        )
        self._layered: dict[int, LayeredSource] = {}
        if settings.synthetic > 0:
            self._layered[1] = SyntheticSource(photos, sampling, settings.seed)
        if settings.flat > 0:
            self._layered[2] = FlatSource(photos, sampling, settings.seed)

    def job(self, number: int) -> list[Entry]:
        """Return ``per_pair`` samples; a pure function of the job's number."""
        rng = generator(self.settings.seed, _PURPOSE, number)
        turn = self._turns.of(number)
        if turn:
            return [self._scene(self._layered[turn], rng) for _ in range(self.settings.per_pair)]
        return self._pair(rng)

    # --- real video ------------------------------------------------------------------------------------------------

    def _pair(self, rng: np.random.Generator) -> list[Entry]:
        place, frames = self._choose(rng)
        flow = self._flow(frames[0], frames[2])
        error = plain_error(half_brightness(frames), flow, place.t)
        inside = slice(frames.shape[1] // 2), slice(frames.shape[2] // 2)  # windows have even sides
        height, width = self._window(frames)
        entries = []
        scores = window_worth(error[inside], lengths(flow)[inside], height, width)
        for top, left in self._hardest(scores, height, width, rng):
            rows, columns = slice(top, top + height), slice(left, left + width)
            half = slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2)
            line = record(
                t=place.t,
                error=error[half].mean(),
                height=height,
                width=width,
                shot=place.shot,
                start=place.start,
                gap=place.gap,
                middle=place.middle,
                top=top,
                left=left,
            )
            entries.append(Entry(line, frames[:, rows, columns], to_steps(flow[half]), None))
        return entries

    def _choose(self, rng: np.random.Generator) -> tuple[Place, NDArray[np.uint8]]:
        """Return a pair, often the hardest of several of a shot, and its frames (3, H, W, 3)."""
        for _ in range(_TRIES):
            shot = self._places.shot(rng)
            found = [self._places.draw(shot, rng) for _ in range(self.settings.candidates)]
            if rng.random() < self.settings.hard:
                scores = [self._score(place) for place in found]
                best, good = found[int(np.argmax(scores))], max(scores) > _DULL
            else:
                best = found[0]
                good = not changes_light(half_brightness(self._frames(best)))
            if good:
                break
        return best, self._frames(best)

    def _frames(self, place: Place) -> NDArray[np.uint8]:
        shot = self.shots[place.shot]
        return np.stack([shot.frame(number) for number in place.numbers])

    def _window(self, frames: NDArray[np.uint8]) -> tuple[int, int]:
        """Return height and width of the windows of frames."""
        height, width = (min(self.settings.window, size // 2 * 2) for size in frames.shape[1:3])
        return height, width

    def _score(self, place: Place) -> float:
        """Return the worth of the best window of a pair; flow is found at half size, by the fast preset."""
        frames = self._frames(place)
        bright = half_brightness(frames)
        if changes_light(bright):
            return 0.0
        flow = self._quick.at_own_size(bright[0], bright[2])
        error = plain_error(bright, flow, place.t)
        return float(window_worth(error, lengths(flow), *self._window(frames)).max())

    def _hardest(
        self, scores: NDArray[np.floating], height: int, width: int, rng: np.random.Generator
    ) -> list[tuple[int, int]]:
        """Return top and left of windows, often the hardest, that overlap little where there is room."""
        scores = scores * rng.uniform(0.9, 1, scores.shape)  # those that are about equal take turns
        open_places = np.ones(scores.shape, np.bool_)
        rows, columns = np.arange(scores.shape[0])[:, None], np.arange(scores.shape[1])
        found = []
        for _ in range(self.settings.per_pair):
            if not open_places.any():
                open_places[:] = True
            if rng.random() < self.settings.hard:
                chosen = int(np.where(open_places, scores, -1).argmax())
            else:
                chosen = int(rng.choice(np.flatnonzero(open_places)))
            row, column = divmod(chosen, scores.shape[1])
            found.append((2 * _STEP * row, 2 * _STEP * column))
            near = (np.abs(rows - row) * 2 * _STEP < height / 2) & (np.abs(columns - column) * 2 * _STEP < width / 2)
            open_places &= ~near
        return found

    # --- synthetic motion ------------------------------------------------------------------------------------------

    def _scene(self, source: LayeredSource, rng: np.random.Generator) -> Entry:
        scene = source.scene(rng, self.settings.window)
        window = scene.window(self._flow)
        moves = np.zeros((2, LAYERS, 2, 3), np.float32)
        moves[:, : len(scene.layers)] = scene.moves()
        line = record(
            t=scene.t,
            error=plain_error(half_brightness(window.frames), window.flow, scene.t).mean(),
            height=window.height,
            width=window.width,
            shot=-1,
            layers=len(scene.layers),
            moves=moves,
        )
        return Entry(line, window.frames, to_steps(window.flow), scene.owners())


def window_worth(
    error: NDArray[np.float32], motion: NDArray[np.float32], height: int, width: int
) -> NDArray[np.floating]:
    """Return how much there is to learn in each window.

    Args:
        error: (h, w), errors of plain interpolation at half size.
        motion: (h, w), lengths of flow at half size, pixels of it.
        height: Height of the windows in pixels of full size, even.
        width: Width, likewise.

    Returns:
        `worth` of the windows whose top and left are multiples of `_STEP` pixels of half the size.
    """
    return worth(_means(error, height // 2, width // 2), _means(motion, height // 2, width // 2))


def _means(field: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float64]:
    """Return the means of windows of (rows, columns), one for every `_STEP` pixels."""
    sums = np.asarray(cv2.integral(field, sdepth=cv2.CV_64F), np.float64)
    sums = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    return sums[::_STEP, ::_STEP] / (rows * columns)
